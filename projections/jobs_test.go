package projections

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestStopAtOnce: a rebuild that is stopped before it has done anything does not go on
// to its end.
func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	a := history(t, 612, 4, 4)
	c, err := OpenCounts("counts", small(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	runner := NewRunner(a.ledger, c)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	j, mine := runner.job("counts", stop)
	if _, joined := runner.job("counts", func() { t.Error("who only joins it is stopped") }); !mine || joined {
		t.Fatal("a rebuild that is under way is begun again")
	}
	go func() {
		<-ctx.Done()
		close(j.done)
	}()
	if stopped, err := runner.Stop(t.Context(), "counts"); err != nil || !stopped {
		t.Errorf("stopped: %v, %v", stopped, err)
	}
}

// TestWhatStaysOfARebuild: whoever waits for a rebuild that somebody else ends is told
// what becomes of what was built, and it becomes of it.
func TestWhatStaysOfARebuild(t *testing.T) {
	t.Parallel()
	a := history(t, 613, 30, 40)
	p, err := OpenPeople("people", small(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := CatchUp(t.Context(), a.ledger, p, nil); err != nil {
		t.Fatal(err)
	}
	r := NewRunner(a.ledger, p)
	told := func() error {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.jobs["people"].told
	}
	var ending sync.WaitGroup
	stop := func() { r.end("people", errKept) } // which Stop does before it waits
	abort := func() {
		ending.Go(func() {
			if there, err := r.Abort(t.Context(), "people"); err != nil || !there {
				t.Errorf("aborted: %v, %v", there, err)
			}
		})
		for before := told(); told() == before; {
			runtime.Gosched()
		}
	}
	for _, c := range []struct {
		name      string
		ends      []func()
		says      string
		discarded bool
	}{
		{"stopped", []func(){stop}, "what was built stays", false},
		{"aborted", []func(){abort}, "thrown away", true},
		{"aborted, and stopped", []func(){abort, stop}, "thrown away", true},
		{"stopped, and aborted", []func(){stop, abort}, "thrown away", true},
	} {
		var once sync.Once
		_, err := r.Rebuild(t.Context(), "people", RebuildOptions{}, func(Progress) {
			once.Do(func() {
				for _, end := range c.ends {
					end()
				}
			})
		})
		ending.Wait()
		if !errors.Is(err, ErrStopped) || errors.Is(err, ErrDiscarded) != c.discarded || !strings.Contains(err.Error(), c.says) {
			t.Fatalf("%s: %v", c.name, err)
		}
		if stays := p.unfinished() > 0; stays && c.discarded {
			t.Errorf("%s: something stays", c.name)
		}
	}
}

// TestBeyondTheHead: a view is not built through a commit that is not there.
func TestBeyondTheHead(t *testing.T) {
	t.Parallel()
	a := history(t, 614, 4, 4)
	c, err := OpenCounts("counts", small(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r := NewRunner(a.ledger, c)
	head, err := a.ledger.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var beyond *BeyondError
	if _, err := r.Rebuild(t.Context(), "counts", RebuildOptions{To: head + 1}, nil); !errors.As(err, &beyond) || beyond.Head != head {
		t.Errorf("through the commit after the last: %v", err)
	}
	if out, err := r.Rebuild(t.Context(), "counts", RebuildOptions{To: head}, nil); err != nil || out.Through != head {
		t.Errorf("through the last commit: %+v, %v", out, err)
	}
}
