package ledger

import (
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
