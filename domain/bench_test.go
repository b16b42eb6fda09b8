package domain_test

import (
	"testing"

	"bahi/domain"
)

// benchmarks are what a ledger decides most.
func benchmarks() map[string]struct {
	known domain.Known
	s     domain.Submission
} {
	registration := goodRegistration()
	second := goodDose()
	second.Vaccine, second.Number, second.At = domain.Covaxin, 2, at("2021-07-01")
	precaution := second
	precaution.Number, precaution.At = domain.Precaution, at("2022-06-01")
	early := second
	early.At = at("2021-06-20")
	return map[string]struct {
		known domain.Known
		s     domain.Submission
	}{
		"registration": {domain.Known{Token: asha, Cohort: hcw}, registration},
		"second dose":  {domain.Known{Token: asha, Person: vaccinated("2021-06-01")}, second},
		"precaution":   {domain.Known{Token: asha, Person: vaccinated("2021-06-01", "2021-07-01")}, precaution},
		"duplicate":    {domain.Known{Token: asha, Person: vaccinated("2021-06-01", "2021-07-01")}, second},
		"rejected":     {domain.Known{Token: asha, Person: vaccinated("2021-06-01")}, early},
	}
}

func BenchmarkDecide(b *testing.B) {
	rules, now := domain.BuiltInRules(), at("2022-12-01")
	for name, c := range benchmarks() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				domain.Decide(c.known, rules, c.s, now)
			}
		})
	}
}

func BenchmarkCheck(b *testing.B) {
	for name, s := range map[string]domain.Submission{"registration": goodRegistration(), "dose": goodDose()} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := domain.Check(domain.Normalise(s)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEvolve(b *testing.B) {
	var e domain.Event = domain.DoseAdministered{Cohort: hcw, After: domain.Partial, Dose: domain.Dose{Number: 1, Vaccine: domain.Covaxin}}
	p := vaccinated()
	b.ReportAllocs()
	for b.Loop() {
		domain.Evolve(p, e, 2, 1)
	}
}

func BenchmarkCounts(b *testing.B) {
	var e domain.Event = domain.DoseAdministered{Cohort: hcw, Before: domain.Unvaccinated, After: domain.Partial, Dose: domain.Dose{Number: 1, Vaccine: domain.Covaxin, District: 208}}
	total := int64(0)
	add := func(_ domain.Cell, n int64) { total += n }
	b.ReportAllocs()
	for b.Loop() {
		domain.Counts(e, add)
	}
}

// TestCountsAllocatesNothing keeps the count view's inner loop off the heap.
func TestCountsAllocatesNothing(t *testing.T) {
	var e domain.Event = domain.DoseAdministered{Cohort: hcw, Before: domain.Unvaccinated, After: domain.Partial, Dose: domain.Dose{Number: 1}}
	total := int64(0)
	if n := testing.AllocsPerRun(100, func() {
		domain.Counts(e, func(_ domain.Cell, n int64) { total += n })
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
