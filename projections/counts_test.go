package projections

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
	"bahi/eventstore"
)

// recount answers a query from the ledger's entries alone, slowly and without any
// of the view's code: each row is a sum of its own over the whole history.
func recount(commits []eventstore.Commit, q CountsQuery) CountsResult {
	type keys struct {
		district domain.District
		group    domain.Group
		sex      domain.Sex
		vaccine  domain.Vaccine
	}
	has := map[Dimension]bool{}
	for _, by := range q.By {
		has[by] = true
	}
	split := func(c domain.Cell) (k keys) {
		if has[ByDistrict] {
			k.district = c.District
		}
		if has[ByGroup] {
			k.group = c.Group
		}
		if has[BySex] {
			k.sex = c.Sex
		}
		if has[ByVaccine] {
			k.vaccine = c.Vaccine
		}
		return k
	}
	figures := func(asOf domain.Day, asKnown time.Time, row *keys) (f Figures) {
		closed := map[domain.Cohort]bool{}
		for _, c := range commits {
			for _, e := range c.Entries {
				switch event := e.Event.(type) {
				case domain.FreezeOrdered:
					if event.Day <= asOf && !e.Recorded.After(asKnown) {
						for _, c := range event.Cohorts {
							closed[c.Cohort] = true
						}
					}
				case domain.PersonRegistered:
					if event.Closed {
						closed[event.Cohort] = true
					}
				}
			}
		}
		for _, c := range commits {
			for _, e := range c.Entries {
				if e.Recorded.After(asKnown) {
					continue
				}
				domain.Counts(e.Event, func(cell domain.Cell, n int64) {
					if cell.Day > asOf || q.District != 0 && cell.District != q.District || row != nil && split(cell) != *row {
						return
					}
					f.add(cell.Measure, n)
					if cell.Measure == domain.CountRegistered && closed[domain.Cohort{District: cell.District, Group: cell.Group, Generation: cell.Generation}] {
						f.Frozen += n
					}
				})
			}
		}
		return f
	}
	r := CountsResult{District: q.District, AsOf: q.AsOf, AsKnown: q.AsKnown.In(domain.IndianStandardTime), Figures: figures(q.AsOf, q.AsKnown, nil)}
	if len(q.By) == 0 {
		return r
	}
	r.By = []CountsRow{}
	var all []keys
	for _, d := range append([]domain.District{0}, 188, 208) {
		for g := range domain.Group(8) {
			for s := range domain.Sex(4) {
				for v := range domain.Vaccine(7) {
					k := keys{d, g, s, v}
					if (d == 0) == has[ByDistrict] || (g == 0) == has[ByGroup] || (s == 0) == has[BySex] || v != 0 && !has[ByVaccine] {
						continue
					}
					all = append(all, k)
				}
			}
		}
	}
	first := domain.Date(2021, 1, 1)
	if !has[ByDay] && !has[ByDayKnown] {
		first = q.AsOf
	}
	var ever = map[keys]bool{}
	began := false
	for day := first; day <= q.AsOf; day++ {
		known := q.AsKnown
		if end := day.End(); has[ByDayKnown] && end.Before(known) {
			known = end
		}
		var today []CountsRow
		for _, k := range all {
			f := figures(day, known, &k)
			if f != (Figures{}) {
				ever[k], began = true, true
			}
			row := CountsRow{Figures: f}
			if has[ByDay] || has[ByDayKnown] {
				row.Day = &day
			}
			if has[ByDistrict] {
				row.District = &k.district
			}
			if has[ByGroup] {
				row.Group = &k.group
			}
			if has[BySex] {
				row.Sex = &k.sex
			}
			if has[ByVaccine] {
				code := k.vaccine.String()
				row.Vaccine = &code
			}
			today = append(today, row)
		}
		if began {
			r.By = append(r.By, today...)
		}
	}
	return r
}

// sameRows compares answers. Recount lists every group that could be; the view
// those that have anything.
func sameRows(t *testing.T, got, want CountsResult) {
	t.Helper()
	if got.Figures != want.Figures {
		t.Fatalf("totals: %+v, want %+v", got.Figures, want.Figures)
	}
	key := func(r CountsRow) string {
		r.Figures = Figures{}
		b, _ := json.Marshal(r)
		return string(b)
	}
	rows := map[string]Figures{}
	for _, r := range got.By {
		if _, twice := rows[key(r)]; twice {
			t.Fatalf("two rows %s", key(r))
		}
		rows[key(r)] = r.Figures
	}
	for _, r := range want.By {
		if f := rows[key(r)]; f != r.Figures {
			t.Fatalf("row %s: %+v, want %+v", key(r), f, r.Figures)
		}
		delete(rows, key(r))
	}
	for k, f := range rows {
		if f != (Figures{}) {
			t.Fatalf("row %s should not be: %+v", k, f)
		}
	}
}

