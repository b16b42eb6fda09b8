package projections

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"bahi/domain"
	"bahi/eventstore"
)

// ExplainQuery asks which commits moved a district's figures of one day.
type ExplainQuery struct {
	District domain.District
	Day      domain.Day // on which it happened
	AsKnown  time.Time  // what was recorded later is not told
}

// Movement is what one commit moved of the figures of a district and day. A commit
// of a sandbox may be recorded over several days: it is told once for each.
//
// Who may not know commits is told the day on which several were recorded, instead of
// both.
type Movement struct {
	Commit      uint64           `json:"commit,omitempty"`
	Recorded    time.Time        `json:"recorded,omitzero"` // of the last entry that moved something
	RecordedDay domain.Day       `json:"recorded_day,omitzero"`
	Events      map[string]int64 `json:"events"` // how many of each kind moved something
	Figures                      // by how much
}

// Explain calls tell with the commits that moved the figures of a district and day,
// in the order of the ledger. What they add up to is what [Counts.Query] says as of
// that day less what it says as of the day before, both as known at AsKnown: the new
// part of a row by day.
//
// The cells tell on which days any of it was recorded, and only those days' commits
// are read, in constant memory. Nobody waits for tell, however slow it is: what it is
// told comes from the ledger, when the view has been let go of.
//
// Errors: [ErrCorrupt]; those of read and tell.
func (c *Counts) Explain(ctx context.Context, q ExplainQuery, read ReadFunc, tell func(Movement) error) error {
	x, err := c.explanation(q)
	if err != nil {
		return err
	}
	for _, day := range slices.Sorted(maps.Keys(x.days)) {
		if err := x.readDay(ctx, day, read(ctx, x.days[day]-1, x.through), tell); err != nil {
			return err
		}
	}
	return nil
}

