package synth

// queue is a double-ended queue of people, first in at the front. What has left
// the front is reclaimed once it is more than half of the memory.
type queue struct {
	items []uint32
	head  int
}

func (q *queue) len() int { return len(q.items) - q.head }

func (q *queue) pushBack(x uint32) { q.items = append(q.items, x) }

func (q *queue) pushFront(x uint32) {
	if q.head == 0 {
		room := len(q.items)/2 + 16
		grown := make([]uint32, room+len(q.items), 2*room+len(q.items))
		copy(grown[room:], q.items)
		q.items, q.head = grown, room
	}
	q.head--
	q.items[q.head] = x
}

func (q *queue) popFront() uint32 {
	x := q.items[q.head]
	q.head++
	if q.head >= 4096 && q.head > len(q.items)/2 {
		q.items = q.items[:copy(q.items, q.items[q.head:])]
		q.head = 0
	}
	return x
}

func (q *queue) popBack() uint32 {
	x := q.items[len(q.items)-1]
	q.items = q.items[:len(q.items)-1]
	return x
}

func (q *queue) back() uint32 { return q.items[len(q.items)-1] }

// takeBack removes and returns the last element that fits, looking no further
// back than near allows; without one it takes the very last.
func (q *queue) takeBack(near, fits func(uint32) bool) uint32 {
	for i := len(q.items) - 1; i >= q.head && near(q.items[i]); i-- {
		if x := q.items[i]; fits(x) {
			copy(q.items[i:], q.items[i+1:])
			q.items = q.items[:len(q.items)-1]
			return x
		}
	}
	return q.popBack()
}
