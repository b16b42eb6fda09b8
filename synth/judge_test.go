package synth_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"bahi/domain"
)

// judge is the simplest ledger that can be: it decides every submission by the
// domain's own rules against maps, folds what is accepted, and counts what
// stands. Nothing in it is shared with the generator.
type judge struct {
	rules      domain.Rules
	people     map[domain.Reference]*domain.Person
	given      map[domain.Reference]domain.Registration
	ids        map[domain.UUID]bool
	photoIDs   map[domain.PhotoID]bool
	households map[string]int
	last       time.Time

	counts map[domain.District]*counts
	most   int // people on one mobile number
}

// counts is what stands in a district.
type counts struct {
	registered, first, second    int64
	unvaccinated, partial, full  int64
	bySex                        [4]int64    // first doses given here
	byVaccine                    [3][3]int64 // by number and vaccine
	withdrawals, fromOtherPlaces int64
}

func newJudge() *judge {
	return &judge{
		rules:      domain.BuiltInRules(),
		people:     map[domain.Reference]*domain.Person{},
		given:      map[domain.Reference]domain.Registration{},
		ids:        map[domain.UUID]bool{},
		photoIDs:   map[domain.PhotoID]bool{},
		households: map[string]int{},
		counts:     map[domain.District]*counts{},
	}
}

func (j *judge) of(d domain.District) *counts {
	if j.counts[d] == nil {
		j.counts[d] = &counts{}
	}
	return j.counts[d]
}

func (c *counts) status(s domain.Status, n int64) {
	switch s {
	case domain.Unvaccinated:
		c.unvaccinated += n
	case domain.Partial:
		c.partial += n
	case domain.Full:
		c.full += n
	}
}

// submit decides and folds one submission, or says what is wrong with it.
func (j *judge) submit(s domain.Submission) error {
	if err := domain.Check(s); err != nil {
		return fmt.Errorf("%T: %w", s, err)
	}
	if j.ids[s.Head().ID] {
		return fmt.Errorf("%T: an id twice", s)
	}
	j.ids[s.Head().ID] = true
	if s.Head().At.Before(j.last) {
		return fmt.Errorf("%T: at goes back from %s to %s", s, j.last, s.Head().At)
	}
	j.last = s.Head().At

	ref := domain.PersonOf(s)
	person := j.people[ref]
	if person == nil {
		person = &domain.Person{}
	}
	known := domain.Known{Authority: true, Person: *person}
	if r, ok := s.(domain.Registration); ok {
		known.Cohort = domain.Cohort{District: r.District, Group: r.Group, Generation: 1}
		known.Household = j.households[r.Mobile]
		if j.photoIDs[r.PhotoID] {
			known.PhotoID = domain.HeldByAnother
		}
		if _, before := j.given[ref]; before {
			return fmt.Errorf("a reference number twice")
		}
		j.given[ref] = r
		j.photoIDs[r.PhotoID] = true
		j.households[r.Mobile]++
		j.most = max(j.most, j.households[r.Mobile])
	}
	event, err := domain.Decide(known, j.rules, s, j.last)
	if err != nil {
		return fmt.Errorf("%T on %s: %w", s, s.Head().Day(), err)
	}
	after := domain.Evolve(*person, event, 1, domain.DayOf(j.last))
	j.people[ref] = &after
	j.count(event, *person, after)
	return nil
}

func (j *judge) count(event domain.Event, before, after domain.Person) {
	dose := func(d domain.Dose, sex domain.Sex, n int64) {
		c := j.of(d.District)
		c.byVaccine[d.Number][d.Vaccine] += n
		if d.Number == 1 {
			c.first += n
			c.bySex[sex] += n
		} else {
			c.second += n
		}
	}
	home := j.of(max(before.Cohort.District, after.Cohort.District))
	home.status(before.Status, -1)
	home.status(after.Status, 1)
	switch e := event.(type) {
	case domain.PersonRegistered:
		home.registered++
	case domain.RegistrationWithdrawn:
		home.registered--
		home.withdrawals++
	case domain.DoseAdministered:
		dose(e.Dose, e.Sex, 1)
		if e.Dose.District != e.Cohort.District {
			j.of(e.Dose.District).fromOtherPlaces++
		}
	case domain.DoseWithdrawn:
		dose(e.Dose, e.Sex, -1)
		j.of(e.Dose.District).withdrawals++
	}
}

// read gives every line of NDJSON to do, with the day it belongs to.
func read(tb reporter, r io.Reader, do func(domain.Submission)) (n int) {
	tb.Helper()
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		s, err := parse(lines.Bytes())
		if err != nil {
			tb.Fatalf("line %d: %v: %s", n+1, err, lines.Bytes())
		}
		do(s)
		n++
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return n
}

// line is a submission as the contract writes it.
type line struct {
	Type      string           `json:"type"`
	ID        domain.UUID      `json:"id"`
	At        string           `json:"at"`
	Person    domain.Reference `json:"person"`
	District  domain.District  `json:"district"`
	Group     domain.Group     `json:"group"`
	Name      string           `json:"name"`
	BirthYear int              `json:"birth_year"`
	Sex       domain.Sex       `json:"sex"`
	Mobile    string           `json:"mobile"`
	PhotoID   *struct {
		Type   domain.PhotoIDType `json:"type"`
		Number string             `json:"number"`
	} `json:"photo_id"`
	Centre  string            `json:"centre"`
	Vaccine domain.Vaccine    `json:"vaccine"`
	Batch   string            `json:"batch"`
	Dose    domain.DoseNumber `json:"dose"`
	Reason  domain.Reason     `json:"reason"`
}

func parse(b []byte) (domain.Submission, error) {
	var l line
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&l); err != nil {
		return nil, err
	}
	at, err := time.Parse(time.RFC3339, l.At)
	if err != nil {
		return nil, err
	}
	head := domain.Heading{ID: l.ID, At: at}
	switch l.Type {
	case "registration":
		return domain.Registration{Heading: head, Person: l.Person, District: l.District, Group: l.Group, Name: l.Name,
			BirthYear: l.BirthYear, Sex: l.Sex, Mobile: l.Mobile, PhotoID: domain.PhotoID{Type: l.PhotoID.Type, Number: l.PhotoID.Number}}, nil
	case "dose":
		return domain.DoseGiven{Heading: head, Person: l.Person, District: l.District, Centre: l.Centre, Vaccine: l.Vaccine, Batch: l.Batch, Number: l.Dose}, nil
	case "registration_withdrawal":
		return domain.RegistrationWithdrawal{Heading: head, Person: l.Person, Reason: l.Reason}, nil
	case "dose_withdrawal":
		return domain.DoseWithdrawal{Heading: head, Person: l.Person, Number: l.Dose, Reason: l.Reason}, nil
	}
	return nil, fmt.Errorf("unknown type %q", l.Type)
}

// reporter is what tests, benchmarks and property checks have in common.
type reporter interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}
