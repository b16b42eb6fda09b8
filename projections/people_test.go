package projections

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
)

// grep returns the files of a directory on disk, whatever their kind, that hold
// any of the needles.
func grep(t testing.TB, dir string, needles ...[]byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil // a table that was compacted meanwhile
		}
		for _, n := range needles {
			if bytes.Contains(b, n) {
				found = append(found, path)
				break
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// frozenNow returns the cohorts that are closed at the ledger's head.
func frozenNow(a *author) map[domain.Cohort]bool {
	return modelOf(a.ledger.commits, a.tokens).closed
}

// checkPeople compares what is readable with the ledger.
func checkPeople(t *testing.T, a *author, p *People) {
	t.Helper()
	m := modelOf(a.ledger.commits, a.tokens)
	sealed := map[domain.PersonToken][][]byte{}
	for _, c := range a.ledger.commits {
		for _, e := range c.Entries {
			if event, ok := e.Event.(domain.DoseAdministered); ok {
				sealed[event.Person] = append(sealed[event.Person], event.Sealed)
			}
		}
	}
	for _, token := range a.people {
		want := m.people[token]
		got, err := p.Person(token)
		switch {
		case !want.IsRegistered():
			if !errors.Is(err, ErrUnknown) {
				t.Fatalf("unknown: %v", err)
			}
			continue
		case m.closed[want.Cohort]:
			if !errors.Is(err, ErrFrozen) || !reflect.DeepEqual(got, PersonRecord{}) {
				t.Fatalf("frozen: %+v %v", got, err)
			}
			continue
		case err != nil:
			t.Fatal(err)
		}
		if got.Cohort != want.Cohort || got.Sex != want.Sex || got.Registered != want.Registered || got.Commit != want.Commit || got.Status != want.Status {
			t.Fatalf("%+v, want %+v", got, want)
		}
		if !bytes.Equal(got.Sealed, a.sealed[token]) {
			t.Fatal("another sealed registration")
		}
		if len(got.Doses) != len(want.Doses()) {
			t.Fatalf("doses %+v, want %+v", got.Doses, want.Doses())
		}
		for i, d := range want.Doses() {
			if got.Doses[i].Dose != d {
				t.Fatalf("dose %+v, want %+v", got.Doses[i].Dose, d)
			}
			ok := false
			for _, s := range sealed[token] {
				ok = ok || bytes.Equal(s, got.Doses[i].Sealed)
			}
			if !ok {
				t.Fatal("particulars of another dose")
			}
		}
		pending := false
		for _, v := range got.Reversals {
			pending = pending || v.State == ReversalPending
		}
		if pending != (want.Pending.Request != domain.UUID{}) {
			t.Fatalf("reversals %+v, want %+v", got.Reversals, want.Pending)
		}
	}
}

// Whatever the batches, restarts, crashes and freeze points: the people of open
// cohorts are read as they are, nobody of a closed one is, and the rebuilt view
// holds the same rows.
func TestPeopleFollowFromTheLedger(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			a := newAuthor(t, 200+seed, vfs.NewMem())
			a.history(120)
			disk := vfs.NewMem()
			p, err := OpenPeople("people", small(disk))
			if err != nil {
				t.Fatal(err)
			}
			for rest := a.ledger.commits; len(rest) > 0; {
				n := min(1+a.rng.IntN(30), len(rest))
				if err := p.Fold(t.Context(), rest[:n]...); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
				switch a.rng.IntN(5) {
				case 0:
					if err := p.Close(); err != nil {
						t.Fatal(err)
					}
				case 1:
					disk = crash(t, disk, "people").(*vfs.MemFS)
				default:
					continue
				}
				if p, err = OpenPeople("people", small(disk)); err != nil {
					t.Fatal(err)
				}
				so := &memoryLedger{commits: a.ledger.commits[:len(a.ledger.commits)-len(rest)]}
				if err := CatchUp(t.Context(), so, p, nil); err != nil {
					t.Fatal(err)
				}
			}
			checkPeople(t, a, p)
			if got := p.AnyFreeze(); got != (len(frozenNow(a)) > 0) {
				t.Fatalf("any freeze: %v", got)
			}
			for _, f := range a.register.Freezes() {
				for range 2 { // once more does nothing
					purged, err := p.Purge(t.Context(), f.Order.Freeze)
					if err != nil || purged.Residue != 0 {
						t.Fatalf("purge: %+v %v", purged, err)
					}
				}
			}
			before := digestOf(t, (*peopleRows)(p.live.Load()))
			v, err := p.verify(t.Context(), a.ledger, nil)
			if err != nil || len(v.Mismatches) > 0 {
				t.Fatalf("verify: %+v %v", v, err)
			}
			if _, err := NewRunner(a.ledger, p).Rebuild(t.Context(), "people", RebuildOptions{}, nil); err != nil {
				t.Fatal(err)
			}
			checkPeople(t, a, p)
			if after := digestOf(t, (*peopleRows)(p.live.Load())); !reflect.DeepEqual(after, before) {
				t.Fatal("rebuilt rows differ")
			}
		})
	}
}

