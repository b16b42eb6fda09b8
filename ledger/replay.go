package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// ReplayQuery selects history. Zero values select everything, told as an analyst
// may have it.
type ReplayQuery struct {
	FromSequence, ToSequence uint64    // inclusive
	FromTime, ToTime         time.Time // of recording, inclusive
	District                 domain.District
	Type                     string // one of ReplayTypes

	// WithinDay lets bounds lie within a day. Otherwise they are widened to whole
	// days of recording, also those by sequence: who may ask for one commit, or one
	// minute, picks a person's record by it. A door sets it for those who have the
	// ledger itself, or whose role may know.
	WithinDay bool
	// Exact tells every event's commit and time of recording, and keeps the order of
	// the ledger. It is for operators and auditors, and includes WithinDay.
	Exact bool
	// Follow goes on behind the head with what comes, until the context ends. When
	// an event comes tells when it was recorded, so that it needs WithinDay.
	Follow bool
	// Key makes the pseudonyms, 32 bytes; empty means a new one. Who keeps it can
	// go on with an export that was cut off, and link any made with it.
	Key []byte
}

// PseudonymKeySize is the length of a [ReplayQuery]'s key, in bytes.
const PseudonymKeySize = 32

// ReplayTypes are the kinds of event that a replay yields.
var ReplayTypes = []string{
	"registered", "registration_withdrawn", "dose", "dose_withdrawn",
	"reversal_requested", "reversal_decided", "frozen",
}

// ReplayEvent is one event of a replay. Person is a pseudonym made for this one
// export: the same person has the same pseudonym within it and another in the
// next. Centre and batch are never told, they are sealed; time of day and commit
// number only to those who may know: whoever stood in the queue could pick the
// record by them.
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

	// What counts need besides. A withdrawal retracts on the day of what it
	// withdraws: Counted. An approved reversal takes doses back, each told as
	// number:district:vaccine. A withdrawn registration may end a pending request.
	Counted      domain.Day `json:"counted,omitzero"`
	TakenBack    []string   `json:"taken_back,omitempty"`
	RequestEnded bool       `json:"request_ended,omitempty"`

	// In an exact replay only.
	Commit     uint64     `json:"commit,omitempty"`
	RecordedAt *time.Time `json:"recorded_at,omitempty"` // to the millisecond

	// Through, when not 0, says that every selected event of the commits through
	// this one has been told with this event: an export may be cut here, and go on
	// with the next commit. It is not for whom WithinDay is not for.
	Through uint64 `json:"through,omitempty"`
}

// Replay yields the selected events, up to the ledger's head at the start unless
// the query follows, in constant memory. An exact or following replay keeps the
// order of the ledger. Others yield the events of one recorded day in an order that
// chance decides ([ReplayWindow] at a time), so that the place in the line does not
// tell what the time would; one person's events stay in their order.
//
// Errors: ErrBadRequest; those of reading the ledger.
func (l *Ledger) Replay(ctx context.Context, q ReplayQuery) iter.Seq2[ReplayEvent, error] {
	return func(yield func(ReplayEvent, error) bool) {
		if err := l.replay(ctx, q, func(e ReplayEvent) bool { return yield(e, nil) }); err != nil {
			yield(ReplayEvent{}, err)
		}
	}
}

func (l *Ledger) replay(ctx context.Context, q ReplayQuery, yield func(ReplayEvent) bool) error {
	q.WithinDay = q.WithinDay || q.Exact
	if q.Follow && !q.WithinDay {
		return fmt.Errorf("%w: to follow the ledger tells when things are recorded, which this role may not know", ErrBadRequest)
	}
	names, err := newPseudonyms(q.Key)
	if err != nil {
		return err
	}
	reading, err := l.bounds(ctx, &q)
	if err != nil || reading.Through != 0 && reading.Through <= reading.After {
		return err
	}
	w := window{ordered: q.Exact || q.Follow, marks: q.WithinDay, limit: ReplayWindow}
	if w.ordered {
		w.limit = 1
	}
	for commit, err := range l.store.Read(ctx, reading) {
		if errors.Is(err, eventstore.ErrAhead) {
			return nil // nothing is recorded from there on yet
		}
		if err != nil {
			return err
		}
		if !q.ToTime.IsZero() && len(commit.Entries) > 0 && commit.Entries[0].Recorded.After(q.ToTime) {
			break // recorded times never go back
		}
		if !w.takes(commit) && !w.tell(yield) {
			return nil
		}
		if commit.Sequence < q.FromSequence {
			continue // waited for
		}
		for _, entry := range commit.Entries {
			if e, person, ok := q.pick(entry); ok {
				if q.Exact {
					at := entry.Recorded.In(domain.IndianStandardTime)
					e.Commit, e.RecordedAt = commit.Sequence, &at
				}
				w.add(e, person, names)
			}
		}
		w.through = commit.Sequence
		if len(w.events) >= w.limit && !w.tell(yield) {
			return nil
		}
	}
	w.tell(yield)
	return nil
}

// pick tells whether an entry is selected, and what to say of it.
func (q ReplayQuery) pick(entry eventstore.Entry) (ReplayEvent, domain.PersonToken, bool) {
	none := domain.PersonToken{}
	if !q.FromTime.IsZero() && entry.Recorded.Before(q.FromTime) || !q.ToTime.IsZero() && entry.Recorded.After(q.ToTime) {
		return ReplayEvent{}, none, false
	}
	e, person, ok := describe(entry.Event)
	if !ok || q.Type != "" && q.Type != e.Type {
		return ReplayEvent{}, none, false
	}
	if q.District != 0 && q.District != e.District && q.District != e.DoseDistrict {
		return ReplayEvent{}, none, false
	}
	e.Recorded = domain.DayOf(entry.Recorded)
	return e, person, true
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
		e.Counted, e.RequestEnded = v.Registered, v.Pending
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
		e.Counted = v.Dose.Day
		return e, v.Person, true
	case domain.ReversalRequested:
		e := about("reversal_requested", v.Day, v.Cohort, v.Sex)
		e.StatusBefore, e.StatusAfter, e.Reason = v.From, v.To, v.Reason
		return e, v.Person, true
	case domain.ReversalDecided:
		e := about("reversal_decided", v.Day, v.Cohort, v.Sex)
		e.StatusBefore, e.StatusAfter, e.Approved = v.Before, v.After, &v.Approved
		for _, d := range v.TakenBack {
			e.TakenBack = append(e.TakenBack, fmt.Sprintf("%s:%d:%s", d.Number, d.District, d.Vaccine))
		}
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
