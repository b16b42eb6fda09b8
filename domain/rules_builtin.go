package domain

import (
	"crypto/sha256"
	_ "embed"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// The rules as the drive announced them, a source a row. DATA.md tells of their
// origin.
var (
	//go:embed rules/dose_intervals.csv
	intervalsCSV string
	//go:embed rules/eligibility_and_freezes.csv
	eligibilityCSV string
	//go:embed rules/identity_household_corrections.csv
	identityCSV string
)

var builtIn = sync.OnceValue(func() Rules {
	r, err := parseRules(intervalsCSV, eligibilityCSV, identityCSV)
	if err != nil {
		panic("domain: the built-in rules do not parse: " + err.Error())
	}
	return r
})

// BuiltInRules returns the rules that come with the ledger. They are parsed
// once.
func BuiltInRules() Rules { return builtIn() }

// parseRules reads the three tables. Every row becomes a rule or a remark, and
// an unknown one is an error: a rule that is silently not applied would be
// worse than none.
func parseRules(intervals, eligibility, identity string) (Rules, error) {
	sum := sha256.Sum256([]byte(intervals + eligibility + identity))
	r := Rules{version: "built-in-" + hex.EncodeToString(sum[:6])}
	for _, table := range []struct {
		name, text string
		columns    int
		add        func(*Rules, []string) error
	}{
		{"dose intervals", intervals, 8, (*Rules).addInterval},
		{"eligibility", eligibility, 5, (*Rules).addEligibility},
		{"identity", identity, 5, (*Rules).addIdentity},
	} {
		reader := csv.NewReader(strings.NewReader(table.text))
		reader.FieldsPerRecord = table.columns
		rows, err := reader.ReadAll()
		if err != nil {
			return Rules{}, fmt.Errorf("%s: %w", table.name, err)
		}
		for i, row := range rows {
			if i == 0 {
				continue // the heading
			}
			if err := table.add(&r, row); err != nil {
				return Rules{}, fmt.Errorf("%s, row %d: %w", table.name, i, err)
			}
		}
	}
	return r, nil
}

// addInterval reads vaccine, from_dose, to_dose, effective_from, min_days,
// max_days, note, source.
func (r *Rules) addInterval(row []string) (err error) {
	var i Interval
	switch row[0] {
	case "ANY_PRECAUTION":
	case "CORBEVAX_HETEROLOGOUS":
		i.Vaccine, i.After = Corbevax, []Vaccine{Covaxin, Covishield}
	default:
		if i.Vaccine, err = ParseVaccine(row[0]); err != nil {
			return err
		}
	}
	if i.Dose, err = ParseDoseNumber(row[2]); err != nil {
		return err
	}
	if i.From, err = ParseDay(row[3]); err != nil {
		return err
	}
	if i.MinDays, err = strconv.Atoi(row[4]); err != nil {
		return err
	}
	if row[5] != "" {
		if i.MaxDays, err = strconv.Atoi(row[5]); err != nil {
			return err
		}
	}
	r.intervals = append(r.intervals, i)
	return nil
}

// openingCodes are the groups of the announcements in terms of ours. The
// announced comorbidities are looked at where people are vaccinated, not here.
// Which one vaccine children are given stands in the row's detail.
var openingCodes = map[string]struct {
	groups     []Group
	precaution bool
	only       Vaccine
}{
	"HCW":                     {groups: []Group{HealthCareWorker}},
	"FLW":                     {groups: []Group{FrontLineWorker}},
	"AGE60_OR_45_59_COMORBID": {groups: []Group{Age60Plus, Age45To60}},
	"AGE45_PLUS":              {groups: []Group{Age45To60}},
	"AGE18_PLUS":              {groups: []Group{Age18To44}},
	"AGE15_18":                {groups: []Group{Age15To17}, only: Covaxin},
	"AGE12_14":                {groups: []Group{Age12To14}, only: Corbevax},

	"PRECAUTION_HCW_FLW_60_COMORBID": {groups: []Group{HealthCareWorker, FrontLineWorker, Age60Plus}, precaution: true},
	"PRECAUTION_60_PLUS":             {groups: []Group{Age60Plus}, precaution: true},
}

// addEligibility reads kind, group, effective_from, detail, source.
func (r *Rules) addEligibility(row []string) error {
	switch row[0] {
	case "open":
		code, ok := openingCodes[row[1]]
		if !ok {
			return fmt.Errorf("unknown opening %q", row[1])
		}
		from, err := ParseDay(row[2])
		if err != nil {
			return err
		}
		for _, g := range code.groups {
			r.openings = append(r.openings, Opening{Group: g, Precaution: code.precaution, Only: code.only, From: from})
		}
		return nil
	case "intake_freeze", "dose1_deadline", "access_freeze":
		return r.addRemark(row)
	}
	return fmt.Errorf("unknown kind %q", row[0])
}

// fromTheBeginning is the day on which the announcement of March 2021 wrote down
// what held already: documents, uniqueness and the household limit.
var fromTheBeginning = Date(2021, 3, 1)

// addIdentity reads kind, code, effective_from, detail, source.
func (r *Rules) addIdentity(row []string) error {
	if row[0] != "photo_id" && row[0] != "household_limit" || row[2] == "" {
		switch row[0] {
		case "photo_id", "uniqueness", "appointment", "raise_issue", "status_query":
			return r.addRemark(row)
		}
		return fmt.Errorf("unknown kind %q", row[0])
	}
	from, err := ParseDay(row[2])
	if err != nil {
		return err
	}
	if from == fromTheBeginning {
		from = 0
	}
	if row[0] == "household_limit" {
		limit, err := strconv.Atoi(row[1])
		if err != nil {
			return err
		}
		r.households = append(r.households, householdRule{from: from, limit: limit})
		return nil
	}
	document, err := ParsePhotoIDType(row[1])
	if err != nil {
		return err
	}
	rule := photoIDRule{document: document, from: from, maxAge: maxAge}
	if document == StudentID {
		rule.minAge, rule.maxAge = 15, 18
	}
	r.photoIDs = append(r.photoIDs, rule)
	return nil
}

func (r *Rules) addRemark(row []string) error {
	r.remarks = append(r.remarks, Remark{Kind: row[0], Code: row[1], From: row[2], Detail: row[3]})
	return nil
}
