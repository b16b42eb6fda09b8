package ledger

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"bahi/domain"
)

// replayed gathers a replay.
func replayed(t testing.TB, l *Ledger, q ReplayQuery) (all []ReplayEvent) {
	t.Helper()
	for e, err := range l.Replay(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// days makes a ledger of six days, on each of which twenty people register and get
// their first dose.
func days(t testing.TB) *Ledger {
	t.Helper()
	l := open(t, t.TempDir())
	for day := range 6 {
		for half := range 2 { // a morning and an afternoon
			when := (domain.Date(2021, 1, 16) + domain.Day(day)).Start().Add(time.Duration(10+4*half) * time.Hour).Format(time.RFC3339)
			var bundle []domain.Submission
			for i := range 10 {
				n := 1 + day*20 + half*10 + i
				bundle = append(bundle, registrationOf(n, muzaffarpur, domain.HealthCareWorker, when), doseOf(n, 1, muzaffarpur, when))
			}
			want(t, submit(t, l, centre, bundle...), domain.Accepted)
		}
	}
	return l
}

func TestReplayTellsDays(t *testing.T) {
	t.Parallel()
	l := days(t)
	exact := replayed(t, l, ReplayQuery{Exact: true, Key: make([]byte, PseudonymKeySize)})
	told := replayed(t, l, ReplayQuery{Key: make([]byte, PseudonymKeySize)})
	if len(exact) != 240 || len(told) != 240 {
		t.Fatalf("%d and %d events", len(exact), len(told))
	}
	inOrder := func(a, b ReplayEvent) int { return int(a.Recorded - b.Recorded) }
	if !slices.IsSortedFunc(exact, func(a, b ReplayEvent) int { return a.RecordedAt.Compare(*b.RecordedAt) }) || !slices.IsSortedFunc(told, inOrder) {
		t.Error("the order is not that of the ledger, or of days")
	}
	registered := map[string]bool{}
	moved := 0
	for i, e := range told {
		if e.Commit != 0 || e.RecordedAt != nil || e.Through != 0 {
			t.Fatalf("an analyst is told %+v", e)
		}
		if e.Type == "dose" && !registered[e.Person] {
			t.Error("a dose comes before its registration")
		}
		registered[e.Person] = true
		if e.Person != exact[i].Person {
			moved++
		}
	}
	if moved < 60 {
		t.Errorf("%d of 240 events are not in their place in the line", moved)
	}
}

func TestReplayWidensToDays(t *testing.T) {
	t.Parallel()
	l := days(t)
	var commit uint64
	for _, e := range replayed(t, l, ReplayQuery{Exact: true}) {
		if e.Recorded == domain.Date(2021, 1, 18) {
			commit = e.Commit
		}
	}
	noon := domain.Date(2021, 1, 18).Start().Add(12 * time.Hour)
	for _, c := range []struct {
		q               ReplayQuery
		widened, within int
	}{
		{ReplayQuery{FromTime: noon, ToTime: noon.Add(24 * time.Hour)}, 80, 40},
		{ReplayQuery{FromTime: noon, ToTime: noon}, 40, 0},
		{ReplayQuery{FromSequence: commit, ToSequence: commit}, 40, 20},
		{ReplayQuery{FromSequence: commit}, 160, 140},
		{ReplayQuery{ToSequence: commit}, 120, 120},
		{ReplayQuery{FromSequence: commit, ToTime: noon}, 40, 0},
		{ReplayQuery{FromTime: noon.AddDate(1, 0, 0)}, 0, 0},
		{ReplayQuery{FromSequence: 1 << 40}, 0, 0},
		{ReplayQuery{ToTime: noon.AddDate(-1, 0, 0)}, 0, 0},
	} {
		if got := len(replayed(t, l, c.q)); got != c.widened {
			t.Errorf("%+v: %d events, want those of whole days, %d", c.q, got, c.widened)
		}
		c.q.WithinDay = true
		if got := len(replayed(t, l, c.q)); got != c.within {
			t.Errorf("%+v: %d events, want %d", c.q, got, c.within)
		}
	}
	for _, err := range l.Replay(t.Context(), ReplayQuery{Follow: true}) {
		if !errors.Is(err, ErrBadRequest) {
			t.Errorf("an analyst who follows: %v", err)
		}
	}
}

// Where an event says that a commit is told, a replay with the same key goes on.
func TestReplayGoesOn(t *testing.T) {
	t.Parallel()
	l := days(t)
	q := ReplayQuery{WithinDay: true, Key: make([]byte, PseudonymKeySize)}
	whole := fmt.Sprint(replayed(t, l, q))
	var parts []ReplayEvent
	cuts := 0
	for {
		more := false
		for e, err := range l.Replay(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, e)
			if more = e.Through != 0; more {
				q.FromSequence = e.Through + 1
				break
			}
		}
		if !more {
			break
		}
		cuts++
	}
	if cuts != 6 || fmt.Sprint(parts) != whole {
		t.Errorf("cut at %d places, a replay tells another history", cuts)
	}
}
