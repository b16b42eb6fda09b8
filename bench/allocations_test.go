package bench

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/ledger"
	"bahi/projections"
)

// budgets are the most allocations an event may take, over all goroutines of the
// process. They do not depend on the machine, so that a test can hold the program to
// them where it could not hold it to times.
//
// Each is the figure when it was last renewed and a tenth more. To renew them after
// something got better, or had to get worse:
//
//	go test ./bench -run TestAllocationsPerEvent -v
//
// and put the figures that it logs, and a tenth more, here.
var budgets = map[string]float64{
	"append_bundles": 12.4, // checked, tokenised, decided, sealed, encoded, stored, folded by every view
	"append_singles": 198,  // the same, in a commit of its own
	"decode":         1.11, // of commits with 498 events
	"fold_counts":    0.01, // of such commits, many in a batch: next to nothing
	"fold_people":    0.97,
	"rebuild_counts": 1.58, // read, decoded, folded, compared and swapped
	"rebuild_people": 4.74,
}

// It counts what the whole process allocates: it is not parallel, so that no other
// test of the package runs meanwhile.
func TestAllocationsPerEvent(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates, too")
	}
	l, err := open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(context.Background()) })
	history := historyOfBundles(40)
	submitEach(t, l, history[:10]) // keys are made, pools and caches filled
	budgeted(t, "append_bundles", 30*ledgerBundle, func() { submitEach(t, l, history[10:]) })

	var commits []eventstore.Commit
	for c, err := range l.Store().Read(t.Context(), eventstore.Reading{}) {
		if err != nil {
			t.Fatal(err)
		}
		commits = append(commits, c)
	}
	bundles := commits[len(commits)-30:]
	budgeted(t, "decode", 30*ledgerBundle, func() {
		for _, c := range bundles {
			if _, err := eventstore.Decode(c.Stored); err != nil {
				t.Error(err)
			}
		}
	})
	for _, name := range []string{"counts", "people"} {
		budgeted(t, "rebuild_"+name, 40*ledgerBundle, func() {
			if _, err := l.RebuildView(t.Context(), name, projections.RebuildOptions{}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	for _, v := range emptyViews(t) {
		if err := v.Fold(t.Context(), commits[:len(commits)-len(bundles)]...); err != nil {
			t.Fatal(err)
		}
		budgeted(t, "fold_"+v.Name(), 30*ledgerBundle, func() {
			if err := v.Fold(t.Context(), bundles...); err != nil {
				t.Error(err)
			}
		})
	}

	var singles [][]domain.Submission
	for _, bundle := range historyOfBundles(42)[40:] {
		for i := range bundle {
			singles = append(singles, bundle[i:i+1])
		}
	}
	submitEach(t, l, singles[:60])
	budgeted(t, "append_singles", len(singles)-60, func() { submitEach(t, l, singles[60:]) })
}

// budgeted does something with events, and holds what it allocates to its budget.
func budgeted(t *testing.T, name string, events int, do func()) {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))  // as many caches as anywhere
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would empty pools
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	each := float64(after.Mallocs-before.Mallocs) / float64(events)
	t.Logf("%-16s %8.3f allocations an event, %8.1f bytes", name, each, float64(after.TotalAlloc-before.TotalAlloc)/float64(events))
	if most := budgets[name]; each > most {
		t.Errorf("%s: %.3f allocations an event, the budget is %.3f", name, each, most)
	}
}

func historyOfBundles(n int) [][]domain.Submission {
	bundles := make([][]domain.Submission, n)
	for b := range bundles {
		for i := range ledgerBundle {
			bundles[b] = append(bundles[b], bihar.submission(b*ledgerBundle+i))
		}
	}
	return bundles
}

// submitEach submits bundles one after another, and waits until they are folded.
func submitEach(t *testing.T, l *ledger.Ledger, bundles [][]domain.Submission) {
	t.Helper()
	for _, bundle := range bundles {
		if err := submit(t.Context(), l, bundle); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Counts(t.Context(), projections.CountsQuery{District: singleDistrict}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Person(t.Context(), reference(1), verification); err != nil {
		t.Fatal(err)
	}
}

func emptyViews(t *testing.T) []projections.View {
	t.Helper()
	counts, err := projections.OpenCounts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	people, err := projections.OpenPeople(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		counts.Close()
		people.Close()
	})
	return []projections.View{counts, people}
}
