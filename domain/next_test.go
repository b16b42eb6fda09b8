package domain_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"bahi/domain"
)

// of returns a person of a group with these doses of a vaccine.
func of(g domain.Group, registered string, v domain.Vaccine, days ...string) domain.Person {
	rules := domain.BuiltInRules()
	p := domain.Evolve(domain.Person{}, domain.PersonRegistered{Cohort: domain.Cohort{District: 208, Group: g, Generation: 1}, Day: day(registered)}, 1, 1)
	for i, d := range days {
		n, after := domain.DoseNumber(i+1), domain.Partial
		if length := rules.SeriesLength(v); n >= length {
			after = domain.Full
			if n > length {
				n = domain.Precaution
			}
		}
		p = domain.Evolve(p, domain.DoseAdministered{Dose: domain.Dose{Number: n, Vaccine: v, Day: day(d), District: 208}, After: after}, 2, 1)
	}
	return p
}

func TestNextDose(t *testing.T) {
	t.Parallel()
	const hcw, grown, senior, teen, child = domain.HealthCareWorker, domain.Age18To44, domain.Age60Plus, domain.Age15To17, domain.Age12To14
	const shield, xin, bevax = domain.Covishield, domain.Covaxin, domain.Corbevax
	for _, c := range []struct {
		name   string
		person domain.Person
		on     string
		want   string
	}{
		{"nobody", domain.Person{}, "2021-06-01", "none"},
		{"a first dose of what is in use", of(hcw, "2021-01-10", 0), "2021-02-01", "1: COVISHIELD 2021-02-01, COVAXIN 2021-02-01, SPUTNIK_V 2021-05-01, ZYCOV_D 2021-08-20, CORBEVAX 2022-03-16, ZYCOV_D_2DOSE 2022-04-26"},
		{"a group whose turn comes", of(teen, "2021-12-30", 0), "2021-12-31", "1: COVAXIN 2022-01-03"},
		{"not before the registration", of(child, "2022-04-01", 0), "2022-03-20", "1: CORBEVAX 2022-04-01"},
		{"four weeks", of(hcw, "2021-01-16", shield, "2021-01-16"), "2021-01-20", "2: COVISHIELD 2021-02-13"},
		{"due already: the day asked", of(hcw, "2021-01-16", shield, "2021-01-16"), "2021-03-01", "2: COVISHIELD 2021-03-01"},
		{"the last day of the shorter interval", of(senior, "2021-04-01", shield, "2021-04-14"), "2021-05-01", "2: COVISHIELD 2021-05-12"},
		{"a day later the longer one is in force", of(senior, "2021-04-01", shield, "2021-04-15"), "2021-05-01", "2: COVISHIELD 2021-07-08"},
		{"a third dose", of(grown, "2021-09-01", domain.ZyCoVD, "2021-09-01", "2021-10-01"), "2021-10-02", "3: ZYCOV_D 2021-10-29"},
		{"precaution when the shorter interval comes first", of(senior, "2021-04-01", xin, "2021-12-01", "2022-01-01"), "2022-06-01", "precaution: COVAXIN 2022-07-06, CORBEVAX 2022-08-10"},
		{"precaution of another vaccine only", of(grown, "2021-06-01", shield, "2021-06-01", "2021-09-01"), "2022-05-01", "precaution: CORBEVAX 2022-08-10"},
		{"no precaution for the young", of(teen, "2022-01-03", xin, "2022-01-03", "2022-02-03"), "2022-12-01", "none"},
		{"nothing after a precaution dose", of(hcw, "2021-01-16", bevax, "2022-03-20", "2022-04-20", "2022-12-01"), "2022-12-02", "none"},
	} {
		next := domain.NextDose(c.person, domain.BuiltInRules(), day(c.on))
		got := "none"
		if next.Number != 0 {
			got = next.Number.String() + ":"
			for i, v := range next.Vaccines {
				got += [2]string{" ", ", "}[min(i, 1)] + fmt.Sprintf("%s %s", v.Vaccine, v.From)
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestNextDoseIsWhatDecideAccepts tries every vaccine on every day: the first one
// that is accepted is the one that is told.
func TestNextDoseIsWhatDecideAccepts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rules := domain.BuiltInRules()
		vaccine := rapid.SampledFrom([]domain.Vaccine{domain.Covishield, domain.Covaxin, domain.Corbevax, domain.ZyCoVD}).Draw(t, "vaccine")
		registered := domain.Date(2021, 1, 16) + domain.Day(rapid.IntRange(0, 600).Draw(t, "registered"))
		var doses []string
		last := registered
		for range rapid.IntRange(0, 4).Draw(t, "doses") {
			last += domain.Day(rapid.IntRange(0, 300).Draw(t, "after"))
			doses = append(doses, last.String())
		}
		p := of(rapid.SampledFrom(domain.Groups()).Draw(t, "group"), registered.String(), vaccine, doses...)
		asked := registered + domain.Day(rapid.IntRange(-100, 900).Draw(t, "asked"))
		next := domain.NextDose(p, rules, asked)

		want := map[domain.Vaccine]domain.Day{}
		numbers := []domain.DoseNumber{1, 2, 3, domain.Precaution}
		for d := asked; d < asked+1500; d++ {
			for v := domain.Covishield; v <= domain.ZyCoVDTwoDose; v++ {
				for _, n := range numbers {
					s := domain.DoseGiven{Heading: domain.Heading{At: d.Start()}, District: 208, Vaccine: v, Number: n}
					if _, err := domain.Decide(domain.Known{Person: p}, rules, s, d.Start()); err != nil {
						continue
					}
					if n != next.Number {
						t.Fatalf("dose %s of %s is accepted on %s, and next is %s", n, v, d, next.Number)
					}
					if _, ok := want[v]; !ok {
						want[v] = d
					}
				}
			}
		}
		got := map[domain.Vaccine]domain.Day{}
		for _, v := range next.Vaccines {
			got[v.Vaccine] = v.From
		}
		if !reflect.DeepEqual(got, want) || !slices.IsSortedFunc(next.Vaccines, func(a, b domain.VaccineFrom) int { return int(a.From - b.From) }) {
			t.Fatalf("told %v, accepted from %v", next.Vaccines, want)
		}
	})
}
