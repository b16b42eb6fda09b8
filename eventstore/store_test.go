package eventstore_test

import (
	"testing"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

// commit returns a small commit with a number in its id and its event.
func commit(n int, district domain.District) eventstore.Commit {
	c := eventstore.Commit{District: district, Entries: []eventstore.Entry{{
		Recorded: time.UnixMilli(1_614_859_800_000 + int64(n)).UTC(),
		Event:    domain.PhotoIDsComplete{Tokens: int64(n)},
	}}}
	c.ID[0], c.ID[1], c.ID[2] = 1, byte(n), byte(n>>8)
	return c
}

// fill appends commits 1 to n; every tenth is an order, the others alternate
// between the districts 208 and 216.
func fill(tb testing.TB, s *eventstore.Store, n int) {
	tb.Helper()
	for i := 1; i <= n; i++ {
		if got, err := s.Append(tb.Context(), commit(i, districtOf(i)), uint64(i-1)); err != nil || got != uint64(i) {
			tb.Fatalf("append %d: sequence %d, %v", i, got, err)
		}
	}
}

func districtOf(i int) domain.District {
	switch {
	case i%10 == 0:
		return 0
	case i%2 == 0:
		return 208
	}
	return 216
}

// sequences reads and returns the sequences; it fails when a commit is not the
// one that fill put there.
func sequences(tb testing.TB, s *eventstore.Store, r eventstore.Reading) []uint64 {
	tb.Helper()
	var got []uint64
	for c, err := range s.Read(tb.Context(), r) {
		if err != nil {
			tb.Fatalf("after %d: %v", len(got), err)
		}
		if c.ID != commit(int(c.Sequence), 0).ID || c.District != districtOf(int(c.Sequence)) {
			tb.Errorf("commit %d is another: %+v", c.Sequence, c)
		}
		got = append(got, c.Sequence)
	}
	return got
}

func TestAppendRead(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	fill(t, s, 50)
	if got := sequences(t, s, eventstore.Reading{}); len(got) != 50 {
		t.Errorf("read %d commits, want 50", len(got))
	}
}
