package projections

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
)

// TestExplainHoldsNothing: a view is rebuilt and its old generation removed while
// somebody is slow to take what is explained from it.
func TestExplainHoldsNothing(t *testing.T) {
	t.Parallel()
	a := history(t, 611, 40, 40)
	c, err := OpenCounts("counts", small(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := CatchUp(t.Context(), a.ledger, c, nil); err != nil {
		t.Fatal(err)
	}
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
