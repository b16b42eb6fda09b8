package projections

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// What is gathered in any order comes out in the order of rows, added up, without the
// rows of nothing; in between it takes some bytes a row, and not what a map of rows does.
func TestGathering(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(7, 1))
	const rows = 50_000
	var g gathering
	want := map[rowCode]Figures{}
	for range 20 * maxOpen {
		code := codeOf(domain.Day(rng.IntN(rows)/50), domain.District(1+rng.IntN(10)), domain.Group(1+rng.IntN(5)), 0, 0)
		n := rng.Int64N(3) - 1
		g.row(code).Dose1 += n
		g.row(code).Frozen -= 2 * n
		f := want[code]
		f.Dose1, f.Frozen = f.Dose1+n, f.Frozen-2*n
		want[code] = f
		if len(g.figures) > maxOpen || len(g.runs) >= maxRuns {
			t.Fatalf("%d rows and %d runs are open", len(g.figures), len(g.runs))
		}
	}
	all := g.all()
	if len(all.packed) > 12*all.rows {
		t.Errorf("%d rows take %d bytes", all.rows, len(all.packed))
	}
	got, last := map[rowCode]Figures{}, rowCode(0)
	for r := all.read(); r.more; r.next() {
		if r.code <= last || r.figures == (Figures{}) {
			t.Fatalf("%x of %+v comes behind %x", r.code, r.figures, last)
		}
		got[r.code], last = r.figures, r.code
	}
	for code, f := range want {
		if f == (Figures{}) {
			delete(want, code)
		}
	}
	if !reflect.DeepEqual(got, want) || all.rows != len(want) {
		t.Errorf("%d rows, want %d, or they are others", len(got), len(want))
	}
}

func TestRowCode(t *testing.T) {
	t.Parallel()
	var codes []rowCode
	for _, day := range []domain.Day{domain.Date(1, 1, 1), -1, 0, 1, domain.Date(9999, 12, 31)} {
		for _, district := range []domain.District{0, 1, 1<<16 - 1} {
			for _, small := range []uint8{0, 1, 255} {
				c := codeOf(day, district, domain.Group(small), domain.Sex(255-small), domain.Vaccine(small))
				if c.day() != day || c.district() != district || c.group() != domain.Group(small) || c.sex() != domain.Sex(255-small) || c.vaccine() != domain.Vaccine(small) {
					t.Errorf("%s %d %d becomes %x", day, district, small, c)
				}
				if on := c.on(3); on != codeOf(3, district, domain.Group(small), domain.Sex(255-small), domain.Vaccine(small)) {
					t.Errorf("%x on another day is %x", c, on)
				}
				codes = append(codes, c)
			}
		}
	}
	if !slices.IsSorted(codes) {
		t.Errorf("not in the order of rows: %x", codes)
	}
}

// Too many rows are refused while they are gathered, and not when they fill the memory.
func TestTooManyRowsAreNotGathered(t *testing.T) {
	t.Parallel()
	var s summary
	s.query = CountsQuery{By: []Dimension{ByDay, ByDistrict}, AsOf: domain.Date(2099, 1, 1)}
	s.byDay = true
	n := 0
	for ; s.full() == nil && n < 2*maxRows; n++ {
		s.add(dated{Cell: domain.Cell{Measure: domain.CountDose1, District: domain.District(n % 1000), Day: domain.Day(1 + n/1000)}}, 1)
	}
	if !errors.Is(s.full(), ErrTooManyRows) || n > maxRows+maxRuns*maxOpen {
		t.Errorf("after %d rows: %v", n, s.full())
	}
}

// The bytes are those of the encoding of the whole.
func TestTableWriter(t *testing.T) {
	t.Parallel()
	a := history(t, 611, 30, 30)
	c := countsOf(t, a)
	day := domain.DayOf(a.now)
	for _, by := range [][]Dimension{nil, {ByGroup}, {ByDay, ByDistrict}, {ByDayKnown, ByGroup, BySex, ByVaccine}} {
		for _, asOf := range []domain.Day{day + 3, domain.Date(2001, 1, 1)} { // the latter has no rows
			table, err := c.Table(t.Context(), CountsQuery{By: by, AsOf: asOf, AsKnown: day.End()}, a.ledger.read)
			if err != nil {
				t.Fatal(err)
			}
			var got, want bytes.Buffer
			w := NewTableWriter(&got)
			err = w.Head(table.Head, len(by) > 0)
			for row := range table.Rows() {
				err = errors.Join(err, w.Row(row))
			}
			if len(by) > 0 && json.Valid(got.Bytes()) {
				t.Error("what has no end is an answer")
			}
			if err = errors.Join(err, w.End(), json.NewEncoder(&want).Encode(table.Result())); err != nil {
				t.Fatal(err)
			}
			if got.String() != want.String() {
				t.Errorf("by %v as of %s:\n%s\nwant\n%s", by, asOf, &got, &want)
			}
		}
	}
}

// Whoever reads the ledger for an answer within a day keeps nobody waiting: neither a
// rebuild that takes the view's place, nor a freeze, nor other readers. The answer is
// that of the moment at which it was asked.
func TestNobodyWaitsForWhoReadsADay(t *testing.T) {
	t.Parallel()
	a := history(t, 613, 30, 30)
	c := countsOf(t, a)
	known := a.now.Add(-time.Minute)
	q := CountsQuery{By: []Dimension{ByDay, ByGroup}, AsOf: domain.DayOf(a.now) + 1, AsKnown: known}
	want, err := c.Query(t.Context(), q, a.ledger.read)
	if err != nil {
		t.Fatal(err)
	}
	reading, free := make(chan struct{}), make(chan struct{})
	slow := func(ctx context.Context, after, through uint64) iter.Seq2[eventstore.Commit, error] {
		close(reading)
		select {
		case <-free:
		case <-time.After(time.Minute):
			t.Error("others wait for who reads the ledger")
		}
		return a.ledger.read(ctx, after, through)
	}
	answered := make(chan error, 1)
	var got CountsResult
	go func() {
		var err error
		got, err = c.Query(t.Context(), q, slow)
		answered <- err
	}()
	select {
	case <-reading:
	case <-time.After(time.Minute):
		t.Fatal("the test is blind: nothing is read of the ledger")
	}
	runner := NewRunner(a.ledger, c)
	for range 2 { // of the generation that is read, and of the next
		out, err := runner.Rebuild(t.Context(), "counts", RebuildOptions{}, nil)
		if err != nil || !out.Swapped {
			t.Fatalf("%+v, %v", out, err)
		}
		a.freeze(pick(a.rng, testDistricts), false)
		if err := CatchUp(t.Context(), a.ledger, c, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Query(t.Context(), CountsQuery{AsOf: q.AsOf, AsKnown: a.now.Add(time.Hour)}, a.ledger.read); err != nil {
			t.Fatal(err)
		}
	}
	close(free)
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("answered %+v, want %+v", got, want)
	}
}
