package projections

import (
	"context"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestStopAtOnce: a rebuild that is stopped before it has done anything does not go on
// to its end.
func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	a := history(t, 612, 4, 4)
	c, err := OpenCounts("counts", small(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	runner := NewRunner(a.ledger, c)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	j, mine := runner.job("counts", stop)
	if _, joined := runner.job("counts", func() { t.Error("who only joins it is stopped") }); !mine || joined {
		t.Fatal("a rebuild that is under way is begun again")
	}
	go func() {
		<-ctx.Done()
		close(j.done)
	}()
	if stopped, err := runner.Stop(t.Context(), "counts"); err != nil || !stopped {
		t.Errorf("stopped: %v, %v", stopped, err)
	}
}
