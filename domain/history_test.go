package domain_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bahi/domain"
)

// TestCountsOfRandomHistories produces histories through Decide and counts them
// in three ways: as the sum of Counts, from the people that Evolve has made, and
// from what the submissions said, which knows neither.
func TestCountsOfRandomHistories(t *testing.T) {
	t.Parallel()
	var seen [domain.CountPrecaution + 1]int // how often the run reached a measure
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t, rapid.Bool().Draw(t, "with reversals"))
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			h.step(t)
		}
		got := h.counts(domain.Day(1 << 30))
		compareCells(t, "now, against the people", got, h.countPeople())
		for cell := range got {
			seen[cell.Measure]++
		}
		for _, d := range h.days() {
			asOf := h.counts(d)
			checkInvariants(t, d, asOf, !h.reversals)
			compareCells(t, "doses as of "+d.String(), only(asOf, isDose), h.countDoses(d))
			if !h.reversals {
				compareCells(t, "people as of "+d.String(), only(asOf, isPerson), h.countStatus(d))
			}
		}
	})
	if testing.Short() {
		return // a fifth of the histories, too few to reach everything
	}
	for m, n := range seen {
		if m > 0 && n == 0 && !t.Failed() {
			t.Errorf("no history reached measure %d: the generator is too tame", m)
		}
	}
}

// history is a random life of six people in two districts.
type history struct {
	*register
	now       time.Time
	ids       int
	reversals bool
	facts     map[domain.Reference][]doseFact
	asked     []domain.UUID
}

// doseFact is a dose as its submission told it: it counts from a day on until a
// reversal takes it back. A withdrawal removes it.
type doseFact struct {
	dose  domain.Dose
	group domain.Group
	sex   domain.Sex
	until domain.Day
}

const forever = domain.Day(1 << 30)

func newHistory(t *rapid.T, reversals bool) *history {
	start := domain.Date(2021, 3, 1) + domain.Day(rapid.IntRange(0, 500).Draw(t, "start"))
	return &history{register: newRegister(), now: start.Start(), reversals: reversals, facts: map[domain.Reference][]doseFact{}}
}

// step lets some days pass and submits something, often what would follow.
func (h *history) step(t *rapid.T) {
	h.now = h.now.AddDate(0, 0, rapid.IntRange(0, 60).Draw(t, "days"))
	at := h.now.AddDate(0, 0, -rapid.SampledFrom([]int{0, 0, 0, 1, 20}).Draw(t, "reported late"))
	h.ids++
	heading := domain.Heading{ID: numberedID(h.ids), At: at}
	who := rapid.IntRange(1, 6).Draw(t, "person")
	reference := domain.MakeReference(fmt.Sprintf("%013d", who))
	p := domain.Person{}
	if e := h.people[reference]; e != nil {
		p = e.person
	}
	kinds := []string{"register", "dose", "dose", "dose", "dose", "withdraw dose", "withdraw", "freeze"}
	if h.reversals {
		kinds = append(kinds, "request", "request", "decide", "decide")
	}
	var s domain.Submission
	switch kind := rapid.SampledFrom(kinds).Draw(t, "kind"); {
	case kind == "register" || !p.IsRegistered() && kind == "dose":
		s = registration(t, heading, reference, who)
	case kind == "dose":
		s = nextDose(t, heading, reference, p)
	case kind == "withdraw dose":
		last, _ := p.Latest()
		s = domain.DoseWithdrawal{Heading: heading, Person: reference, Number: last.Number, Reason: domain.ReasonEnteredInError}
	case kind == "withdraw":
		s = domain.RegistrationWithdrawal{Heading: heading, Person: reference, Reason: domain.ReasonDuplicate}
	case kind == "request":
		to := rapid.SampledFrom([]domain.Status{domain.Unvaccinated, domain.Partial}).Draw(t, "to")
		s = domain.ReversalRequest{Heading: heading, Person: reference, To: to, Reason: domain.ReasonOther}
	case kind == "decide":
		if len(h.asked) == 0 {
			return
		}
		request := h.asked[len(h.asked)-1-rapid.IntRange(0, min(2, len(h.asked)-1)).Draw(t, "request")]
		s = domain.ReversalDecision{Heading: heading, Request: request, Approve: rapid.Bool().Draw(t, "approve"), By: "officer"}
	default:
		s = domain.Freeze{Heading: heading, District: 208, Standing: rapid.Bool().Draw(t, "standing"), Mode: domain.Erase,
			Groups: rapid.SampledFrom([][]domain.Group{nil, {domain.HealthCareWorker}}).Draw(t, "groups"), Order: "1", By: "authority"}
	}
	h.submitAndNote(t, s)
	if again := rapid.IntRange(0, 9).Draw(t, "again"); again == 0 {
		h.submitAndNote(t, s)
	}
}

