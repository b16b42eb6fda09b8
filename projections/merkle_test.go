package projections

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/tlog"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/evidence"
)

// treeLedger returns a ledger of n small commits.
func treeLedger(t testing.TB, n int) *memoryLedger {
	t.Helper()
	l := newMemoryLedger()
	for i := range n {
		c := eventstore.Commit{Entries: []eventstore.Entry{{
			Recorded: time.UnixMilli(int64(1_600_000_000_000 + i)),
			Event:    domain.HolderEnrolled{Holder: "people@" + strings.Repeat("x", i%40)},
		}}}
		binary.BigEndian.PutUint64(c.ID[:], uint64(i))
		l.append(t, c)
	}
	return l
}

func openMerkle(t testing.TB, dir string, disk vfs.FS) *Merkle {
	t.Helper()
	m, err := OpenMerkle(dir, small(disk))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// plainRoot is the definition of RFC 6962, section 2.1.
func plainRoot(commits []eventstore.Commit) evidence.Hash {
	switch n := len(commits); n {
	case 0:
		root, _ := tlog.TreeHash(0, nil)
		return root
	case 1:
		return tlog.RecordHash(commits[0].Stored)
	default:
		k := 1
		for k*2 < n {
			k *= 2
		}
		return tlog.NodeHash(plainRoot(commits[:k]), plainRoot(commits[k:]))
	}
}

// Whatever the batches, and however often the view is closed or a crash takes what
// it had not flushed, the root of every size is the one of RFC 6962, and its proofs
// hold.
func TestMerkleRootsAndProofs(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 7))
		size := 1 + rng.IntN(300)
		ledger := treeLedger(t, size)
		commits := ledger.commits
		disk := vfs.FS(vfs.NewMem())
		m := openMerkle(t, "merkle", disk)
		for m.Size() < uint64(size) {
			at := int(m.Size())
			n := min(1+rng.IntN(40), size-at)
			if err := m.Fold(t.Context(), commits[at:at+n]...); err != nil {
				t.Fatal(err)
			}
			switch rng.IntN(5) {
			case 0:
				if err := m.Close(); err != nil {
					t.Fatal(err)
				}
				m = openMerkle(t, "merkle", disk)
			case 1:
				left := crash(t, disk, "merkle")
				if err := m.Close(); err != nil {
					t.Fatal(err)
				}
				disk = left
				m = openMerkle(t, "merkle", disk)
			}
		}
		for n := range uint64(size) + 1 {
			root, err := m.Root(n)
			if err != nil || root != plainRoot(commits[:n]) {
				t.Fatalf("root of %d: %v %v", n, root, err)
			}
			checkProofs(t, m, rng, commits, n)
		}
		if _, err := m.Root(uint64(size) + 1); !errors.Is(err, ErrNotFolded) {
			t.Errorf("a root beyond the end: %v", err)
		}
		v, err := m.verify(t.Context(), ledger, nil)
		if err != nil || len(v.Mismatches) > 0 || v.Through != uint64(size) {
			t.Errorf("verify: %+v %v", v, err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// checkProofs proves one commit and one earlier tree of the first n commits.
func checkProofs(t *testing.T, m *Merkle, rng *rand.Rand, commits []eventstore.Commit, n uint64) {
	t.Helper()
	if n == 0 {
		return
	}
	root := plainRoot(commits[:n])
	index := rng.Uint64N(n)
	proof, err := m.ProveRecord(index, n)
	if err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckRecord(proof, int64(n), root, int64(index), tlog.RecordHash(commits[index].Stored)); err != nil {
		t.Errorf("commit %d of %d: %v", index+1, n, err)
	}
	older := 1 + rng.Uint64N(n)
	if proof, err = m.ProveTree(older, n); err != nil {
		t.Fatal(err)
	}
	if err := tlog.CheckTree(proof, int64(n), root, int64(older), plainRoot(commits[:older])); err != nil {
		t.Errorf("%d of %d: %v", older, n, err)
	}
	peaks, err := m.Edge(older)
	if err != nil {
		t.Fatal(err)
	}
	edge, err := evidence.NewEdge(older, peaks)
	if err != nil || edge.Root() != plainRoot(commits[:older]) {
		t.Errorf("edge of %d: %v", older, err)
	}
	leaves, err := m.Leaves(older, n)
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range leaves {
		edge.Append(leaf, nil)
	}
	if edge.Root() != root {
		t.Errorf("edge of %d and the leaves behind it do not lead to the root of %d", older, n)
	}
}

func TestMerkleNoticesOtherHistory(t *testing.T) {
	t.Parallel()
	const size = 100
	for name, change := range map[string]func(*memoryLedger){
		"a changed byte": func(l *memoryLedger) {
			stored := append([]byte(nil), l.commits[41].Stored...)
			stored[len(stored)-1] ^= 1
			l.commits[41].Stored = stored
		},
		"a dropped commit": func(l *memoryLedger) {
			l.commits = append(l.commits[:41], l.commits[42:]...)
			for i := range l.commits {
				l.commits[i].Sequence = uint64(i) + 1
			}
		},
		"a swapped pair": func(l *memoryLedger) {
			a, b := &l.commits[41], &l.commits[42]
			*a, *b = *b, *a
			a.Sequence, b.Sequence = 42, 43
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ledger := treeLedger(t, size)
			m := openMerkle(t, "merkle", vfs.NewMem())
			defer m.Close()
			if err := CatchUp(t.Context(), ledger, m, nil); err != nil {
				t.Fatal(err)
			}
			change(ledger)
			v, err := m.verify(t.Context(), ledger, nil)
			if err != nil || len(v.Mismatches) != 1 || !strings.Contains(v.Mismatches[0].What, "from commit 42 on") {
				t.Errorf("%+v %v", v, err)
			}
		})
	}
}

func TestMerkleNoticesChangedRows(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*merkleRows) error{
		"changed": func(r *merkleRows) error { return r.Set(hashKey(30), make([]byte, 32), pebble.NoSync) },
		"gone":    func(r *merkleRows) error { return r.Delete(hashKey(30), pebble.NoSync) },
		"short":   func(r *merkleRows) error { return r.Set(hashKey(30), []byte{1}, pebble.NoSync) },
		"surplus": func(r *merkleRows) error { return r.Set(hashKey(1000), make([]byte, 32), pebble.NoSync) },
	} {
		ledger := treeLedger(t, 50)
		m := openMerkle(t, "merkle", vfs.NewMem())
		if err := CatchUp(t.Context(), ledger, m, nil); err != nil {
			t.Fatal(err)
		}
		if err := change((*merkleRows)(m.live.Load())); err != nil {
			t.Fatal(err)
		}
		v, err := m.verify(t.Context(), ledger, nil)
		if err != nil || len(v.Mismatches) == 0 {
			t.Errorf("%s: %+v %v", name, v, err)
		}
		runner := NewRunner(ledger, m)
		if _, err := runner.Rebuild(t.Context(), "merkle", RebuildOptions{}, nil); err != nil {
			t.Fatal(err)
		}
		if v, err = m.verify(t.Context(), ledger, nil); err != nil || len(v.Mismatches) > 0 {
			t.Errorf("%s, rebuilt: %+v %v", name, v, err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMerkleWantsStoredBytes(t *testing.T) {
	t.Parallel()
	m := openMerkle(t, "merkle", vfs.NewMem())
	defer m.Close()
	c := treeLedger(t, 1).commits[0]
	c.Stored = nil
	if err := m.Fold(t.Context(), c); !errors.Is(err, errNotStored) || m.Size() != 0 {
		t.Errorf("%v, size %d", err, m.Size())
	}
}

// What a commit and an event cost in the tree, beside how large the commits are.
func BenchmarkMerkleFold(b *testing.B) {
	for _, events := range []int{1, 500} {
		b.Run(map[int]string{1: "commits of 1 event", 500: "commits of 500 events"}[events], func(b *testing.B) {
			entries := make([]eventstore.Entry, events)
			for i := range entries {
				e := domain.PersonRegistered{Cohort: domain.Cohort{District: 208, Group: 1, Generation: 1}, Sex: 1, Day: 18000, Sealed: make([]byte, 200)}
				binary.BigEndian.PutUint64(e.Person[:], uint64(i))
				entries[i] = eventstore.Entry{Submission: domain.SubmissionToken{1}, Digest: domain.Digest{1}, Recorded: time.UnixMilli(1_600_000_000_000), Event: e}
			}
			stored, err := eventstore.Encode(eventstore.Commit{District: 208, Entries: entries})
			if err != nil {
				b.Fatal(err)
			}
			m, err := OpenMerkle(filepath.Join(b.TempDir(), "merkle"))
			if err != nil {
				b.Fatal(err)
			}
			defer m.Close()
			batch := make([]eventstore.Commit, max(1, 16384/events))
			b.SetBytes(int64(len(stored)))
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if n++; n%len(batch) == 0 {
					for i := range batch {
						batch[i] = eventstore.Commit{Sequence: m.Size() + uint64(i) + 1, District: 208, Entries: entries, Stored: stored}
					}
					if err := m.Fold(b.Context(), batch...); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(events), "ns/event")
		})
	}
}
