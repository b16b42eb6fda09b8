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
		conflicts := 0
		var group sync.WaitGroup
		for i, node := range nodes {
			group.Go(func() {
				for n := 0; n < each; {
					head, err := node.Head(t.Context())
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
					default:
						t.Errorf("writer %d: %v", i, err)
						n++
					}
					mu.Unlock()
				}
			})
		}
		group.Wait()
		for sequence := uint64(1); sequence <= 2*each; sequence++ {
			if won[sequence] != 1 {
				t.Errorf("sequence %d was won %d times", sequence, won[sequence])
			}
		}
		t.Logf("%d commits, %d conflicts", 2*each, conflicts)
		read := 0
		for _, err := range nodes[0].Read(t.Context(), eventstore.Reading{}) {
			if err != nil {
				t.Fatal(err)
			}
			read++
		}
		if read != 2*each {
			t.Errorf("%d commits are read of %d", read, 2*each)
		}
	})

	t.Run("readings are recorded against barriers", func(t *testing.T) {
		barrier, err := nodes[0].AppendBarrier(t.Context(), 5)
		if err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for i, node := range nodes {
			for r := range 4 {
				group.Go(func() {
					for range 25 {
						if err := node.AppendRead(t.Context(), reading(i, r), barrier); err != nil {
							t.Errorf("node %d: a reading without a newer barrier: %v", i, err)
						}
					}
				})
			}
		}
		group.Wait()
		if _, err := nodes[1].AppendBarrier(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
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

func enrolment(writer byte, n int) eventstore.Commit {
	return eventstore.Commit{ID: [16]byte{writer, byte(n), byte(n >> 8), 1}, Entries: []eventstore.Entry{{
		Recorded: time.UnixMilli(1_600_000_000_000), Event: domain.HolderEnrolled{Holder: fmt.Sprintf("people@%d-%d", writer, n)},
	}}}
}

func reading(node, n int) eventstore.AuditRead {
	return eventstore.AuditRead{At: time.UnixMilli(1_600_000_000_000), Officer: fmt.Sprintf("officer-%d-%d", node, n), Purpose: "verification", Person: domain.PersonToken{1}, District: 208}
}
