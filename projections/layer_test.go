package projections

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"bahi/domain"
)

// TestLayer: a layer says what a map of the same writes says, also when its memory is
// used again.
func TestLayer(t *testing.T) {
	t.Parallel()
	type outcome struct {
		kind  rowKind
		value []byte
	}
	chance := rand.New(rand.NewPCG(3, 4))
	l := newLayer()
	for range 4 {
		want := map[memoryKey]outcome{}
		for n := range 12_000 {
			token := binary.BigEndian.AppendUint64([]byte{keyMobile}, chance.Uint64N(3_000))
			k := keyOf(append(token, token[1:]...))
			kind, value := rowKind(chance.IntN(3)), binary.AppendUvarint(nil, uint64(n))
			if kind == rowDeleted {
				value = nil
			}
			l.put(k, kind, value)
			switch was, here := want[k]; {
			case kind == rowMerged && here && was.kind == rowDeleted:
				kind = rowSet
			case kind == rowMerged && here:
				kind, value = was.kind, append(bytes.Clone(was.value), value...)
			}
			want[k] = outcome{kind, value}
		}
		for k, w := range want {
			if value, kind, here := l.value(k, k.hash()); !here || kind != w.kind || !bytes.Equal(value, w.value) {
				t.Fatalf("%x: %v %x %v, want %v %x", k.key(), kind, value, here, w.kind, w.value)
			}
		}
		places := l.sorted()
		if len(places) != len(want) {
			t.Fatalf("%d rows, want %d", len(places), len(want))
		}
		for i := range places[1:] {
			if a, b := l.rows[places[i].row].key, l.rows[places[i+1].row].key; bytes.Compare(a.key(), b.key()) >= 0 {
				t.Fatalf("%x stands before %x", a.key(), b.key())
			}
		}
		l.empty()
		for k := range want {
			if _, _, here := l.value(k, k.hash()); here {
				t.Fatal("a layer that was emptied has a row")
			}
		}
	}
}

// TestCanariesAreSpread: canaries differ in the midst of their keys alone, and yet none
// lies far from where it is looked for first.
func TestCanariesAreSpread(t *testing.T) {
	t.Parallel()
	l := newLayer()
	for district := range domain.District(700) {
		eachCanary(keyTokens, domain.Cohort{District: district + 1, Group: domain.HealthCareWorker, Generation: 1}, func(key, value []byte) {
			l.put(keyOf(key), rowSet, value)
		})
	}
	mask, furthest := len(l.slots)-1, 0
	for at, s := range l.slots {
		if s != 0 {
			hash := l.rows[uint32(s)-1].key.hash()
			furthest = max(furthest, (at-int(hash))&mask)
		}
	}
	if furthest > 64 {
		t.Errorf("a row lies %d slots behind its own", furthest)
	}
}

// TestFullOfValues: a layer is full, too, when few rows have been written many times.
func TestFullOfValues(t *testing.T) {
	t.Parallel()
	m := newMemory(100)
	k := keyOf([]byte{keyMobile, 1})
	for n := 1; !m.full(); n++ {
		if m.newest.put(k, rowMerged, make([]byte, mobileOperand)); n == 1_000 {
			t.Fatalf("one row written %d times takes %d bytes", n, len(m.newest.values))
		}
	}
}

// TestLeavingStays: a layer that is to be written is not put aside for another before it
// is, when the fold and a reader want room or order at once.
func TestLeavingStays(t *testing.T) {
	t.Parallel()
	m := newMemory(1)
	first, second := keyOf([]byte{keyMobile, 1}), keyOf([]byte{keyMobile, 2})
	for _, k := range []memoryKey{first, second} {
		m.newest.put(k, rowSet, nil)
		m.turn()
	}
	if _, _, here := m.leaving.value(first, first.hash()); !here {
		t.Error("the layer that was leaving is lost")
	}
	if _, _, here := m.newest.value(second, second.hash()); !here {
		t.Error("what was written meanwhile is lost")
	}
}
