package ledger

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"bahi/domain"
	"bahi/projections"
)

// Who submits and asks at once, while views are rebuilt and swapped again and again, is
// never refused, finds what was just accepted, and is never told less than anybody was
// told before.
func TestOwnWritesThroughSwaps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := Open(t.Context(), Config{Data: dir + "/data", Keys: dir + "/keys", Sandbox: true, ReadsPerDay: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, l) })
	var counted, asked atomic.Int64
	var swapped atomic.Bool
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for n := 1000 * (w + 1); !swapped.Load(); n++ {
				if err := writeAndRead(t.Context(), l, n, &counted); err != nil {
					t.Error(err)
					return
				}
				asked.Add(1)
			}
		})
	}
	var rebuilt sync.WaitGroup
	for _, name := range Views() {
		rebuilt.Go(func() {
			for range 4 {
				out, err := l.RebuildView(t.Context(), name, projections.RebuildOptions{}, nil)
				if err != nil || !out.Swapped || out.Compared != projections.Equal && out.Compared != projections.NoLive {
					t.Errorf("%+v %v", out, err)
				}
			}
		})
	}
	rebuilt.Wait()
	swapped.Store(true)
	writers.Wait()
	t.Logf("%d people submitted and asked for while 16 generations took over", asked.Load())
	if asked.Load() < 10 {
		t.Error("the test is blind")
	}
	check(t, l)
}

// writeAndRead registers somebody and gives them a dose, and asks every view for what
// was accepted. Counted is the most that anybody was told to be registered.
func writeAndRead(ctx context.Context, l *Ledger, n int, counted *atomic.Int64) error {
	for doses, s := range []domain.Submission{
		registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16"),
		doseOf(n, 1, muzaffarpur, "2021-01-20"),
	} {
		for _, want := range []domain.Outcome{domain.Accepted, domain.Duplicate} {
			v, err := l.Submit(ctx, centre, []domain.Submission{s})
			if err != nil || v[0].Outcome != want {
				return fmt.Errorf("submission of %d: %+v %w", n, v, err)
			}
		}
		person, err := l.Person(ctx, referenceOf(n), Reader{Officer: "o", Purpose: "verification"})
		if err != nil || len(person.Doses) != doses {
			return fmt.Errorf("person %d: %d doses %w", n, len(person.Doses), err)
		}
		before := counted.Load()
		c, err := l.Counts(ctx, projections.CountsQuery{District: muzaffarpur})
		if err != nil || c.Registered < before || c.Registered == 0 {
			return fmt.Errorf("%d registered, after %d: %w", c.Registered, before, err)
		}
		for was := counted.Load(); c.Registered > was && !counted.CompareAndSwap(was, c.Registered); was = counted.Load() {
		}
		if _, err := l.merkle.Root(l.merkle.Size()); err != nil {
			return err
		}
	}
	return nil
}
