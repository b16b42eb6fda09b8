package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"bahi/domain"
	"bahi/projections"
)

// Whatever the history, with things reported late, withdrawn, reversed and frozen: the
// commits that are named for a day add up to what counts say of it, as known at any
// time, and what changed between two times and from then to a third is what changed
// between the first and the third.
func TestExplainedFiguresAddUp(t *testing.T) {
	t.Parallel()
	histories := 6
	if testing.Short() {
		histories = 2
	}
	for seed := range uint64(histories) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			h := &history{T: t, rand: rand.New(rand.NewPCG(seed, 11)), dir: t.TempDir(), naive: map[domain.District]*projections.Figures{}, people: map[int]*somebody{}}
			h.l = open(t, h.dir)
			first := domain.Date(2021, 3, 1)
			var asked []domain.ReversalRequest
			for range 20 {
				h.step()
				asked = h.reverse(asked)
				if h.rand.IntN(2) == 0 { // what happened earlier comes late
					back := domain.Day(h.rand.IntN(12))
					h.day -= back
					if h.rand.IntN(4) == 0 {
						h.freeze()
					} else {
						h.bundle()
					}
					h.day += back
				}
			}
			sometime := func() time.Time {
				return (first + domain.Day(h.rand.IntN(int(h.day-first)+1))).Start().Add(time.Duration(h.rand.IntN(48*3600)) * time.Second)
			}
			for range 10 {
				since, then, known := sometime(), sometime(), sometime()
				differencesAddUp(t, h.l, first+domain.Day(h.rand.IntN(int(h.day-first)+1)), since, then, known)
			}
			moved := 0
			for day := first - 12; day <= h.day; day++ {
				known := sometime()
				for _, district := range []domain.District{muzaffarpur, patna} {
					moved += explained(t, h.l, district, day, known) + explained(t, h.l, district, day, h.day.End())
				}
			}
			if moved == 0 {
				t.Error("nothing moved on any day")
			}
		})
	}
}

// reverse decides some of the requests for a lower status that wait, and makes others;
// some are wrong. The model does not follow.
func (h *history) reverse(waiting []domain.ReversalRequest) (still []domain.ReversalRequest) {
	h.Helper()
	for _, r := range waiting {
		d := domain.ReversalDecision{Heading: h.heading(), Request: r.ID, Approve: h.rand.IntN(3) > 0, By: "officer-7"}
		if v := submit(h.T, h.l, authority, d)[0]; v.Outcome != domain.Accepted {
			still = append(still, r)
		}
	}
	for _, n := range slices.Sorted(maps.Keys(h.people)) {
		if p := h.people[n]; h.rand.IntN(4) == 0 {
			r := domain.ReversalRequest{Heading: h.heading(), Person: p.number, To: domain.Status(1 + h.rand.IntN(2)), Reason: domain.ReasonIssuedByMistake}
			if submit(h.T, h.l, centre, r)[0].Outcome == domain.Accepted {
				still = append(still, r)
			}
		}
	}
	return still
}

