package projections

import (
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"bahi/domain"
	"bahi/eventstore"
)

// Counts keeps the count cells: for every [domain.Cell] and day of recording, a
// sum over events. It answers queries as of one day and as known at one time.
//
// Methods are safe for concurrent use; folding is for one goroutine.
type Counts struct {
	generations[countsRows, *countsRows]
}

// countsVersion changes with the meaning of the rows.
const countsVersion = 1

const (
	keyCell    = 'c' // cell, day recorded → sum
	keyClosure = 'z' // cohort → since when it is closed
	keyDay     = 'y' // day recorded → ledger sequence of its first commit
)

// dated is a cell and the day on which what it sums was recorded.
type dated struct {
	domain.Cell
	recorded domain.Day
}

// closure is since when a cohort is closed: the day of the order, and when that
// was recorded. A cohort closed from birth is closed since ever.
type closure struct {
	day      domain.Day
	recorded int64 // Unix milliseconds
}

var fromBirth = closure{day: math.MinInt32, recorded: math.MinInt64}

// countsRows is one generation of the count view.
type countsRows struct {
	*database

	// The fold's own. Recorded days never go back, so only cells of the last day
	// still change: their sums are kept here, and a fold reads a cell at most
	// once a day.
	today   domain.Day
	sums    map[dated]int64
	closed  map[domain.Cohort]closure
	lastDay domain.Day // with a row of its first commit

	// gathered is what a generation that nobody reads yet has folded and not
	// written: cells change often, and are written once.
	gathered *tally
}

// What bounds memory: sums that are kept, about 50 MB, and cells that are gathered,
// about 15 MB.
const (
	maxSums     = 1 << 19
	maxGathered = 1 << 17
)

// OpenCounts opens the count view in dir, or makes an empty one.
//
// What cannot be read is not an error: see [View.Unusable]. Errors: [ErrLocked].
func OpenCounts(dir string, options ...Options) (*Counts, error) {
	c := &Counts{}
	c.keeping = keeping{name: "counts", version: countsVersion, reads: countsVersion, compress: true, root: dir, options: only(options)}
	c.open = loadCounts
	if err := c.load(); err != nil {
		return nil, err
	}
	return c, nil
}

func loadCounts(db *database) (*countsRows, error) {
	c := &countsRows{database: db, today: math.MinInt32, lastDay: math.MinInt32, sums: map[dated]int64{}}
	var err error
	if c.closed, err = closures(db.view, db.DB); err != nil {
		return nil, err
	}
	return c, db.scan([]byte{keyDay}, func(key, _ []byte) error {
		c.lastDay = dayAt(key[1:])
		return nil
	})
}

func closures(view string, from pebble.Reader) (map[domain.Cohort]closure, error) {
	closed := map[domain.Cohort]closure{}
	err := scan(view, from, []byte{keyClosure}, func(key, value []byte) error {
		if len(key) != 1+cohortSize || len(value) != 12 {
			return &ViewError{View: view, Err: ErrCorrupt}
		}
		closed[cohortAt(key[1:])] = closure{day: dayAt(value), recorded: int64(binary.BigEndian.Uint64(value[4:]))}
		return nil
	})
	return closed, err
}

func (c *countsRows) base() *database { return c.database }

// foresee does nothing: a cell holds nobody.
func (c *countsRows) foresee([]eventstore.Commit) error { return nil }

func (c *countsRows) fold(ctx context.Context, commits []eventstore.Commit) error {
	if err := cmp.Or(c.spoiled, ctx.Err()); err != nil {
		return err
	}
	t := c.gathered
	if t == nil {
		t = newTally()
		t.lastDay = c.lastDay
	}
	to := c.last
	for _, commit := range commits {
		t.add(commit)
		to = to.after(commit)
	}
	t.commits += len(commits)
	if c.unread && len(t.cells) < maxGathered && t.events < flushEntries {
		c.gathered = t
		c.advance(to)
		return nil
	}
	return c.put(t, to)
}

// drain writes what is gathered.
func (c *countsRows) drain() error {
	if c.gathered == nil {
		return c.spoiled
	}
	return c.put(c.gathered, c.last)
}

