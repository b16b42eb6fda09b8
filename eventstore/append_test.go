package eventstore_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

func TestConflict(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	fill(t, s, 1, 3)
	for name, try := range map[string]struct {
		commit   eventstore.Commit
		expected uint64
	}{
		"behind":                     {commit(99, 208), 2},
		"behind, other district":     {commit(99, 1), 2},
		"at the start":               {commit(99, 208), 0},
		"ahead":                      {commit(99, 208), 4},
		"the last, once more":        {commit(3, 216), 2},
		"an order among the bundles": {commit(99, 0), 2},
	} {
		_, err := s.Append(t.Context(), try.commit, try.expected)
		var conflict *eventstore.ConflictError
		if !errors.Is(err, eventstore.ErrConflict) || !errors.As(err, &conflict) || conflict.Expected != try.expected {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := sequences(t, s, eventstore.Reading{}); len(got) != 3 {
		t.Errorf("the ledger has %d commits, want 3", len(got))
	}
}

// TestTwoWriters: two nodes that both believe to be the writer are fenced by
// the stream: each sequence is won once, and nothing is lost or overwritten.
func TestTwoWriters(t *testing.T) {
	t.Parallel()
	const writers, each = 2, 100
	url := natstest.Server(t)
	var won [writers]map[uint64]bool
	var conflicts atomic.Int64
	var wg sync.WaitGroup
	for w := range writers {
		s := natstest.OpenConfig(t, eventstore.Config{URL: url})
		won[w] = map[uint64]bool{}
		wg.Go(func() {
			var head uint64
			for n := 0; n < each; {
				sequence, err := s.Append(t.Context(), commit(w+1, domain.District(w+1)), head)
				switch {
				case err == nil:
					won[w][sequence] = true
					head = sequence
					n++
				case errors.Is(err, eventstore.ErrConflict):
					conflicts.Add(1)
					if head, err = s.Head(t.Context()); err != nil {
						t.Error(err)
						return
					}
				default:
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	s := natstest.OpenConfig(t, eventstore.Config{URL: url})
	var n uint64
	for c, err := range s.Read(t.Context(), eventstore.Reading{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		w := int(c.District) - 1
		if !won[w][c.Sequence] || won[1-w][c.Sequence] {
			t.Errorf("commit %d is writer %d's, who was told otherwise", c.Sequence, w)
		}
	}
	if n != writers*each {
		t.Errorf("the ledger has %d commits, want %d", n, writers*each)
	}
	t.Logf("%d conflicts", conflicts.Load())
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	sealed := func(n int) eventstore.Commit {
		c := commit(1, 208)
		c.Entries[0].Event = domain.PersonRegistered{Sealed: make([]byte, n)}
		return c
	}
	if _, err := s.Append(t.Context(), sealed(eventstore.MaxCommitSize), 0); !errors.Is(err, eventstore.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
	// The largest that fits goes the whole way.
	const most = eventstore.MaxCommitSize - 70
	data, err := eventstore.Encode(sealed(most))
	if err != nil || len(data) < eventstore.MaxCommitSize-20 {
		t.Fatalf("%d bytes, %v", len(data), err)
	}
	if _, err := s.Append(t.Context(), sealed(most), 0); err != nil {
		t.Fatal(err)
	}
	c, err := s.At(t.Context(), 1)
	if err != nil || len(c.Entries[0].Event.(domain.PersonRegistered).Sealed) != most {
		t.Errorf("the largest commit does not come back: %v", err)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	s := natstest.OpenConfig(t, eventstore.Config{Dir: t.TempDir(), MaxBytes: 200_000})
	c := commit(1, 208)
	c.Entries[0].Event = domain.PersonRegistered{Sealed: make([]byte, 30_000)}
	var head uint64
	for range 100 {
		next, err := s.Append(t.Context(), c, head)
		if err == nil {
			head = next
			continue
		}
		if !errors.Is(err, eventstore.ErrFull) || !strings.Contains(err.Error(), "free some") {
			t.Errorf("got %v", err)
		}
		if got, err := s.Head(t.Context()); err != nil || got != head {
			t.Errorf("the head is %d, %v, want %d", got, err, head)
		}
		return
	}
	t.Error("it was never full")
}

// TestDiskFull: a disk that fills up is noticed before the server fails on it,
// and everything stored can be read.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=20m"); err != nil {
		t.Skipf("needs the right to mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	s := natstest.OpenConfig(t, eventstore.Config{Dir: dir, MaxBytes: 1 << 30})
	c := commit(1, 208)
	c.Entries[0].Event = domain.PersonRegistered{Sealed: make([]byte, 300_000)}
	var head uint64
	var err error
	for err == nil && head < 100 {
		var next uint64
		if next, err = s.Append(t.Context(), c, head); err == nil {
			head = next
		}
	}
	if !errors.Is(err, eventstore.ErrFull) || head == 0 {
		t.Errorf("after %d commits: %v", head, err)
	}
	if n, err := count(s, t.Context(), eventstore.Reading{}, nil); n != int(head) || err != nil {
		t.Errorf("read %d of %d commits, %v", n, head, err)
	}
}

func TestAppendCancelled(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Append(ctx, commit(1, 208), 0); !errors.Is(err, context.Canceled) || errors.Is(err, eventstore.ErrUnknownOutcome) {
		t.Errorf("got %v", err)
	}
	if head, err := s.Head(t.Context()); err != nil || head != 0 {
		t.Errorf("head %d, %v", head, err)
	}
}

// TestLostAcknowledgement: the commit is stored, the answer does not arrive.
// Its id at the head tells, and appending it again answers with a conflict.
func TestLostAcknowledgement(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	line := newWire(t, url)
	near, far := natstest.OpenConfig(t, eventstore.Config{URL: line.url()}), natstest.OpenConfig(t, eventstore.Config{URL: url})
	fill(t, near, 1, 2)

	line.mute.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := near.Append(ctx, commit(3, 216), 2)
	if !errors.Is(err, eventstore.ErrUnknownOutcome) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	head, err := far.At(t.Context(), 3)
	for deadline := time.Now().Add(natstest.Patience); errors.Is(err, eventstore.ErrNotFound) && time.Now().Before(deadline); {
		head, err = far.At(t.Context(), 3) // the disk may be slower than who waits
	}
	if err != nil || head.ID != commit(3, 216).ID {
		t.Fatalf("the commit was not stored: %v", err)
	}
	if _, err := far.Append(t.Context(), commit(3, 216), 2); !errors.Is(err, eventstore.ErrConflict) {
		t.Errorf("appended again: %v", err)
	}
}

// TestLostConnection: reading goes on where it was when the connection is lost
// and found again, and what cannot be sent meanwhile is refused, not kept.
func TestLostConnection(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	line := newWire(t, url)
	near, far := natstest.OpenConfig(t, eventstore.Config{URL: line.url()}), natstest.OpenConfig(t, eventstore.Config{URL: url})
	fill(t, far, 1, 50)
	next := uint64(1)
	for c, err := range near.Read(t.Context(), eventstore.Reading{Follow: true, Through: 100}) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Sequence != next {
			t.Fatalf("got commit %d, want %d", c.Sequence, next)
		}
		checkFilled(t, c)
		if next == 50 {
			line.down.Store(true)
			line.cut()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := near.Append(ctx, commit(99, 208), 99)
			cancel()
			if !errors.Is(err, eventstore.ErrUnreachable) && !errors.Is(err, eventstore.ErrUnknownOutcome) {
				t.Errorf("append without a connection: %v", err)
			}
			line.down.Store(false)
			fill(t, far, 51, 100)
		}
		next++
	}
	if next != 101 {
		t.Errorf("the reading ended before commit %d", next)
	}
}

// wire is a line to a server that can be cut or lose what comes back.
type wire struct {
	listener net.Listener
	mute     atomic.Bool // nothing comes back
	down     atomic.Bool // nobody gets through
	mu       sync.Mutex  // guards conns
	conns    []net.Conn
}

func newWire(tb testing.TB, url string) *wire {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	w := &wire{listener: l}
	tb.Cleanup(func() { l.Close(); w.cut() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", strings.TrimPrefix(url, "nats://"))
			if err != nil {
				near.Close()
				continue
			}
			if w.down.Load() {
				near.Close()
				far.Close()
				continue
			}
			w.mu.Lock()
			w.conns = append(w.conns, near, far)
			w.mu.Unlock()
			go func() { defer far.Close(); io.Copy(far, near) }()
			go func() { defer near.Close(); io.Copy(lossy{near, &w.mute}, far) }()
		}
	}()
	return w
}

func (w *wire) url() string { return "nats://" + w.listener.Addr().String() }

// cut ends every connection; new ones may be made.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

type lossy struct {
	to   io.Writer
	lose *atomic.Bool
}

func (l lossy) Write(b []byte) (int, error) {
	if l.lose.Load() {
		return len(b), nil
	}
	return l.to.Write(b)
}
