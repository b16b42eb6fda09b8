package projections

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"bahi/domain"
)

// failing makes the n-th operation of a kind on tables and directories fail, and
// all after it when for good. Pebble ends the process when a MANIFEST cannot be
// written (see fatal), so those are left alone here.
func failing(disk vfs.FS, n int32, forGood bool, armed *atomic.Bool) (vfs.FS, *atomic.Int32) {
	met := &atomic.Int32{}
	return errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		base := filepath.Base(op.Path)
		if !armed.Load() || filepath.Ext(base) != ".sst" {
			return nil
		}
		switch i := met.Add(1) - 1; {
		case i == n, forGood && i > n:
			return errorfs.ErrInjected
		}
		return nil
	})), met
}

// Step 0, 1, 2 … of folding, flushing and purging fails, once or for good. The
// view may answer with an error, but never wrongly; and with the files as they
// are left, on a disk that works again, it catches up and the purge completes.
func TestFailingSteps(t *testing.T) {
	t.Parallel()
	a := newAuthor(t, 500, vfs.NewMem())
	for range 12 {
		a.step(40)
	}
	freeze := a.freeze(208, false)
	for range 4 {
		a.step(30)
	}
	a.land()
	frozen := sealedOf(a, func(c domain.Cohort) bool { return c.District == 208 && c.Generation == 1 })

	stride := map[bool]int32{false: 1, true: 5}
	for _, forGood := range []bool{false, true} {
		failed := 0
		for step := int32(0); ; step += stride[forGood] {
			memory := vfs.NewMem()
			armed := &atomic.Bool{}
			disk, met := failing(memory, step, forGood, armed)
			p, err := OpenPeople("people", small(disk))
			if err != nil {
				t.Fatal(err)
			}
			armed.Store(true)
			err = func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
				defer cancel()
				for _, c := range a.ledger.commits {
					if err := p.Fold(ctx, c); err != nil {
						return err
					}
					if c.Sequence%12 == 0 {
						if err := (*peopleRows)(p.live.Load()).flush(ctx); err != nil {
							return err
						}
					}
				}
				purged, err := p.Purge(ctx, freeze)
				if err == nil && purged.Residue != 0 {
					err = errors.New("residue")
				}
				return err
			}()
			armed.Store(false)
			if err != nil {
				failed++
			} else {
				for _, token := range a.people { // a reading may meet the failing step, once
					_, _ = p.Person(token)
				}
				checkPeople(t, a, p)
				checkGone(t, memory, p, frozen)
			}
			left := crash(t, memory, "people")
			again, err := OpenPeople("people", small(left))
			if err != nil {
				t.Fatalf("step %d: open what is left: %v", step, err)
			}
			if err := CatchUp(t.Context(), a.ledger, again, nil); err != nil {
				t.Fatalf("step %d: %v", step, err)
			}
			if purged, err := again.Purge(t.Context(), freeze); err != nil || purged.Residue != 0 {
				t.Fatalf("step %d: purge: %+v %v", step, purged, err)
			}
			checkPeople(t, a, again)
			checkGone(t, left, again, frozen)
			if err := errors.Join(again.Close(), p.Close()); err != nil {
				t.Fatal(err)
			}
			if met.Load() <= step {
				t.Logf("for good %v: %d steps, %d told as errors", forGood, step, failed)
				break
			}
		}
	}
}

// A flush that takes long is not taken for one that fails, whatever failed before it.
func TestFlushAfterTrouble(t *testing.T) {
	t.Parallel()
	a := history(t, 501, 12, 40)
	slow := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpCreate && filepath.Ext(op.Path) == ".sst" {
			time.Sleep(150 * time.Millisecond)
		}
		return nil
	}))
	p, err := OpenPeople("people", small(slow))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Fold(t.Context(), a.ledger.commits...); err != nil {
		t.Fatal(err)
	}
	before := errors.New("a compaction failed before, and was done again")
	(*peopleRows)(p.live.Load()).trouble.Store(&before)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

func checkGone(t *testing.T, disk vfs.FS, p *People, frozen [][]byte) {
	t.Helper()
	found, err := search(disk, p.dir(p.number), frozen)
	if err != nil || len(found) > 0 {
		t.Fatalf("left in %v %v", found, err)
	}
}