func registration(t *rapid.T, heading domain.Heading, reference domain.Reference, who int) domain.Registration {
	return domain.Registration{
		Heading:   heading,
		Person:    reference,
		District:  rapid.SampledFrom([]domain.District{208, 212}).Draw(t, "home"),
		Group:     rapid.SampledFrom([]domain.Group{domain.HealthCareWorker, domain.Age18To44}).Draw(t, "group"),
		Name:      "A",
		BirthYear: 1990,
		Sex:       rapid.SampledFrom([]domain.Sex{domain.Female, domain.Male, domain.Transgender}).Draw(t, "sex"),
		Mobile:    fmt.Sprintf("90000000%02d", rapid.IntRange(0, 1).Draw(t, "mobile")),
		PhotoID:   domain.PhotoID{Type: domain.Aadhaar, Number: fmt.Sprintf("%012d", who)},
	}
}

func nextDose(t *rapid.T, heading domain.Heading, reference domain.Reference, p domain.Person) domain.DoseGiven {
	rules := domain.BuiltInRules()
	vaccine := rapid.SampledFrom([]domain.Vaccine{domain.Covishield, domain.Covaxin, domain.ZyCoVD}).Draw(t, "vaccine")
	number := domain.DoseNumber(1)
	if last, ok := p.Latest(); ok {
		if rapid.IntRange(0, 9).Draw(t, "other vaccine") > 0 {
			vaccine = last.Vaccine
		}
		if number = last.Number + 1; number > rules.SeriesLength(vaccine) {
			number = domain.Precaution
		}
	}
	return domain.DoseGiven{Heading: heading, Person: reference, Centre: "1", Vaccine: vaccine, Batch: "1", Number: number,
		District: rapid.SampledFrom([]domain.District{208, 212}).Draw(t, "place")}
}

// submitAndNote submits and notes accepted doses as facts.
func (h *history) submitAndNote(t *rapid.T, s domain.Submission) {
	_, frozen := h.frozen(s)
	_, err := h.submit(s, h.now, true)
	var rejection *domain.Rejection
	if errors.As(err, &rejection) && frozen && *rejection != *rejection.Bare() {
		t.Fatalf("about a frozen person: %v", rejection)
	}
	if err != nil {
		return
	}
	who := domain.PersonOf(s)
	facts := h.facts[who]
	switch s := s.(type) {
	case domain.DoseGiven:
		p := h.people[who].person
		h.facts[who] = append(facts, doseFact{
			dose:  domain.Dose{Number: s.Number, Vaccine: s.Vaccine, Day: s.Day(), District: s.District},
			group: p.Cohort.Group, sex: p.Sex, until: forever})
	case domain.DoseWithdrawal:
		h.facts[who] = slices.DeleteFunc(facts, func(f doseFact) bool { return f.until == forever && f.dose.Number == s.Number })
	case domain.ReversalRequest:
		h.asked = append(h.asked, s.ID)
	case domain.ReversalDecision:
		if s.Approve {
			h.takeBack(h.requests[s.Request], s)
		}
	}
}

func (h *history) takeBack(who domain.Reference, s domain.ReversalDecision) {
	var to domain.Status
	for _, c := range h.history {
		if r, ok := c.submission.(domain.ReversalRequest); ok && r.ID == s.Request {
			to = r.To
		}
	}
	facts := h.facts[who]
	primary := -1 // the last standing dose of the primary series
	for i, f := range facts {
		if f.until == forever && f.dose.Number != domain.Precaution {
			primary = i
		}
	}
	for i := range facts {
		if f := &facts[i]; f.until == forever && (to == domain.Unvaccinated || i == primary || f.dose.Number == domain.Precaution) {
			f.until = s.Day()
		}
	}
}

func (h *history) frozen(s domain.Submission) (domain.Reference, bool) {
	who := domain.PersonOf(s)
	if d, ok := s.(domain.ReversalDecision); ok {
		who = h.requests[d.Request]
	}
	e := h.people[who]
	return who, e != nil && h.closed[e.person.Cohort]
}

