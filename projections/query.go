package projections

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"bahi/domain"
	"bahi/eventstore"
)

// ReadFunc reads the ledger's commits behind one sequence through another.
type ReadFunc func(ctx context.Context, after, through uint64) iter.Seq2[eventstore.Commit, error]

// Dimension is what the rows of a query are split by.
type Dimension uint8

// The dimensions. ByDay gives a row a day, cumulative as of that day, as known at
// the query's time. ByDayKnown gives a row a day, as of that day as it was known
// at its end: the curve as it was published. The two exclude each other.
//
// Doses have a vaccine, people have none: with ByVaccine, rows of a vaccine count
// doses and the rows without one count people, so that every column still adds up.
const (
	ByDistrict Dimension = iota + 1
	ByGroup
	BySex
	ByVaccine
	ByDay
	ByDayKnown
)

var dimensionCodes = []string{"", "district", "group", "sex", "vaccine", "day", "day-known"}

// String returns the dimension's code, such as day-known.
func (d Dimension) String() string {
	if int(d) < len(dimensionCodes) {
		return dimensionCodes[d]
	}
	return ""
}

// ParseDimension reads a dimension's code.
func ParseDimension(s string) (Dimension, error) {
	if i := slices.Index(dimensionCodes, s); i > 0 {
		return Dimension(i), nil
	}
	return 0, fmt.Errorf("counts are split by %s", strings.Join(dimensionCodes[1:], ", "))
}

// CountsQuery asks for counts.
type CountsQuery struct {
	District domain.District // 0 means all of them
	By       []Dimension
	AsOf     domain.Day // the last day that is counted
	AsKnown  time.Time  // entries recorded later are not counted
}

// Figures are the counts themselves. Registered, unvaccinated, partial, full,
// frozen and pending reversals count people by home district; doses are counted
// where they were given. Frozen are the registered of closed cohorts.
type Figures struct {
	Registered       int64 `json:"registered"`
	Dose1            int64 `json:"dose1"`
	Dose2            int64 `json:"dose2"`
	Dose3            int64 `json:"dose3"`
	Precaution       int64 `json:"precaution"`
	Unvaccinated     int64 `json:"unvaccinated"`
	Partial          int64 `json:"partial"`
	Full             int64 `json:"full"`
	Frozen           int64 `json:"frozen"`
	PendingReversals int64 `json:"pending_reversals"`
}

// CountsResult answers a [CountsQuery]. By has rows when the query asks for them,
// in order of day, district, group, sex and vaccine.
type CountsResult struct {
	District domain.District `json:"district"`
	AsOf     domain.Day      `json:"as_of"`
	AsKnown  time.Time       `json:"as_known"` // in Indian Standard Time
	Figures
	By      []CountsRow `json:"by,omitzero"`
	Through uint64      `json:"-"` // the ledger sequence that the answer covers
}

// CountsRow has the keys that the query asks for, and the same counts.
type CountsRow struct {
	Day      *domain.Day      `json:"day,omitempty"`
	District *domain.District `json:"district,omitempty"`
	Group    *domain.Group    `json:"group,omitempty"`
	Sex      *domain.Sex      `json:"sex,omitempty"`
	Vaccine  *string          `json:"vaccine,omitempty"` // its code; "" in the row that counts people
	Figures
}

// Query answers as [Counts.Table] does, with all rows at once.
func (c *Counts) Query(ctx context.Context, q CountsQuery, read ReadFunc) (CountsResult, error) {
	t, err := c.Table(ctx, q, read)
	if err != nil {
		return CountsResult{}, err
	}
	return t.Result(), nil
}

// Table answers from the cells. When AsKnown lies within a day, what was recorded on
// that day up to AsKnown is read from the ledger with read, from the day's first
// commit on; it costs as much as that part of the day's commits. Nobody waits for
// read, however slow it is: the view has been let go of by then, and what is read ends
// where the view had come to.
//
// Errors: [ErrTooManyRows]; [ErrCorrupt]; those of read.
func (c *Counts) Table(ctx context.Context, q CountsQuery, read ReadFunc) (*CountsTable, error) {
	if slices.Contains(q.By, ByDay) && slices.Contains(q.By, ByDayKnown) {
		return nil, fmt.Errorf("counts are split by day or by day-known, not by both")
	}
	s, err := c.summary(ctx, q)
	if err == nil {
		err = s.addPart(ctx, read)
	}
	if err != nil {
		return nil, err
	}
	return tableOf(s)
}

// summary gathers what the cells answer, from one state of the view.
func (c *Counts) summary(ctx context.Context, q CountsQuery) (*summary, error) {
	rows := c.reading()
	defer rows.readers.RUnlock()
	snapshot := rows.NewSnapshot()
	defer snapshot.Close()

	s, err := newSummary(rows.view, snapshot, q)
	if err != nil {
		return nil, err
	}
	prefix := []byte{keyCell}
	if q.District != 0 {
		prefix = append(prefix, byte(q.District>>8), byte(q.District))
	}
	err = scan(rows.view, snapshot, prefix, func(key, value []byte) error {
		cell, ok := datedAt(key)
		sum := recordReader{b: value}
		n := sum.varint()
		if !ok || sum.bad {
			return &ViewError{View: rows.view, Err: ErrCorrupt}
		}
		if cell.recorded <= s.whole {
			s.add(cell, n)
		}
		return cmp.Or(s.full(), ctx.Err())
	})
	if err == nil && s.whole != domain.DayOf(q.AsKnown) {
		s.part, err = firstOf(rows.view, snapshot, domain.DayOf(q.AsKnown))
	}
	return s, err
}

