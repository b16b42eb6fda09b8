package projections

import (
	"iter"
	"maps"
	"slices"

	"bahi/domain"
)

// maxRows bounds an answer. It is a year of the districts of India by day.
const maxRows = 280_000

// CountsTable is an answer whose rows are made as they are asked for. It holds what
// changes from one day to the next, packed, and nothing of the view: whoever takes the
// rows may take long.
//
// It is safe for concurrent use.
type CountsTable struct {
	Head CountsResult // the answer without its rows

	by      []Dimension
	changes changes
	series  []rowCode // the rows of each day, with the day 0
	first   domain.Day
	last    domain.Day
}

// tableOf returns the table of what was gathered. The error is [ErrTooManyRows].
func tableOf(s *summary) (*CountsTable, error) {
	t := &CountsTable{
		Head: CountsResult{
			District: s.query.District,
			AsOf:     s.query.AsOf,
			AsKnown:  s.query.AsKnown.In(domain.IndianStandardTime),
			Figures:  s.total,
			Through:  s.folded.sequence,
		},
		by: s.query.By,
	}
	if len(t.by) == 0 {
		return t, nil
	}
	if t.changes = s.rows.all(); s.rows.over {
		return nil, ErrTooManyRows
	}
	from := t.changes.read()
	if t.first = from.code.day(); !from.more {
		t.first = 1 // behind the last: there are no rows
	}
	if s.byDay && from.more {
		t.last = s.query.AsOf
	}
	series := map[rowCode]struct{}{}
	for ; from.more; from.next() {
		series[from.code.on(0)] = struct{}{}
	}
	t.series = slices.Sorted(maps.Keys(series))
	if t.len() > maxRows {
		return nil, ErrTooManyRows
	}
	return t, nil
}

// len returns how many rows there are.
func (t *CountsTable) len() int64 {
	return (int64(t.last) - int64(t.first) + 1) * int64(len(t.series))
}

// Rows yields the rows in order of day, district, group, sex and vaccine. There are
// none when the query asks for none.
func (t *CountsTable) Rows() iter.Seq[CountsRow] {
	return func(yield func(CountsRow) bool) {
		for r := t.read(); r.more; r.next() {
			if !yield(t.named(r.code, *r.figures)) {
				return
			}
		}
	}
}

// Result returns the answer with all its rows.
func (t *CountsTable) Result() CountsResult {
	r := t.Head
	if len(t.by) > 0 {
		r.By = slices.AppendSeq(make([]CountsRow, 0, t.len()), t.Rows())
	}
	return r
}

// tableReader reads the rows of a table in their order, and stands at the first.
type tableReader struct {
	table   *CountsTable
	changes changesReader
	day     domain.Day
	at      int       // in the series
	running []Figures // of each of the series, as of the day

	more    bool // it stands at a row
	code    rowCode
	figures *Figures
}

func (t *CountsTable) read() *tableReader {
	r := &tableReader{table: t, changes: t.changes.read(), day: t.first, at: -1, running: make([]Figures, len(t.series))}
	r.next()
	return r
}

func (r *tableReader) next() {
	if r.at++; r.at == len(r.running) {
		r.day, r.at = r.day+1, 0
	}
	if r.more = r.day <= r.table.last && r.at < len(r.running); !r.more {
		return
	}
	r.code, r.figures = r.table.series[r.at].on(r.day), &r.running[r.at]
	if r.changes.more && r.changes.code == r.code {
		r.figures.sum(r.changes.figures)
		r.changes.next()
	}
}

// named gives a row the keys that the query asks for.
func (t *CountsTable) named(code rowCode, f Figures) CountsRow {
	row := CountsRow{Figures: f}
	for _, by := range t.by {
		switch by {
		case ByDistrict:
			row.District = new(code.district())
		case ByGroup:
			row.Group = new(code.group())
		case BySex:
			row.Sex = new(code.sex())
		case ByVaccine:
			row.Vaccine = new(code.vaccine().String())
		case ByDay, ByDayKnown:
			row.Day = new(code.day())
		}
	}
	return row
}
