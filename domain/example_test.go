package domain_test

import (
	"errors"
	"fmt"

	"bahi/domain"
)

// One submission through the three functions that the ledger is made of: decide
// it, fold the event into the person, add it to the counts.
func Example() {
	rules := domain.BuiltInRules()
	person := domain.Evolve(domain.Person{}, domain.PersonRegistered{
		Cohort: domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1},
		Sex:    domain.Female,
		Day:    domain.Date(2021, 1, 16),
	}, 1, domain.Date(2021, 1, 16))

	recorded, _ := domain.ParseTime("2021-01-16T18:00:00+05:30")
	dose := domain.DoseGiven{Number: 1, Vaccine: domain.Covishield, District: 208}
	dose.At, _ = domain.ParseTime("2021-01-16")

	event, err := domain.Decide(domain.Known{Person: person}, rules, dose, recorded)
	if err != nil {
		fmt.Println(err)
		return
	}
	person = domain.Evolve(person, event, 2, domain.DayOf(recorded))
	fmt.Println(person.Status)

	domain.Counts(event, func(c domain.Cell, n int64) {
		switch c.Measure {
		case domain.CountDose1:
			fmt.Printf("first doses of %s in %s: %+d\n", c.Vaccine, domain.DistrictName(c.District), n)
		case domain.CountUnvaccinated:
			fmt.Printf("unvaccinated: %+d\n", n)
		case domain.CountPartial:
			fmt.Printf("partial: %+d\n", n)
		}
	})
	// Output:
	// partial
	// first doses of COVISHIELD in MUZAFFARPUR: +1
	// unvaccinated: -1
	// partial: +1
}

// A refusal has a code for machines and a sentence for a clerk.
func ExampleDecide_refused() {
	person := domain.Evolve(domain.Person{}, domain.PersonRegistered{
		Cohort: domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1},
		Day:    domain.Date(2021, 1, 16),
	}, 1, domain.Date(2021, 1, 16))
	person = domain.Evolve(person, domain.DoseAdministered{
		Dose:  domain.Dose{Number: 1, Vaccine: domain.Covishield, Day: domain.Date(2021, 1, 16)},
		After: domain.Partial,
	}, 2, domain.Date(2021, 1, 16))

	dose := domain.DoseGiven{Number: 2, Vaccine: domain.Covishield, District: 208}
	dose.At, _ = domain.ParseTime("2021-02-10")
	_, err := domain.Decide(domain.Known{Person: person}, domain.BuiltInRules(), dose, dose.At)

	var rejection *domain.Rejection
	if errors.As(err, &rejection) {
		fmt.Println(rejection.Code)
		fmt.Println(rejection.Message)
	}
	// Output:
	// interval_too_short
	// second dose of COVISHIELD on 2021-02-10 comes 25 days after the first; the rule in force asks for 28
}

// The last digit of a reference number catches a slip of the pen.
func ExampleReference_Check() {
	fmt.Println(domain.Reference("21679381234566").Check())
	fmt.Println(domain.Reference("21679381234656").Check())
	// Output:
	// <nil>
	// the check digit of the reference number does not fit; one digit is wrong or two are swapped
}

// Rules are looked up for the day in question.
func ExampleRules() {
	rules := domain.BuiltInRules()
	for _, day := range []domain.Day{domain.Date(2021, 5, 12), domain.Date(2021, 5, 13)} {
		interval, _ := rules.Interval(domain.Covishield, 2, day)
		fmt.Printf("%s: the second dose of Covishield after %d days\n", day, interval.MinDays)
	}
	// Output:
	// 2021-05-12: the second dose of Covishield after 28 days
	// 2021-05-13: the second dose of Covishield after 84 days
}
