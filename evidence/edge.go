package evidence

import (
	"fmt"
	"math/bits"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is a node of the tree: SHA-256 as RFC 6962 has it. Its text is base64.
type Hash = tlog.Hash

// LeafHash returns the leaf that a commit's stored bytes make.
func LeafHash(stored []byte) Hash { return tlog.RecordHash(stored) }

// Edge is the right edge of a tree: the roots of the perfect subtrees that it
// consists of, the largest first. It is all that one needs to append a leaf and to
// tell the root, and has as many hashes as the size has ones in binary. The zero
// value is the empty tree.
type Edge struct {
	size  uint64
	peaks []Hash
}

// NewEdge returns the edge of a tree of that size.
func NewEdge(size uint64, peaks []Hash) (Edge, error) {
	if bits.OnesCount64(size) != len(peaks) {
		return Edge{}, fmt.Errorf("%w: a tree of %d leaves does not have an edge of %d hashes", ErrMalformed, size, len(peaks))
	}
	return Edge{size, slices.Clone(peaks)}, nil
}

// EdgeIndexes returns where [tlog] stores the hashes of the edge of a tree.
func EdgeIndexes(size uint64) []int64 {
	var indexes []int64
	for level := 63; level >= 0; level-- {
		if size>>level&1 == 1 {
			indexes = append(indexes, tlog.StoredHashIndex(level, int64(size>>level)-1))
		}
	}
	return indexes
}

// Size returns how many leaves the tree has.
func (e *Edge) Size() uint64 { return e.size }

// Clone returns an edge that grows by itself.
func (e *Edge) Clone() Edge { return Edge{e.size, slices.Clone(e.peaks)} }

// Append adds a leaf, and appends to stored the hashes that are fixed with it: the
// leaf itself, and the root of every subtree that it completes. In this order they
// have [tlog]'s next stored hash indexes. On average there are two.
func (e *Edge) Append(leaf Hash, stored []Hash) []Hash {
	stored = append(stored, leaf)
	for n := e.size; n&1 == 1; n >>= 1 {
		last := len(e.peaks) - 1
		leaf = tlog.NodeHash(e.peaks[last], leaf)
		e.peaks = e.peaks[:last]
		stored = append(stored, leaf)
	}
	e.peaks = append(e.peaks, leaf)
	e.size++
	return stored
}

// Root returns the root of the tree.
func (e *Edge) Root() Hash {
	if e.size == 0 {
		return emptyRoot
	}
	root := e.peaks[len(e.peaks)-1]
	for i := len(e.peaks) - 2; i >= 0; i-- {
		root = tlog.NodeHash(e.peaks[i], root)
	}
	return root
}

// emptyRoot is the root of the tree without leaves.
var emptyRoot, _ = tlog.TreeHash(0, nil)
