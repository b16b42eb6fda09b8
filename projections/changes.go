package projections

import (
	"encoding/binary"
	"maps"
	"slices"

	"bahi/domain"
)

// rowCode is the key of a row of counts in eight bytes, whose order is that of rows: by
// day, district, group, sex and vaccine. What a query does not split by is 0.
type rowCode uint64

// dayZero is where day 0 stands, so that days of the years 0 to 9999 are in order.
const dayZero = 1 << 23

func codeOf(day domain.Day, district domain.District, group domain.Group, sex domain.Sex, vaccine domain.Vaccine) rowCode {
	return rowCode(day+dayZero)<<40 | rowCode(district)<<24 | rowCode(group)<<16 | rowCode(sex)<<8 | rowCode(vaccine)
}

func (c rowCode) day() domain.Day           { return domain.Day(c>>40) - dayZero }
func (c rowCode) district() domain.District { return domain.District(c >> 24) }
func (c rowCode) group() domain.Group       { return domain.Group(c >> 16) }
func (c rowCode) sex() domain.Sex           { return domain.Sex(c >> 8) }
func (c rowCode) vaccine() domain.Vaccine   { return domain.Vaccine(c) }

// on returns the code of the same row on another day.
func (c rowCode) on(day domain.Day) rowCode { return rowCode(day+dayZero)<<40 | c&(1<<40-1) }

// changes are the figures of rows, packed in the order of rows: how far each code is
// from the one before, which figures are not 0, and those. A row takes some ten bytes.
type changes struct {
	packed []byte
	rows   int
	last   rowCode
}

// add packs a row behind all others; a row of nothing is none.
func (c *changes) add(code rowCode, f Figures) {
	if f == (Figures{}) {
		return
	}
	var is uint64
	columns := f.columns()
	for i, n := range columns {
		if *n != 0 {
			is |= 1 << i
		}
	}
	c.packed = binary.AppendUvarint(c.packed, uint64(code-c.last))
	c.packed = binary.AppendUvarint(c.packed, is)
	for _, n := range columns {
		if *n != 0 {
			c.packed = binary.AppendVarint(c.packed, *n)
		}
	}
	c.rows, c.last = c.rows+1, code
}

// changesReader reads changes in their order, and stands at the first.
type changesReader struct {
	rest    []byte
	more    bool // it stands at a row
	code    rowCode
	figures Figures
}

func (c changes) read() changesReader {
	r := changesReader{rest: c.packed}
	r.next()
	return r
}

func (r *changesReader) next() {
	if r.more = len(r.rest) > 0; !r.more {
		return
	}
	uvarint := func() uint64 {
		v, n := binary.Uvarint(r.rest)
		r.rest = r.rest[n:]
		return v
	}
	r.code += rowCode(uvarint())
	r.figures = Figures{}
	is := uvarint()
	for i, figure := range r.figures.columns() {
		if is&(1<<i) != 0 {
			v, n := binary.Varint(r.rest)
			*figure, r.rest = v, r.rest[n:]
		}
	}
}

// gathering adds up the figures of rows that come in any order, in memory that the
// number of different rows bounds and not of what is added.
type gathering struct {
	open    map[rowCode]int32 // where in figures
	figures []Figures
	runs    []changes
	over    bool // there are more than maxRows
}

// What a gathering has open takes some 2 MB; that many runs become one.
const (
	maxOpen = 1 << 14
	maxRuns = 16
)

// row returns a row's figures, which are to be added to. They are valid until the next
// call.
func (g *gathering) row(code rowCode) *Figures {
	i, ok := g.open[code]
	if !ok {
		if len(g.open) == maxOpen {
			g.pack()
		}
		if g.open == nil {
			g.open = map[rowCode]int32{}
		}
		i = int32(len(g.figures))
		g.open[code] = i
		g.figures = append(g.figures, Figures{})
	}
	return &g.figures[i]
}

// pack makes a run of what is open.
func (g *gathering) pack() {
	var run changes
	for _, code := range slices.Sorted(maps.Keys(g.open)) {
		run.add(code, g.figures[g.open[code]])
	}
	clear(g.open)
	g.figures = g.figures[:0]
	if g.runs = append(g.runs, run); len(g.runs) == maxRuns {
		g.runs = append(g.runs[:0], g.merged())
	}
}

// all returns everything that was added, and ends the gathering.
func (g *gathering) all() changes {
	g.pack()
	g.open, g.figures = nil, nil
	if len(g.runs) == 1 {
		g.over = g.runs[0].rows > maxRows
		return g.runs[0]
	}
	return g.merged()
}

// merged makes one run of all.
func (g *gathering) merged() (all changes) {
	readers := make([]changesReader, len(g.runs))
	for i, run := range g.runs {
		readers[i] = run.read()
	}
	for {
		least, more := rowCode(0), false
		for i := range readers {
			if r := &readers[i]; r.more && (!more || r.code < least) {
				least, more = r.code, true
			}
		}
		if !more {
			g.over = all.rows > maxRows
			return all
		}
		var sum Figures
		for i := range readers {
			if r := &readers[i]; r.more && r.code == least {
				sum.sum(r.figures)
				r.next()
			}
		}
		all.add(least, sum)
	}
}
