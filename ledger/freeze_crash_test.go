package ledger

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/vault"
)

// A freeze appends a commit at each of its steps. The process is cut off at the
// first, the second, … append, once with the commit lost and once with it stored,
// until a freeze comes through; whatever was missing is done at the next start.
func TestFreezeIsResumedAtItsFirstMissingStep(t *testing.T) {
	t.Parallel()
	for _, stored := range []bool{false, true} {
		for _, mode := range []domain.FreezeMode{domain.Handover, domain.Erase} {
			t.Run(fmt.Sprintf("%s, stored %t", mode, stored), func(t *testing.T) {
				t.Parallel()
				steps := 0
				for cutAtAppend(t, steps, stored, mode) {
					steps++
				}
				if steps < 5 {
					t.Errorf("the freeze came through at step %d: the faults were not injected", steps)
				}
			})
		}
	}
}

// cutAtAppend cuts a freeze off at its nth append, starts again and checks
// everything. It answers false when the freeze came through before.
func cutAtAppend(t *testing.T, nth int, stored bool, mode domain.FreezeMode) (cut bool) {
	t.Helper()
	dir := t.TempDir()
	l := open(t, dir)
	for n := 1; n <= 20; n++ {
		want(t, submit(t, l, centre, registrationOf(n, muzaffarpur, domain.Group(1+n%2), "2021-01-16")), domain.Accepted)
	}
	want(t, submit(t, l, centre, registrationOf(99, patna, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	if mode == domain.Handover { // adopt the key before, so that the appends are the freeze's own
		key, err := l.vault.SandboxAuthorityKey()
		if err != nil {
			t.Fatal(err)
		}
		if err := l.AdoptAuthorityKey(t.Context(), key.Public(), at("2021-01-16")); err != nil {
			t.Fatal(err)
		}
	}

	appends, gone := 0, errors.New("injected: the process is gone")
	l.append = func(ctx context.Context, c eventstore.Commit, expected uint64) (uint64, error) {
		if cut {
			return 0, gone
		}
		appends++
		if appends > nth {
			cut = true
			if stored {
				if _, err := l.store.Append(ctx, c, expected); err != nil {
					t.Error(err)
				}
			}
			return 0, gone // not an outcome that is tried again
		}
		return l.store.Append(ctx, c, expected)
	}
	order := freezeOf(1, muzaffarpur, "2021-03-04")
	order.Mode = mode
	_, err := l.Freeze(t.Context(), order)
	shut(t, l)

	l = open(t, dir)
	receipt, again := l.Freeze(t.Context(), order)
	if again != nil {
		t.Fatalf("cut at append %d (%v): the same order again: %v", nth, err, again)
	}
	if receipt.People != 20 || receipt.KeysDestroyed != 2 || len(receipt.Purged) != 3 {
		t.Errorf("cut at append %d: the receipt says %+v", nth, receipt)
	}
	for _, c := range cohorts(domain.FreezeOrdered{Cohorts: []domain.CohortSize{
		{Cohort: domain.Cohort{District: muzaffarpur, Group: domain.HealthCareWorker, Generation: 1}},
		{Cohort: domain.Cohort{District: muzaffarpur, Group: domain.FrontLineWorker, Generation: 1}},
	}}) {
		if s := l.vault.State(c); s != vault.KeyDestroyed {
			t.Errorf("cut at append %d: the key of %s is %s", nth, c, s)
		}
	}
	for _, n := range []int{1, 2, 20} {
		if _, err := l.Person(t.Context(), referenceOf(n), Reader{Officer: "dio", Purpose: "medical"}); !errors.Is(err, ErrFrozen) {
			t.Errorf("cut at append %d: person %d: %v", nth, n, err)
		}
	}
	if p, err := l.Person(t.Context(), referenceOf(99), Reader{Officer: "dio", Purpose: "medical"}); err != nil || p.Name == "" {
		t.Errorf("cut at append %d: the neighbour's person: %v", nth, err)
	}
	thief := registrationOf(500, patna, domain.HealthCareWorker, "2021-03-05")
	thief.PhotoID = registrationOf(7, muzaffarpur, domain.HealthCareWorker, "2021-01-16").PhotoID
	wantCode(t, submit(t, l, centre, thief)[0], domain.CodePhotoIDTaken)
	check(t, l)
	shut(t, l)
	return cut
}
