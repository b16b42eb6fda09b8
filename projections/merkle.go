package projections

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"

	"bahi/eventstore"
	"bahi/evidence"
)

// Merkle keeps the hashes of the tree whose leaves are the ledger's commits, as
// RFC 6962 has it: leaf n is the hash of the stored bytes of commit n+1. It tells
// the root of the first so many commits, and proves that one of them is in it, or
// that a tree continues an earlier one.
//
// Methods are safe for concurrent use; folding is for one goroutine. Rows are never
// changed, so a question about a size that is folded has one answer for ever.
type Merkle struct {
	generations[merkleRows, *merkleRows]
}

// merkleVersion changes with the meaning of the rows.
const merkleVersion = 1

const keyHash = 'h' // stored hash index of tlog, in big-endian order → hash

// ErrNotFolded: a tree was asked for that is larger than what the view has folded.
var ErrNotFolded = errors.New("the view has not folded the ledger so far")

// errNotStored: a commit that was not read from a store has no bytes to be hashed.
var errNotStored = errors.New("the commit does not come from the ledger: its stored bytes are not known")

// merkleRows is one generation of the tree.
type merkleRows struct {
	*database
	edge evidence.Edge // the fold's own, of what is folded
}

// OpenMerkle opens the tree in dir, or makes an empty one.
//
// What cannot be read is not an error: see [View.Unusable]. Errors: [ErrLocked].
func OpenMerkle(dir string, options ...Options) (*Merkle, error) {
	m := &Merkle{}
	m.keeping = keeping{name: "merkle", version: merkleVersion, reads: merkleVersion, root: dir, options: only(options)}
	m.open = loadMerkle
	if err := m.load(); err != nil {
		return nil, err
	}
	return m, nil
}

func loadMerkle(db *database) (m *merkleRows, err error) {
	m = &merkleRows{database: db}
	m.edge, err = m.edgeOf(db.last.sequence)
	return m, err
}

func (m *merkleRows) base() *database { return m.database }

// foresee does nothing: a hash holds nobody, and a freeze changes none.
func (m *merkleRows) foresee([]eventstore.Commit) error { return nil }

func (m *merkleRows) settle(context.Context, locker) error { return nil }

func hashKey(index int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{keyHash}, uint64(index))
}

func (m *merkleRows) fold(ctx context.Context, commits []eventstore.Commit) error {
	batch := m.NewBatch()
	defer batch.Close()
	edge, to, entries := m.edge.Clone(), m.last, 0
	index := tlog.StoredHashCount(int64(edge.Size()))
	var hashes []evidence.Hash
	for _, c := range commits {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.Stored == nil {
			return fmt.Errorf("fold commit %d into the view %s: %w", c.Sequence, m.view, errNotStored)
		}
		hashes = edge.Append(evidence.LeafHash(c.Stored), hashes[:0])
		for _, h := range hashes {
			_ = batch.Set(hashKey(index), h[:], nil)
			index++
		}
		to, entries = to.after(c), entries+len(c.Entries)
	}
	if err := m.write(batch, to, len(commits), entries); err != nil {
		return err
	}
	m.edge = edge
	return nil
}

// ReadHashes returns stored hashes by their index, as [tlog.HashReader] has it.
func (m *merkleRows) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		value, err := m.get(hashKey(index))
		if err != nil {
			return nil, err
		}
		if len(value) != tlog.HashSize {
			return nil, &ViewError{View: m.view, Err: ErrCorrupt}
		}
		copy(hashes[i][:], value)
	}
	return hashes, nil
}

func (m *merkleRows) edgeOf(size uint64) (evidence.Edge, error) {
	peaks, err := m.ReadHashes(evidence.EdgeIndexes(size))
	if err != nil {
		return evidence.Edge{}, err
	}
	return evidence.NewEdge(size, peaks)
}

// of calls ask with the live generation, when it has a tree of that size.
func of[T any](m *Merkle, size uint64, ask func(*merkleRows) (T, error)) (answer T, err error) {
	rows := m.reading()
	defer rows.readers.RUnlock()
	if folded := rows.at.Load(); size > folded {
		return answer, fmt.Errorf("a tree of %d commits, of %d: %w", size, folded, ErrNotFolded)
	}
	return ask(rows)
}

// Size returns how many commits the tree has.
func (m *Merkle) Size() uint64 { return m.Folded() }

// Root returns the root of the first size commits. It reads as many rows as size
// has ones in binary. Errors: [ErrNotFolded], [ErrCorrupt].
func (m *Merkle) Root(size uint64) (evidence.Hash, error) {
	return of(m, size, func(rows *merkleRows) (evidence.Hash, error) { return tlog.TreeHash(int64(size), rows) })
}

// ProveRecord returns the hashes that lead from leaf index, which is commit
// index+1, to the root of the first size commits. Errors: [ErrNotFolded],
// [ErrCorrupt].
func (m *Merkle) ProveRecord(index, size uint64) ([]evidence.Hash, error) {
	if index >= size {
		return nil, fmt.Errorf("a tree of %d commits has no commit %d: %w", size, index+1, ErrNotFolded)
	}
	return of(m, size, func(rows *merkleRows) ([]evidence.Hash, error) {
		return tlog.ProveRecord(int64(size), int64(index), rows)
	})
}

// ProveTree returns the hashes that show that the tree of the first newer commits
// continues that of the first older. Errors: [ErrNotFolded], [ErrCorrupt].
func (m *Merkle) ProveTree(older, newer uint64) ([]evidence.Hash, error) {
	if older > newer {
		return nil, fmt.Errorf("a tree of %d commits does not continue one of %d: %w", newer, older, ErrNotFolded)
	}
	return of(m, newer, func(rows *merkleRows) ([]evidence.Hash, error) {
		if older == 0 {
			return []evidence.Hash{}, nil // anything continues nothing
		}
		return tlog.ProveTree(int64(newer), int64(older), rows)
	})
}

// Edge returns the right edge of the tree of the first size commits. Errors:
// [ErrNotFolded], [ErrCorrupt].
func (m *Merkle) Edge(size uint64) ([]evidence.Hash, error) {
	return of(m, size, func(rows *merkleRows) ([]evidence.Hash, error) {
		return rows.ReadHashes(evidence.EdgeIndexes(size))
	})
}

// Leaves returns the leaves of the commits behind one sequence through another.
// Errors: [ErrNotFolded], [ErrCorrupt].
func (m *Merkle) Leaves(after, through uint64) ([]evidence.Hash, error) {
	return of(m, through, func(rows *merkleRows) ([]evidence.Hash, error) {
		var indexes []int64
		for n := after; n < through; n++ {
			indexes = append(indexes, tlog.StoredHashIndex(0, int64(n)))
		}
		return rows.ReadHashes(indexes)
	})
}

func (m *merkleRows) digest(ctx context.Context, from pebble.Reader) (map[string][32]byte, error) {
	return digestParts(ctx, m.view, from, map[byte]string{keyHash: "hashes"}, nil)
}
