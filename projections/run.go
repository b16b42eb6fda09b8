package projections

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// run is rows to be sorted.
type run struct {
	chunks [][]byte // keys and values, one behind the other
	spare  [][]byte // chunks to be filled again
	bytes  int
	order  []placed // as they were written
	kept   int      // of these, by folds that succeeded
	sorted []begun
}

// chunkBits is how many bits of a place are within a chunk. Memory is taken and used
// again in chunks, so that a run never moves to grow.
const (
	chunkBits = 20
	chunkSize = 1 << chunkBits
)

// placed is a row: where its key lies, and behind it its value.
type placed struct {
	at      uint32 // chunk and place within
	size    uint32 // of the value
	keySize uint8
	kind    pebble.InternalKeyKind
}

// begun is a row and the beginning of its key, by which most are told apart.
type begun struct {
	key uint64
	row uint32 // of order
}

func (r *run) add(kind pebble.InternalKeyKind, key, value []byte) {
	need, last := len(key)+len(value), len(r.chunks)-1
	if last < 0 || len(r.chunks[last])+need > cap(r.chunks[last]) {
		r.chunks = append(r.chunks, r.chunk(need))
		last++
	}
	c := r.chunks[last]
	r.order = append(r.order, placed{at: uint32(last<<chunkBits | len(c)), size: uint32(len(value)), keySize: uint8(len(key)), kind: kind})
	r.chunks[last] = append(append(c, key...), value...)
	r.bytes += need
}

// chunk returns an empty one with room for a row.
func (r *run) chunk(need int) []byte {
	n := len(r.spare)
	if n == 0 || need > chunkSize {
		return make([]byte, 0, max(need, chunkSize))
	}
	c := r.spare[n-1]
	r.spare = r.spare[:n-1]
	return c[:0]
}

// emptied returns the run's memory as a run without rows.
func (r *run) emptied() run {
	for _, c := range r.chunks {
		if cap(c) == chunkSize {
			r.spare = append(r.spare, c)
		}
	}
	return run{spare: r.spare, order: r.order[:0], sorted: r.sorted[:0]}
}

func (r *run) key(row uint32) []byte {
	p := &r.order[row]
	from := p.at % chunkSize
	return r.chunks[p.at>>chunkBits][from : from+uint32(p.keySize)]
}

func (r *run) value(row uint32) []byte {
	p := &r.order[row]
	from := p.at%chunkSize + uint32(p.keySize)
	return r.chunks[p.at>>chunkBits][from : from+p.size]
}

// sort puts the rows in order of keys, those of one key as they were written.
func (r *run) sort() {
	r.sorted = slices.Grow(r.sorted[:0], len(r.order))
	for row := range uint32(len(r.order)) {
		var first [8]byte
		copy(first[:], r.key(row))
		r.sorted = append(r.sorted, begun{binary.BigEndian.Uint64(first[:]), row})
	}
	slices.SortFunc(r.sorted, func(a, b begun) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		if c := bytes.Compare(r.key(a.row), r.key(b.row)); c != 0 {
			return c
		}
		return cmp.Compare(a.row, b.row)
	})
}

// each calls yield with one row a key: what all rows of the key come to.
func (r *run) each(yield func(kind pebble.InternalKeyKind, key, value []byte) error) error {
	var joined []byte
	for rest := r.sorted; len(rest) > 0; {
		key, same := r.key(rest[0].row), 1
		for same < len(rest) && rest[same].key == rest[0].key && bytes.Equal(r.key(rest[same].row), key) {
			same++
		}
		kind, value, isJoined := r.order[rest[0].row].kind, r.value(rest[0].row), false
		for _, more := range rest[1:same] {
			next := r.order[more.row].kind
			if next == pebble.InternalKeyKindMerge && kind != pebble.InternalKeyKindDelete {
				if !isJoined {
					joined, isJoined = append(joined[:0], value...), true
				}
				joined = append(joined, r.value(more.row)...)
				value = joined
				continue
			}
			if kind, value, isJoined = next, r.value(more.row), false; kind == pebble.InternalKeyKindMerge {
				kind = pebble.InternalKeyKindSet // what is added to a row that was deleted is the whole row
			}
		}
		if err := yield(kind, key, value); err != nil {
			return err
		}
		rest = rest[same:]
	}
	return nil
}