// populated is a ledger with a few thousand people on a real disk, whose HCW of
// 208 are about to be frozen.
func populated(t testing.TB, seed uint64) (a *author, p *People, dir string) {
	t.Helper()
	a = newAuthor(t, seed, vfs.NewMem())
	for range 60 {
		a.step(100)
	}
	a.land()
	dir = filepath.Join(t.TempDir(), "people")
	p, err := OpenPeople(dir, small(vfs.Default))
	if err != nil {
		t.Fatal(err)
	}
	if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
		t.Fatal(err)
	}
	if err := (*peopleRows)(p.live.Load()).flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a, p, dir
}

// sealedOf returns everything sealed about a cohort's people in the ledger, with
// the tokens that stand for them.
func sealedOf(a *author, in func(domain.Cohort) bool) (sealed [][]byte) {
	for _, c := range a.ledger.commits {
		for _, e := range c.Entries {
			switch event := e.Event.(type) {
			case domain.PersonRegistered:
				if in(event.Cohort) && len(event.Sealed) > 0 {
					sealed = append(sealed, event.Sealed)
				}
			case domain.DoseAdministered:
				if in(event.Cohort) && len(event.Sealed) > 0 {
					sealed = append(sealed, event.Sealed)
				}
			}
		}
	}
	return sealed
}

