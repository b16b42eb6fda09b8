package eventstore_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

func TestRead(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	if got := sequences(t, s, eventstore.Reading{}); len(got) != 0 {
		t.Errorf("an empty ledger has %v", got)
	}
	if got := sequences(t, s, eventstore.Reading{Only: eventstore.Filter{Orders: true}}); len(got) != 0 {
		t.Errorf("an empty ledger has %v", got)
	}
	fill(t, s, 1, 105)
	all := func(int) bool { return true }
	orders := func(i int) bool { return i%10 == 0 }
	of := func(district int) func(int) bool { return func(i int) bool { return int(districtOf(i)) == district } }
	for _, test := range []struct {
		name    string
		reading eventstore.Reading
		want    func(int) bool
		from    int
		through int
	}{
		{"all", eventstore.Reading{}, all, 1, 105},
		{"behind the middle", eventstore.Reading{After: 50}, all, 51, 105},
		{"the last", eventstore.Reading{After: 104}, all, 105, 105},
		{"behind the head", eventstore.Reading{After: 105}, all, 106, 105},
		{"through", eventstore.Reading{Through: 7}, all, 1, 7},
		{"after and through", eventstore.Reading{After: 7, Through: 9}, all, 8, 9},
		{"nothing between", eventstore.Reading{After: 9, Through: 9}, all, 10, 9},
		{"through beyond the head", eventstore.Reading{After: 100, Through: 1000}, all, 101, 105},
		{"follow to the head", eventstore.Reading{Through: 105, Follow: true}, all, 1, 105},
		{"orders", eventstore.Reading{Only: eventstore.Filter{Orders: true}}, orders, 1, 105},
		{"orders behind", eventstore.Reading{After: 50, Only: eventstore.Filter{Orders: true}}, orders, 51, 105},
		{"orders through one", eventstore.Reading{Through: 50, Only: eventstore.Filter{Orders: true}}, orders, 1, 50},
		{"orders through none", eventstore.Reading{Through: 55, Only: eventstore.Filter{Orders: true}}, orders, 1, 55},
		{"orders behind the last", eventstore.Reading{After: 100, Only: eventstore.Filter{Orders: true}}, orders, 106, 105},
		{"a district", eventstore.Reading{Only: eventstore.Filter{District: 208}}, of(208), 1, 105},
		{"a district, in part", eventstore.Reading{After: 11, Through: 91, Only: eventstore.Filter{District: 216}}, of(216), 12, 91},
		{"a district with nothing", eventstore.Reading{Only: eventstore.Filter{District: 1}}, of(1), 1, 105},
	} {
		var want []uint64
		for i := test.from; i <= test.through; i++ {
			if test.want(i) {
				want = append(want, uint64(i))
			}
		}
		if got := sequences(t, s, test.reading); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", test.name, got, want)
		}
	}
}

// TestReadSizes: large commits are decoded beside small ones, and come in their order.
func TestReadSizes(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	const commits = 40
	for i := 1; i <= commits; i++ {
		c := commit(i, 208)
		if i%3 == 0 {
			c.Entries[0].Event = domain.AuthorityKeyAdopted{Public: make([]byte, i*10_000)}
		}
		if _, err := s.Append(t.Context(), c, uint64(i-1)); err != nil {
			t.Fatal(err)
		}
	}
	for _, through := range []uint64{commits / 2, commits} {
		next := 1
		for c, err := range s.Read(t.Context(), eventstore.Reading{Follow: true, Through: commits}) {
			if err != nil {
				t.Fatal(err)
			}
			if c.Sequence != uint64(next) || c.ID != commit(next, 0).ID {
				t.Fatalf("commit %d comes as the %dth", c.Sequence, next)
			}
			if next++; c.Sequence == through {
				break
			}
		}
		if next != int(through)+1 {
			t.Errorf("the reading ended before %d", next)
		}
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	fill(t, s, 1, 12)
	for i := uint64(1); i <= 12; i++ {
		c, err := s.At(t.Context(), i)
		if err != nil || c.Sequence != i {
			t.Fatalf("at %d: %d, %v", i, c.Sequence, err)
		}
		checkFilled(t, c)
	}
	if _, err := s.At(t.Context(), 13); !errors.Is(err, eventstore.ErrNotFound) {
		t.Errorf("beyond the head: %v", err)
	}
}

// TestReadWhileAppending follows a ledger while it grows.
func TestReadWhileAppending(t *testing.T) {
	t.Parallel()
	const commits = 500
	s := natstest.Open(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		fill(t, s, 1, commits)
	}()
	next := uint64(1)
	for c, err := range s.Read(t.Context(), eventstore.Reading{Follow: true, Through: commits}) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Sequence != next {
			t.Fatalf("got %d, want %d", c.Sequence, next)
		}
		checkFilled(t, c)
		next++
	}
	<-done
	if next != commits+1 {
		t.Errorf("the reading ended before %d", next)
	}

	// Without following, a reading ends at the head as it was when it began.
	n := 0
	for _, err := range s.Read(t.Context(), eventstore.Reading{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			fill(t, s, commits+1, commits+10)
		}
	}
	if n != commits {
		t.Errorf("read %d commits, want %d", n, commits)
	}
}

