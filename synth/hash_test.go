package synth

import (
	"slices"
	"testing"
)

func TestPermuteIsOneToOne(t *testing.T) {
	t.Parallel()
	for _, n := range []uint64{1, 2, 3, 10, 26 * 10, 4096, 9_000} {
		seen := make([]bool, n)
		moved := 0
		for x := range n {
			y := permute(x, n, 42)
			if y >= n || seen[y] {
				t.Fatalf("of %d: %d goes to %d, which is out of range or taken", n, x, y)
			}
			seen[y] = true
			if x != y {
				moved++
			}
		}
		if n > 100 && moved < int(n)*9/10 {
			t.Errorf("of %d only %d move", n, moved)
		}
	}
}

// TestQueue compares with a slice.
func TestQueue(t *testing.T) {
	t.Parallel()
	var q queue
	var want []uint32
	chance := draws{1}
	for i := range uint32(200_000) {
		switch turn := chance.below(100); {
		case turn < 45 || len(want) == 0:
			q.pushBack(i)
			want = append(want, i)
		case turn < 50:
			q.pushFront(i)
			want = slices.Insert(want, 0, i)
		case turn < 85:
			if got := q.popFront(); got != want[0] {
				t.Fatalf("front %d, want %d", got, want[0])
			}
			want = want[1:]
		case turn < 95:
			if got := q.popBack(); got != want[len(want)-1] {
				t.Fatalf("back %d, want %d", got, want[len(want)-1])
			}
			want = want[:len(want)-1]
		default:
			at := len(want) - 1
			for j := at; j >= max(0, len(want)-5); j-- {
				if want[j]%3 == 0 {
					at = j
					break
				}
			}
			steps := 0
			got := q.takeBack(
				func(uint32) bool { steps++; return steps <= 5 },
				func(x uint32) bool { return x%3 == 0 })
			if got != want[at] {
				t.Fatalf("took %d, want %d", got, want[at])
			}
			want = slices.Delete(want, at, at+1)
		}
		if q.len() != len(want) {
			t.Fatalf("%d in the queue, want %d", q.len(), len(want))
		}
	}
}
