package eventstore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

// A block that lost its end is a hole in the ledger: reading says so, and does
// not wait for a message that no file holds.
func TestTornBlockIsAHole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := eventstore.Open(t.Context(), eventstore.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint64(20) {
		c := eventstore.Commit{ID: [16]byte{byte(n + 1)}, Entries: []eventstore.Entry{{
			Recorded: time.UnixMilli(1_600_000_000_000), Event: domain.HolderEnrolled{Holder: "people@torn"},
		}}}
		if _, err := s.Append(t.Context(), c, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	blocks, err := filepath.Glob(filepath.Join(dir, "*", "*", "streams", "LEDGER", "msgs", "*.blk"))
	if err != nil || len(blocks) == 0 {
		blocks, err = filepath.Glob(filepath.Join(dir, "*", "*", "*", "LEDGER", "msgs", "*.blk"))
	}
	if err != nil || len(blocks) == 0 {
		t.Fatalf("no block found: %v", err)
	}
	info, err := os.Stat(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(blocks[0], info.Size()-20); err != nil {
		t.Fatal(err)
	}
	s = natstest.OpenDir(t, dir)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	read := 0
	for _, err := range s.Read(ctx, eventstore.Reading{}) {
		if err != nil {
			if !errors.Is(err, eventstore.ErrGap) {
				t.Errorf("after %d commits: %v, want a hole", read, err)
			}
			return
		}
		read++
	}
	// The server may have noticed by itself, and counts fewer.
	if head, err := s.Head(ctx); err != nil || head != uint64(read) {
		t.Errorf("%d commits read of %d: %v", read, head, err)
	}
}
