package projections

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
	"bahi/eventstore"
)

// gate is a ledger that keeps whoever reads it from the beginning waiting until it is
// opened. Orders are let through.
type gate struct {
	*memoryLedger
	opened chan struct{}
}

func (g *gate) Read(ctx context.Context, r eventstore.Reading) iter.Seq2[eventstore.Commit, error] {
	return func(yield func(eventstore.Commit, error) bool) {
		if r.After == 0 && !r.Only.Orders {
			select {
			case <-g.opened:
			case <-ctx.Done():
				yield(eventstore.Commit{}, ctx.Err())
				return
			}
		}
		g.memoryLedger.Read(ctx, r)(yield)
	}
}

// ofVersion opens the people view as a program would whose rows are of another
// version.
func ofVersion(t *testing.T, version, reads int, disk vfs.FS) *People {
	t.Helper()
	p := &People{}
	p.keeping = keeping{name: "people", version: version, reads: reads, sorts: true, root: "people", options: small(disk)}
	p.open = loadPeople
	if err := p.load(); err != nil {
		t.Fatal(err)
	}
	return p
}

// A view of an earlier version is rebuilt by itself: the old one serves until then
// where its rows can be read, or else the other views do, and a freeze lands all the
// same.
func TestVersionChanged(t *testing.T) {
	t.Parallel()
	for name, reads := range map[string]int{"still read": peopleVersion, "not read": peopleVersion + 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := history(t, 700, 40, 40)
			disk := vfs.NewMem()
			v := openViews(t, a, disk)
			v.catchUp(t, a.ledger)
			v.close(t)
			v = openViews(t, a, disk)
			if err := v.people.Close(); err != nil {
				t.Fatal(err)
			}
			v.people = ofVersion(t, peopleVersion+1, reads, disk)
			serves := reads == peopleVersion
			if (v.people.Unusable() == nil) != serves {
				t.Fatal(v.people.Unusable())
			}
			closed := &gate{a.ledger, make(chan struct{})}
			runner := NewRunner(closed, v.people, v.counts, v.merkle)
			runner.Patience = 20 * time.Millisecond
			rebuilt := make(chan Rebuilt, 4)
			runner.Rebuilt = func(out Rebuilt, err error) {
				if err != nil {
					t.Error(err)
				}
				rebuilt <- out
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- runner.Run(ctx) }()

			frozen := sealedOf(a, func(c domain.Cohort) bool { return c.District == 208 })
			f := a.freeze(208, false)
			a.step(30)
			a.land()
			head, _ := a.ledger.Head(ctx)
			if err := runner.Wait(ctx, head, v.counts, v.merkle); err != nil {
				t.Fatal("the others: ", err)
			}
			err := runner.Wait(ctx, head, v.people)
			if folding := (*FoldingError)(nil); serves && err != nil || !serves && (!errors.As(err, &folding) || folding.View != "people" || !errors.Is(err, ErrFolding)) {
				t.Fatal(err)
			}
			if serves {
				checkPeople(t, a, v.people)
			}
			if err := runner.WaitTold(ctx, a.state(f).Sequence); err != nil {
				t.Fatal(err)
			}
			if purged, err := v.people.Purge(ctx, f); err != nil || purged.Residue != 0 {
				t.Fatalf("%+v %v", purged, err)
			}
			for _, dir := range []string{"people/000001", "people/000002"} {
				if found, err := search(disk, dir, frozen); err != nil && !absentFile(err) || len(found) > 0 {
					t.Errorf("left in %s %v %v", dir, found, err)
				}
			}
			close(closed.opened)
			if out := <-rebuilt; out.View != "people" || out.Compared != NoLive || !out.Swapped {
				t.Errorf("%+v", out)
			}
			for err = ErrFolding; errors.Is(err, ErrFolding); {
				err = runner.Wait(ctx, head, v.people)
			}
			if err != nil || v.people.Unusable() != nil || v.people.outdated() {
				t.Fatal(err, v.people.Unusable())
			}
			checkPeople(t, a, v.people)
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			wellBuilt(t, a.ledger, v.people, disk)
			v.close(t)
		})
	}
}

