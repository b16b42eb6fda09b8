package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bahi/domain"
	"bahi/ledger"
	"bahi/projections"
)

// frozenPeople is how many people Muzaffarpur's first freeze ended.
const frozenPeople = 34_829

// everybody is the freeze of all people of a benchmark's district.
func everybody() domain.Freeze {
	return domain.Freeze{
		Heading: heading(9, 1, time.Now()), District: singleDistrict, Mode: domain.Erase, Order: "BENCH/1", By: "bench",
	}
}

// freezeMuzaffarpur freezes 34,829 people, up to the receipt, whatever number of
// events is asked for.
func freezeMuzaffarpur(_ context.Context, s *stand) (round, error) {
	return onCopies(s, frozenPeople, frozen), nil
}

// freezeAsMany freezes as many people as the measure has.
func freezeAsMany(_ context.Context, s *stand) (round, error) {
	return onCopies(s, s.people(), frozen), nil
}

// freezeRefusal takes the time from ordering a freeze of everybody to the first
// look-up that is refused, while an officer asks without a pause.
func freezeRefusal(_ context.Context, s *stand) (round, error) {
	return onCopies(s, s.people(), func(ctx context.Context, l *ledger.Ledger) (found sample, err error) {
		ask := func() error {
			_, err := l.Person(ctx, reference(1), verification)
			return err
		}
		if err := ask(); err != nil {
			return found, fmt.Errorf("before the freeze: %w", err)
		}
		ended := make(chan error, 1)
		peak, start := watchMemory(), time.Now()
		go func() {
			var err error
			found.events, err = freezeAll(ctx, l)
			ended <- err
		}()
		for err == nil {
			err = ask()
		}
		took := time.Since(start)
		failed := <-ended
		found.took, found.memory = took, peak()
		if !errors.Is(err, ledger.ErrFrozen) {
			return found, errors.Join(err, failed)
		}
		return found, failed
	}), nil
}

// rebuildFrozen folds a view anew from a ledger of which everybody is frozen: what
// it would open or keep of open cohorts it passes over.
func rebuildFrozen(view string) func(context.Context, *stand) (round, error) {
	return func(_ context.Context, s *stand) (round, error) {
		return onCopies(s, s.people(), func(ctx context.Context, l *ledger.Ledger) (sample, error) {
			if _, err := freezeAll(ctx, l); err != nil {
				return sample{}, err
			}
			return timed(ctx, l, func(ctx context.Context, l *ledger.Ledger) (int, error) {
				out, err := l.RebuildView(ctx, view, projections.RebuildOptions{}, nil)
				return int(out.Events), err
			})
		}), nil
	}
}

// onCopies measures on a copy of a filled ledger in each round.
func onCopies(s *stand, people int, do func(context.Context, *ledger.Ledger) (sample, error)) round {
	return func(ctx context.Context) (found sample, err error) {
		dir, err := s.copy(ctx, muzaffarpur, people)
		if err != nil {
			return found, err
		}
		l, err := open(ctx, dir)
		if err != nil {
			return found, err
		}
		defer func() { err = errors.Join(err, l.Close(context.WithoutCancel(ctx))) }()
		return do(ctx, l)
	}
}

func frozen(ctx context.Context, l *ledger.Ledger) (sample, error) { return timed(ctx, l, freezeAll) }

// freezeAll freezes everybody, and returns how many that are.
func freezeAll(ctx context.Context, l *ledger.Ledger) (people int, err error) {
	r, err := l.Freeze(ctx, everybody())
	if err == nil && r.People == 0 {
		err = errors.New("nobody was frozen")
	}
	return int(r.People), err
}
