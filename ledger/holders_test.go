package ledger

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/vault"
)

// upstairs is a holder above the ledger that answers as it is told.
type upstairs struct {
	mu    sync.Mutex
	says  []error // to its calls; nil after the last
	calls int
	ended [][]domain.FreezeOrdered // what it was asked to end again
	keys  *vault.Vault
	alive int // cohorts whose keys were there when it was called
}

func (u *upstairs) purge(_ context.Context, order domain.FreezeOrdered) (int64, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls++
	for _, c := range cohorts(order) {
		if u.keys.State(c) != vault.KeyDestroyed {
			u.alive++
		}
	}
	if len(u.says) == 0 {
		return 7, nil
	}
	err := u.says[0]
	u.says = u.says[1:]
	return 0, err
}

func (u *upstairs) purgeAgain(_ context.Context, orders []domain.FreezeOrdered) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = append(u.ended, orders)
	return 0, nil
}

func openWith(t *testing.T, dir string, first, second *upstairs) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), Config{Data: dir + "/data", Keys: dir + "/keys", Sandbox: true,
		Holders: func(_ *eventstore.Store, keys *vault.Vault) []Holder {
			first.keys, second.keys = keys, keys
			return []Holder{{Name: "first", Purge: first.purge, PurgeAgain: first.purgeAgain}, {Name: "second", Purge: second.purge}}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, l) })
	return l
}

// Holders above the ledger come last, one after another, after the keys; a freeze
// waits for them, in this process and over a crash.
func TestHoldersAboveTheLedger(t *testing.T) {
	t.Parallel()
	gone := errors.New("injected: the process is gone")
	for _, test := range []struct {
		name          string
		first, second []error
		cut           bool // the freeze is cut off, and resumed at the next start
		calls         [2]int
	}{
		{"at once", nil, nil, false, [2]int{1, 1}},
		{"the first waits", []error{ErrWaits, ErrWaits}, nil, false, [2]int{3, 1}},
		{"the second waits", nil, []error{ErrWaits}, false, [2]int{1, 2}},
		{"cut off in the first", []error{gone}, nil, true, [2]int{2, 1}},
		{"cut off in the second", nil, []error{gone}, true, [2]int{1, 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			first, second := &upstairs{says: test.first}, &upstairs{says: test.second}
			l := openWith(t, dir, first, second)
			want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
			order := freezeOf(1, muzaffarpur, "2021-03-04")
			receipt, err := l.Freeze(t.Context(), order)
			if test.cut {
				if !errors.Is(err, gone) {
					t.Fatalf("the freeze was not cut off: %v", err)
				}
				shut(t, l)
				l = openWith(t, dir, first, second)
				f, _ := l.freeze(order.ID)
				if awaited := f.Awaits(); len(awaited) > 0 {
					t.Errorf("not resumed at the start: %v", awaited)
				}
				receipt, err = l.Freeze(t.Context(), order)
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range receipt.Purged {
				names = append(names, p.Holder)
			}
			if want := []string{l.peopleHolder(), l.vaultHolder(), l.registerHolder(), "first", "second"}; !slices.Equal(names, want) {
				t.Errorf("acknowledged by %v, want %v", names, want)
			}
			if rows := receipt.Purged[3].Rows; rows == nil || *rows != 7 {
				t.Error("the receipt does not say how many rows")
			}
			if receipt.Receipt == "" {
				t.Error("there is no signed receipt")
			}
			if calls := [2]int{first.calls, second.calls}; calls != test.calls || first.alive+second.alive > 0 {
				t.Errorf("called %v times, want %v; %d keys were alive", calls, test.calls, first.alive+second.alive)
			}
			shut(t, l)
			openWith(t, dir, first, second)
			if last := first.ended[len(first.ended)-1]; len(last) != 1 || last[0].Freeze != order.ID || len(first.ended[0]) != 0 {
				t.Errorf("asked at its starts to end again %v", first.ended)
			}
		})
	}
}

// A ledger that is opened without the holders that it has enrolled does not
// acknowledge for them.
func TestFreezeAwaitsHoldersAboveTheLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openWith(t, dir, &upstairs{}, &upstairs{})
	want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	shut(t, l)
	l = open(t, dir)
	order := freezeOf(1, muzaffarpur, "2021-03-04")
	want(t, submit(t, l, authority, order), domain.Accepted)
	var awaited *AwaitedError
	if _, err := l.Receipt(t.Context(), order.ID); !errors.As(err, &awaited) || !slices.Equal(awaited.Holders, []string{"first", "second"}) {
		t.Errorf("a receipt without them: %v", err)
	}
	shut(t, l)
	l = openWith(t, dir, &upstairs{}, &upstairs{})
	if _, err := l.Receipt(t.Context(), order.ID); err != nil {
		t.Errorf("after their part: %v", err)
	}
}
