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

// Verify finds a damaged table.
func TestVerifyFindsDamage(t *testing.T) {
	t.Parallel()
	a, p, dir := populated(t, 308)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	tables, err := filepath.Glob(filepath.Join(dir, "000001", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	for _, table := range tables {
		b, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/3] ^= 1
		if err := os.WriteFile(table, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err = OpenPeople(dir, small(vfs.Default))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	v, err := NewRunner(a.ledger, p).Verify(t.Context(), "people", nil)
	if err != nil || len(v.Mismatches) == 0 {
		t.Fatalf("%+v %v", v, err)
	}
}
