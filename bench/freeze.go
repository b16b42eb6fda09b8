package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bahi/domain"
	"bahi/ledger"
)

// everybody is the freeze of all people of a benchmark.
func everybody() domain.Freeze {
	return domain.Freeze{
		Heading: heading(9, 1, time.Now()), District: district, Mode: domain.Erase, Order: "BENCH/1", By: "bench",
	}
}

// freeze freezes everybody, up to the receipt. Its events are people.
func freeze(ctx context.Context, o Options) (sample, error) {
	return with(ctx, o, func(l *ledger.Ledger) (sample, error) {
		start := time.Now()
		people, err := freezeAll(ctx, l)
		took := time.Since(start)
		return sample{events: people, took: took, latencies: []time.Duration{took}}, err
	})
}

func freezeAll(ctx context.Context, l *ledger.Ledger) (people int, err error) {
	r, err := l.Freeze(ctx, everybody())
	if err == nil && r.People == 0 {
		err = fmt.Errorf("nobody was frozen")
	}
	return int(r.People), err
}

// freezeRefusal takes the time from ordering a freeze of everybody to the first
// look-up that is refused, while an officer asks without a pause. Its events are
// people.
func freezeRefusal(ctx context.Context, o Options) (sample, error) {
	return with(ctx, o, func(l *ledger.Ledger) (sample, error) {
		if _, err := l.Person(ctx, reference(1), ledger.Reader{Officer: "bench", Purpose: "verification"}); err != nil {
			return sample{}, fmt.Errorf("before the freeze: %w", err)
		}
		type outcome struct {
			people int
			err    error
		}
		frozen := make(chan outcome, 1)
		start := time.Now()
		go func() {
			people, err := freezeAll(ctx, l)
			frozen <- outcome{people, err}
		}()
		var err error
		for err == nil {
			_, err = l.Person(ctx, reference(1), ledger.Reader{Officer: "bench", Purpose: "verification"})
		}
		took := time.Since(start)
		done := <-frozen
		if !errors.Is(err, ledger.ErrFrozen) {
			return sample{}, errors.Join(err, done.err)
		}
		return sample{events: done.people, took: took, latencies: []time.Duration{took}}, done.err
	})
}

// rebuildFrozen folds a view anew from a ledger of which everybody is frozen: what
// it would open or keep of open cohorts it passes over.
func rebuildFrozen(view string) func(context.Context, Options) (sample, error) {
	return func(ctx context.Context, o Options) (sample, error) {
		return with(ctx, o, func(l *ledger.Ledger) (sample, error) {
			if _, err := freezeAll(ctx, l); err != nil {
				return sample{}, err
			}
			_, events, err := messages(ctx, l.Store())
			if err != nil {
				return sample{}, err
			}
			start := time.Now()
			err = l.Rebuild(ctx, []string{view}, nil)
			return sample{events: events, took: time.Since(start)}, err
		})
	}
}
