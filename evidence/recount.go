package evidence

import (
	"math"
	"strconv"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// Recount counts again what a statement says, from the ledger's commits and
// without any key: they are ciphertext and tokens, but events carry their
// consequence. It is the plain form of the count view, kept apart from it so that
// one can be held against the other.
type Recount struct {
	of         Statement
	figures    Figures
	registered map[domain.Cohort]int64
	closed     map[domain.Cohort]domain.Day // since when
}

// NewRecount returns a recount of a statement, before the first commit.
func NewRecount(of Statement) *Recount {
	return &Recount{of: of, registered: map[domain.Cohort]int64{}, closed: map[domain.Cohort]domain.Day{}}
}

// Add counts a commit; those beyond the statement's tree are passed over.
func (r *Recount) Add(c eventstore.Commit) {
	if c.Sequence > r.of.Tree.Size {
		return
	}
	known := r.of.AsKnown.Truncate(time.Millisecond)
	for i := range c.Entries {
		e := &c.Entries[i]
		if e.Recorded.After(known) {
			return // nor is anything behind it known
		}
		switch event := e.Event.(type) {
		case domain.FreezeOrdered:
			for _, size := range event.Cohorts {
				r.close(size.Cohort, event.Day)
			}
		case domain.PersonRegistered:
			if event.Closed {
				r.close(event.Cohort, math.MinInt32)
			}
		}
		domain.Counts(e.Event, r.add)
	}
}

func (r *Recount) close(c domain.Cohort, since domain.Day) {
	if _, known := r.closed[c]; !known {
		r.closed[c] = since
	}
}

func (r *Recount) add(cell domain.Cell, n int64) {
	if cell.Day > r.of.AsOf || r.of.District != 0 && cell.District != r.of.District {
		return
	}
	switch cell.Measure {
	case domain.CountRegistered:
		r.figures.Registered += n
		r.registered[domain.Cohort{District: cell.District, Group: cell.Group, Generation: cell.Generation}] += n
	case domain.CountUnvaccinated:
		r.figures.Unvaccinated += n
	case domain.CountPartial:
		r.figures.Partial += n
	case domain.CountFull:
		r.figures.Full += n
	case domain.CountPendingReversals:
		r.figures.PendingReversals += n
	case domain.CountDose1:
		r.figures.Dose1 += n
	case domain.CountDose2:
		r.figures.Dose2 += n
	case domain.CountDose3:
		r.figures.Dose3 += n
	case domain.CountPrecaution:
		r.figures.Precaution += n
	}
}

// Figures returns what was counted.
func (r *Recount) Figures() Figures {
	f := r.figures
	for cohort, n := range r.registered {
		if since, closed := r.closed[cohort]; closed && since <= r.of.AsOf {
			f.Frozen += n
		}
	}
	return f
}

// Contradictions returns a sentence for every figure of the statement that was not
// counted so.
func (r *Recount) Contradictions() []string {
	var out []string
	said, counted := r.of.Figures, r.Figures()
	for i, f := range said.named() {
		if n := *counted.named()[i].value; n != *f.value {
			out = append(out, f.name+": "+strconv.FormatInt(*f.value, 10)+" in the statement, "+strconv.FormatInt(n, 10)+" by the ledger")
		}
	}
	return out
}