// Incremental (random batches, restarts, crashes), rebuilt and naively recomputed
// counts are equal, and so is every answer.
func TestCountsFollowFromTheLedger(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			a := newAuthor(t, 100+seed, vfs.NewMem())
			a.history(100)
			disk := vfs.NewMem()
			c, err := OpenCounts("counts", small(disk))
			if err != nil {
				t.Fatal(err)
			}
			for rest := a.ledger.commits; len(rest) > 0; {
				n := min(1+a.rng.IntN(30), len(rest))
				if err := c.Fold(t.Context(), rest[:n]...); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
				switch a.rng.IntN(5) {
				case 0:
					if err := c.Close(); err != nil {
						t.Fatal(err)
					}
				case 1:
					if a.rng.IntN(2) == 0 {
						if err := (*countsRows)(c.live.Load()).flush(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
					disk = crash(t, disk, "counts").(*vfs.MemFS)
				default:
					continue
				}
				if c, err = OpenCounts("counts", small(disk)); err != nil {
					t.Fatal(err)
				}
				so := &memoryLedger{commits: a.ledger.commits[:len(a.ledger.commits)-len(rest)]}
				if err := CatchUp(t.Context(), so, c, nil); err != nil {
					t.Fatal(err)
				}
			}
			incremental := digestOf(t, (*countsRows)(c.live.Load()))
			check := func(step string) {
				v, err := c.verify(t.Context(), a.ledger, nil)
				if err != nil || len(v.Mismatches) > 0 || v.Through != uint64(len(a.ledger.commits)) {
					t.Fatalf("%s: verify: %+v %v", step, v, err)
				}
				if got := digestOf(t, (*countsRows)(c.live.Load())); !reflect.DeepEqual(got, incremental) {
					t.Fatalf("%s: not as before", step)
				}
				for range 12 {
					q := randomQuery(a.rng, a)
					got, err := c.Query(t.Context(), q, a.ledger.read)
					if err != nil {
						t.Fatal(err)
					}
					sameRows(t, got, recount(a.ledger.commits, q))
				}
			}
			check("incremental")
			runner := NewRunner(a.ledger, c)
			if _, err := runner.Rebuild(t.Context(), "counts", RebuildOptions{}, nil); err != nil {
				t.Fatal(err)
			}
			check("rebuilt")
		})
	}
}

func digestOf(t *testing.T, r rows) map[string][32]byte {
	t.Helper()
	sums, err := r.digest(t.Context(), r.base().DB)
	if err != nil {
		t.Fatal(err)
	}
	return sums
}

func randomQuery(rng *rand.Rand, a *author) CountsQuery {
	start := time.Date(2021, 4, 5, 4, 0, 0, 0, time.UTC)
	known := start.Add(time.Duration(rng.Int64N(int64(a.now.Sub(start)) + int64(36*time.Hour)))).Truncate(time.Millisecond)
	if rng.IntN(3) == 0 {
		known = domain.DayOf(known).End()
	}
	q := CountsQuery{District: pick(rng, []domain.District{0, 208, 188}), AsKnown: known, AsOf: domain.DayOf(start.Add(time.Duration(rng.Int64N(int64(a.now.Sub(start))))))}
	switch rng.IntN(4) {
	case 0:
		q.By = append(q.By, ByDay)
	case 1:
		q.By = append(q.By, ByDayKnown)
	case 2:
		if rng.IntN(2) == 0 {
			q.By = append(q.By, ByVaccine)
		}
	}
	for _, by := range []Dimension{ByDistrict, ByGroup, BySex} {
		if rng.IntN(4) == 0 {
			q.By = append(q.By, by)
		}
	}
	return q
}

// The JSON is the contract's.
func TestCountsJSON(t *testing.T) {
	t.Parallel()
	known, _ := time.Parse(time.RFC3339, "2021-03-04T18:29:59Z")
	group, day, vaccine := domain.HealthCareWorker, domain.Date(2021, 3, 4), ""
	r := CountsResult{
		District: 208, AsOf: day, AsKnown: known.In(domain.IndianStandardTime),
		Figures: Figures{Registered: 34959, Dose1: 25430, Dose2: 5161, Unvaccinated: 9529, Partial: 20777, Full: 4653},
	}
	const head = `{"district":208,"as_of":"2021-03-04","as_known":"2021-03-04T23:59:59+05:30","registered":34959,"dose1":25430,"dose2":5161,"dose3":0,"precaution":0,"unvaccinated":9529,"partial":20777,"full":4653,"frozen":0,"pending_reversals":0`
	const zero = `"registered":0,"dose1":0,"dose2":0,"dose3":0,"precaution":0,"unvaccinated":0,"partial":0,"full":0,"frozen":0,"pending_reversals":0}`
	for want, by := range map[string][]CountsRow{
		head + `}`:         nil,
		head + `,"by":[]}`: {},
		head + `,"by":[{"day":"2021-03-04","group":"HCW","vaccine":"",` + zero + `]}`: {{Day: &day, Group: &group, Vaccine: &vaccine}},
	} {
		r.By = by
		got, err := json.Marshal(r)
		if err != nil || string(got) != want {
			t.Errorf("got  %s %v\nwant %s", got, err, want)
		}
		var back CountsResult
		if err := json.Unmarshal(got, &back); err != nil || len(back.By) != len(by) {
			t.Errorf("read back: %v %v", back, err)
		}
	}
}

func TestTooManyRows(t *testing.T) {
	t.Parallel()
	a := newAuthor(t, 7, vfs.NewMem())
	a.step(10)
	a.land()
	c := countsOf(t, a)
	q := CountsQuery{AsOf: domain.Date(9999, 1, 1), AsKnown: a.now, By: []Dimension{ByDay, BySex, ByGroup}}
	if _, err := c.Query(t.Context(), q, a.ledger.read); !errors.Is(err, ErrTooManyRows) {
		t.Fatalf("got %v", err)
	}
	if _, err := c.Query(t.Context(), CountsQuery{By: []Dimension{ByDay, ByDayKnown}}, a.ledger.read); err == nil {
		t.Fatal("day and day-known together")
	}
}