// days returns each day on which anything happened.
func (h *history) days() []domain.Day {
	days := map[domain.Day]bool{}
	for _, c := range h.history {
		domain.Counts(c.event, func(cell domain.Cell, _ int64) { days[cell.Day] = true })
	}
	return slices.Sorted(maps.Keys(days))
}

// countPeople counts from the people themselves.
func (h *history) countPeople() map[domain.Cell]int64 {
	cells := map[domain.Cell]int64{}
	for _, e := range h.people {
		p := e.person
		home := domain.Cell{District: p.Cohort.District, Group: p.Cohort.Group, Generation: p.Cohort.Generation, Sex: p.Sex}
		add := func(m domain.Measure) { home.Measure = m; cells[home]++ }
		add(domain.CountRegistered)
		add(map[domain.Status]domain.Measure{
			domain.Unvaccinated: domain.CountUnvaccinated, domain.Partial: domain.CountPartial, domain.Full: domain.CountFull}[p.Status])
		if p.Pending != (domain.Reversal{}) {
			add(domain.CountPendingReversals)
		}
		for _, d := range p.Doses() {
			cells[doseCell(d, p.Cohort.Group, p.Sex)]++
		}
	}
	return cells
}

func doseCell(d domain.Dose, g domain.Group, s domain.Sex) domain.Cell {
	measure := map[domain.DoseNumber]domain.Measure{
		1: domain.CountDose1, 2: domain.CountDose2, 3: domain.CountDose3, domain.Precaution: domain.CountPrecaution}[d.Number]
	return domain.Cell{Measure: measure, District: d.District, Group: g, Sex: s, Vaccine: d.Vaccine}
}

func (h *history) countDoses(asOf domain.Day) map[domain.Cell]int64 {
	cells := map[domain.Cell]int64{}
	for _, facts := range h.facts {
		for _, f := range facts {
			if f.dose.Day <= asOf && asOf < f.until {
				cells[doseCell(f.dose, f.group, f.sex)]++
			}
		}
	}
	return cells
}

// countStatus counts people as of a day by the doses that they had by then. It
// holds as long as nothing was reversed.
func (h *history) countStatus(asOf domain.Day) map[domain.Cell]int64 {
	cells := map[domain.Cell]int64{}
	rules := domain.BuiltInRules()
	for who, e := range h.people {
		p := e.person
		if p.Registered > asOf {
			continue
		}
		measure := domain.CountUnvaccinated
		for _, f := range h.facts[who] {
			switch {
			case f.dose.Day > asOf:
			case f.dose.Number == rules.SeriesLength(f.dose.Vaccine):
				measure = domain.CountFull
			case measure != domain.CountFull:
				measure = domain.CountPartial
			}
		}
		cell := domain.Cell{Measure: domain.CountRegistered, District: p.Cohort.District, Group: p.Cohort.Group, Generation: p.Cohort.Generation, Sex: p.Sex}
		cells[cell]++
		cell.Measure = measure
		cells[cell]++
	}
	return cells
}

func isDose(m domain.Measure) bool   { return m >= domain.CountDose1 }
func isPerson(m domain.Measure) bool { return m <= domain.CountFull }

func only(cells map[domain.Cell]int64, keep func(domain.Measure) bool) map[domain.Cell]int64 {
	kept := maps.Clone(cells)
	maps.DeleteFunc(kept, func(c domain.Cell, _ int64) bool { return !keep(c.Measure) })
	return kept
}

// checkInvariants holds the statuses to the registered, cohort by cohort and
// sex by sex, and every count but a status after a reversal to zero or more.
func checkInvariants(t *rapid.T, asOf domain.Day, cells map[domain.Cell]int64, statusToo bool) {
	balance := map[domain.Cell]int64{}
	for cell, n := range cells {
		if n < 0 && (statusToo || !isPerson(cell.Measure)) {
			t.Fatalf("as of %s: %+v is %d", asOf, cell, n)
		}
		sign := int64(1)
		switch cell.Measure {
		case domain.CountRegistered:
			sign = -1
		case domain.CountUnvaccinated, domain.CountPartial, domain.CountFull:
		default:
			continue
		}
		cell.Measure = 0
		balance[cell] += sign * n
	}
	for cell, n := range balance {
		if n != 0 {
			t.Fatalf("as of %s: in %+v the statuses miss the registered by %d", asOf, cell, n)
		}
	}
}

func compareCells(t *rapid.T, what string, got, want map[domain.Cell]int64) {
	if !maps.Equal(got, want) {
		t.Fatalf("%s:\n got %v\nwant %v", what, got, want)
	}
}