// differencesAddUp holds differences between states of knowledge, of the whole and of
// each row, to one another.
func differencesAddUp(t *testing.T, l *Ledger, asOf domain.Day, since, then, known time.Time) {
	t.Helper()
	for _, by := range [][]projections.Dimension{{projections.ByDay}, {projections.ByGroup, projections.BySex, projections.ByVaccine}, {projections.ByDistrict, projections.ByDay, projections.ByGroup}} {
		as := func(known time.Time) *projections.CountsTable {
			r, err := l.CountsTable(t.Context(), projections.CountsQuery{District: muzaffarpur, By: by, AsOf: asOf, AsKnown: known})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		sums := func(states ...*projections.CountsTable) map[string]projections.Figures {
			sums := map[string]projections.Figures{}
			for i, after := range states[1:] {
				whole, rows := projections.Diff(states[i], after)
				for _, row := range append(slices.Collect(rows), whole) {
					figures := row.Figures
					if row.Before.Plus(figures) != row.After {
						t.Errorf("%+v and %+v are not %+v", row.Before, figures, row.After)
					}
					keys, err := json.Marshal([]any{row.Day, row.District, row.Group, row.Sex, row.Vaccine})
					if err != nil {
						t.Fatal(err)
					}
					sums[string(keys)] = sums[string(keys)].Plus(figures)
				}
			}
			maps.DeleteFunc(sums, func(_ string, f projections.Figures) bool { return f == projections.Figures{} })
			return sums
		}
		a, b, c := as(since), as(then), as(known)
		if steps, whole := sums(a, b, c), sums(a, c); !maps.Equal(steps, whole) {
			t.Errorf("by %v, as of %s, between %s, %s and %s: %v, want %v", by, asOf, since, then, known, steps, whole)
		}
	}
}

// explained holds the explanation of a day to the counts, and returns how many
// commits it names.
func explained(t *testing.T, l *Ledger, district domain.District, day domain.Day, known time.Time) (commits int) {
	t.Helper()
	as := func(of domain.Day) projections.Figures {
		r, err := l.Counts(t.Context(), projections.CountsQuery{District: district, AsOf: of, AsKnown: known})
		if err != nil {
			t.Fatal(err)
		}
		return r.Figures
	}
	sum, last := as(day-1), uint64(0)
	err := l.Explain(t.Context(), projections.ExplainQuery{District: district, Day: day, AsKnown: known}, func(m projections.Movement) error {
		if m.Recorded.After(known) || m.Commit < last {
			t.Errorf("commit %d, recorded %s, comes after %d, as known %s", m.Commit, m.Recorded, last, known)
		}
		commits, last, sum = commits+1, m.Commit, sum.Plus(m.Figures)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := as(day); sum != want {
		t.Errorf("district %d, %s, as known %s: explained %+v, counted %+v", district, day, known, sum, want)
	}
	return commits
}

func TestPersonAsOf(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	want(t, submit(t, l, centre,
		registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16"),
		doseOf(1, 1, muzaffarpur, "2021-01-18"),
		doseOf(1, 2, muzaffarpur, "2021-02-16"),
		domain.ReversalRequest{Heading: domain.Heading{ID: uuidOf(20, 1), At: at("2021-03-01")}, Person: referenceOf(1), To: domain.Partial, Reason: domain.ReasonIssuedByMistake},
	), domain.Accepted)
	want(t, submit(t, l, authority, domain.ReversalDecision{Heading: domain.Heading{ID: uuidOf(21, 1), At: at("2021-03-05")}, Request: uuidOf(20, 1), Approve: true, By: "officer-7"}), domain.Accepted)
	want(t, submit(t, l, centre,
		registrationOf(2, muzaffarpur, domain.HealthCareWorker, "2021-03-05"),
		doseOf(2, 1, muzaffarpur, "2021-03-06"),
		domain.DoseWithdrawal{Heading: domain.Heading{ID: uuidOf(22, 1), At: at("2021-03-09")}, Person: referenceOf(2), Number: 1, Reason: domain.ReasonEnteredInError},
	), domain.Accepted)

	readings := 0
	ask := func(n int, day string) (PersonDetails, error) {
		readings++
		reader := Reader{Officer: "officer-1", Purpose: "medical"}
		if day != "" {
			reader.AsOf = domain.DayOf(at(day))
		}
		return l.Person(t.Context(), referenceOf(n), reader)
	}
	for _, c := range []struct {
		person                        int
		day, status, doses, reversals string
	}{
		{1, "2021-01-16", "unvaccinated", "[]", "[]"},
		{1, "2021-01-18", "partial", "[1]", "[]"},
		{1, "2021-02-16", "full", "[1 2]", "[]"},
		{1, "2021-03-04", "full", "[1 2]", "[pending]"},
		{1, "2021-03-05", "partial", "[1]", "[approved]"},
		{1, "", "partial", "[1]", "[approved]"},
		{2, "2021-03-07", "unvaccinated", "[]", "[]"}, // withdrawn since: it never was
		{2, "", "unvaccinated", "[]", "[]"},
	} {
		p, err := ask(c.person, c.day)
		if err != nil {
			t.Fatal(err)
		}
		doses, states := []any{}, []string{}
		for _, d := range p.Doses {
			doses = append(doses, d.Dose)
		}
		for _, r := range p.Reversals {
			states = append(states, r.State)
		}
		if p.Status.String() != c.status || fmt.Sprint(doses) != c.doses || fmt.Sprint(states) != c.reversals || (p.AsOf == 0) != (c.day == "") {
			t.Errorf("person %d as of %q: %s, doses %v, reversals %v, as of %s", c.person, c.day, p.Status, doses, states, p.AsOf)
		}
	}
	if _, err := ask(1, "2021-01-15"); err == nil {
		t.Error("somebody is shown as of a day before the registration")
	}
	recorded := 0
	for _, err := range l.AuditList(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		recorded++
	}
	if recorded != readings {
		t.Errorf("%d readings, %d recorded", readings, recorded)
	}
	if _, err := l.Freeze(t.Context(), freezeOf(1, muzaffarpur, "2021-03-10")); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(1, "2021-02-16"); err != ErrFrozen {
		t.Errorf("as of a day before the freeze, after it: %v", err)
	}
}

// A day is explained while another view is folded anew.
func TestExplainNeedsCountsAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	for batch := range 8 {
		var registrations []domain.Submission
		for n := range MaxBundle {
			registrations = append(registrations, registrationOf(batch*MaxBundle+n, muzaffarpur, domain.HealthCareWorker, "2021-01-16"))
		}
		want(t, submit(t, l, centre, registrations...), domain.Accepted)
	}
	shut(t, l)
	config := Config{Data: dir + "/data", Keys: dir + "/keys", Sandbox: true, Patience: 1}
	if err := DiscardView(config, "people"); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, l)
	for errors.Is(l.caughtUp(t.Context(), l.counts), projections.ErrFolding) {
		time.Sleep(time.Millisecond)
	}
	if explained(t, l, muzaffarpur, domain.Date(2021, 1, 16), l.now()) == 0 {
		t.Error("nothing is explained")
	}
}

// What was accepted is counted and explained also when the clock was put back since.
func TestKnownWhenTheClockWentBack(t *testing.T) {
	t.Parallel()
	for _, hour := range []string{"2022-03-04T15:00:00+05:30", "2022-03-04T00:30:00+05:30"} { // which the day before was an hour ago
		t.Run(hour, func(t *testing.T) {
			t.Parallel()
			clockGoesBack(t, at(hour))
		})
	}
}

func clockGoesBack(t *testing.T, now time.Time) {
	t.Helper()
	dir := t.TempDir()
	var back atomic.Int64
	l, err := Open(t.Context(), Config{Data: dir + "/data", Keys: dir + "/keys", Now: func() time.Time { return now.Add(-time.Duration(back.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, l)
	today := domain.DayOf(now)
	want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, today.String())), domain.Accepted)
	back.Store(int64(time.Hour))
	counted, err := l.Counts(t.Context(), projections.CountsQuery{District: muzaffarpur, AsOf: today})
	if err != nil || counted.Registered != 1 {
		t.Errorf("counted %+v, %v", counted, err)
	}
	told := 0
	err = l.Explain(t.Context(), projections.ExplainQuery{District: muzaffarpur, Day: today}, func(projections.Movement) error {
		told++
		return nil
	})
	if err != nil || told != 1 {
		t.Errorf("%d commits are told, %v", told, err)
	}
	changed, err := l.DiffCounts(t.Context(), projections.CountsQuery{District: muzaffarpur, AsOf: today}, now.Add(-time.Minute))
	if err != nil || changed.Registered != 1 {
		t.Errorf("changed %+v, %v", changed, err)
	}
}

// Whoever asks again with the time of knowledge that was told gets the same answer: the
// end of a day is told to the second, and something may be recorded after that.
func TestToldKnownIsAskedAgain(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	defer shut(t, l)
	for n, when := range []string{"2021-01-16T12:00:00.400+05:30", "2021-01-16T23:59:59.500+05:30", "2021-01-17T10:00:00+05:30"} {
		want(t, submit(t, l, centre, registrationOf(n, muzaffarpur, domain.HealthCareWorker, when)), domain.Accepted)
	}
	day := domain.Date(2021, 1, 16)
	for _, known := range []struct {
		at         time.Time
		registered int64
	}{{day.End(), 2}, {day.Start().Add(12*time.Hour + 400*time.Millisecond), 1}, {day.Start().Add(12 * time.Hour), 0}, {(day + 1).End(), 3}} {
		for range 2 {
			q := projections.CountsQuery{District: muzaffarpur, AsOf: day + 9, AsKnown: known.at}
			counted, err := l.Counts(t.Context(), q)
			if err != nil || counted.Registered != known.registered {
				t.Errorf("as known at %s: %+v, %v", known.at, counted, err)
			}
			changed, err := l.DiffCounts(t.Context(), projections.CountsQuery{District: muzaffarpur, AsOf: day + 9}, known.at)
			if err != nil || changed.Registered != 3-known.registered {
				t.Errorf("changed since %s: %+v, %v", known.at, changed, err)
			}
			moved := int64(0)
			for _, of := range []domain.Day{day, day + 1} {
				err = l.Explain(t.Context(), projections.ExplainQuery{District: muzaffarpur, Day: of, AsKnown: known.at}, func(m projections.Movement) error {
					moved += m.Registered
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			}
			if moved != known.registered {
				t.Errorf("explained as known at %s: %d", known.at, moved)
			}
			known.at = ToldKnown(counted.AsKnown)
		}
	}
}
