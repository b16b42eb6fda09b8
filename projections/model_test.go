package projections

import (
	"testing"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// model is the register's meaning in plain maps, made from the ledger alone.
type model struct {
	submissions map[domain.SubmissionToken]SubmissionRecord
	people      map[domain.PersonToken]domain.Person
	households  map[domain.MobileToken]int
	photoIDs    map[domain.PhotoIDToken]bool
	tokens      map[domain.PersonToken]domain.RegistrationTokens
	requests    map[domain.UUID]domain.RequestState
	pending     map[domain.UUID]bool
	closed      map[domain.Cohort]bool
	sizes       map[domain.Cohort]int64
	last        time.Time
}

// modelOf sums up a ledger. Told are the tokens that its registrations were made
// with.
func modelOf(commits []eventstore.Commit, told map[domain.PersonToken]domain.RegistrationTokens) model {
	m := model{
		map[domain.SubmissionToken]SubmissionRecord{}, map[domain.PersonToken]domain.Person{}, map[domain.MobileToken]int{},
		map[domain.PhotoIDToken]bool{}, map[domain.PersonToken]domain.RegistrationTokens{}, map[domain.UUID]domain.RequestState{},
		map[domain.UUID]bool{}, map[domain.Cohort]bool{}, map[domain.Cohort]int64{}, time.Time{},
	}
	freezes := map[domain.UUID]domain.FreezeOrdered{}
	kept := map[domain.PhotoIDToken]bool{}
	evolve := func(p domain.PersonToken, c eventstore.Commit, e eventstore.Entry) {
		m.people[p] = domain.Evolve(m.people[p], e.Event, c.Sequence, domain.DayOf(e.Recorded))
	}
	for _, c := range commits {
		for _, e := range c.Entries {
			m.last = e.Recorded
			if e.Submission != (domain.SubmissionToken{}) {
				m.submissions[e.Submission] = SubmissionRecord{e.Digest, c.Sequence, e.Issued}
			}
			switch event := e.Event.(type) {
			case domain.PersonRegistered:
				evolve(event.Person, c, e)
				m.sizes[event.Cohort]++
				if event.Closed {
					m.closed[event.Cohort] = true
				} else {
					t := told[event.Person]
					m.tokens[event.Person], m.photoIDs[t.PhotoID] = t, true
					m.households[t.Mobile]++
				}
			case domain.RegistrationWithdrawn:
				if event.Pending {
					id := m.people[event.Person].Pending.Request
					m.requests[id] = domain.RequestDecided
					delete(m.pending, id)
				}
				delete(m.people, event.Person)
				m.sizes[event.Cohort]--
				if t, ok := m.tokens[event.Person]; ok {
					m.households[t.Mobile]--
					m.photoIDs[t.PhotoID] = kept[t.PhotoID]
					delete(m.tokens, event.Person)
				}
			case domain.DoseAdministered:
				evolve(event.Person, c, e)
			case domain.DoseWithdrawn:
				evolve(event.Person, c, e)
			case domain.ReversalRequested:
				evolve(event.Person, c, e)
				m.requests[event.Request], m.pending[event.Request] = domain.RequestPending, true
			case domain.ReversalDecided:
				evolve(event.Person, c, e)
				m.requests[event.Request] = domain.RequestDecided
				delete(m.pending, event.Request)
			case domain.FreezeOrdered:
				freezes[event.Freeze] = event
				for _, c := range event.Cohorts {
					m.closed[c.Cohort] = true
				}
			case domain.PhotoIDsKept:
				for _, t := range event.Tokens {
					m.photoIDs[t], kept[t] = true, true
				}
			case domain.PhotoIDsComplete:
				for _, c := range freezes[event.Freeze].Cohorts {
					for person, t := range m.tokens {
						if m.people[person].Cohort == c.Cohort {
							m.households[t.Mobile]--
							delete(m.tokens, person)
						}
					}
				}
			}
		}
	}
	return m
}

// checkRegister compares everything that a register answers with the model.
func checkRegister(t *testing.T, d *Draft, m model, all map[domain.PersonToken]domain.RegistrationTokens) {
	t.Helper()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for token, want := range m.submissions {
		got, held, err := d.Submission(token)
		if ok(err); !held || got != want {
			t.Fatalf("submission: %v %v, want %v", got, held, want)
		}
	}
	for person, told := range all {
		got, err := d.Person(person)
		if ok(err); got != m.people[person] {
			t.Fatalf("person: %+v, want %+v", got, m.people[person])
		}
		want, wanted := m.tokens[person]
		tokens, held, err := d.Tokens(got.Cohort, person)
		if ok(err); held != wanted || tokens != want {
			t.Fatalf("tokens: %v %v, want %v %v", tokens, held, want, wanted)
		}
		taken, err := d.PhotoID(told.PhotoID)
		if ok(err); taken != m.photoIDs[told.PhotoID] {
			t.Fatalf("photo ID held: %v, want %v", taken, m.photoIDs[told.PhotoID])
		}
		household, err := d.Household(told.Mobile)
		if ok(err); household != m.households[told.Mobile] {
			t.Fatalf("household: %d, want %d", household, m.households[told.Mobile])
		}
	}
	for id, want := range m.requests {
		_, got, err := d.Request(id)
		if ok(err); got != want {
			t.Fatalf("request: %d, want %d", got, want)
		}
	}
	for c, want := range m.sizes {
		if got := d.cohort(c); got.people != want || d.Closed(c) != m.closed[c] {
			t.Fatalf("cohort %s: %+v, want %d people, closed %v", c, got, want, m.closed[c])
		}
	}
	if !d.LastRecorded().Equal(m.last) {
		t.Fatalf("last recorded %v, want %v", d.LastRecorded(), m.last)
	}
}
