package domain_test

import (
	"bytes"
	"encoding/csv"
	"os"
	"strings"
	"testing"

	"bahi/domain"
)

func table(t *testing.T, name string) [][]string {
	t.Helper()
	b, err := os.ReadFile("rules/" + name)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows[1:]
}

// TestEveryRowOfTheRulesIsRead finds each row of the tables again in what the
// rules answer: as an interval, an opening, a document, a limit or a remark.
func TestEveryRowOfTheRulesIsRead(t *testing.T) {
	t.Parallel()
	r := domain.BuiltInRules()

	rows := table(t, "dose_intervals.csv")
	intervals := r.Intervals()
	if len(intervals) != len(rows) {
		t.Fatalf("%d intervals from %d rows", len(intervals), len(rows))
	}
	for i, row := range rows {
		if got := intervals[i]; got.From.String() != row[3] || got.Dose.String() != row[2] ||
			!strings.HasPrefix(row[0], got.Vaccine.String()) {
			t.Errorf("row %v became %+v", row, got)
		}
	}

	remarks := map[string]bool{}
	for _, n := range r.Remarks() {
		remarks[n.Kind+" "+n.Code+" "+n.From] = true
	}
	openings := map[string]bool{}
	for _, o := range r.Openings() {
		openings[o.From.String()] = true
	}
	for _, row := range table(t, "eligibility_and_freezes.csv") {
		switch {
		case row[0] == "open" && openings[row[2]]:
		case remarks[row[0]+" "+row[1]+" "+row[2]]:
		default:
			t.Errorf("row %v is neither an opening nor a remark", row)
		}
	}
	for _, row := range table(t, "identity_household_corrections.csv") {
		if document, err := domain.ParsePhotoIDType(row[1]); err == nil {
			if !r.AcceptsPhotoID(document, 16, day("2022-12-31")) {
				t.Errorf("row %v is not applied", row)
			}
			continue
		}
		if row[0] == "household_limit" {
			if limit := r.HouseholdLimit(day(row[2])); row[1] != string(rune('0'+limit)) {
				t.Errorf("row %v is not applied: %d", row, limit)
			}
			continue
		}
		if !remarks[row[0]+" "+row[1]+" "+row[2]] {
			t.Errorf("row %v is lost", row)
		}
	}
}

// TestChildrensVaccinesStandInTheRows holds the one vaccine of a children's
// group to what the announcement says.
func TestChildrensVaccinesStandInTheRows(t *testing.T) {
	t.Parallel()
	want := map[string]domain.Vaccine{"AGE15_18": domain.Covaxin, "AGE12_14": domain.Corbevax}
	for _, row := range table(t, "eligibility_and_freezes.csv") {
		for v := domain.Covishield; v <= domain.ZyCoVDTwoDose; v++ {
			if says := strings.Contains(strings.ToUpper(row[3]), v.String()); says != (want[row[1]] == v) {
				t.Errorf("%s: %q, but the rules give %v", row[1], row[3], want[row[1]])
			}
		}
	}
}

func TestSeries(t *testing.T) {
	t.Parallel()
	r := domain.BuiltInRules()
	for _, c := range []struct {
		vaccine domain.Vaccine
		doses   domain.DoseNumber
		from    string
	}{
		{domain.Covishield, 2, "2021-01-16"},
		{domain.Covaxin, 2, "2021-01-16"},
		{domain.SputnikV, 2, "2021-05-01"},
		{domain.Corbevax, 2, "2022-03-16"},
		{domain.ZyCoVD, 3, "2021-08-20"},
		{domain.ZyCoVDTwoDose, 2, "2022-04-26"},
		{0, 0, ""},
	} {
		if got := r.SeriesLength(c.vaccine); c.vaccine != 0 && got != c.doses {
			t.Errorf("%s has %d doses, want %d", c.vaccine, got, c.doses)
		}
		if c.from != "" && (!r.InUse(c.vaccine, day(c.from)) || r.InUse(c.vaccine, day(c.from)-1)) {
			t.Errorf("%s is in use from %s", c.vaccine, c.from)
		}
	}
}

