package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"

	"bahi/eventstore"
	"bahi/evidence"
)

// recompute makes the tree anew from the ledger and compares hash by hash.
func (m *merkleRows) recompute(ctx context.Context, from Ledger, at *pebble.Snapshot, through uint64, told *meter) ([]Mismatch, error) {
	told.step(StepChecking, 0, through)
	return m.compare(ctx, from, at, through, nil, told.folded)
}

// Recompute makes the tree anew from the ledger, through what the view has folded,
// and compares every hash. See, when not nil, is shown every commit and the edge of
// the tree that ends with it, to be looked at until it returns. Progress, when not
// nil, is told how many commits are read of how many.
//
// It costs a pass over the ledger and one over the view. Errors are those of the
// ledger, with what was found before, and of see.
func (m *Merkle) Recompute(ctx context.Context, from Ledger, see func(eventstore.Commit, *evidence.Edge) error, progress func(done, total uint64)) (v Verification, err error) {
	m.folding.Lock()
	rows := m.reading()
	defer rows.readers.RUnlock()
	snapshot, through := rows.NewSnapshot(), rows.last.sequence
	m.folding.Unlock()
	defer snapshot.Close()
	v = Verification{View: m.name, Through: through, Mismatches: []Mismatch{}}
	found, err := rows.compare(ctx, from, snapshot, through, see, func(done, _ uint64) {
		if progress != nil {
			progress(done, through)
		}
	})
	v.Mismatches = append(v.Mismatches, found...)
	return v, err
}

func (m *merkleRows) compare(ctx context.Context, from Ledger, at *pebble.Snapshot, through uint64, see func(eventstore.Commit, *evidence.Edge) error, tell func(done, entries uint64)) (found []Mismatch, err error) {
	differ := func(what string) { found = append(found, Mismatch{View: m.view, What: what}) }
	stored, err := at.NewIter(&pebble.IterOptions{LowerBound: []byte{keyHash}, UpperBound: []byte{keyHash + 1}})
	if err != nil {
		return nil, readError(m.view, err)
	}
	defer func() { err = closing(stored, err) }()

	c := treeComparison{rows: stored}
	c.rows.First()
	head, err := from.Head(ctx)
	if err != nil {
		return nil, err
	}
	err = foldThrough(ctx, from, 0, min(head, through), func(ctx context.Context, commits ...eventstore.Commit) error {
		for _, commit := range commits {
			c.add(commit)
			if see != nil {
				if err := see(commit, &c.edge); err != nil {
					return err
				}
			}
		}
		return ctx.Err()
	}, tell)
	switch {
	case err != nil:
	case c.edge.Size() < through:
		c.differ(c.edge.Size()+1, "the ledger ends before it")
	case c.rows.Valid():
		c.differ(through+1, "the view has hashes of more")
	}
	if damaged := stored.Error(); damaged != nil {
		damaged = readError(m.view, damaged)
		if !errors.Is(damaged, ErrCorrupt) {
			return found, damaged
		}
		differ(damaged.Error())
	}
	if c.mismatches > 0 {
		differ(fmt.Sprintf("from commit %d on, %d of the hashes differ from what the ledger says: %s", c.first, c.mismatches, c.what))
	}
	return found, err
}

// treeComparison holds a tree that grows against the rows of one that is kept, which
// are in the order in which hashes are fixed.
type treeComparison struct {
	edge       evidence.Edge
	rows       *pebble.Iterator
	index      int64
	hashes     []evidence.Hash
	mismatches uint64
	first      uint64 // the commit with the first of them
	what       string
}

func (c *treeComparison) add(commit eventstore.Commit) {
	c.hashes = c.edge.Append(evidence.LeafHash(commit.Stored), c.hashes[:0])
	for i, h := range c.hashes {
		switch key := hashKey(c.index); {
		case !c.rows.Valid() || string(c.rows.Key()) != string(key):
			c.differ(commit.Sequence, "a hash is missing in the view")
		default:
			if value, err := c.rows.ValueAndErr(); err != nil || evidence.Hash(fixed(value)) != h {
				level := "an inner hash"
				if i == 0 {
					level = "the commit is not the one that was folded"
				}
				c.differ(commit.Sequence, level)
			}
			c.rows.Next()
		}
		c.index++
	}
}

// fixed returns the hash in a row, or zeros, which are the hash of nothing known.
func fixed(value []byte) (h [tlog.HashSize]byte) {
	if len(value) == len(h) {
		copy(h[:], value)
	}
	return h
}

func (c *treeComparison) differ(commit uint64, what string) {
	if c.mismatches == 0 {
		c.first, c.what = commit, what
	}
	c.mismatches++
}
