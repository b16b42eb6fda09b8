package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"bahi/domain"
	"bahi/eventstore"
)

// views are a ledger's views on one disk.
type views struct {
	register *Register
	people   *People
	counts   *Counts
	merkle   *Merkle
}

func openViews(t testing.TB, a *author, disk vfs.FS) (v views) {
	t.Helper()
	var err [4]error
	v.register, err[0] = OpenRegister("register", a.keys, small(disk))
	v.people, err[1] = OpenPeople("people", small(disk))
	v.counts, err[2] = OpenCounts("counts", small(disk))
	v.merkle, err[3] = OpenMerkle("merkle", small(disk))
	if err := errors.Join(err[:]...); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v views) all() []View { return []View{v.register, v.people, v.counts, v.merkle} }

func (v views) catchUp(t testing.TB, ledger Ledger) {
	t.Helper()
	for _, view := range v.all() {
		if err := CatchUp(t.Context(), ledger, view, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func (v views) close(t testing.TB) {
	t.Helper()
	for _, view := range v.all() {
		if err := view.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// abandon closes views of which some cannot be written any more.
func (v views) abandon() {
	for _, view := range v.all() {
		_ = view.Close()
	}
}

// wellBuilt checks that a view is what the ledger says, and that nothing of a rebuild
// is left beside it.
func wellBuilt(t testing.TB, ledger Ledger, v View, disk vfs.FS) {
	t.Helper()
	found, err := v.verify(t.Context(), ledger, nil)
	if err != nil || len(found.Mismatches) > 0 {
		t.Fatalf("%s: %+v %v", v.Name(), found, err)
	}
	names, err := disk.List(v.Name())
	if err != nil || len(names) != 3 { // the generation, CURRENT and LOCK
		t.Fatalf("%s: left %v %v", v.Name(), names, err)
	}
}

// A process is killed at some moment of a rebuild, as many as there are writes to
// files: at the next start the view serves what it served, and the rebuild finishes,
// going on where it was.
func TestRebuildKilled(t *testing.T) {
	t.Parallel()
	a := newAuthor(t, 600, vfs.NewMem())
	for range 40 {
		a.step(60)
	}
	freeze := a.freeze(208, false, domain.HealthCareWorker)
	a.carryOut(freeze)
	for range 10 {
		a.step(60)
	}
	a.land()
	memory := vfs.NewMem()
	v := openViews(t, a, memory)
	v.catchUp(t, a.ledger)
	for _, view := range v.all() {
		if err := view.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	v.close(t)

	points := 10
	if os.Getenv("BAHI_LONG") != "" {
		points = 200
	}
	names := []string{"register", "people", "counts", "merkle"}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rebuild := func(at int64) (writes int64, left vfs.FS) {
				disk := crash(t, memory, names...)
				var met atomic.Int64
				watched := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
					if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && strings.HasPrefix(op.Path, name) && met.Add(1) == at {
						left = crash(t, disk, names...)
					}
					return nil
				}))
				v := openViews(t, a, watched)
				met.Store(0)
				r := NewRunner(a.ledger, v.people, v.counts, v.merkle)
				r.Attend(v.register)
				if _, err := r.Rebuild(t.Context(), name, RebuildOptions{}, nil); err != nil {
					t.Fatal(err)
				}
				writes = met.Load()
				v.close(t)
				return writes, left
			}
			writes, _ := rebuild(-1)
			went := 0
			for i := range points {
				at := 1 + writes*int64(i)/int64(points)
				_, disk := rebuild(at)
				if disk == nil {
					continue // this time there were fewer
				}
				v := openViews(t, a, disk)
				view := v.all()[slices.IndexFunc(v.all(), func(v View) bool { return v.Name() == name })]
				if err := view.Unusable(); err != nil {
					t.Fatalf("killed at write %d of %d: %v", at, writes, err)
				}
				v.catchUp(t, a.ledger)
				checkPeople(t, a, v.people)
				r := NewRunner(a.ledger, v.people, v.counts, v.merkle)
				r.Attend(v.register)
				out, err := r.Rebuild(t.Context(), name, RebuildOptions{}, nil)
				if err != nil || !out.Swapped || out.Compared != Equal {
					t.Fatalf("killed at write %d of %d: %+v %v", at, writes, out, err)
				}
				if out.Continued > 0 {
					went++
				}
				checkPeople(t, a, v.people)
				wellBuilt(t, a.ledger, view, disk)
				v.close(t)
			}
			t.Logf("%d writes; of %d rebuilds %d went on where they were killed", writes, points, went)
			if went == 0 && name == "people" {
				t.Error("none went on where it was killed")
			}
		})
	}
}

