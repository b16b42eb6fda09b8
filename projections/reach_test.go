package projections

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A view that is folded anew is out of reach and can be watched; the others are
// within. Whoever stops watching stops nothing.
func TestOutOfReachAndWatched(t *testing.T) {
	t.Parallel()
	a := history(t, 711, 20, 20)
	disk := vfs.NewMem()
	v := openViews(t, a, disk)
	v.catchUp(t, a.ledger)
	if err := v.people.Close(); err != nil {
		t.Fatal(err)
	}
	v.people = ofVersion(t, peopleVersion+1, peopleVersion+1, disk)
	defer v.close(t)
	closed := &gate{a.ledger, make(chan struct{})}
	r, stop := running(t, closed, v.people, v.counts, v.merkle)
	defer stop()
	r.Attend(v.register)

	head, _ := a.ledger.Head(t.Context())
	if err := r.Wait(t.Context(), head, v.counts, v.merkle); err != nil {
		t.Fatal(err)
	}
	for begun := false; !begun; {
		r.mu.Lock()
		begun = r.jobs["people"] != nil
		advancing := r.advancing
		r.mu.Unlock()
		if !begun {
			<-advancing
		}
	}
	folding := (*FoldingError)(nil)
	if out := r.OutOfReach(head, 8); len(out) != 1 || !errors.As(out[0], &folding) || folding.View != "people" {
		t.Errorf("out of reach: %v", out)
	}
	leaving, leave := context.WithCancel(t.Context())
	leave()
	if _, err := r.Watch(leaving, "people", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("who leaves: %v", err)
	}
	told, opened := 0, false
	out, err := r.Watch(t.Context(), "people", func(Progress) {
		if told++; !opened {
			opened = true
			close(closed.opened)
		}
	})
	if err != nil || !out.Swapped || out.Through != head || told == 0 {
		t.Errorf("watched %+v, told %d times, %v", out, told, err)
	}
	if err := r.Wait(t.Context(), head); err != nil {
		t.Fatal(err)
	}
	if out := r.OutOfReach(head, 0); len(out) > 0 {
		t.Errorf("out of reach in the end: %v", out)
	}
	behind := (*BehindError)(nil)
	if out := r.OutOfReach(head+9, 8); len(out) != 4 || !errors.As(out[0], &behind) || behind.Lag != 9 || !errors.Is(out[0], ErrBehind) {
		t.Errorf("nine behind: %v", out)
	}
	if _, err := r.Watch(t.Context(), "people", nil); !errors.Is(err, ErrNoRebuild) {
		t.Errorf("nothing to watch: %v", err)
	}
	if _, err := r.Watch(t.Context(), "persons", nil); !errors.Is(err, ErrUnknownView) {
		t.Errorf("an unknown view: %v", err)
	}
}
