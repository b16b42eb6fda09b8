package projections

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
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

// maxRows bounds an answer, which is made in memory: a difference of two such, and its
// JSON, take some 400 MB. It is a year of the districts of India by day.
const maxRows = 280_000

// Query answers from the cells. When AsKnown lies within a day, what was recorded
// on that day up to AsKnown is read from the ledger with read, from the day's
// first commit on; it costs as much as that part of the day's commits.
//
// Errors: [ErrTooManyRows]; [ErrCorrupt]; those of read.
func (c *Counts) Query(ctx context.Context, q CountsQuery, read ReadFunc) (CountsResult, error) {
	if slices.Contains(q.By, ByDay) && slices.Contains(q.By, ByDayKnown) {
		return CountsResult{}, fmt.Errorf("counts are split by day or by day-known, not by both")
	}
	rows := c.reading()
	defer rows.readers.RUnlock()
	snapshot := rows.NewSnapshot()
	defer snapshot.Close()

	s, err := newSummary(rows.view, snapshot, q)
	if err != nil {
		return CountsResult{}, err
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
		return nil
	})
	if err == nil {
		err = s.addPart(ctx, snapshot, read)
	}
	if err != nil {
		return CountsResult{}, err
	}
	return s.result()
}

// summary gathers a query's answer.
type summary struct {
	view   string
	query  CountsQuery
	folded checkpoint
	whole  domain.Day // the last day of recording that the cells answer
	byDay  bool
	known  bool
	closed map[domain.Cohort]closure
	total  Figures
	rows   map[rowKey]*Figures // for days: what is new on that day
}

type rowKey struct {
	day      domain.Day
	district domain.District
	group    domain.Group
	sex      domain.Sex
	vaccine  domain.Vaccine
}

func newSummary(view string, snapshot *pebble.Snapshot, q CountsQuery) (*summary, error) {
	s := &summary{view: view, query: q, rows: map[rowKey]*Figures{}}
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

// addPart adds what was recorded on the day of AsKnown up to then, when the cells
// do not answer for it.
func (s *summary) addPart(ctx context.Context, snapshot *pebble.Snapshot, read ReadFunc) error {
	day := domain.DayOf(s.query.AsKnown)
	if s.whole == day {
		return nil
	}
	first, err := firstOf(s.view, snapshot, day)
	if err != nil || first == 0 {
		return err
	}
	for commit, err := range read(ctx, first-1, s.folded.sequence) {
		if err != nil {
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
	k := rowKey{}
	for _, by := range s.query.By {
		switch by {
		case ByDistrict:
			k.district = cell.District
		case ByGroup:
			k.group = cell.Group
		case BySex:
			k.sex = cell.Sex
		case ByVaccine:
			k.vaccine = cell.Vaccine
		case ByDay, ByDayKnown:
			k.day = day
		}
	}
	row := s.rows[k]
	if row == nil {
		row = &Figures{}
		s.rows[k] = row
	}
	return row
}

func (s *summary) result() (CountsResult, error) {
	r := CountsResult{
		District: s.query.District,
		AsOf:     s.query.AsOf,
		AsKnown:  s.query.AsKnown.In(domain.IndianStandardTime),
		Figures:  s.total,
		Through:  s.folded.sequence,
	}
	if len(s.query.By) == 0 {
		return r, nil
	}
	r.By = []CountsRow{}
	maps.DeleteFunc(s.rows, func(_ rowKey, f *Figures) bool { return *f == Figures{} })
	if len(s.rows) == 0 {
		return r, nil
	}
	first, last := domain.Day(0), domain.Day(0)
	series := map[rowKey]*Figures{} // without the day
	for k := range s.rows {
		if len(series) == 0 || k.day < first {
			first = k.day
		}
		k.day = 0
		series[k] = &Figures{}
	}
	if s.byDay {
		last = s.query.AsOf
	}
	if days := int64(last) - int64(first) + 1; days*int64(len(series)) > maxRows {
		return CountsResult{}, ErrTooManyRows
	}
	keys := make([]rowKey, 0, len(series))
	for k := range series {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b rowKey) int {
		return cmp.Or(cmp.Compare(a.district, b.district), cmp.Compare(a.group, b.group),
			cmp.Compare(a.sex, b.sex), cmp.Compare(a.vaccine, b.vaccine))
	})
	for day := first; day <= last; day++ {
		for _, k := range keys {
			running := series[k]
			k.day = day
			if new := s.rows[k]; new != nil {
				running.sum(*new)
			}
			r.By = append(r.By, s.named(k, *running))
		}
	}
	return r, nil
}

// named gives a row the keys that the query asks for.
func (s *summary) named(k rowKey, f Figures) CountsRow {
	row := CountsRow{Figures: f}
	for _, by := range s.query.By {
		switch by {
		case ByDistrict:
			row.District = &k.district
		case ByGroup:
			row.Group = &k.group
		case BySex:
			row.Sex = &k.sex
		case ByVaccine:
			code := k.vaccine.String()
			row.Vaccine = &code
		case ByDay, ByDayKnown:
			row.Day = &k.day
		}
	}
	return row
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
