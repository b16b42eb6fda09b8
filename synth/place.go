package synth

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"bahi/domain"
)

// place is a district with its names in the three systems of codes.
type place struct {
	key      string // of the public counters, such as BR_Muzaffarpur
	district domain.District
	census   int    // its code of 2011, which follows the map; 0 for districts founded later
	rank     uint64 // its row below, for numbers that differ between districts
}

// Keys of the public counters joined with codes of the Local Government
// Directory (Ministry of Panchayati Raj, https://lgdirectory.gov.in, Government
// Open Data License – India) and of the census of 2011.
//
//go:embed districts.csv
var placesCSV string

var places = sync.OnceValue(func() []place {
	rows, err := csv.NewReader(strings.NewReader(placesCSV)).ReadAll()
	if err != nil {
		panic("synth: the table of districts does not parse: " + err.Error())
	}
	all := make([]place, 0, len(rows))
	for i, row := range rows[1:] {
		census, err1 := strconv.Atoi(row[0])
		code, err2 := strconv.ParseUint(row[1], 10, 16)
		if err1 != nil || err2 != nil {
			panic("synth: the table of districts does not parse")
		}
		all = append(all, place{key: row[2], district: domain.District(code), census: census, rank: uint64(i)})
	}
	return all
})

// findPlace finds a district by its key or its directory code.
func findPlace(name string) (place, bool) {
	code, err := strconv.ParseUint(name, 10, 16)
	for _, p := range places() {
		if p.key == name || err == nil && p.district == domain.District(code) {
			return p, true
		}
	}
	return place{}, false
}

// state returns the letters of the state before the underscore of the key.
func (p place) state() string {
	state, _, _ := strings.Cut(p.key, "_")
	return state
}

// elsewhereOf chooses the district of those who come to p for a second dose: the
// nearest of the state that is not among the generated ones, else New Delhi,
// where many work and from where they come home, else any other.
func elsewhereOf(p place, generated map[domain.District]bool) (place, error) {
	var best place
	distance := 0
	for _, other := range places() {
		if generated[other.district] || other.state() != p.state() || other.census == 0 {
			continue
		}
		if d := max(other.census-p.census, p.census-other.census); best.key == "" || d < distance {
			best, distance = other, d
		}
	}
	if best.key != "" {
		return best, nil
	}
	if delhi, ok := findPlace("DL_New Delhi"); ok && !generated[delhi.district] {
		return delhi, nil
	}
	for _, other := range places() {
		if !generated[other.district] {
			return other, nil
		}
	}
	return place{}, fmt.Errorf("every district is in the file, so nobody can have had a first dose elsewhere; choose one district")
}

// DistrictOf returns the directory code of a key of the public counters, such as
// 208 for BR_Muzaffarpur.
func DistrictOf(key string) (domain.District, bool) {
	p, ok := findPlace(key)
	return p.district, ok
}
