package ledger

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"iter"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// ReplayQuery selects history for analysts. Zero values select everything.
type ReplayQuery struct {
	FromSequence, ToSequence uint64    // inclusive
	FromTime, ToTime         time.Time // of recording, inclusive
	District                 domain.District
	Type                     string // one of ReplayTypes
}

// ReplayTypes are the kinds of event that a replay yields.
var ReplayTypes = []string{
	"registered", "registration_withdrawn", "dose", "dose_withdrawn",
	"reversal_requested", "reversal_decided", "frozen",
}

// ReplayEvent is one event of a replay. Person is a pseudonym made for this one
// export: the same person has the same pseudonym within it and another in the
// next. Centre, batch, time of day and commit number are not told: whoever stood
// in the queue could pick the record by them.
type ReplayEvent struct {
	Type         string            `json:"type"`
	Day          domain.Day        `json:"day"`      // on which it happened
	Recorded     domain.Day        `json:"recorded"` // on which the ledger learned of it
	Person       string            `json:"person,omitempty"`
	District     domain.District   `json:"district"` // the person's home
	Group        domain.Group      `json:"group,omitempty"`
	Sex          domain.Sex        `json:"sex,omitempty"`
	DoseDistrict domain.District   `json:"dose_district,omitempty"` // where the dose was given
	Dose         string            `json:"dose,omitempty"`
	Vaccine      domain.Vaccine    `json:"vaccine,omitempty"`
	StatusBefore domain.Status     `json:"status_before,omitempty"`
	StatusAfter  domain.Status     `json:"status_after,omitempty"`
	Approved     *bool             `json:"approved,omitempty"`
	Reason       domain.Reason     `json:"reason,omitempty"`
	Mode         domain.FreezeMode `json:"mode,omitempty"`
	FrozenPeople *int64            `json:"frozen_people,omitempty"`
}

// Replay yields the selected events in the order of the ledger, up to its head
// at the start, in constant memory.
func (l *Ledger) Replay(ctx context.Context, q ReplayQuery) iter.Seq2[ReplayEvent, error] {
	return func(yield func(ReplayEvent, error) bool) {
		key := make([]byte, 32)
		rand.Read(key)
		names := pseudonyms{key: key}
		reading := eventstore.Reading{Through: q.ToSequence}
		if q.FromSequence > 0 {
			reading.After = q.FromSequence - 1
		}
		for commit, err := range l.store.Read(ctx, reading) {
			if errors.Is(err, eventstore.ErrAhead) {
				return // nothing is recorded from there on yet
			}
			if err != nil {
				yield(ReplayEvent{}, err)
				return
			}
			for _, entry := range commit.Entries {
				e, ok := q.pick(entry, names)
				if ok && !yield(e, nil) {
					return
				}
			}
		}
	}
}

type pseudonyms struct{ key []byte }

func (p pseudonyms) of(t domain.PersonToken) string {
	mac := hmac.New(sha256.New, p.key)
	mac.Write(t[:])
	return hex.EncodeToString(mac.Sum(nil)[:12])
}

// pick tells whether an entry is selected, and what to say of it.
func (q ReplayQuery) pick(entry eventstore.Entry, names pseudonyms) (ReplayEvent, bool) {
	if !q.FromTime.IsZero() && entry.Recorded.Before(q.FromTime) || !q.ToTime.IsZero() && entry.Recorded.After(q.ToTime) {
		return ReplayEvent{}, false
	}
	e, person, ok := describe(entry.Event)
	if !ok || q.Type != "" && q.Type != e.Type {
		return ReplayEvent{}, false
	}
	if q.District != 0 && q.District != e.District && q.District != e.DoseDistrict {
		return ReplayEvent{}, false
	}
	if person != (domain.PersonToken{}) {
		e.Person = names.of(person)
	}
	e.Recorded = domain.DayOf(entry.Recorded)
	return e, true
}

// describe says what an analyst may know of an event; false for what is the
// ledger's own affair.
func describe(event domain.Event) (ReplayEvent, domain.PersonToken, bool) {
	about := func(kind string, day domain.Day, c domain.Cohort, s domain.Sex) ReplayEvent {
		return ReplayEvent{Type: kind, Day: day, District: c.District, Group: c.Group, Sex: s}
	}
	switch v := event.(type) {
	case domain.PersonRegistered:
		e := about("registered", v.Day, v.Cohort, v.Sex)
		e.StatusAfter = domain.Unvaccinated
		return e, v.Person, true
	case domain.RegistrationWithdrawn:
		e := about("registration_withdrawn", v.Day, v.Cohort, v.Sex)
		e.StatusBefore, e.Reason = domain.Unvaccinated, v.Reason
		return e, v.Person, true
	case domain.DoseAdministered:
		e := about("dose", v.Dose.Day, v.Cohort, v.Sex)
		e.DoseDistrict, e.Dose, e.Vaccine = v.Dose.District, v.Dose.Number.String(), v.Dose.Vaccine
		e.StatusBefore, e.StatusAfter = v.Before, v.After
		return e, v.Person, true
	case domain.DoseWithdrawn:
		e := about("dose_withdrawn", v.Day, v.Cohort, v.Sex)
		e.DoseDistrict, e.Dose, e.Vaccine = v.Dose.District, v.Dose.Number.String(), v.Dose.Vaccine
		e.StatusBefore, e.StatusAfter, e.Reason = v.Before, v.After, v.Reason
		return e, v.Person, true
	case domain.ReversalRequested:
		e := about("reversal_requested", v.Day, v.Cohort, v.Sex)
		e.StatusBefore, e.StatusAfter, e.Reason = v.From, v.To, v.Reason
		return e, v.Person, true
	case domain.ReversalDecided:
		e := about("reversal_decided", v.Day, v.Cohort, v.Sex)
		e.StatusBefore, e.StatusAfter, e.Approved = v.Before, v.After, &v.Approved
		return e, v.Person, true
	case domain.FreezeOrdered:
		var people int64
		for _, c := range v.Cohorts {
			people += c.People
		}
		return ReplayEvent{Type: "frozen", Day: v.Day, District: v.District, Mode: v.Mode, FrozenPeople: &people}, domain.PersonToken{}, true
	}
	return ReplayEvent{}, domain.PersonToken{}, false
}
