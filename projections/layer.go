package projections

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/cockroachdb/pebble/v2/sstable"

	"bahi/domain"
)

// layer is rows in memory and the checkpoint that they lead to.
type layer struct {
	slots  []uint64 // by hash: a hash's upper half and 1 + a place in rows; 0 is free
	rows   []layerRow
	values []byte
	to     checkpoint
}

type layerRow struct {
	key memoryKey
	row
}

// row is the outcome of the writes to a key, and where its value lies.
type row struct {
	kind  rowKind
	at, n uint32
}

type rowKind uint8

const (
	rowSet     rowKind = iota // replaces what is below
	rowDeleted                // there is nothing, whatever is below
	rowMerged                 // comes behind what is below
	rowsGone                  // in a draft: every row with the prefix is deleted
)

// memoryKey is a key in a map: those of the register have at most 22 bytes.
type memoryKey struct {
	bytes [1 + cohortSize + domain.TokenSize]byte
	n     uint8
}

func keyOf(b []byte) (k memoryKey) {
	k.n = uint8(copy(k.bytes[:], b))
	return k
}

func (k *memoryKey) key() []byte { return k.bytes[:k.n] }

// rowMemory is about what a row with its key and value takes, in bytes.
const rowMemory = 128

func newLayer() *layer { return &layer{slots: make([]uint64, 1<<10)} }

// empty drops the rows and keeps the memory.
func (l *layer) empty() {
	clear(l.slots)
	clear(l.rows)
	clear(l.values)
	l.rows, l.values, l.to = l.rows[:0], l.values[:0], checkpoint{}
}

// put adds a write to the layer.
func (l *layer) put(k memoryKey, kind rowKind, value []byte) {
	hash := k.hash()
	slot := l.slot(&k, hash)
	if *slot == 0 {
		*slot = hash&^math.MaxUint32 | uint64(len(l.rows)+1)
		l.rows = append(l.rows, layerRow{k, row{kind, uint32(len(l.values)), uint32(len(value))}})
		l.values = append(l.values, value...)
		if 2*len(l.rows) > len(l.slots) {
			l.widen()
		}
		return
	}
	r := &l.rows[uint32(*slot)-1].row
	at := uint32(len(l.values))
	switch {
	case kind != rowMerged:
		*r = row{kind, at, uint32(len(value))}
	case r.kind == rowDeleted:
		*r = row{rowSet, at, uint32(len(value))}
	default:
		l.values = append(l.values, l.values[r.at:r.at+r.n]...)
		*r = row{r.kind, at, r.n + uint32(len(value))}
	}
	l.values = append(l.values, value...)
}

// slot returns the slot of a key, or the free one for it. A map of Go's would take
// the memory of all else again.
func (l *layer) slot(k *memoryKey, hash uint64) *uint64 {
	mask := uint64(len(l.slots) - 1)
	for at := hash & mask; ; at = (at + 1) & mask {
		s := &l.slots[at]
		if *s == 0 || *s>>32 == hash>>32 && l.rows[uint32(*s)-1].key == *k {
			return s
		}
	}
}

func (l *layer) widen() {
	l.slots = make([]uint64, 2*len(l.slots))
	mask := uint64(len(l.slots) - 1)
	for i := range l.rows {
		hash := l.rows[i].key.hash()
		at := hash & mask
		for l.slots[at] != 0 {
			at = (at + 1) & mask
		}
		l.slots[at] = hash&^math.MaxUint32 | uint64(i+1)
	}
}

// keys yields the keys of all rows.
func (l *layer) keys(yield func([]byte) bool) {
	for i := range l.rows {
		if !yield(l.rows[i].key.key()) {
			return
		}
	}
}

// value returns what the layer says of a key, whose hash is given.
func (l *layer) value(k memoryKey, hash uint64) (value []byte, kind rowKind, here bool) {
	if l == nil {
		return nil, 0, false
	}
	slot := *l.slot(&k, hash)
	if slot == 0 {
		return nil, 0, false
	}
	r := &l.rows[uint32(slot)-1]
	return l.valueOf(r.row), r.kind, true
}

func (l *layer) valueOf(r row) []byte { return l.values[r.at : r.at+r.n] }

// write adds all rows to a table, in the order of their keys.
func (l *layer) write(table *sstable.Writer) error {
	if err := table.Set(checkpointKey, l.to.encode()); err != nil {
		return err
	}
	for _, place := range l.sorted() {
		r := &l.rows[place.row]
		var err error
		switch key, value := r.key.key(), l.valueOf(r.row); r.kind {
		case rowSet:
			err = table.Set(key, value)
		case rowDeleted:
			err = table.Delete(key)
		case rowMerged:
			err = table.Merge(key, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// place is a row by the first bytes of its key, which nearly always tell it from
// others: sorting looks at little memory.
type place struct {
	first uint64
	row   uint32
}

func (l *layer) sorted() []place {
	places := make([]place, len(l.rows))
	for i := range l.rows {
		places[i] = place{binary.BigEndian.Uint64(l.rows[i].key.bytes[:]), uint32(i)}
	}
	slices.SortFunc(places, func(a, b place) int {
		if a.first != b.first {
			return cmp.Compare(a.first, b.first)
		}
		return slices.Compare(l.rows[a.row].key.key(), l.rows[b.row].key.key())
	})
	return places
}

// hash is made of both ends of a key: the last bytes of tokens are as good as random,
// those of canaries are all the same.
func (k *memoryKey) hash() uint64 {
	const golden = 0x9e3779b97f4a7c15 // 2⁶⁴ over the golden ratio
	end := max(int(k.n), 8)
	h := binary.LittleEndian.Uint64(k.bytes[:8]) * golden
	h = (h ^ h>>32 ^ binary.LittleEndian.Uint64(k.bytes[end-8:end])) * golden
	return h ^ h>>32
}
