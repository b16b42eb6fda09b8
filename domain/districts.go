package domain

import (
	_ "embed"
	"encoding/csv"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The Local Government Directory's list of districts. Attribution: Local
// Government Directory, Ministry of Panchayati Raj, https://lgdirectory.gov.in,
// under the Government Open Data License – India.
//
//go:embed lgd_districts.csv
var districtsCSV string

// directory holds districts by code; codes are below a thousand.
var directory = sync.OnceValue(func() []directoryEntry {
	rows, err := csv.NewReader(strings.NewReader(districtsCSV)).ReadAll()
	if err != nil {
		panic("domain: the district directory does not parse: " + err.Error())
	}
	var entries []directoryEntry
	for _, row := range rows[1:] {
		code, err := strconv.ParseUint(row[2], 10, 16)
		if err != nil {
			panic("domain: the district directory does not parse: " + err.Error())
		}
		if missing := int(code) + 1 - len(entries); missing > 0 {
			entries = append(entries, make([]directoryEntry, missing)...)
		}
		entries[code] = directoryEntry{name: row[3], state: row[1]}
	}
	return entries
})

type directoryEntry struct{ name, state string }

// KnownDistrict tells whether the Local Government Directory has the district.
func KnownDistrict(d District) bool { return DistrictName(d) != "" }

// DistrictName returns the district's name as the directory writes it, such as
// MUZAFFARPUR, or "" for an unknown one.
func DistrictName(d District) string { return entry(d).name }

// StateName returns the state or union territory that the district lies in, as
// the directory writes it, such as BIHAR, or "" for an unknown district.
func StateName(d District) string { return entry(d).state }

func entry(d District) directoryEntry {
	if entries := directory(); int(d) < len(entries) {
		return entries[d]
	}
	return directoryEntry{}
}

// Districts returns every district of the directory, in order of code.
func Districts() []District {
	var all []District
	for code, e := range directory() {
		if e.name != "" {
			all = append(all, District(code))
		}
	}
	return slices.Clip(all)
}

var errDistrict = errors.New("a district is a code of the Local Government Directory, such as 208 for Muzaffarpur")

// ParseDistrict reads a district code and fails for one that the directory does
// not have.
func ParseDistrict(s string) (District, error) {
	code, err := strconv.ParseUint(s, 10, 16)
	if err != nil || !KnownDistrict(District(code)) {
		return 0, errDistrict
	}
	return District(code), nil
}