func TestPurgeLeavesNothing(t *testing.T) {
	t.Parallel()
	a, p, dir := populated(t, 300)
	cohort := domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1}
	of := func(c domain.Cohort) bool { return c == cohort }
	others := func(c domain.Cohort) bool { return c != cohort }
	frozen, open := sealedOf(a, of), sealedOf(a, others)
	for i := range canaries {
		frozen = append(frozen, canary(cohort, i))
	}
	if len(frozen) < 100 || len(grep(t, dir, frozen...)) == 0 {
		t.Fatalf("the test is blind: %d sealed parts", len(frozen))
	}
	freeze := a.freeze(208, false, domain.HealthCareWorker)
	if _, err := p.Purge(t.Context(), freeze); !errors.Is(err, ErrUnknownFreeze) {
		t.Fatalf("purge before the order: %v", err)
	}
	if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
		t.Fatal(err)
	}
	checkPeople(t, a, p)

	// Folding goes on beside the purge.
	stop, folding := make(chan struct{}), sync.WaitGroup{}
	folding.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			a.step(20)
			a.land()
			if err := CatchUp(context.Background(), a.ledger, p, nil); err != nil {
				t.Error(err)
				return
			}
		}
	})
	purged, err := p.Purge(t.Context(), freeze)
	close(stop)
	folding.Wait()
	if err != nil || purged.Residue != 0 || purged.Rows != a.state(freeze).Order.Cohorts[0].People || purged.Rows == 0 {
		t.Fatalf("%+v %v, order %+v", purged, err, a.state(freeze).Order.Cohorts)
	}
	if left := grep(t, dir, frozen...); len(left) > 0 {
		t.Fatalf("left in %v", left)
	}
	if len(grep(t, dir, open...)) == 0 {
		t.Fatal("others are gone too")
	}
	checkPeople(t, a, p)

	// Nor after a restart, nor after a rebuild, nor at any moment of it.
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if left := grep(t, dir, frozen...); len(left) > 0 {
		t.Fatalf("after Close left in %v", left)
	}
	if p, err = OpenPeople(dir, small(vfs.Default)); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, err = NewRunner(a.ledger, p).Rebuild(t.Context(), "people", RebuildOptions{}, func(at Progress) {
		p.folding.Lock()
		building := p.building
		p.folding.Unlock()
		if building != nil {
			if err := building.flush(context.Background()); err != nil {
				t.Error(err)
			}
		}
		if left := grep(t, dir, frozen...); len(left) > 0 {
			t.Errorf("after %d of %d commits in %v", at.Done, at.Total, left)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	checkPeople(t, a, p)
	again, err := p.Purge(t.Context(), freeze)
	if err != nil || again != purged {
		t.Fatalf("purge of a rebuilt view: %+v %v", again, err)
	}
}

// A directory saved before the freeze and put back after it yields nobody, from
// the moment the ledger's orders are told, and is purged like any other.
func TestOldDirectoryPutBack(t *testing.T) {
	t.Parallel()
	a, p, dir := populated(t, 301)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(t.TempDir(), "saved")
	if err := os.CopyFS(saved, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	frozen := sealedOf(a, func(c domain.Cohort) bool { return c.District == 208 })
	freeze := a.freeze(208, true)
	a.step(30)
	a.land()

	old, err := OpenPeople(saved, small(vfs.Default))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := old.Foresee(ordersOf(a.ledger.commits)...); err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, token := range a.people {
		if home, _ := a.register.Now().Person(token); home.Cohort.District == 208 {
			if _, err := old.Person(token); err == nil {
				t.Fatal("read out of an old directory")
			}
			refused++
		}
	}
	if refused == 0 {
		t.Fatal("the test is blind")
	}
	if err := CatchUp(t.Context(), a.ledger, old, nil); err != nil {
		t.Fatal(err)
	}
	if purged, err := old.Purge(t.Context(), freeze); err != nil || purged.Residue != 0 {
		t.Fatalf("%+v %v", purged, err)
	}
	if left := grep(t, saved, frozen...); len(left) > 0 {
		t.Fatalf("left in %v", left)
	}
	checkPeople(t, a, old)
}

// A reader that holds files open is reported, never passed over; the purge is
// completed when it is done.
func TestPurgeReportsReaders(t *testing.T) {
	t.Parallel()
	a, p, dir := populated(t, 302)
	defer p.Close() // or a compaction outlives the directory
	frozen := sealedOf(a, func(c domain.Cohort) bool { return c.District == 208 })
	for _, pin := range []string{"iterator", "snapshot"} {
		rows := (*peopleRows)(p.live.Load())
		var pinned io.Closer
		if pin == "iterator" {
			it, err := rows.NewIter(&pebble.IterOptions{})
			if err != nil {
				t.Fatal(err)
			}
			it.First()
			pinned = it
		} else {
			pinned = rows.NewSnapshot()
		}
		freeze := a.freeze(208, false)
		if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		purged, err := p.Purge(ctx, freeze)
		cancel()
		if err == nil && purged.Residue == 0 && len(grep(t, dir, frozen...)) > 0 {
			t.Fatalf("%s: the purge says it is done", pin)
		}
		if err := pinned.Close(); err != nil {
			t.Fatal(err)
		}
		purged, err = p.Purge(t.Context(), freeze)
		if err != nil || purged.Residue != 0 {
			t.Fatalf("%s: %+v %v", pin, purged, err)
		}
		if left := grep(t, dir, frozen...); len(left) > 0 {
			t.Fatalf("%s: left in %v", pin, left)
		}
		for range 10 { // the next generation, for the next pin
			a.step(40)
		}
		a.land()
		if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
			t.Fatal(err)
		}
		if err := (*peopleRows)(p.live.Load()).flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		frozen = sealedOf(a, func(c domain.Cohort) bool { return c.District == 208 })
	}
}

// A freeze that lands while the view is rebuilt holds in the new generation
// before it is folded there.
func TestFreezeDuringRebuild(t *testing.T) {
	t.Parallel()
	a, p, dir := populated(t, 303)
	defer p.Close()
	frozen := sealedOf(a, func(c domain.Cohort) bool { return c.District == 208 })
	var freeze domain.UUID
	_, err := NewRunner(a.ledger, p).Rebuild(t.Context(), "people", RebuildOptions{}, func(at Progress) {
		if freeze != (domain.UUID{}) || at.Done < at.Total || at.Total == 0 {
			return
		}
		p.folding.Lock()
		building := p.building
		p.folding.Unlock()
		if err := building.flush(context.Background()); err != nil {
			t.Error(err)
		}
		freeze = a.freeze(208, false)
		if err := CatchUp(context.Background(), a.ledger, p, nil); err != nil {
			t.Error(err)
		}
		if purged, err := p.Purge(context.Background(), freeze); err != nil || purged.Residue != 0 {
			t.Errorf("%+v %v", purged, err)
		}
		if left := grep(t, dir, frozen...); len(left) > 0 {
			t.Errorf("left in %v", left)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	checkPeople(t, a, p)
	if left := grep(t, dir, frozen...); len(left) > 0 || freeze == (domain.UUID{}) {
		t.Fatalf("left in %v", left)
	}
}

// Readers notice nothing of rebuilds: no error, no stale answer.
func TestReadersThroughSwaps(t *testing.T) {
	t.Parallel()
	a, p, _ := populated(t, 304)
	defer p.Close()
	var token domain.PersonToken
	for _, person := range a.people {
		if r, err := p.Person(person); err == nil && len(r.Doses) > 0 {
			token = person
			break
		}
	}
	want, err := p.Person(token)
	if err != nil {
		t.Fatal(err)
	}
	stop, readers := make(chan struct{}), sync.WaitGroup{}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := p.Person(token); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%+v %v", got, err)
					return
				}
			}
		})
	}
	runner := NewRunner(a.ledger, p)
	for range 3 {
		if _, err := runner.Rebuild(t.Context(), "people", RebuildOptions{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	readers.Wait()
}

// Nobody born closed leaves more than the refusal.
func TestBornClosed(t *testing.T) {
	t.Parallel()
	a := newAuthor(t, 305, vfs.NewMem())
	for _, d := range testDistricts {
		a.freeze(d, true)
	}
	for range 20 {
		a.step(30)
	}
	a.land()
	disk := vfs.NewMem()
	p, err := OpenPeople("people", small(disk))
	if err != nil {
		t.Fatal(err)
	}
	if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
		t.Fatal(err)
	}
	checkPeople(t, a, p)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if p, err = OpenPeople("people", small(disk)); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	dosed := false
	for range 20 {
		c := len(a.ledger.commits)
		a.step(30)
		a.land()
		for _, c := range a.ledger.commits[c:] {
			for _, e := range c.Entries {
				_, dose := e.Event.(domain.DoseAdministered)
				dosed = dosed || dose
			}
		}
	}
	if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
		t.Fatal(err)
	}
	rows := 0
	err = (*peopleRows)(p.live.Load()).scan([]byte{keyDetails}, func(_, _ []byte) error { rows++; return nil })
	if err != nil || rows > 0 || !dosed {
		t.Fatalf("%d rows of people born closed (%v)", rows, err)
	}
	checkPeople(t, a, p)
}

// A purge that comes while a rebuild has begun, and was not told the orders yet,
// purges the live generation.
func TestPurgeWhileARebuildBegins(t *testing.T) {
	t.Parallel()
	disk := vfs.NewMem()
	a := newAuthor(t, 31, disk)
	a.history(20)
	p, err := OpenPeople("people", small(disk))
	if err != nil {
		t.Fatal(err)
	}
	freeze := a.freeze(208, false)
	if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
		t.Fatal(err)
	}
	if p.building, err = p.beside(p.dir(p.number + 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Purge(t.Context(), freeze); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
