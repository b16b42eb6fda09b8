package domain_test

import (
	"errors"
	"reflect"
	"testing"

	"bahi/domain"
)

var (
	asha     = domain.PersonToken{1}
	hcw      = domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1}
	recorded = at("2022-03-01T12:00:00+05:30")
)

// vaccinated returns a person with doses of Covaxin on these days.
func vaccinated(days ...string) domain.Person {
	p := domain.Evolve(domain.Person{}, domain.PersonRegistered{Person: asha, Cohort: hcw, Sex: domain.Female, Day: day("2021-01-16")}, 1, day("2021-01-16"))
	for i, d := range days {
		after := domain.Partial
		if i > 0 {
			after = domain.Full
		}
		dose := domain.Dose{Number: domain.DoseNumber(i + 1), Vaccine: domain.Covaxin, Day: day(d), District: 208}
		p = domain.Evolve(p, domain.DoseAdministered{Person: asha, Cohort: hcw, Dose: dose, Before: p.Status, After: after}, uint64(i+2), day(d))
	}
	return p
}

func heading(d string) domain.Heading { return domain.Heading{ID: numberedID(1), At: at(d)} }

// TestQuestionsAreAskedInOrder gives submissions with several faults and expects
// the first to be named.
func TestQuestionsAreAskedInOrder(t *testing.T) {
	t.Parallel()
	freeze := domain.Freeze{Heading: heading("2023-01-01"), District: 9999}
	dose := domain.DoseGiven{Heading: heading("2022-02-01"), District: 208, Vaccine: domain.Covaxin, Number: 2}
	for _, c := range []struct {
		name  string
		known domain.Known
		s     domain.Submission
		want  domain.Code // "" means held
	}{
		{"held before anything", domain.Known{Earlier: &domain.Earlier{Commit: 7, SameContent: true}}, freeze, ""},
		{"a restated registration, whatever it says", domain.Known{Earlier: &domain.Earlier{Commit: 7}}, domain.Registration{Restated: true}, ""},
		{"one that is not", domain.Known{Earlier: &domain.Earlier{Commit: 7}}, domain.Registration{}, domain.CodeIDReused},
		{"the id before the authority", domain.Known{Earlier: &domain.Earlier{Commit: 7}}, freeze, domain.CodeIDReused},
		{"the authority before the date", domain.Known{}, freeze, domain.CodeNotAllowed},
		{"the date before the district", domain.Known{Authority: true}, freeze, domain.CodeInFuture},
		{"the person before the dose", domain.Known{}, dose, domain.CodeUnknownPerson},
		{"the same dose before all that could refuse it", domain.Known{Person: vaccinated("2022-01-31", "2022-02-01")}, dose, ""},
		{"another dose of that number", domain.Known{Person: vaccinated("2022-01-31", "2022-02-02")}, dose, domain.CodeDoseExists},
		{"a decision needs authority before a request", domain.Known{}, domain.ReversalDecision{Heading: heading("2022-02-01")}, domain.CodeNotAllowed},
		{"a pending request that the person does not have", domain.Known{Authority: true, Request: domain.RequestPending},
			domain.ReversalDecision{Heading: heading("2022-02-01"), Request: numberedID(9)}, domain.CodeAlreadyDecided},
	} {
		event, err := domain.Decide(c.known, domain.BuiltInRules(), c.s, recorded)
		var held *domain.AlreadyHeld
		var rejection *domain.Rejection
		switch {
		case event != nil:
			t.Errorf("%s: accepted as %+v", c.name, event)
		case c.want == "" && !errors.As(err, &held):
			t.Errorf("%s: %v, want it held", c.name, err)
		case c.want != "" && (!errors.As(err, &rejection) || rejection.Code != c.want):
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestHeldNamesItsCommit(t *testing.T) {
	t.Parallel()
	p := vaccinated("2022-01-01")
	for want, c := range map[uint64]struct {
		known domain.Known
		s     domain.Submission
	}{
		9: {domain.Known{Earlier: &domain.Earlier{Commit: 9, SameContent: true}}, domain.DoseGiven{}},
		2: {domain.Known{Person: p, Frozen: true}, domain.DoseGiven{Heading: heading("2022-01-01T18:00:00+05:30"), Number: 1, Vaccine: domain.Covaxin, District: 212}},
		1: {domain.Known{Person: p, SameRegistration: true}, domain.Registration{Heading: heading("2022-01-01")}},
	} {
		_, err := domain.Decide(c.known, domain.BuiltInRules(), c.s, recorded)
		var held *domain.AlreadyHeld
		if !errors.As(err, &held) || held.Commit != want {
			t.Errorf("%v, want it held by commit %d", err, want)
		}
	}
}

// TestInFuture lets a submission pass that happened on the day of its recording,
// whatever the sender's clock said, and none of the next day.
func TestInFuture(t *testing.T) {
	t.Parallel()
	k := domain.Known{Person: vaccinated()}
	s := domain.DoseGiven{District: 208, Vaccine: domain.Covaxin, Number: 1}
	s.At = domain.DayOf(recorded).End()
	if _, err := domain.Decide(k, domain.BuiltInRules(), s, recorded); err != nil {
		t.Error(err)
	}
	s.At = (domain.DayOf(recorded) + 1).Start()
	if _, err := domain.Decide(k, domain.BuiltInRules(), s, recorded); err == nil {
		t.Error("a dose of the next day is accepted")
	}
}

// TestEventsCarryTheirConsequence compares whole events.
func TestEventsCarryTheirConsequence(t *testing.T) {
	t.Parallel()
	full := vaccinated("2021-06-01", "2021-07-01")
	pending := domain.Evolve(full, domain.ReversalRequested{Request: numberedID(5), To: domain.Unvaccinated, Day: day("2022-01-22")}, 4, day("2022-01-22"))
	doses := []domain.Dose{
		{Number: 1, Vaccine: domain.Covaxin, Day: day("2021-06-01"), District: 208},
		{Number: 2, Vaccine: domain.Covaxin, Day: day("2021-07-01"), District: 208},
	}
	closed := hcw
	closed.Generation = 2
	open := []domain.CohortSize{{Cohort: hcw, People: 3}}
	for _, c := range []struct {
		known domain.Known
		s     domain.Submission
		want  domain.Event
	}{
		{domain.Known{Cohort: closed, BornClosed: true},
			domain.Registration{Heading: heading("2021-03-05T23:59:59+05:30"), District: 208, Group: domain.HealthCareWorker, BirthYear: 1990, Sex: domain.Male, PhotoID: domain.PhotoID{Type: domain.PANCard}},
			domain.PersonRegistered{Person: asha, Cohort: closed, Sex: domain.Male, Day: day("2021-03-05"), Closed: true}},
		{domain.Known{Person: vaccinated("2021-06-01")},
			domain.DoseGiven{Heading: heading("2021-07-01T19:00:00Z"), District: 212, Vaccine: domain.Covaxin, Number: 2},
			domain.DoseAdministered{Person: asha, Cohort: hcw, Sex: domain.Female, Before: domain.Partial, After: domain.Full,
				Dose: domain.Dose{Number: 2, Vaccine: domain.Covaxin, Day: day("2021-07-02"), District: 212}}},
		{domain.Known{Person: full},
			domain.DoseWithdrawal{Heading: heading("2021-08-01"), Number: 2, Reason: domain.ReasonDuplicate},
			domain.DoseWithdrawn{Person: asha, Cohort: hcw, Sex: domain.Female, Dose: doses[1], Day: day("2021-08-01"), Before: domain.Full, After: domain.Partial, Reason: domain.ReasonDuplicate}},
		{domain.Known{Person: vaccinated()},
			domain.RegistrationWithdrawal{Heading: heading("2021-08-01"), Reason: domain.ReasonUnknownMember},
			domain.RegistrationWithdrawn{Person: asha, Cohort: hcw, Sex: domain.Female, Registered: day("2021-01-16"), Day: day("2021-08-01"), Reason: domain.ReasonUnknownMember}},
		{domain.Known{Person: full},
			domain.ReversalRequest{Heading: heading("2022-01-22"), To: domain.Partial, Reason: domain.ReasonIssuedByMistake},
			domain.ReversalRequested{Request: numberedID(1), Person: asha, Cohort: hcw, Sex: domain.Female, Day: day("2022-01-22"), From: domain.Full, To: domain.Partial, Reason: domain.ReasonIssuedByMistake}},
		{domain.Known{Person: pending, Authority: true, Request: domain.RequestPending},
			domain.ReversalDecision{Heading: heading("2022-01-26"), Request: numberedID(5), Approve: true, By: "officer-7"},
			domain.ReversalDecided{Request: numberedID(5), Person: asha, Cohort: hcw, Sex: domain.Female, Day: day("2022-01-26"), Approved: true, Before: domain.Full, After: domain.Unvaccinated, TakenBack: doses, By: "officer-7"}},
		{domain.Known{Person: pending, Authority: true, Request: domain.RequestPending},
			domain.ReversalDecision{Heading: heading("2022-01-26"), Request: numberedID(5), By: "officer-7"},
			domain.ReversalDecided{Request: numberedID(5), Person: asha, Cohort: hcw, Sex: domain.Female, Day: day("2022-01-26"), Before: domain.Full, After: domain.Full, By: "officer-7"}},
		{domain.Known{Authority: true, AuthorityKey: true, Open: open},
			domain.Freeze{Heading: heading("2022-01-26"), District: 208, Order: "DL/1", By: "authority"},
			domain.FreezeOrdered{Freeze: numberedID(1), District: 208, Groups: domain.Groups(), Cohorts: open, Mode: domain.Handover, Order: "DL/1", By: "authority", Day: day("2022-01-26")}},
		{domain.Known{Authority: true},
			domain.Freeze{Heading: heading("2022-01-26"), District: 208, Groups: []domain.Group{domain.FrontLineWorker, domain.HealthCareWorker, domain.FrontLineWorker}, Standing: true, Mode: domain.Erase, Order: "DL/1", By: "authority"},
			domain.FreezeOrdered{Freeze: numberedID(1), District: 208, Groups: []domain.Group{domain.HealthCareWorker, domain.FrontLineWorker}, Standing: true, Mode: domain.Erase, Order: "DL/1", By: "authority", Day: day("2022-01-26")}},
	} {
		c.known.Token = asha
		got, err := domain.Decide(c.known, domain.BuiltInRules(), c.s, recorded)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%T:\n got %+v, %v\nwant %+v", c.s, got, err, c.want)
		}
	}
}

// TestEvolveIsTotal folds every event into every stage of a person's life, also
// where Decide would never have put it, and expects a person back.
func TestEvolveIsTotal(t *testing.T) {
	t.Parallel()
	dose := func(n domain.DoseNumber) domain.Dose { return domain.Dose{Number: n, Vaccine: domain.Covaxin} }
	events := []domain.Event{
		domain.PersonRegistered{Cohort: hcw}, domain.RegistrationWithdrawn{Pending: true},
		domain.DoseAdministered{Dose: dose(1), After: domain.Partial}, domain.DoseAdministered{Dose: dose(9)},
		domain.DoseAdministered{Dose: dose(3)}, domain.DoseAdministered{Dose: dose(2)}, domain.DoseAdministered{Dose: dose(200)},
		domain.DoseWithdrawn{Dose: dose(3)}, domain.ReversalRequested{}, domain.ReversalDecided{Approved: true, TakenBack: []domain.Dose{dose(1), dose(1)}},
		domain.LedgerFounded{}, domain.FreezeOrdered{}, domain.PhotoIDsKept{}, domain.PhotoIDsComplete{}, domain.HandoverMade{},
		domain.Purged{}, domain.HolderEnrolled{}, domain.AuthorityKeyAdopted{}, nil,
	}
	people := []domain.Person{{}}
	for _, e := range events {
		people = append(people, domain.Evolve(people[len(people)-1], e, 1, 1))
	}
	for _, p := range people {
		for _, e := range events {
			if got := domain.Evolve(p, e, 1, 1); len(got.Doses()) > domain.MaxDoses {
				t.Errorf("%T leaves %d doses", e, len(got.Doses()))
			}
			domain.Counts(e, func(domain.Cell, int64) {})
		}
	}
}

// TestWithdrawnDoseLeavesNoTrace holds people who stand alike to be equal values:
// views are compared by them.
func TestWithdrawnDoseLeavesNoTrace(t *testing.T) {
	t.Parallel()
	one, two := vaccinated("2021-06-01"), vaccinated("2021-06-01", "2021-07-01")
	last, _ := two.Latest()
	if got := domain.Evolve(two, domain.DoseWithdrawn{Dose: last, Before: domain.Full, After: domain.Partial}, 4, 1); got != one {
		t.Errorf("got %+v, want %+v", got, one)
	}
}

// TestPersonReadsBack takes a person apart and puts it together, as a register
// that stores people does.
func TestPersonReadsBack(t *testing.T) {
	t.Parallel()
	p := vaccinated("2021-06-01", "2021-07-01")
	bare := domain.Person{Cohort: p.Cohort, Sex: p.Sex, Registered: p.Registered, Commit: p.Commit, Status: p.Status, Pending: p.Pending}
	if got := bare.WithDoses(p.Doses()...); got != p {
		t.Errorf("got %+v, want %+v", got, p)
	}
	if got := p.WithDoses(); got != bare {
		t.Errorf("got %+v, want %+v", got, bare)
	}
}

// A withdrawal that says day or vaccine takes back that dose, and not the one that
// stands in its place.
func TestWithdrawalOfOneDoseOnly(t *testing.T) {
	t.Parallel()
	k := domain.Known{Person: vaccinated("2021-06-01")}
	for _, c := range []struct {
		given   string
		vaccine domain.Vaccine
		field   string
	}{
		{"1970-01-01", 0, ""}, {"2021-06-01", 0, ""}, {"2021-06-01", domain.Covaxin, ""}, {"1970-01-01", domain.Covaxin, ""},
		{"2021-06-02", domain.Covaxin, "given"}, {"2021-06-01", domain.Covishield, "vaccine"},
	} {
		s := domain.DoseWithdrawal{Heading: heading("2021-08-01"), Number: 1, Reason: domain.ReasonEnteredInError, Given: day(c.given), Vaccine: c.vaccine}
		_, err := domain.Decide(k, domain.BuiltInRules(), s, recorded)
		var reject *domain.Rejection
		if errors.As(err, &reject); (reject == nil) != (c.field == "") || reject != nil && (reject.Code != domain.CodeUnknownDose || reject.Field != c.field) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
