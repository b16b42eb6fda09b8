package projections

import (
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
)

// TestExplainHoldsNothing: a view is rebuilt and its old generation removed while
// somebody is slow to take what is explained from it.
func TestExplainHoldsNothing(t *testing.T) {
	t.Parallel()
	a := history(t, 611, 40, 40)
	c := countsOf(t, a)
	runner := NewRunner(a.ledger, c)
	last := domain.DayOf(a.now)
	for day := last - 400; day <= last; day++ {
		told := 0
		err := c.Explain(t.Context(), ExplainQuery{District: 208, Day: day, AsKnown: last.End()}, a.ledger.read, func(Movement) error {
			if told++; told > 1 {
				return nil
			}
			out, err := runner.Rebuild(t.Context(), "counts", RebuildOptions{}, nil)
			if err == nil && !out.Swapped {
				t.Errorf("rebuilt: %+v", out)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if told > 0 {
			return
		}
	}
	t.Error("nothing moved on any day")
}

// What is explained of a day adds up to what a plain recomputation says of it less what
// it says of the day before, whatever was reported late, withdrawn, reversed, frozen with
// those who come later.
func TestExplainedAddsUp(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			a := newAuthor(t, 700+seed, vfs.NewMem())
			a.history(100)
			c := countsOf(t, a)
			told, frozen := 0, int64(0)
			for range 60 {
				q := randomQuery(a.rng, a)
				q.By, q.District = nil, pick(a.rng, []domain.District{208, 188})
				before := q
				before.AsOf--
				sum := recount(a.ledger.commits, before).Figures
				after := recount(a.ledger.commits, q).Figures
				var last time.Time
				err := c.Explain(t.Context(), ExplainQuery{District: q.District, Day: q.AsOf, AsKnown: q.AsKnown}, a.ledger.read, func(m Movement) error {
					if m.Recorded.After(q.AsKnown) || m.Recorded.Before(last) {
						t.Errorf("commit %d of %s comes after %s, as known %s", m.Commit, m.Recorded, last, q.AsKnown)
					}
					sum, last = sum.Plus(m.Figures), m.Recorded
					frozen += m.Frozen
					told++
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if sum != after {
					t.Errorf("%d on %s, as known %s: %+v is explained, %+v counted", q.District, q.AsOf, q.AsKnown, sum, after)
				}
			}
			if told == 0 || frozen == 0 {
				t.Error("the test is blind:", told, frozen)
			}
		})
	}
}
