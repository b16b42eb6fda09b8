package ledger

import (
	"errors"
	"testing"

	"bahi/domain"
	"bahi/eventstore"
)

// What few send for many districts shares a commit and its flush; what many send
// for one has commits of its own; orders always stand alone.
func TestFewSubmissionsShareACommit(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	var mixed []domain.Submission
	for n := range 100 {
		district := domain.District(muzaffarpur)
		if n%2 == 1 {
			district = patna
		}
		mixed = append(mixed, registrationOf(n+1, district, domain.HealthCareWorker, "2021-01-16"))
	}
	verdicts := submit(t, l, centre, mixed...)
	want(t, verdicts, domain.Accepted)
	commits := map[uint64]bool{}
	for _, v := range verdicts {
		commits[v.Commit] = true
	}
	if len(commits) != 1 {
		t.Errorf("100 submissions of two districts made %d commits", len(commits))
	}
	entries := 0
	for c, err := range l.store.Read(t.Context(), eventstore.Reading{Only: eventstore.Filter{District: muzaffarpur}}) {
		if err != nil {
			t.Fatal(err)
		}
		if c.District != eventstore.Several {
			t.Errorf("commit %d stands for district %d", c.Sequence, c.District)
		}
		entries += len(c.Entries)
	}
	if entries != 100 {
		t.Errorf("a reader of one district was shown %d entries of the shared commit", entries)
	}
	if counts := countsOf(t, l, patna, "2021-01-16"); counts.Registered != 50 {
		t.Errorf("counts %+v", counts.Figures)
	}
	for c, err := range l.store.Read(t.Context(), eventstore.Reading{Only: eventstore.Filter{Orders: true}}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Entries {
			if _, ok := e.Event.(domain.PersonRegistered); ok {
				t.Error("a registration stands among the orders")
			}
		}
	}
	check(t, l)
}

// TestMixes: commits are shared when few of each district wait, however many wait.
func TestMixes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		waiting, districts, mixing int
		want                       bool
	}{
		{1, 1, mixedAtMost, true},
		{mixedAtMost, 1, mixedAtMost, true},
		{mixedAtMost + 1, 1, mixedAtMost, false},
		{mixedAtMost + 1, 2, mixedAtMost, true},
		{3_000, 38, mixedAtMost, true},
		{3_000, 5, mixedAtMost, false},
		{1, 1, 0, false},
	} {
		c := &committer{Ledger: &Ledger{mixing: test.mixing}}
		for n := range test.waiting {
			c.waiting = append(c.waiting, &ask{submission: domain.DoseGiven{District: domain.District(203 + n%test.districts)}})
		}
		if got := c.mixes(); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// What is queued ahead is decided in its order, also across a freeze.
func TestBundlesQueuedAhead(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	districts := []domain.District{muzaffarpur, patna}
	var waits []func() ([]domain.Verdict, error)
	for b := range 8 {
		var bundle []domain.Submission
		for n := b*200 + 1; n <= b*200+200; n++ {
			bundle = append(bundle, registrationOf(n, districts[n%2], domain.HealthCareWorker, "2021-01-16"))
			if n > 200 { // of the bundle before
				bundle = append(bundle, doseOf(n-200, 1, districts[n%2], "2021-01-16"))
			}
		}
		waits = append(waits, l.Queue(t.Context(), centre, bundle))
	}
	waits = append(waits, l.Queue(t.Context(), authority, []domain.Submission{freezeOf(1, muzaffarpur, "2021-01-17")}))
	waits = append(waits, l.Queue(t.Context(), centre, []domain.Submission{doseOf(1501, 1, patna, "2021-01-16")}))
	for i, wait := range waits {
		verdicts, err := wait()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range verdicts {
			if v.Outcome != domain.Accepted {
				t.Fatalf("bundle %d: %+v", i, v.Reject)
			}
		}
	}
	if counts := countsOf(t, l, muzaffarpur, "2021-01-17"); counts.Registered != 800 || counts.Frozen != 800 {
		t.Errorf("counts %+v", counts.Figures)
	}
	check(t, l)

	if _, err := l.Queue(t.Context(), centre, make([]domain.Submission, MaxBundle+1))(); err == nil {
		t.Error("a bundle is taken that is too large")
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Queue(t.Context(), centre, []domain.Submission{doseOf(1, 2, patna, "2021-03-16")})(); !errors.Is(err, ErrClosed) {
		t.Errorf("queued in a closed ledger: %v", err)
	}
}
