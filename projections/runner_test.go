package projections

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
	"bahi/eventstore"
)

// The runner follows, tells where the views stand, rebuilds and verifies while it
// follows, and goes on where it was after a restart.
func TestRunnerFollows(t *testing.T) {
	t.Parallel()
	a := newAuthor(t, 400, vfs.NewMem())
	disk := vfs.NewMem()
	open := func() (*People, *Counts, *Runner) {
		p, err := OpenPeople("people", small(disk))
		if err != nil {
			t.Fatal(err)
		}
		c, err := OpenCounts("counts", small(disk))
		if err != nil {
			t.Fatal(err)
		}
		r := NewRunner(a.ledger, p, c)
		r.Attend(a.register)
		return p, c, r
	}
	for range 3 {
		p, c, r := open()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		for range 20 {
			a.history(8)
		}
		head, _ := a.ledger.Head(ctx)
		if err := r.Wait(ctx, head); err != nil {
			t.Fatal(err)
		}
		checkPeople(t, a, p)
		for _, view := range []string{"register", "people", "counts"} {
			if _, err := r.Rebuild(ctx, view, RebuildOptions{}, func(Progress) { a.step(5) }); err != nil {
				t.Fatal(err)
			}
			a.land()
			v, err := r.Verify(ctx, view, nil)
			if err != nil || len(v.Mismatches) > 0 {
				t.Fatalf("%+v %v", v, err)
			}
		}
		head, _ = a.ledger.Head(ctx)
		if err := r.Wait(ctx, head); err != nil {
			t.Fatal(err)
		}
		checkPeople(t, a, p)
		status, err := r.Status(ctx)
		if err != nil || len(status) != 3 {
			t.Fatal(status, err)
		}
		for _, s := range status {
			if s.Folded != head || s.Head != head || s.Lag != 0 || s.Trouble != "" {
				t.Fatalf("%+v, head %d", s, head)
			}
		}
		if _, err := r.Rebuild(ctx, "nobody", RebuildOptions{}, nil); !errors.Is(err, ErrUnknownView) {
			t.Fatal(err)
		}
		waiting, stop := context.WithTimeout(ctx, 10*time.Millisecond)
		if err := r.Wait(waiting, head+1); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		stop()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if err := r.Wait(t.Context(), head+1); err == nil {
			t.Fatal("waited for a runner that has stopped")
		}
		if err := errors.Join(p.Close(), c.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// A rebuild that is given up leaves the view as it was, and what it built for the
// next time; thrown away, it leaves nothing.
func TestRebuildGivenUp(t *testing.T) {
	t.Parallel()
	a, p, dir := populated(t, 401)
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	r := NewRunner(a.ledger, p)
	_, err := r.Rebuild(ctx, "people", RebuildOptions{}, func(at Progress) {
		if at.Done > 0 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || p.unfinished() == 0 {
		t.Fatal(err, p.unfinished())
	}
	checkPeople(t, a, p)
	if dropped, err := r.Abort(t.Context(), "people"); err != nil || !dropped || p.unfinished() > 0 {
		t.Fatal(dropped, err)
	}
	if dropped, err := r.Abort(t.Context(), "people"); err != nil || dropped {
		t.Fatal(dropped, err)
	}
	left, err := vfs.Default.List(dir)
	if err != nil || len(left) != 3 { // the generation, CURRENT and LOCK
		t.Fatal(left, err)
	}
	checkPeople(t, a, p)
}

// The views fold a real ledger: embedded JetStream, its codec, its orders.
func TestRunnerOnJetStream(t *testing.T) {
	t.Parallel()
	a := newAuthor(t, 402, vfs.NewMem())
	a.history(60)
	store, err := eventstore.Open(t.Context(), eventstore.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	half := len(a.ledger.commits) / 2
	appendAll := func(commits []eventstore.Commit) {
		t.Helper()
		for _, c := range commits {
			if _, err := store.Append(t.Context(), c, c.Sequence-1); err != nil {
				t.Fatal(err)
			}
		}
	}
	appendAll(a.ledger.commits[:half])
	p, err := OpenPeople("people", small(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c, err := OpenCounts("counts", small(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := CatchUp(t.Context(), store, c, nil); err != nil {
		t.Fatal(err)
	}
	r := NewRunner(store, p, c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	appendAll(a.ledger.commits[half:])
	if err := r.Wait(ctx, uint64(len(a.ledger.commits))); err != nil {
		t.Fatal(err)
	}
	checkPeople(t, a, p)
	for _, view := range []string{"people", "counts"} {
		v, err := r.Verify(ctx, view, nil)
		if err != nil || len(v.Mismatches) > 0 {
			t.Fatalf("%+v %v", v, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// The histories that the tests stand on hold every kind of event.
func TestHistoriesHoldEverything(t *testing.T) {
	t.Parallel()
	kinds := map[string]int{}
	for seed := range uint64(4) {
		a := newAuthor(t, seed, vfs.NewMem())
		a.history(120)
		for _, c := range a.ledger.commits {
			for _, e := range c.Entries {
				kinds[kindOf(e.Event)]++
			}
		}
	}
	for _, kind := range []string{
		"registered", "born closed", "withdrawn", "withdrawn while pending", "dose", "dose of the frozen", "dose withdrawn",
		"requested", "approved", "rejected", "frozen", "kept", "complete", "purged",
	} {
		if kinds[kind] == 0 {
			t.Errorf("no event %q", kind)
		}
	}
	t.Log(kinds)
}

func kindOf(e domain.Event) string {
	switch e := e.(type) {
	case domain.PersonRegistered:
		if e.Closed {
			return "born closed"
		}
		return "registered"
	case domain.RegistrationWithdrawn:
		if e.Pending {
			return "withdrawn while pending"
		}
		return "withdrawn"
	case domain.DoseAdministered:
		if len(e.Sealed) == 0 {
			return "dose of the frozen"
		}
		return "dose"
	case domain.DoseWithdrawn:
		return "dose withdrawn"
	case domain.ReversalRequested:
		return "requested"
	case domain.ReversalDecided:
		if e.Approved {
			return "approved"
		}
		return "rejected"
	case domain.FreezeOrdered:
		return "frozen"
	case domain.PhotoIDsKept:
		return "kept"
	case domain.PhotoIDsComplete:
		return "complete"
	case domain.Purged:
		return "purged"
	}
	return "other"
}
