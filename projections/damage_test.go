package projections

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/eventstore"
)

// What is damaged, locked, of another version or of another ledger is refused by
// type, with what to do.
func TestViewsRefuse(t *testing.T) {
	t.Parallel()
	a, p, dir := populated(t, 306)
	if _, err := OpenPeople(dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("open twice: %v", err)
	}
	if err := Discard(dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("discard an open view: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}

	open := func() *People {
		t.Helper()
		p, err := OpenPeople(dir)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p = open()
	older := &memoryLedger{commits: a.ledger.commits[:10]}
	another := newAuthor(t, 307, vfs.NewMem())
	for range 70 {
		another.step(20)
	}
	another.land()
	for name, ledger := range map[string]Ledger{"older": older, "another": another.ledger} {
		err := CatchUp(t.Context(), ledger, p, nil)
		if !errors.Is(err, ErrOtherLedger) || !strings.Contains(err.Error(), "bahi projections rebuild people") {
			t.Fatalf("%s ledger: %v", name, err)
		}
		runner, stop := running(t, ledger, p)
		if err := runner.Wait(t.Context(), p.Folded()+1); !errors.Is(err, ErrOtherLedger) {
			t.Fatalf("%s ledger: %v", name, err)
		}
		stop()
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}

	tables, err := filepath.Glob(filepath.Join(dir, "000001", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range tables {
		if strings.Contains(file, "MANIFEST") {
			if err := os.Truncate(file, 20); err != nil {
				t.Fatal(err)
			}
		}
	}
	p = open()
	err = p.Unusable()
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "rebuild it with: bahi projections rebuild people") {
		t.Fatalf("damaged: %v", err)
	}
	if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil || p.Unusable() != nil {
		t.Fatal(err, p.Unusable())
	}
	checkPeople(t, a, p)
	p.live.Load().last.version = 99
	if err := p.Fold(t.Context(), eventstore.Commit{Sequence: p.Folded() + 1}); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = open()
	defer p.Close()
	if err := p.Unusable(); !errors.Is(err, ErrVersion) {
		t.Fatalf("another version: %v", err)
	}
}

// Verify finds a flipped bit wherever it is in a table, in every view.
func TestVerifyFindsEveryFlip(t *testing.T) {
	t.Parallel()
	a := history(t, 308, 30, 60)
	whole := vfs.NewMem()
	v := openViews(t, a, whole)
	v.catchUp(t, a.ledger)
	v.close(t)
	for i, name := range []string{"register", "people", "counts", "merkle"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := name + "/000001"
			names, err := whole.List(dir)
			if err != nil {
				t.Fatal(err)
			}
			flips := 0
			for _, table := range names {
				if !strings.HasSuffix(table, ".sst") {
					continue
				}
				info, err := whole.Stat(dir + "/" + table)
				if err != nil {
					t.Fatal(err)
				}
				regions := int64(20)
				for region := range regions + 1 {
					at := min(info.Size()*region/regions, info.Size()-1)
					disk := crash(t, whole, "register", "people", "counts", "merkle")
					flip(t, disk, dir+"/"+table, at)
					v := openViews(t, a, disk)
					found, err := v.all()[i].verify(t.Context(), a.ledger, nil)
					if err != nil || len(found.Mismatches) == 0 {
						t.Errorf("a bit flipped at %d of %d of %s is not found: %v", at, info.Size(), table, err)
					}
					for _, m := range found.Mismatches {
						if strings.Contains(m.What, "\n") {
							t.Errorf("told in several lines: %s", m.What)
						}
					}
					flips++
					v.abandon()
				}
			}
			t.Logf("%d bits flipped", flips)
		})
	}
}

// flip turns one bit of a file.
func flip(t *testing.T, disk vfs.FS, path string, at int64) {
	t.Helper()
	f, err := disk.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if _, err := f.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1 << (at % 8)
	out, err := disk.Create(path, vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = out.Write(b)
	}
	if err = errors.Join(err, f.Close(), out.Close()); err != nil {
		t.Fatal(err)
	}
}
