package eventstore_test

import (
	"bytes"
	"testing"

	"bahi/eventstore"
	"bahi/internal/natstest"
)

// A commit that was read knows the bytes it is stored as, however it was read.
func TestCommitsKnowTheirStoredBytes(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	const commits = 12
	for n := 1; n <= commits; n++ {
		if _, err := s.Append(t.Context(), commit(n, 208), uint64(n-1)); err != nil {
			t.Fatal(err)
		}
	}
	check := func(c eventstore.Commit) {
		t.Helper()
		want, err := eventstore.Encode(commit(int(c.Sequence), 208))
		if err != nil || !bytes.Equal(c.Stored, want) {
			t.Errorf("commit %d: other bytes than were appended (%v)", c.Sequence, err)
		}
		again, err := eventstore.Encode(c)
		if err != nil || !bytes.Equal(again, want) {
			t.Errorf("commit %d is encoded otherwise because of them (%v)", c.Sequence, err)
		}
	}
	for _, after := range []uint64{0, commits - 2} { // by a reader, and message by message
		for c, err := range s.Read(t.Context(), eventstore.Reading{After: after}) {
			if err != nil {
				t.Fatal(err)
			}
			check(c)
		}
	}
	c, err := s.At(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	check(c)
}