// explanation looks up what is to be read.
func (c *Counts) explanation(q ExplainQuery) (*explanation, error) {
	rows := c.reading()
	defer rows.readers.RUnlock()
	snapshot := rows.NewSnapshot()
	defer snapshot.Close()

	s, err := newSummary(rows.view, snapshot, CountsQuery{District: q.District, AsKnown: q.AsKnown})
	if err != nil {
		return nil, err
	}
	x := newExplanation(q, s.closed)
	x.through = s.folded.sequence
	prefix := []byte{keyCell, byte(q.District >> 8), byte(q.District)}
	err = scan(rows.view, snapshot, prefix, func(key, value []byte) error {
		cell, ok := datedAt(key)
		sum := recordReader{b: value}
		n := sum.varint()
		if !ok || sum.bad {
			return &ViewError{View: rows.view, Err: ErrCorrupt}
		}
		x.look(cell, n)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for day := range x.days {
		if x.days[day], err = firstOf(rows.view, snapshot, day); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// firstOf returns the first commit that was recorded on a day, 0 when there is none.
func firstOf(view string, snapshot *pebble.Snapshot, day domain.Day) (first uint64, err error) {
	err = scan(view, snapshot, appendDay([]byte{keyDay}, day), func(_, value []byte) error {
		v := recordReader{b: value}
		first = v.sequence()
		return nil
	})
	return first, err
}

// explanation finds out what moved. Frozen people are the registered of closed
// cohorts, so that they move in two ways: with an order, which closes on those who
// are registered by then, and after it with each registration and withdrawal.
type explanation struct {
	ExplainQuery
	closed  map[domain.Cohort]*closedCohort
	days    map[domain.Day]uint64 // of recording, to be read; with the first commit of each
	through uint64                // the last commit that the view has folded
}

// closedCohort is a cohort that is closed by the day in question, as known.
type closedCohort struct {
	closure
	on         domain.Day // of recording of the order
	registered int64      // who are frozen, or not any more, by the order
	ordered    bool       // the order was met, or was recorded before the day that is read
}

func newExplanation(q ExplainQuery, closures map[domain.Cohort]closure) *explanation {
	x := &explanation{ExplainQuery: q, closed: map[domain.Cohort]*closedCohort{}, days: map[domain.Day]uint64{}}
	for cohort, since := range closures {
		if cohort.District == q.District && since.closedBy(q.Day, q.AsKnown) {
			c := &closedCohort{closure: since, ordered: since == fromBirth}
			if !c.ordered {
				c.on = domain.DayOf(time.UnixMilli(since.recorded))
			}
			x.closed[cohort] = c
		}
	}
	return x
}

// freezes returns the closing by which a cell's people count as frozen on the day in
// question and not on the day before; nil for other cells.
func (x *explanation) freezes(c domain.Cell) *closedCohort {
	if c.Measure != domain.CountRegistered || c.Day > x.Day {
		return nil
	}
	closed := x.closed[domain.Cohort{District: c.District, Group: c.Group, Generation: c.Generation}]
	if closed == nil || c.Day < x.Day && closed.day < x.Day {
		return nil
	}
	return closed
}

// look notes from a cell what is to be read.
func (x *explanation) look(cell dated, n int64) {
	if cell.recorded > domain.DayOf(x.AsKnown) {
		return
	}
	if cell.Day == x.Day {
		x.days[cell.recorded] = 0
	}
	closed := x.freezes(cell.Cell)
	switch {
	case closed == nil:
	case closed.closure == fromBirth:
		x.days[cell.recorded] = 0
	case cell.recorded < closed.on:
		closed.registered += n
		x.days[closed.on] = 0
	default:
		x.days[cell.recorded], x.days[closed.on] = 0, 0
	}
}

// readDay tells what the commits of one day of recording moved.
func (x *explanation) readDay(ctx context.Context, day domain.Day, commits func(func(eventstore.Commit, error) bool), tell func(Movement) error) error {
	for _, c := range x.closed {
		c.ordered = c.closure == fromBirth || c.on < day
	}
	for commit, err := range commits {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		m := Movement{Commit: commit.Sequence, Events: map[string]int64{}}
		over := false
		for _, e := range commit.Entries {
			if over = domain.DayOf(e.Recorded) > day || e.Recorded.After(x.AsKnown); over {
				break
			}
			if domain.DayOf(e.Recorded) == day && x.moves(e, day, &m.Figures) {
				m.Events[eventKind(e.Event)]++
				m.Recorded = e.Recorded.In(domain.IndianStandardTime)
			}
		}
		if len(m.Events) > 0 {
			if err := tell(m); err != nil {
				return err
			}
		}
		if over {
			return nil
		}
	}
	return nil
}

// moves adds what an entry moves to f, and tells whether it is anything.
func (x *explanation) moves(e eventstore.Entry, day domain.Day, f *Figures) (moved bool) {
	if order, ok := e.Event.(domain.FreezeOrdered); ok {
		for _, size := range order.Cohorts {
			c := x.closed[size.Cohort]
			if c == nil || c.ordered || c.recorded != e.Recorded.UnixMilli() {
				continue
			}
			c.ordered = true
			f.Frozen += c.registered
			moved = moved || c.registered != 0
		}
	}
	domain.Counts(e.Event, func(cell domain.Cell, n int64) {
		if cell.District != x.District {
			return
		}
		if cell.Day == x.Day {
			f.add(cell.Measure, n)
			moved = true
		}
		switch closed := x.freezes(cell); {
		case closed == nil:
		case closed.ordered:
			f.Frozen += n
			moved = true
		case closed.on == day: // earlier days are in the cells' sums
			closed.registered += n
		}
	})
	return moved
}

// eventKind names the events that figures follow from, as a replay does.
func eventKind(e domain.Event) string {
	switch e.(type) {
	case domain.PersonRegistered:
		return "registered"
	case domain.RegistrationWithdrawn:
		return "registration_withdrawn"
	case domain.DoseAdministered:
		return "dose"
	case domain.DoseWithdrawn:
		return "dose_withdrawn"
	case domain.ReversalRequested:
		return "reversal_requested"
	case domain.ReversalDecided:
		return "reversal_decided"
	case domain.FreezeOrdered:
		return "frozen"
	}
	return "other"
}
