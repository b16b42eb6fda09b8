package ledger

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

// TestAttendAgain: a node that cannot do its part of a freeze when it is told of it, as
// while the server is away, does it when it can, though no further order comes.
func TestAttendAgain(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	first := openNode(t, url, nil)
	want(t, submit(t, first, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	second := openNode(t, url, first)
	want(t, submit(t, second, centre, registrationOf(2, patna, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	second.freezing.Lock() // under which orders are attended to
	second.pause = time.Millisecond
	second.freezing.Unlock()
	var mended atomic.Bool
	var failed atomic.Uint64 // at which head
	second.append = func(ctx context.Context, c eventstore.Commit, expected uint64) (uint64, error) {
		if mended.Load() {
			return second.store.Append(ctx, c, expected)
		}
		failed.Store(expected)
		return 0, errors.New("injected")
	}

	order := freezeOf(1, muzaffarpur, "2021-03-04")
	order.Mode = domain.Erase
	frozen := make(chan error, 1)
	go func() {
		_, err := first.Freeze(t.Context(), order)
		frozen <- err
	}()
	deadline := time.Now().Add(natstest.Patience)
	for ; ; time.Sleep(5 * time.Millisecond) {
		f, _ := first.freeze(order.ID)
		if len(f.Awaits()) == len(second.holders()) && failed.Load() == first.register.Folded() {
			break // nobody else's part is missing, and all that reminds of it has come
		}
		if time.Now().After(deadline) {
			t.Fatalf("it awaits %v", f.Awaits())
		}
	}
	mended.Store(true)
	if err := <-frozen; err != nil {
		t.Error(err)
	}
}

// TestFinishedLater: a freeze that its node could not carry out to its end, for the server
// was away or whoever ordered it has hung up, is carried on without a word from anybody.
func TestFinishedLater(t *testing.T) {
	t.Parallel()
	for _, test := range []string{"the server is away", "the orderer hangs up"} {
		t.Run(test, func(t *testing.T) {
			t.Parallel()
			l := open(t, t.TempDir())
			l.pause = time.Millisecond
			want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			var appended, refused atomic.Int64
			store := l.append
			l.append = func(ctx context.Context, c eventstore.Commit, expected uint64) (uint64, error) {
				switch n := appended.Add(1); {
				case n == 1: // the order
				case test == "the orderer hangs up":
					hangUp()
				case refused.Add(1) <= 5:
					return 0, errors.New("injected")
				}
				return store(ctx, c, expected)
			}
			order := freezeOf(1, muzaffarpur, "2021-03-04")
			order.Mode = domain.Erase
			_, _ = l.Freeze(ctx, order) // which may tell of the trouble
			for deadline := time.Now().Add(natstest.Patience); ; time.Sleep(5 * time.Millisecond) {
				f, ok := l.freeze(order.ID)
				if ok && l.done(f) {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("the freeze awaits %v", f.Awaits())
				}
			}
			check(t, l)
		})
	}
}
