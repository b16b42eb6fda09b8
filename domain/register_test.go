package domain_test

import (
	"crypto/sha256"
	"encoding/binary"
	"reflect"
	"slices"
	"time"

	"bahi/domain"
)

// register is the simplest thing that can stand before Decide: what a ledger
// knows, in maps, folded from accepted events. It takes any shortcut that keeps
// it obvious.
type register struct {
	rules        domain.Rules
	authorityKey bool

	people      map[domain.Reference]*entry
	submissions map[domain.UUID]heldSubmission
	requests    map[domain.UUID]domain.Reference
	closed      map[domain.Cohort]bool
	keptIDs     map[domain.PhotoID]bool // of frozen people
	standing    []domain.FreezeOrdered
	history     []commit
}

type entry struct {
	person  domain.Person
	content domain.Registration // forgotten by a freeze
}

type heldSubmission struct {
	submission domain.Submission
	commit     uint64
}

type commit struct {
	submission domain.Submission
	event      domain.Event
	recorded   domain.Day
}

func newRegister() *register {
	return &register{
		rules:        domain.BuiltInRules(),
		authorityKey: true,
		people:       map[domain.Reference]*entry{},
		submissions:  map[domain.UUID]heldSubmission{},
		requests:     map[domain.UUID]domain.Reference{},
		closed:       map[domain.Cohort]bool{},
		keptIDs:      map[domain.PhotoID]bool{},
	}
}

// submit decides a submission and, when it is accepted, folds its event.
func (r *register) submit(s domain.Submission, recorded time.Time, authority bool) (domain.Event, error) {
	k := r.known(s)
	k.Authority = authority
	event, err := domain.Decide(k, r.rules, s, recorded)
	if err != nil {
		return nil, err
	}
	r.fold(s, event, domain.DayOf(recorded))
	return event, nil
}

func (r *register) known(s domain.Submission) domain.Known {
	k := domain.Known{AuthorityKey: r.authorityKey}
	if held, ok := r.submissions[s.Head().ID]; ok {
		k.Earlier = &domain.Earlier{Commit: held.commit, SameContent: reflect.DeepEqual(held.submission, s)}
	}
	reference := domain.PersonOf(s)
	if d, ok := s.(domain.ReversalDecision); ok {
		if who, ok := r.requests[d.Request]; ok {
			reference = who
			k.Request = domain.RequestDecided
			if e := r.people[who]; e != nil && e.person.Pending.Request == d.Request {
				k.Request = domain.RequestPending
			}
		}
	}
	k.Token = tokenOf(reference)
	if e := r.people[reference]; e != nil {
		k.Person = e.person
		k.Frozen = r.closed[e.person.Cohort]
	}
	switch s := s.(type) {
	case domain.Registration:
		r.knownForRegistration(&k, s)
	case domain.Freeze:
		k.Open = r.open(s)
	}
	return k
}

func (r *register) knownForRegistration(k *domain.Known, s domain.Registration) {
	if e := r.people[s.Person]; e != nil {
		was, is := e.content, s
		was.Heading, is.Heading = domain.Heading{}, domain.Heading{}
		k.SameRegistration = was == is
	}
	if r.keptIDs[s.PhotoID] {
		k.PhotoID = domain.HeldByAnother
	}
	for reference, e := range r.people {
		if reference != s.Person && e.content.PhotoID == s.PhotoID {
			k.PhotoID = domain.HeldByAnother
		}
		if e.content.Mobile == s.Mobile {
			k.Household++
		}
	}
	k.Cohort = domain.Cohort{District: s.District, Group: s.Group, Generation: 1}
	for r.closed[k.Cohort] && !r.bornClosed(k.Cohort) {
		k.Cohort.Generation++
	}
	for _, f := range r.standing {
		k.BornClosed = k.BornClosed || f.District == s.District && slices.Contains(f.Groups, s.Group)
	}
}

// bornClosed tells whether a closed cohort takes the registrations of a standing
// freeze: it is the generation after those that the order named.
func (r *register) bornClosed(c domain.Cohort) bool {
	for _, f := range r.standing {
		if f.District == c.District && slices.Contains(f.Groups, c.Group) {
			return !slices.ContainsFunc(f.Cohorts, func(named domain.CohortSize) bool { return named.Cohort == c })
		}
	}
	return false
}

func (r *register) open(s domain.Freeze) []domain.CohortSize {
	people := map[domain.Cohort]int64{}
	for _, e := range r.people {
		c := e.person.Cohort
		if c.District == s.District && !r.closed[c] && (len(s.Groups) == 0 || slices.Contains(s.Groups, c.Group)) {
			people[c]++
		}
	}
	var open []domain.CohortSize
	for c, n := range people {
		open = append(open, domain.CohortSize{Cohort: c, People: n})
	}
	slices.SortFunc(open, func(a, b domain.CohortSize) int {
		return int(a.Cohort.Group) - int(b.Cohort.Group)
	})
	return open
}

func (r *register) fold(s domain.Submission, event domain.Event, recorded domain.Day) {
	r.history = append(r.history, commit{s, event, recorded})
	sequence := uint64(len(r.history))
	r.submissions[s.Head().ID] = heldSubmission{s, sequence}
	reference := domain.PersonOf(s)
	switch s := s.(type) {
	case domain.Registration:
		e := &entry{content: s}
		r.people[reference] = e
		if event := event.(domain.PersonRegistered); event.Closed {
			r.closed[event.Cohort] = true
			r.forget(e)
		}
	case domain.ReversalRequest:
		r.requests[s.ID] = reference
	case domain.ReversalDecision:
		reference = r.requests[s.Request]
	case domain.Freeze:
		order := event.(domain.FreezeOrdered)
		for _, c := range order.Cohorts {
			r.closed[c.Cohort] = true
		}
		for _, e := range r.people {
			if r.closed[e.person.Cohort] {
				r.forget(e)
			}
		}
		if order.Standing {
			r.standing = append(r.standing, order)
		}
		return
	}
	e := r.people[reference]
	e.person = domain.Evolve(e.person, event, sequence, recorded)
	if !e.person.IsRegistered() {
		delete(r.people, reference)
	}
}

// forget does to a register what a freeze does: the photo ID stays, without the
// person, and the rest is gone.
func (r *register) forget(e *entry) {
	if e.content.PhotoID != (domain.PhotoID{}) {
		r.keptIDs[e.content.PhotoID] = true
	}
	e.content = domain.Registration{}
}

// counts adds up the count view as of a day, over all that is recorded.
func (r *register) counts(asOf domain.Day) map[domain.Cell]int64 {
	cells := map[domain.Cell]int64{}
	for _, c := range r.history {
		domain.Counts(c.event, func(cell domain.Cell, n int64) {
			if cell.Day > asOf {
				return
			}
			cell.Day = 0
			if cells[cell] += n; cells[cell] == 0 {
				delete(cells, cell)
			}
		})
	}
	return cells
}

func tokenOf(r domain.Reference) domain.PersonToken {
	sum := sha256.Sum256([]byte(r))
	return domain.PersonToken(sum[:domain.TokenSize])
}

// numberedID returns a UUID that is as good as any.
func numberedID(n int) domain.UUID {
	var u domain.UUID
	binary.BigEndian.PutUint64(u[8:], uint64(n)+1)
	return u
}

func at(day string) time.Time {
	t, err := domain.ParseTime(day)
	if err != nil {
		panic(err)
	}
	return t
}

func day(s string) domain.Day {
	d, err := domain.ParseDay(s)
	if err != nil {
		panic(err)
	}
	return d
}