// A rebuild that is stopped again and again goes on, also through restarts, and makes
// what one makes that is not.
func TestRebuildGoesOn(t *testing.T) {
	t.Parallel()
	a := history(t, 601, 200, 10)
	disk := vfs.NewMem()
	v := openViews(t, a, disk)
	v.catchUp(t, a.ledger)
	for i := range 4 {
		view := v.all()[i]
		r := NewRunner(a.ledger, v.people, v.counts, v.merkle)
		r.Attend(v.register)
		var came []uint64
		for {
			ctx, cancel := context.WithCancel(t.Context())
			out, err := r.Rebuild(ctx, view.Name(), RebuildOptions{}, until(uint64(40*(len(came)+1)), cancel))
			cancel()
			if err == nil {
				if out.Compared != Equal || out.Continued == 0 || !out.Swapped {
					t.Fatalf("%+v", out)
				}
				break
			}
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			came = append(came, view.unfinished())
			if len(came)%2 == 0 {
				v.close(t)
				v = openViews(t, a, disk)
				view = v.all()[i]
				r = NewRunner(a.ledger, v.people, v.counts, v.merkle)
				r.Attend(v.register)
				if got := view.unfinished(); got != came[len(came)-1] {
					t.Fatalf("%s: found at %d, stopped at %d", view.Name(), got, came[len(came)-1])
				}
			}
		}
		if len(came) < 3 || !slices.IsSorted(came) || came[0] == 0 {
			t.Fatalf("%s came to %v", view.Name(), came)
		}
		wellBuilt(t, a.ledger, view, disk)
	}
	checkPeople(t, a, v.people)
	v.close(t)
}

// until stops a rebuild that has come so far.
func until(through uint64, stop func()) func(Progress) {
	return func(at Progress) {
		if at.Step == StepFolding && at.Done >= through {
			stop()
		}
	}
}