func TestReadCancelled(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	fill(t, s, 1, 50)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := count(s, ended, eventstore.Reading{}, nil); n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that had ended: %d commits, %v", n, err)
	}

	midway, cancel := context.WithCancel(t.Context())
	n, err := count(s, midway, eventstore.Reading{Follow: true}, func(n int) {
		if n == 20 {
			cancel()
		}
	})
	if n < 20 || n > 50 || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled midway: %d commits, %v", n, err)
	}

	for most := 100 * time.Millisecond; ; most *= 4 { // enough to read all and then to wait
		waiting, cancel := context.WithTimeout(t.Context(), most)
		n, err := count(s, waiting, eventstore.Reading{Follow: true}, nil)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || most > natstest.Patience {
			t.Errorf("waiting for more: %d commits, %v", n, err)
		}
		if n == 50 || t.Failed() {
			break
		}
	}
}

// count reads to the end and returns how many commits came, and the error that
// came last. It fails by panic when anything is yielded behind an error.
func count(s *eventstore.Store, ctx context.Context, r eventstore.Reading, each func(int)) (n int, last error) {
	for _, err := range s.Read(ctx, r) {
		if last != nil {
			panic("something was yielded behind an error")
		}
		if last = err; err != nil {
			continue
		}
		n++
		if each != nil {
			each(n)
		}
	}
	return n, last
}

// TestBreak: leaving the loop is no failure and leaves nothing behind, neither
// here nor on the server.
func TestBreak(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	s := natstest.OpenConfig(t, eventstore.Config{URL: url})
	fill(t, s, 1, 50)
	for range 5 {
		for c, err := range s.Read(t.Context(), eventstore.Reading{Follow: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if c.Sequence == 3 {
				break
			}
		}
	}
	_, js := client(t, url)
	deadline := time.Now().Add(natstest.Patience)
	for {
		stream, err := js.Stream(t.Context(), "LEDGER")
		if err != nil {
			t.Fatal(err)
		}
		if stream.CachedInfo().State.Consumers == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d readers are left on the server", stream.CachedInfo().State.Consumers)
		}
	}
	fill(t, s, 51, 52) // and the store goes on
}

func TestClosedWhileReading(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	fill(t, s, 1, 50)
	n, err := count(s, t.Context(), eventstore.Reading{Follow: true}, func(n int) {
		if n == 50 {
			s.Close()
		}
	})
	if n != 50 || !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("%d commits, %v", n, err)
	}
}

// TestForeignMessage: what is no commit stops a reading with an error that
// names it, behind the good ones before it. Nothing behind it is seen.
func TestForeignMessage(t *testing.T) {
	t.Parallel()
	elsewhere, err := eventstore.Encode(commit(4, 216))
	if err != nil {
		t.Fatal(err)
	}
	good, err := eventstore.Encode(commit(5, 208))
	if err != nil {
		t.Fatal(err)
	}
	for name, foreign := range map[string][]byte{
		"garbage":                                []byte("hello, ledger"),
		"much garbage":                           []byte(strings.Repeat("hello, ledger", 4_000)),
		"nothing":                                nil,
		"a commit on another district's subject": elsewhere,
	} {
		url := natstest.Server(t)
		s := natstest.OpenConfig(t, eventstore.Config{URL: url})
		fill(t, s, 1, 3)
		_, js := client(t, url)
		for _, data := range [][]byte{foreign, good} {
			if _, err := js.Publish(t.Context(), "ledger.208", data); err != nil {
				t.Fatal(err)
			}
		}
		n, err := count(s, t.Context(), eventstore.Reading{}, nil)
		var decode *eventstore.DecodeError
		if n != 3 || !errors.Is(err, eventstore.ErrMalformed) || !errors.As(err, &decode) || decode.Sequence != 4 || decode.Stream != "LEDGER" {
			t.Errorf("%s: %d commits, %v", name, n, err)
		}
		if strings.Contains(err.Error(), "hello") {
			t.Errorf("the error quotes the message: %v", err)
		}
		if _, err := s.At(t.Context(), 4); !errors.Is(err, eventstore.ErrMalformed) {
			t.Errorf("%s, at: %v", name, err)
		}
	}
}

// TestHole: a ledger whose beginning is gone is not read as if it were whole.
func TestHole(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	_, js := client(t, url)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "LEDGER", Subjects: []string{"ledger.*"}, Discard: jetstream.DiscardNew, DenyDelete: true, DenyPurge: true, FirstSeq: 5,
	}); err != nil {
		t.Fatal(err)
	}
	s := natstest.OpenConfig(t, eventstore.Config{URL: url})
	if _, err := s.Append(t.Context(), commit(5, 216), 4); err != nil {
		t.Fatal(err)
	}
	for _, after := range []uint64{0, 3} {
		n, err := count(s, t.Context(), eventstore.Reading{After: after}, nil)
		var gap *eventstore.GapError
		if n != 0 || !errors.Is(err, eventstore.ErrGap) || !errors.As(err, &gap) || gap.Want != after+1 || gap.Got != 5 {
			t.Errorf("after %d: %d commits, %v", after, n, err)
		}
	}
}

// TestAhead: a checkpoint beyond the head belongs to another ledger.
func TestAhead(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	fill(t, s, 1, 3)
	for _, r := range []eventstore.Reading{{After: 4}, {After: 4, Follow: true}, {After: 4, Through: 9, Only: eventstore.Filter{District: 208}}} {
		if n, err := count(s, t.Context(), r, nil); n != 0 || !errors.Is(err, eventstore.ErrAhead) {
			t.Errorf("%+v: %d commits, %v", r, n, err)
		}
	}
}
