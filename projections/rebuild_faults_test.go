package projections

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"bahi/domain"
)

// Once readers see the new generation, nothing that goes wrong takes it away again: here
// the old one cannot be removed.
func TestSwappedForGood(t *testing.T) {
	t.Parallel()
	a := history(t, 611, 30, 40)
	damaged := &ViewError{View: "people", Err: ErrCorrupt}
	memory := vfs.NewMem()
	disk := errorfs.Wrap(memory, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpRemoveAll && strings.HasSuffix(op.Path, "000001") {
			return damaged
		}
		return nil
	}))
	p, err := OpenPeople("people", small(disk))
	if err != nil {
		t.Fatal(err)
	}
	if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
		t.Fatal(err)
	}
	out, err := NewRunner(a.ledger, p).Rebuild(t.Context(), "people", RebuildOptions{}, nil)
	if !errors.Is(err, damaged) || !out.Swapped {
		t.Fatalf("%+v %v", out, err)
	}
	checkPeople(t, a, p)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if p, err = OpenPeople("people", small(memory)); err != nil {
		t.Fatal(err)
	}
	checkPeople(t, a, p)
	wellBuilt(t, a.ledger, p, memory)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// An order that the live generation has not folded yet makes no difference between it
// and one that was told all orders before its first commit.
func TestOrderAheadIsNoDifference(t *testing.T) {
	t.Parallel()
	a := history(t, 612, 30, 40)
	checks := map[string]func(*Runner, View) ([]string, error){
		"rebuilt": func(r *Runner, v View) ([]string, error) {
			out, err := r.Rebuild(t.Context(), v.Name(), RebuildOptions{}, nil)
			return out.Differs, err
		},
		"verified": func(r *Runner, v View) (found []string, err error) {
			out, err := r.Verify(t.Context(), v.Name(), nil)
			for _, m := range out.Mismatches {
				found = append(found, m.What)
			}
			return found, err
		},
	}
	behind := map[string]views{}
	for name := range checks {
		behind[name] = openViews(t, a, vfs.NewMem())
		behind[name].catchUp(t, a.ledger)
	}
	a.carryOut(a.freeze(208, false, domain.HealthCareWorker))
	for name, check := range checks {
		v := behind[name]
		r := NewRunner(a.ledger, v.people, v.counts, v.merkle)
		for _, view := range v.all()[1:] {
			if differs, err := check(r, view); err != nil || len(differs) > 0 {
				t.Errorf("%s %s: %v %v", view.Name(), name, differs, err)
			}
		}
		v.close(t)
	}
}

// narrow is a disk on which so much is free.
type narrow struct {
	vfs.FS
	free atomic.Int64
}

func (d *narrow) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: uint64(d.free.Load()), TotalBytes: 100 << 20}, nil
}

// A rebuild that the disk has no space for is not begun; one that runs out of it, while
// it folds or before it merges, is given up. Either leaves nothing, and the live
// generation as it was.
func TestRebuildWithoutSpace(t *testing.T) {
	t.Parallel()
	a := history(t, 613, 60, 60)
	for step, free := range map[Step]int64{"": 0, StepFolding: 4 << 20, StepMerging: 5<<20 + 1000} {
		t.Run(string(step), func(t *testing.T) {
			disk := &narrow{FS: vfs.NewMem()}
			disk.free.Store(50 << 20)
			p, err := OpenPeople("people", Options{MemTableBytes: 4 << 10, FS: disk})
			if err != nil {
				t.Fatal(err)
			}
			if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
				t.Fatal(err)
			}
			r := NewRunner(a.ledger, p)
			if step == "" {
				disk.free.Store(free)
			}
			met := step == ""
			out, err := r.Rebuild(t.Context(), "people", RebuildOptions{}, func(at Progress) {
				if at.Step == step {
					met = true
					disk.free.Store(free)
				}
			})
			if !errors.Is(err, ErrSpace) || out.Swapped || !met {
				t.Fatalf("%+v %v %v", out, err, met)
			}
			if _, err := r.Verify(t.Context(), "people", nil); step != StepMerging && !errors.Is(err, ErrSpace) {
				t.Error("verified: ", err)
			}
			disk.free.Store(50 << 20)
			checkPeople(t, a, p)
			wellBuilt(t, a.ledger, p, disk)
			out, err = r.Rebuild(t.Context(), "people", RebuildOptions{}, nil)
			if err != nil || !out.Swapped || out.Continued > 0 || step != "" && !strings.Contains(out.Anew, "space") {
				t.Fatalf("with space again: %+v %v", out, err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A view whose CURRENT says nothing, or names a generation that is not there, is folded
// anew, and tells why.
func TestCurrentDamaged(t *testing.T) {
	t.Parallel()
	a := history(t, 614, 20, 20)
	for _, text := range []string{"", "garbage", "-3", "0", "7", "000002", "99999999999999999999"} {
		disk := vfs.NewMem()
		open := func() *People {
			p, err := OpenPeople("people", small(disk))
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		p := open()
		err := CatchUp(t.Context(), a.ledger, p, nil)
		if err = errors.Join(err, p.Close()); err != nil {
			t.Fatal(err)
		}
		f, err := disk.Create("people/CURRENT", vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = f.Write([]byte(text)); err != nil || f.Close() != nil {
			t.Fatal(err)
		}
		p = open()
		if err := p.Unusable(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", text, err)
		}
		if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
			t.Fatal(err)
		}
		checkPeople(t, a, p)
		wellBuilt(t, a.ledger, p, disk)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