func TestIntervalInForce(t *testing.T) {
	t.Parallel()
	r := domain.BuiltInRules()
	for _, c := range []struct {
		vaccine  domain.Vaccine
		dose     domain.DoseNumber
		on       string
		min, max int
	}{
		{domain.Covishield, 2, "2021-01-16", 28, 42},
		{domain.Covishield, 2, "2021-03-21", 28, 42},
		{domain.Covishield, 2, "2021-03-22", 28, 56},
		{domain.Covishield, 2, "2021-05-12", 28, 56},
		{domain.Covishield, 2, "2021-05-13", 84, 112},
		{domain.Covaxin, 2, "2022-12-31", 28, 42},
		{domain.SputnikV, 2, "2021-05-01", 21, 0},
		{domain.ZyCoVD, 3, "2021-08-20", 28, 0},
		{domain.Covaxin, domain.Precaution, "2022-01-10", 273, 0},
		{domain.Covaxin, domain.Precaution, "2022-07-05", 273, 0},
		{domain.Covaxin, domain.Precaution, "2022-07-06", 182, 0},
		{domain.Corbevax, domain.Precaution, "2022-08-10", 182, 0},
	} {
		got, ok := r.Interval(c.vaccine, c.dose, day(c.on))
		if !ok || got.MinDays != c.min || got.MaxDays != c.max {
			t.Errorf("dose %s of %s on %s: %+v", c.dose, c.vaccine, c.on, got)
		}
	}
	if _, ok := r.Interval(domain.Covaxin, domain.Precaution, day("2022-01-09")); ok {
		t.Error("no precaution dose before 10 January 2022")
	}
	if _, ok := r.FollowsAnother(domain.Covaxin, domain.Corbevax, domain.Age18To44, day("2022-08-09")); ok {
		t.Error("no Corbevax after another vaccine before 10 August 2022")
	}
	if _, ok := r.FollowsAnother(domain.Covaxin, domain.Corbevax, domain.Age15To17, day("2022-08-10")); ok {
		t.Error("children are not given another vaccine")
	}
	if rule, ok := r.FollowsAnother(domain.Covaxin, domain.Corbevax, domain.Age18To44, day("2022-08-10")); !ok || rule.MinDays != 182 {
		t.Errorf("Corbevax after Covaxin from 10 August 2022: %+v, %t", rule, ok)
	}
}

// TestReversalDue takes the third day and the seventh from both sides.
func TestReversalDue(t *testing.T) {
	t.Parallel()
	requested := day("2022-01-22")
	for waited, want := range map[domain.Day][2]bool{0: {}, 2: {}, 3: {true, false}, 7: {true, false}, 8: {true, true}} {
		due, overdue := domain.ReversalDue(requested, requested+waited)
		if due != want[0] || overdue != want[1] {
			t.Errorf("after %d days: due %t, overdue %t", waited, due, overdue)
		}
	}
}

func TestZeroRulesOpenToNobody(t *testing.T) {
	t.Parallel()
	var r domain.Rules
	if r.Open(domain.HealthCareWorker, day("2022-01-01")) || r.HouseholdLimit(day("2022-01-01")) != 0 ||
		r.AcceptsPhotoID(domain.Aadhaar, 40, day("2022-01-01")) || r.InUse(domain.Covaxin, day("2022-01-01")) {
		t.Error("the zero value of Rules permits something")
	}
	if domain.BuiltInRules().Version() == "" {
		t.Error("the built-in rules have no version")
	}
}

func TestDistricts(t *testing.T) {
	t.Parallel()
	all := domain.Districts()
	b, err := os.ReadFile("lgd_districts.csv")
	if err != nil {
		t.Fatal(err)
	}
	if rows := bytes.Count(b, []byte("\n")); len(all) != rows-1 {
		t.Errorf("%d districts from %d rows", len(all), rows-1)
	}
	if domain.DistrictName(208) != "MUZAFFARPUR" || !domain.KnownDistrict(208) {
		t.Error("Muzaffarpur is 208")
	}
	for _, s := range []string{"", "0", "-1", "9999", "65536", "1e2", "208 ", "Muzaffarpur"} {
		if d, err := domain.ParseDistrict(s); err == nil {
			t.Errorf("%q is district %d", s, d)
		}
	}
	if d, err := domain.ParseDistrict("208"); d != 208 || err != nil {
		t.Error(d, err)
	}
	for i, d := range all {
		if !domain.KnownDistrict(d) || i > 0 && all[i-1] >= d {
			t.Errorf("district %d is out of order", d)
		}
	}
}
