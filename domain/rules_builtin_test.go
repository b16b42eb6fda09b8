package domain

import (
	"strings"
	"testing"
)

const (
	intervalsHeading   = "vaccine,from_dose,to_dose,effective_from,min_days,max_days,note,source\n"
	eligibilityHeading = "kind,group,effective_from,detail,source\n"
	identityHeading    = "kind,code,effective_from,detail,source\n"
)

// TestRulesRefuseWhatTheyDoNotKnow spoils one row at a time: a rule that cannot be
// applied must not be dropped in silence.
func TestRulesRefuseWhatTheyDoNotKnow(t *testing.T) {
	t.Parallel()
	if _, err := parseRules(intervalsHeading, eligibilityHeading, identityHeading); err != nil {
		t.Fatal(err)
	}
	for table, rows := range [][]string{
		{"PFIZER,1,2,2021-01-16,28,42,,", "COVAXIN,1,5,2021-01-16,28,42,,", "COVAXIN,1,2,16 January,28,42,,", "COVAXIN,1,2,2021-01-16,four weeks,42,,", "COVAXIN,1,2,2021-01-16,28,six weeks,,", "COVAXIN,1,2", `"COVAXIN`},
		{"close,HCW,2021-01-16,,", "open,AGE30_PLUS,2021-01-16,,", "open,HCW,soon,,"},
		{"photo_id,RATION_CARD,2022-01-01,,", "photo_id,PAN,soon,,", "household_limit,four,2021-03-01,,", "household_limit,4,,,", "favourite_colour,,,,"},
	} {
		for _, row := range rows {
			tables := [3]string{intervalsHeading, eligibilityHeading, identityHeading}
			tables[table] += row + "\n"
			if _, err := parseRules(tables[0], tables[1], tables[2]); err == nil {
				t.Errorf("%s: is read as a rule", row)
			}
		}
	}
}

func FuzzParseRules(f *testing.F) {
	f.Add(intervalsCSV, eligibilityCSV, identityCSV)
	f.Add(intervalsHeading, eligibilityHeading, identityHeading+"photo_id,,,,\n")
	f.Fuzz(func(t *testing.T, intervals, eligibility, identity string) {
		r, err := parseRules(intervals, eligibility, identity)
		if err == nil && !strings.HasPrefix(r.Version(), "built-in-") {
			t.Errorf("rules of version %q", r.Version())
		}
	})
}
