package domain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bahi/domain"
)

// A freeze of listed persons moves each of them with their status, and no total
// of the district changes but how many are in closed cohorts.
func TestFreezeOfListedPersons(t *testing.T) {
	t.Parallel()
	day := domain.Date(2021, time.March, 4)
	open := domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1}
	closed := domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 2}
	person := func(c domain.Cohort, s domain.Status, registered domain.Day) domain.Person {
		return domain.Person{Cohort: c, Sex: domain.Female, Status: s, Registered: registered}
	}
	waiting := person(open, domain.Full, day-40)
	waiting.Pending = domain.Reversal{Request: domain.UUID{1}, To: domain.Partial}
	order := domain.Freeze{
		Heading: domain.Heading{ID: domain.UUID{9}, At: day.Start()}, District: 208, Mode: domain.Erase, Order: "DL/2021/119", By: "authority",
		Persons: []domain.Reference{domain.MakeReference("2000000000001"), domain.MakeReference("2000000000002"), domain.MakeReference("2000000000003")},
	}
	if err := domain.Check(order); err != nil {
		t.Fatal(err)
	}
	known := domain.Known{
		Authority: true,
		Listed: []domain.Listed{
			{Token: domain.PersonToken{3}, Person: waiting},
			{Token: domain.PersonToken{2}, Person: person(domain.Cohort{District: 208, Group: domain.FrontLineWorker, Generation: 1}, domain.Partial, day), Frozen: true},
			{Token: domain.PersonToken{1}, Person: person(open, domain.Unvaccinated, day+2)},
		},
		Splits: []domain.Split{{From: open, To: closed, Epoch: 2}},
	}
	recorded := (day + 9).Start()
	event, err := domain.Decide(known, domain.BuiltInRules(), order, recorded)
	if err != nil {
		t.Fatal(err)
	}
	o := event.(domain.FreezeOrdered)
	if !o.ListsPersons() || o.Listed != 3 || len(o.Moved) != 2 || len(o.Cohorts) != 1 || o.Cohorts[0] != (domain.CohortSize{Cohort: closed, People: 2}) ||
		len(o.Rekeyed) != 1 || o.Rekeyed[0] != (domain.CohortEpoch{Cohort: open, Epoch: 2}) || len(o.Groups) != 1 {
		t.Fatalf("ordered %+v", o)
	}
	if o.Moved[0].Person != (domain.PersonToken{1}) || o.Moved[0].Day != day+2 || o.Moved[1].Day != day || !o.Moved[1].Pending {
		t.Errorf("moved %+v", o.Moved)
	}
	if p := domain.Evolve(waiting, o.Moved[1], 7, day); p.Cohort != closed || p.Status != domain.Full || p.Pending != waiting.Pending {
		t.Errorf("who moved is %+v", p)
	}
	totals, frozen := map[domain.Measure]int64{}, map[domain.Measure]int64{}
	domain.Counts(o, func(c domain.Cell, n int64) {
		totals[c.Measure] += n
		if c.Generation == closed.Generation {
			frozen[c.Measure] += n
		}
	})
	for m, n := range totals {
		if n != 0 {
			t.Errorf("the total of measure %d changes by %d", m, n)
		}
	}
	if frozen[domain.CountRegistered] != 2 || frozen[domain.CountFull] != 1 || frozen[domain.CountUnvaccinated] != 1 || frozen[domain.CountPendingReversals] != 1 {
		t.Errorf("the closed cohort has %v", frozen)
	}

	for name, change := range map[string]func(*domain.Known){
		"not registered":   func(k *domain.Known) { k.Listed[2].Person = domain.Person{} },
		"another district": func(k *domain.Known) { k.Listed[2].Person.Cohort.District = 230 },
	} {
		k := known
		k.Listed = append([]domain.Listed(nil), known.Listed...)
		change(&k)
		_, err := domain.Decide(k, domain.BuiltInRules(), order, recorded)
		var refused *domain.Rejection
		if !errors.As(err, &refused) || refused.Code != domain.CodeUnknownPerson || !strings.Contains(refused.Message, "number 3 of the list") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCheckOfLists(t *testing.T) {
	t.Parallel()
	one, two := domain.MakeReference("2000000000001"), domain.MakeReference("2000000000002")
	order := domain.Freeze{
		Heading: domain.Heading{ID: domain.UUID{9}, At: domain.Date(2021, time.March, 4).Start()}, District: 208, Order: "DL/2021/119", By: "authority",
		Persons: []domain.Reference{one, " " + two + " "},
	}
	if err := domain.Check(domain.Normalise(order)); err != nil {
		t.Error(err)
	}
	if order.Persons[1] == two {
		t.Error("the sender's list was changed")
	}
	long := make([]domain.Reference, domain.MaxListed+1)
	for name, c := range map[string]struct {
		change func(*domain.Freeze)
		code   domain.Code
		field  string
	}{
		"wrong digit": {func(f *domain.Freeze) { f.Persons = []domain.Reference{one, "20000000000020"} }, domain.CodeBadReference, "persons"},
		"twice":       {func(f *domain.Freeze) { f.Persons = []domain.Reference{one, two, one} }, domain.CodeBadValue, "persons"},
		"too many":    {func(f *domain.Freeze) { f.Persons = long }, domain.CodeTooLong, "persons"},
		"groups":      {func(f *domain.Freeze) { f.Groups = domain.Groups()[:1] }, domain.CodeBadValue, "groups"},
		"standing":    {func(f *domain.Freeze) { f.Standing = true }, domain.CodeBadValue, "standing"},
	} {
		f := order
		f.Persons = []domain.Reference{one, two}
		c.change(&f)
		var refused *domain.Rejection
		if err := domain.Check(f); !errors.As(err, &refused) || refused.Code != c.code || refused.Field != c.field {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(refused.Message, string(one)) || strings.Contains(refused.Message, string(two)) {
			t.Errorf("%s: the message holds a number", name)
		}
	}
}