// put writes what commits add up to, with the checkpoint that they lead to.
func (c *countsRows) put(t *tally, to checkpoint) (err error) {
	if c.gathered != nil {
		c.gathered = nil
		defer func() { c.spoiled = err }()
	}
	batch := c.NewBatch()
	defer batch.Close()
	sums, err := c.add(batch, t.sums())
	if err != nil {
		return err
	}
	for cohort, closed := range t.closed {
		if _, known := c.closed[cohort]; !known {
			_ = batch.Set(appendCohort([]byte{keyClosure}, cohort), closed.encode(), nil)
		}
	}
	for day, sequence := range t.days {
		_ = batch.Set(appendDay([]byte{keyDay}, day), binary.BigEndian.AppendUint64(nil, sequence), nil)
	}
	if err := c.write(batch, to, t.commits, int(t.events)); err != nil {
		return err
	}
	c.keep(sums)
	for cohort, closed := range t.closed {
		if _, known := c.closed[cohort]; !known {
			c.closed[cohort] = closed
		}
	}
	c.lastDay = t.lastDay
	return nil
}

// add writes the cells' new sums and returns them.
func (c *countsRows) add(batch *pebble.Batch, cells map[dated]int64) (sums map[dated]int64, err error) {
	sums = cells
	var key, value []byte
	for cell, n := range cells {
		key = cell.append(key[:0])
		sum, kept := c.sums[cell]
		if !kept {
			if sum, err = c.sum(key); err != nil {
				return nil, err
			}
		}
		sums[cell] = sum + n
		value = binary.AppendVarint(value[:0], sum+n)
		_ = batch.Set(key, value, nil)
	}
	return sums, nil
}

// keep remembers the sums of the last day's cells.
func (c *countsRows) keep(sums map[dated]int64) {
	last := domain.DayOf(c.last.recordedAt())
	if last != c.today || len(c.sums) > maxSums {
		c.today = last
		clear(c.sums)
	}
	for cell, sum := range sums {
		if cell.recorded == c.today {
			c.sums[cell] = sum
		}
	}
}

func (c *countsRows) sum(key []byte) (sum int64, err error) {
	err = c.find(key, func(value []byte) error {
		v := recordReader{b: value}
		if sum = v.varint(); v.bad {
			return &ViewError{View: c.view, Err: ErrCorrupt}
		}
		return nil
	})
	return sum, err
}

// A cell's key: district, measure, group, generation, sex, vaccine, day it
// happened, day it was recorded. A district is one span.
const cellSize = 1 + 2 + 1 + 1 + 2 + 1 + 1 + 4 + 4

func (c dated) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(append(b, keyCell), uint16(c.District))
	b = append(b, byte(c.Measure), byte(c.Group))
	b = binary.BigEndian.AppendUint16(b, c.Generation)
	b = append(b, byte(c.Sex), byte(c.Vaccine))
	return appendDay(appendDay(b, c.Day), c.recorded)
}

func datedAt(key []byte) (c dated, ok bool) {
	if len(key) != cellSize {
		return c, false
	}
	c.District = domain.District(binary.BigEndian.Uint16(key[1:]))
	c.Measure, c.Group = domain.Measure(key[3]), domain.Group(key[4])
	c.Generation = binary.BigEndian.Uint16(key[5:])
	c.Sex, c.Vaccine = domain.Sex(key[7]), domain.Vaccine(key[8])
	c.Day, c.recorded = dayAt(key[9:]), dayAt(key[13:])
	return c, true
}

// A day in a key keeps the order of days, before 1970 too.
func appendDay(b []byte, d domain.Day) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(d)^1<<31)
}

func dayAt(b []byte) domain.Day { return domain.Day(binary.BigEndian.Uint32(b) ^ 1<<31) }

func (c closure) encode() []byte {
	return binary.BigEndian.AppendUint64(appendDay(nil, c.day), uint64(c.recorded))
}

// closedBy tells whether the closure stands on a day, as known at a time.
func (c closure) closedBy(day domain.Day, known time.Time) bool {
	return c.day <= day && c.recorded <= known.UnixMilli()
}