// What was built of another ledger, by another version, or is damaged, is not gone on
// with, and the outcome says why.
func TestRebuildBegunAnew(t *testing.T) {
	t.Parallel()
	a, b := newAuthor(t, 602, vfs.NewMem()), newAuthor(t, 603, vfs.NewMem())
	for range 30 {
		a.step(40)
		b.step(40)
	}
	a.land()
	b.land()
	for name, spoil := range map[string]func(disk vfs.FS, p *People){
		ErrOtherLedger.Error(): func(disk vfs.FS, p *People) {
			stopped(t, b.ledger, p)
		},
		ErrVersion.Error(): func(disk vfs.FS, p *People) {
			stopped(t, a.ledger, p)
			p.building.rows.last.version = 1
			if err := p.building.rows.gather(p.building.rows.last); err != nil {
				t.Fatal(err)
			}
		},
		ErrCorrupt.Error(): func(disk vfs.FS, p *People) {
			stopped(t, a.ledger, p)
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			names, err := disk.List(p.dir(2))
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range names {
				if strings.Contains(n, "MANIFEST") {
					f, err := disk.Create(disk.PathJoin(p.dir(2), n), vfs.WriteCategoryUnspecified)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = f.Write([]byte("nothing that could be read"))
					if err := f.Close(); err != nil {
						t.Fatal(err)
					}
				}
			}
		},
	} {
		disk := vfs.NewMem()
		open := func() *People {
			p, err := OpenPeople("people", small(disk))
			if err != nil {
				t.Fatal(err)
			}
			return p
		}
		p := open()
		if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
			t.Fatal(err)
		}
		if spoil(disk, p); p.building != nil {
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
		p = open()
		out, err := NewRunner(a.ledger, p).Rebuild(t.Context(), "people", RebuildOptions{}, nil)
		if err != nil || out.Continued > 0 || !strings.Contains(out.Anew, name) || out.Compared != Equal {
			t.Errorf("%s: %+v %v", name, out, err)
		}
		wellBuilt(t, a.ledger, p, disk)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// stopped begins a rebuild and stops it.
func stopped(t *testing.T, ledger *memoryLedger, v View) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := NewRunner(ledger, v).Rebuild(ctx, v.Name(), RebuildOptions{}, until(20, cancel)); !errors.Is(err, context.Canceled) || v.unfinished() == 0 {
		t.Fatal(err, v.unfinished())
	}
}

// A freeze that lands while a rebuild is stopped, or in any step of it, holds in what
// is built as in what is live: it is acknowledged only when both are purged.
func TestFreezeInEveryStep(t *testing.T) {
	t.Parallel()
	for _, step := range []Step{"stopped", StepFolding, StepMerging, StepComparing} {
		t.Run(string(step), func(t *testing.T) {
			t.Parallel()
			a := history(t, 604, 60, 60)
			disk := vfs.NewMem()
			v := openViews(t, a, disk)
			v.catchUp(t, a.ledger)
			// Folded by hand while a rebuild is to stay stopped: a runner goes on with it.
			runner, stop := NewRunner(a.ledger, v.people, v.counts, v.merkle), func() {}
			follow := func(uint64) error {
				for _, view := range v.all() {
					if err := CatchUp(context.Background(), a.ledger, view, nil); err != nil {
						return err
					}
				}
				return nil
			}
			if step != "stopped" {
				runner, stop = running(t, a.ledger, v.people, v.counts, v.merkle)
				follow = func(through uint64) error { return runner.WaitTold(context.Background(), through) }
			}
			runner.Attend(v.register)
			frozen := sealedOf(a, func(c domain.Cohort) bool { return c.District == 208 && c.Group == domain.HealthCareWorker })
			nothing := func(of string, dirs ...string) {
				t.Helper()
				for _, dir := range dirs {
					if found, err := search(disk, dir, frozen); err != nil && !absentFile(err) || len(found) > 0 {
						t.Errorf("%s: in %s is left %v %v", of, dir, found, err)
					}
				}
			}
			landed := false
			var f domain.UUID
			freeze := func() {
				landed = true
				f = a.freeze(208, false, domain.HealthCareWorker)
				a.carryOut(f)
				if err := CatchUp(context.Background(), a.ledger, v.register, nil); err != nil {
					t.Error(err)
				}
				if err := follow(a.state(f).Sequence); err != nil {
					t.Error(err)
				}
				for _, purge := range []func(context.Context, domain.UUID) (Purged, error){v.people.Purge, v.register.Purge} {
					if purged, err := purge(context.Background(), f); err != nil || purged.Residue != 0 {
						t.Errorf("%+v %v", purged, err)
					}
				}
				nothing("acknowledged", "people/000001", "people/000002")
			}
			if step == "stopped" {
				stopped(t, a.ledger, v.people)
				if found, err := search(disk, "people/000002", frozen); err != nil || len(found) == 0 {
					t.Fatal("the test is blind", err)
				}
				freeze()
				if v.people.unfinished() == 0 {
					t.Error("what was built is gone")
				}
			}
			for _, name := range []string{"people", "register"} {
				out, err := runner.Rebuild(t.Context(), name, RebuildOptions{}, func(at Progress) {
					if at.Step == step && !landed && (step != StepFolding || at.Done > 5) {
						freeze()
					}
				})
				if err != nil || out.Compared != Equal {
					t.Fatalf("%+v %v", out, err)
				}
			}
			if !landed {
				t.Fatal("the freeze did not land")
			}
			head, _ := a.ledger.Head(t.Context())
			if err := follow(head); err != nil {
				t.Fatal(err)
			}
			nothing("in the end", "people/000002")
			// A receipt that is made only now says who was here.
			if purged, err := v.people.Purge(t.Context(), f); err != nil || purged.Rows == 0 || purged.Rows != a.state(f).Order.Cohorts[0].People {
				t.Errorf("%+v people were removed, by the order %+v: %v", purged, a.state(f).Order.Cohorts, err)
			}
			checkPeople(t, a, v.people)
			stop()
			for _, view := range v.all() {
				wellBuilt(t, a.ledger, view, disk)
			}
			v.close(t)
		})
	}
}

// Readers hammer people and counts while views are rebuilt again and again and the
// ledger grows: no error, no answer older than what was waited for, and none older
// than the one before.
func TestReadersThroughSwapsAndGrowth(t *testing.T) {
	t.Parallel()
	a := history(t, 605, 40, 40)
	v := openViews(t, a, vfs.NewMem())
	v.catchUp(t, a.ledger)
	runner, stop := running(t, a.ledger, v.people, v.counts, v.merkle)
	runner.Attend(v.register)
	watched := slices.Clone(a.people[:20])

	over, readers := make(chan struct{}), sync.WaitGroup{}
	read := func(do func(head uint64) error) {
		readers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-over:
					if n < 10 {
						t.Error("the test is blind: ", n, "readings")
					}
					return
				default:
				}
				head, _ := a.ledger.Head(t.Context())
				err := runner.Wait(t.Context(), head)
				if err == nil {
					err = do(head)
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 2 {
		seen := map[domain.PersonToken]int{}
		read(func(head uint64) error {
			for _, token := range watched {
				r, err := v.people.Person(token)
				if err != nil && !errors.Is(err, ErrUnknown) {
					return err
				}
				if err == nil && len(r.Reversals) < seen[token] { // of which none is ever taken away
					return fmt.Errorf("a person went back from %d reversals to %d", seen[token], len(r.Reversals))
				}
				seen[token] = len(r.Reversals)
				if err != nil {
					delete(seen, token)
				}
			}
			return nil
		})
	}
	later := domain.Date(2030, 1, 1)
	var last atomic.Uint64
	for range 2 {
		read(func(head uint64) error {
			before := last.Load()
			r, err := v.counts.Query(t.Context(), CountsQuery{AsOf: later, AsKnown: later.End()}, a.ledger.read)
			if err != nil {
				return err
			}
			if r.Through < head || r.Through < before {
				return fmt.Errorf("counted through %d, after %d and %d", r.Through, head, before)
			}
			for was := last.Load(); r.Through > was && !last.CompareAndSwap(was, r.Through); was = last.Load() {
			}
			return nil
		})
	}
	rounds := 3
	for range rounds {
		for _, name := range []string{"people", "counts", "merkle", "register"} {
			out, err := runner.Rebuild(t.Context(), name, RebuildOptions{}, func(Progress) {
				a.step(20)
				a.land()
			})
			if err != nil || out.Compared != Equal || !out.Swapped {
				t.Fatalf("%+v %v", out, err)
			}
		}
	}
	close(over)
	readers.Wait()
	head, _ := a.ledger.Head(t.Context())
	if err := runner.Wait(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	stop()
	checkPeople(t, a, v.people)
	v.close(t)
}

// Views that are not what the ledger says, or cannot be read to their end, are told
// apart from those that are, and replaced.
func TestRebuildReplacesWhatIsWrong(t *testing.T) {
	t.Parallel()
	a := history(t, 606, 30, 40)
	disk := vfs.NewMem()
	v := openViews(t, a, disk)
	v.catchUp(t, a.ledger)
	someone := a.people[slices.IndexFunc(a.people, func(t domain.PersonToken) bool {
		p, err := v.register.Now().Person(t)
		return err == nil && p.IsRegistered()
	})]
	wrong := map[string]func(*pebble.Batch) error{
		"register": func(b *pebble.Batch) error { return b.Delete(append([]byte{keyPerson}, someone[:]...), nil) },
		"people":   func(b *pebble.Batch) error { return b.Set(homeKey(a.people[0]), make([]byte, cohortSize), nil) },
		"counts": func(b *pebble.Batch) error {
			return b.Set(dated{Cell: domain.Cell{District: 7}}.append(nil), []byte{2}, nil)
		},
		"merkle": func(b *pebble.Batch) error { return b.Set(hashKey(3), make([]byte, 32), nil) },
	}
	bases := map[string]func() *database{
		"register": func() *database { return (*registerRows)(v.register.live.Load()).database },
		"people":   func() *database { return (*peopleRows)(v.people.live.Load()).database },
		"counts":   func() *database { return (*countsRows)(v.counts.live.Load()).database },
		"merkle":   func() *database { return (*merkleRows)(v.merkle.live.Load()).database },
	}
	r := NewRunner(a.ledger, v.people, v.counts, v.merkle)
	r.Attend(v.register)
	for _, view := range v.all() {
		name := view.Name()
		db := bases[name]()
		batch := db.NewBatch()
		if err := errors.Join(wrong[name](batch), db.apply(batch)); err != nil {
			t.Fatal(err)
		}
		dry, err := r.Rebuild(t.Context(), name, RebuildOptions{DryRun: true}, nil)
		if err != nil || dry.Compared != Different || dry.Swapped || len(dry.Differs) != 1 {
			t.Fatalf("%s: %+v %v", name, dry, err)
		}
		out, err := r.Rebuild(t.Context(), name, RebuildOptions{}, nil)
		if err != nil || out.Compared != Different || !out.Swapped || !reflect.DeepEqual(out.Differs, dry.Differs) || out.Digest != dry.Digest {
			t.Fatalf("%s: %+v %v, dry %+v", name, out, err, dry)
		}
		wellBuilt(t, a.ledger, view, disk)
	}
	v.close(t)
}

// A live generation with a damaged block is told apart, and replaced.
func TestRebuildReplacesWhatIsDamaged(t *testing.T) {
	t.Parallel()
	a := history(t, 610, 100, 100)
	whole := vfs.NewMem()
	v := openViews(t, a, whole)
	v.catchUp(t, a.ledger)
	v.close(t)
	for i, name := range []string{"register", "people", "counts", "merkle"} {
		disk := crash(t, whole, "register", "people", "counts", "merkle")
		names, err := disk.List(name + "/000001")
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			if info, err := disk.Stat(name + "/000001/" + n); strings.HasSuffix(n, ".sst") && err == nil {
				flip(t, disk, name+"/000001/"+n, info.Size()/2)
			}
		}
		v := openViews(t, a, disk)
		view := v.all()[i]
		r := NewRunner(a.ledger, v.people, v.counts, v.merkle)
		r.Attend(v.register)
		out, err := r.Rebuild(t.Context(), name, RebuildOptions{}, nil)
		if err != nil || !out.Swapped || out.Compared != Damaged && (name == "people" || name == "counts") { // of the others more is read to open them
			t.Errorf("%s: %+v %v", name, out, err)
		}
		wellBuilt(t, a.ledger, view, disk)
		v.close(t)
	}
}

// forgetful is a ledger whose first reading from the beginning loses a dose, as bad
// memory might.
type forgetful struct {
	*memoryLedger
	read atomic.Int32
	lose int32
}

func (l *forgetful) Read(ctx context.Context, r eventstore.Reading) iter.Seq2[eventstore.Commit, error] {
	bad := r.After == 0 && !r.Only.Orders && l.read.Add(1) == l.lose
	return func(yield func(eventstore.Commit, error) bool) {
		for c, err := range l.memoryLedger.Read(ctx, r) {
			if bad && c.Sequence == 20 {
				c.Entries = c.Entries[:len(c.Entries)-1]
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// A new generation that is not what the ledger says takes nobody's place.
func TestRebuildUncertain(t *testing.T) {
	t.Parallel()
	a := history(t, 607, 30, 40)
	disk := vfs.NewMem()
	v := openViews(t, a, disk)
	v.catchUp(t, a.ledger)
	for _, view := range []View{v.people, v.counts} {
		r := NewRunner(&forgetful{memoryLedger: a.ledger, lose: 1}, v.people, v.counts)
		out, err := r.Rebuild(t.Context(), view.Name(), RebuildOptions{}, nil)
		if !errors.Is(err, ErrUncertain) || out.Swapped || out.Compared != Different {
			t.Fatalf("%+v %v", out, err)
		}
		wellBuilt(t, a.ledger, view, disk)
	}
	checkPeople(t, a, v.people)
	v.close(t)
}

// A dry run through a sequence gives the digest of what there was then, the same
// whoever asks.
func TestDryRunThroughASequence(t *testing.T) {
	t.Parallel()
	a := history(t, 608, 30, 40)
	disk := vfs.NewMem()
	v := openViews(t, a, disk)
	half := &memoryLedger{commits: a.ledger.commits[:15]}
	v.catchUp(t, half)
	r := NewRunner(half, v.people, v.counts, v.merkle)
	r.Attend(v.register)
	digests := map[string]string{}
	for _, view := range v.all() {
		out, err := r.Rebuild(t.Context(), view.Name(), RebuildOptions{DryRun: true}, nil)
		if err != nil || out.Compared != Equal || out.Through != 15 {
			t.Fatalf("%+v %v", out, err)
		}
		digests[view.Name()] = out.Digest
	}
	v.catchUp(t, a.ledger)
	r = NewRunner(a.ledger, v.people, v.counts, v.merkle)
	r.Attend(v.register)
	for _, view := range v.all() {
		out, err := r.Rebuild(t.Context(), view.Name(), RebuildOptions{To: 15}, nil)
		if err != nil || out.Compared != NoLive || out.Through != 15 || out.Swapped || out.Digest != digests[view.Name()] {
			t.Fatalf("%+v %v", out, err)
		}
		wellBuilt(t, a.ledger, view, disk)
	}
	v.close(t)
}

// A second rebuild joins the one that is under way; whoever stops it ends both, and
// whoever aborts it leaves nothing.
func TestRebuildJoined(t *testing.T) {
	t.Parallel()
	a := history(t, 609, 30, 40)
	disk := vfs.NewMem()
	p, err := OpenPeople("people", small(disk))
	if err != nil {
		t.Fatal(err)
	}
	if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
		t.Fatal(err)
	}
	r := NewRunner(a.ledger, p)
	for _, stop := range []func(context.Context, string) (bool, error){r.Stop, r.Abort} {
		begun, joined, ended := make(chan struct{}), make(chan struct{}), make(chan error, 2)
		var once, joining sync.Once
		go func() {
			_, err := r.Rebuild(context.Background(), "people", RebuildOptions{}, func(Progress) {
				once.Do(func() { close(begun) })
				<-joined
			})
			ended <- err
		}()
		<-begun
		go func() {
			_, err := r.Rebuild(context.Background(), "people", RebuildOptions{}, func(Progress) {
				joining.Do(func() { close(joined) })
			})
			ended <- err
		}()
		status, err := r.Status(t.Context())
		if err != nil || status[0].Step == "" {
			t.Errorf("%+v %v", status, err)
		}
		go func() { // which waits for the rebuild, and that for who joins
			if there, err := stop(context.Background(), "people"); err != nil || !there {
				t.Error(there, err)
			}
			ended <- nil
		}()
		for range 3 {
			if err := <-ended; err != nil && !errors.Is(err, ErrStopped) {
				t.Error(err)
			}
		}
	}
	wellBuilt(t, a.ledger, p, disk)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}
