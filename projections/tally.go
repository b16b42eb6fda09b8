package projections

import (
	"math"

	"bahi/domain"
	"bahi/eventstore"
)

// tally sums up commits: the whole meaning of the count view, without its rows.
type tally struct {
	recent  [1 << recentBits]recentSum
	cells   map[dated]int64 // but for what is in recent; see sums
	closed  map[domain.Cohort]closure
	days    map[domain.Day]uint64
	lastDay domain.Day // the last one with a first commit
	commits int
	events  uint64
}

// recentSum is a cell that was met lately. Most events are counted in the cells of
// those before them, and a map would take a good part of a fold.
type recentSum struct {
	cell dated
	n    int64 // 0: free
}

const recentBits = 9

func newTally() *tally {
	return &tally{
		cells: map[dated]int64{}, closed: map[domain.Cohort]closure{}, days: map[domain.Day]uint64{}, lastDay: math.MinInt32,
	}
}

func (t *tally) add(c eventstore.Commit) {
	var day domain.Day
	var until int64 // the day's last millisecond
	for _, e := range c.Entries {
		if at := e.Recorded.UnixMilli(); until == 0 || at > until {
			day = domain.DayOf(e.Recorded)
			until = day.End().UnixMilli()
		}
		if day > t.lastDay {
			t.days[day], t.lastDay = c.Sequence, day
		}
		t.events++
		switch event := e.Event.(type) {
		case domain.FreezeOrdered:
			for _, size := range event.Cohorts {
				t.close(size.Cohort, closure{event.Day, e.Recorded.UnixMilli()})
			}
		case domain.PersonRegistered:
			if event.Closed {
				t.close(event.Cohort, fromBirth)
			}
		}
		domain.Counts(e.Event, func(cell domain.Cell, n int64) { t.count(dated{cell, day}, n) })
	}
}

func (t *tally) count(c dated, n int64) {
	r := &t.recent[c.slot()]
	if r.n != 0 && r.cell == c {
		r.n += n
		return
	}
	if r.n != 0 {
		t.cells[r.cell] += r.n
	}
	*r = recentSum{c, n}
}

// sums returns what all cells add up to.
func (t *tally) sums() map[dated]int64 {
	for i := range t.recent {
		if r := &t.recent[i]; r.n != 0 {
			t.cells[r.cell] += r.n
			*r = recentSum{}
		}
	}
	return t.cells
}

func (c dated) slot() uint64 {
	what := uint64(c.District)<<40 ^ uint64(c.Generation)<<32 ^ uint64(c.Measure)<<24 ^ uint64(c.Group)<<16 ^ uint64(c.Sex)<<8 ^ uint64(c.Vaccine)
	when := uint64(uint32(c.Day))<<32 ^ uint64(uint32(c.recorded))
	return (what*0x9e3779b97f4a7c15 ^ when*0xc2b2ae3d27d4eb4f) >> (64 - recentBits)
}

func (t *tally) close(c domain.Cohort, since closure) {
	if _, known := t.closed[c]; !known {
		t.closed[c] = since
	}
}