// A register that cannot be read is there again when CatchUp returns.
func TestRegisterCaughtUpAnew(t *testing.T) {
	t.Parallel()
	a := newAuthor(t, 701, vfs.NewMem())
	a.history(60)
	disk := vfs.NewMem()
	v := openViews(t, a, disk)
	v.catchUp(t, a.ledger)
	v.close(t)
	f, err := disk.Create("register/CURRENT", vfs.WriteCategoryUnspecified)
	if err == nil {
		_, err = f.Write([]byte("none"))
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	v = openViews(t, a, disk)
	if err := v.register.Unusable(); !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
	if err := CatchUp(t.Context(), a.ledger, v.register, nil); err != nil || v.register.Unusable() != nil {
		t.Fatal(err)
	}
	checkRegister(t, v.register.Now(), modelOf(a.ledger.commits, a.tokens), a.tokens)
	wellBuilt(t, a.ledger, v.register, disk)
	v.close(t)
}

// flaky is a ledger that cannot be followed the first few times.
type flaky struct {
	*memoryLedger
	fails atomic.Int32
	err   error
}

func (l *flaky) Read(ctx context.Context, r eventstore.Reading) iter.Seq2[eventstore.Commit, error] {
	if r.Follow && l.fails.Add(-1) >= 0 {
		return func(yield func(eventstore.Commit, error) bool) { yield(eventstore.Commit{}, l.err) }
	}
	return l.memoryLedger.Read(ctx, r)
}

var errConnection = errors.New("the connection is lost")

// A ledger that cannot be read for a while is read again, and the state says so until
// then; what no waiting mends ends the runner.
func TestRunnerTriesAgain(t *testing.T) {
	t.Parallel()
	a := newAuthor(t, 702, vfs.NewMem())
	a.history(20)
	v := openViews(t, a, vfs.NewMem())
	ledger := &flaky{memoryLedger: a.ledger, err: errConnection}
	ledger.fails.Store(2)
	runner, stop := running(t, ledger, v.people, v.counts, v.merkle)
	for said := false; !said; {
		status, err := runner.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		said = status[1].Trouble == errConnection.Error()
	}
	head, _ := a.ledger.Head(t.Context())
	if err := runner.Wait(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	status, err := runner.Status(t.Context())
	if err != nil || status[0].Trouble != "" || status[0].Lag != 0 {
		t.Fatalf("%+v %v", status, err)
	}
	stop()

	gap := &flaky{memoryLedger: a.ledger, err: &eventstore.GapError{Stream: "LEDGER", Want: 3, Got: 5}}
	gap.fails.Store(1)
	dead := NewRunner(gap, v.people, v.counts, v.merkle)
	if err := dead.Run(t.Context()); !errors.Is(err, eventstore.ErrGap) {
		t.Fatal(err)
	}
	if err := dead.Wait(t.Context(), head+1); !errors.Is(err, eventstore.ErrGap) {
		t.Fatal(err)
	}
	v.close(t)
}

// failing is a view that cannot be folded a few times.
type failingView struct {
	View
	fails atomic.Int32
	err   error
}

func (v *failingView) Fold(ctx context.Context, commits ...eventstore.Commit) error {
	if len(commits) > 0 && v.fails.Add(-1) >= 0 {
		return v.err
	}
	return v.View.Fold(ctx, commits...)
}

// A view that cannot be folded holds up nobody: the others go on, and it is brought up
// as soon as it can be; one that is damaged is rebuilt for that.
func TestOneViewFails(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"for a while": errors.New("there is no space left"),
		"damaged":     &ViewError{View: "counts", Err: ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAuthor(t, 703, vfs.NewMem())
			a.history(40)
			v := openViews(t, a, vfs.NewMem())
			v.catchUp(t, a.ledger)
			counts := &failingView{View: v.counts, err: err}
			runner := NewRunner(a.ledger, v.people, counts, v.merkle)
			runner.Patience = time.Millisecond
			var rebuilds sync.Map
			runner.Rebuilt = func(out Rebuilt, err error) { rebuilds.Store(out.View, err) }
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- runner.Run(ctx) }()
			head, _ := a.ledger.Head(ctx)
			if err := runner.Wait(ctx, head); err != nil {
				t.Fatal(err)
			}
			counts.fails.Store(2)
			a.step(30)
			a.land()
			head, _ = a.ledger.Head(ctx)
			if err := runner.Wait(ctx, head, v.people, v.merkle); err != nil {
				t.Fatal("the others: ", err)
			}
			said := false
			for err := errFirst; err != nil; {
				if err = runner.Wait(ctx, head, counts); err != nil {
					said = said || errors.Is(err, counts.err)
				}
				if ctx.Err() != nil {
					t.Fatal(err)
				}
			}
			if !said {
				t.Log("it was brought up before anybody asked")
			}
			_, rebuilt := rebuilds.Load("counts")
			if want := name == "damaged"; rebuilt != want {
				t.Errorf("rebuilt: %v", rebuilt)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			found, err := v.counts.verify(t.Context(), a.ledger, nil)
			if err != nil || len(found.Mismatches) > 0 {
				t.Fatalf("%+v %v", found, err)
			}
			v.close(t)
		})
	}
}

var errFirst = errors.New("not asked yet")

// A view that is far behind catches up by itself; the others answer meanwhile.
func TestFarBehind(t *testing.T) {
	t.Parallel()
	a := history(t, 704, farBehind+100, 2)
	disk := vfs.NewMem()
	v := openViews(t, a, disk)
	for _, view := range []View{v.counts, v.merkle} {
		if err := CatchUp(t.Context(), a.ledger, view, nil); err != nil {
			t.Fatal(err)
		}
	}
	closed := &gate{a.ledger, make(chan struct{})}
	runner, stop := running(t, closed, v.people, v.counts, v.merkle)
	head, _ := a.ledger.Head(t.Context())
	if err := runner.Wait(t.Context(), head, v.counts, v.merkle); err != nil {
		t.Fatal(err)
	}
	a.step(5)
	a.land()
	close(closed.opened)
	head, _ = a.ledger.Head(t.Context())
	if err := runner.Wait(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	checkPeople(t, a, v.people)
	stop()
	wellBuilt(t, a.ledger, v.people, disk)
	v.close(t)
}
