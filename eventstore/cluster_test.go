package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

func openCluster(t *testing.T, urls string) *eventstore.Store {
	t.Helper()
	s, err := eventstore.Open(t.Context(), eventstore.Config{URL: urls, Replicas: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// On replicated streams a server refuses concurrent appends under an expectation
// with another code (10164) than a single server (10071), and refuses audit
// records without there being a newer barrier. Both mean the same here.
func TestReplicatedLedger(t *testing.T) {
	t.Parallel()
	urls := natstest.Cluster(t)
	nodes := []*eventstore.Store{openCluster(t, urls), openCluster(t, urls)}

	t.Run("two writers are fenced", func(t *testing.T) {
		const each = 60
		var mu sync.Mutex
		won := map[uint64]int{}
		conflicts, unknown := 0, 0
		var group sync.WaitGroup
		for i, node := range nodes {
			group.Go(func() {
				for n := 0; n < each; {
					head, err := node.Head(t.Context())
					if errors.Is(err, eventstore.ErrUnreachable) {
						continue // servers that stood still choose a leader
					}
					if err != nil {
						t.Error(err)
						return
					}
					sequence, err := node.Append(t.Context(), enrolment(byte(i+1), n), head)
					mu.Lock()
					switch {
					case err == nil:
						won[sequence]++
						n++
					case errors.Is(err, eventstore.ErrConflict):
						conflicts++
					case errors.Is(err, eventstore.ErrUnknownOutcome):
						unknown++
						n++
					case errors.Is(err, eventstore.ErrUnreachable):
					default:
						t.Errorf("writer %d: %v", i, err)
						n++
					}
					mu.Unlock()
				}
			})
		}
		group.Wait()
		for sequence, times := range won {
			if times != 1 {
				t.Errorf("sequence %d was won %d times", sequence, times)
			}
		}
		t.Logf("%d commits, %d conflicts, of %d it is unknown", len(won), conflicts, unknown)
		if len(won)+unknown != 2*each {
			t.Errorf("%d commits won of %d", len(won), 2*each)
		}
		read := map[[16]byte]bool{}
		for c, err := range nodes[0].Read(t.Context(), eventstore.Reading{}) {
			if err != nil {
				t.Fatal(err)
			}
			if read[c.ID] {
				t.Errorf("commit %d stands there twice", c.Sequence)
			}
			read[c.ID] = true
		}
		if len(read) < len(won) || len(read) > len(won)+unknown {
			t.Errorf("%d commits are read of %d", len(read), len(won))
		}
	})

	t.Run("readings are recorded against barriers", func(t *testing.T) {
		barrier := appendBarrier(t, nodes[0], 5)
		var group sync.WaitGroup
		for i, node := range nodes {
			for r := range 4 {
				group.Go(func() {
					for n := 0; n < 25; {
						err := node.AppendRead(t.Context(), reading(i, r), barrier)
						switch {
						case err == nil:
							n++
						case !unanswered(err):
							t.Errorf("node %d: a reading without a newer barrier: %v", i, err)
							return
						}
					}
				})
			}
		}
		group.Wait()
		appendBarrier(t, nodes[1], 7)
		if err := nodes[0].AppendRead(t.Context(), reading(0, 0), barrier); !errors.Is(err, eventstore.ErrBarrier) {
			t.Errorf("a reading under an old barrier: %v", err)
		}
		recorded := 0
		for _, err := range nodes[1].Audit(context.Background(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			recorded++
		}
		if recorded < 200 {
			t.Errorf("%d readings are recorded of 200", recorded)
		}
	})
}

// unanswered tells of an error by which nobody said no: servers that stood still choose a
// leader.
func unanswered(err error) bool {
	return errors.Is(err, eventstore.ErrUnknownOutcome) || errors.Is(err, eventstore.ErrUnreachable) || errors.Is(err, context.DeadlineExceeded)
}

func appendBarrier(t *testing.T, node *eventstore.Store, order uint64) uint64 {
	t.Helper()
	barrier, err := node.AppendBarrier(t.Context(), order)
	for unanswered(err) {
		barrier, err = node.AppendBarrier(t.Context(), order)
	}
	if err != nil {
		t.Fatal(err)
	}
	return barrier
}

func enrolment(writer byte, n int) eventstore.Commit {
	return eventstore.Commit{ID: [16]byte{writer, byte(n), byte(n >> 8), 1}, Entries: []eventstore.Entry{{
		Recorded: time.UnixMilli(1_600_000_000_000), Event: domain.HolderEnrolled{Holder: fmt.Sprintf("people@%d-%d", writer, n)},
	}}}
}

func reading(node, n int) eventstore.AuditRead {
	return eventstore.AuditRead{At: time.UnixMilli(1_600_000_000_000), Officer: fmt.Sprintf("officer-%d-%d", node, n), Purpose: "verification", Person: domain.PersonToken{1}, District: 208}
}