// summary gathers a query's answer.
type summary struct {
	view   string
	query  CountsQuery
	folded checkpoint
	whole  domain.Day // the last day of recording that the cells answer
	part   uint64     // the first commit of a day that is read from the ledger; 0 for none
	byDay  bool
	known  bool
	closed map[domain.Cohort]closure
	total  Figures
	rows   gathering // for days: what is new on that day
}

func newSummary(view string, snapshot *pebble.Snapshot, q CountsQuery) (*summary, error) {
	s := &summary{view: view, query: q}
	s.known = slices.Contains(q.By, ByDayKnown)
	s.byDay = s.known || slices.Contains(q.By, ByDay)
	err := scan(view, snapshot, checkpointKey, func(_, value []byte) error {
		s.folded, _ = decodeCheckpoint(value)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.whole = domain.DayOf(q.AsKnown)
	if q.AsKnown.Before(s.whole.End()) && q.AsKnown.Before(s.folded.recordedAt()) {
		s.whole--
	}
	s.closed, err = closures(view, snapshot)
	return s, err
}

// full tells whether the rows are too many already.
func (s *summary) full() error {
	if s.rows.over {
		return ErrTooManyRows
	}
	return nil
}

// addPart adds what was recorded on the day of AsKnown up to then, when the cells
// do not answer for it.
func (s *summary) addPart(ctx context.Context, read ReadFunc) error {
	if s.part == 0 {
		return nil
	}
	day := domain.DayOf(s.query.AsKnown)
	for commit, err := range read(ctx, s.part-1, s.folded.sequence) {
		if err = cmp.Or(err, s.full()); err != nil {
			return err
		}
		for _, e := range commit.Entries {
			if e.Recorded.After(s.query.AsKnown) {
				return nil
			}
			if domain.DayOf(e.Recorded) == day {
				domain.Counts(e.Event, func(cell domain.Cell, n int64) {
					if s.query.District == 0 || cell.District == s.query.District {
						s.add(dated{cell, day}, n)
					}
				})
			}
		}
	}
	return nil
}

// add counts n of a cell.
func (s *summary) add(cell dated, n int64) {
	if cell.Day > s.query.AsOf {
		return
	}
	s.total.add(cell.Measure, n)
	var row *Figures
	day := cell.Day
	if len(s.query.By) > 0 {
		if s.known {
			day = max(day, cell.recorded)
		}
		if row = s.row(cell, day); row != nil {
			row.add(cell.Measure, n)
		}
	}
	if cell.Measure != domain.CountRegistered {
		return
	}
	cohort := domain.Cohort{District: cell.District, Group: cell.Group, Generation: cell.Generation}
	since, closed := s.closed[cohort]
	if !closed || !since.closedBy(s.query.AsOf, s.query.AsKnown) {
		return
	}
	s.total.Frozen += n
	if row == nil {
		return
	}
	day = max(day, since.day)
	if s.known && since != fromBirth {
		day = max(day, domain.DayOf(time.UnixMilli(since.recorded)))
	}
	if row = s.row(cell, day); row != nil {
		row.Frozen += n
	}
}

// row returns the row that a cell belongs to, nil for one after the last day.
func (s *summary) row(cell dated, day domain.Day) *Figures {
	if s.byDay && day > s.query.AsOf {
		return nil
	}
	var is domain.Cell
	for _, by := range s.query.By {
		switch by {
		case ByDistrict:
			is.District = cell.District
		case ByGroup:
			is.Group = cell.Group
		case BySex:
			is.Sex = cell.Sex
		case ByVaccine:
			is.Vaccine = cell.Vaccine
		case ByDay, ByDayKnown:
			is.Day = day
		}
	}
	return s.rows.row(codeOf(is.Day, is.District, is.Group, is.Sex, is.Vaccine))
}

func (f *Figures) add(m domain.Measure, n int64) {
	switch m {
	case domain.CountRegistered:
		f.Registered += n
	case domain.CountUnvaccinated:
		f.Unvaccinated += n
	case domain.CountPartial:
		f.Partial += n
	case domain.CountFull:
		f.Full += n
	case domain.CountPendingReversals:
		f.PendingReversals += n
	case domain.CountDose1:
		f.Dose1 += n
	case domain.CountDose2:
		f.Dose2 += n
	case domain.CountDose3:
		f.Dose3 += n
	case domain.CountPrecaution:
		f.Precaution += n
	}
}

// columns are all figures, in the order in which they are told.
func (f *Figures) columns() [10]*int64 {
	return [...]*int64{
		&f.Registered, &f.Dose1, &f.Dose2, &f.Dose3, &f.Precaution,
		&f.Unvaccinated, &f.Partial, &f.Full, &f.Frozen, &f.PendingReversals,
	}
}

func (f *Figures) sum(g Figures) {
	f.Registered += g.Registered
	f.Dose1 += g.Dose1
	f.Dose2 += g.Dose2
	f.Dose3 += g.Dose3
	f.Precaution += g.Precaution
	f.Unvaccinated += g.Unvaccinated
	f.Partial += g.Partial
	f.Full += g.Full
	f.Frozen += g.Frozen
	f.PendingReversals += g.PendingReversals
}
