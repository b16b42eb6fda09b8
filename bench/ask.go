package bench

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"bahi/domain"
	"bahi/ledger"
	"bahi/projections"
)

// Questions are asked one after another, while bundles are submitted beside.
const (
	askFor     = time.Second      // in each round
	loadRate   = 20_000           // events a second
	loadWithin = 10 * time.Second // the first bundle of the load is answered
)

// countsQuery asks for the counts of one district. An answer knows everything that
// was acknowledged before the question.
func countsQuery(ctx context.Context, s *stand) (round, error) {
	l, err := s.openCopy(ctx, bihar)
	if err != nil {
		return nil, err
	}
	limit, end, err := looking(ctx, filepath.Join(s.room, "raw-pebble"), min(s.people(), sampled/submissionsEach))
	if err != nil {
		return nil, err
	}
	s.later(func() error { end(); return nil })
	return underLoad(s, l, func(ctx context.Context, _ int) error {
		_, err := l.Counts(ctx, projections.CountsQuery{District: singleDistrict})
		return err
	}, limit), nil
}

// personRead opens one person's details after another. Each reading is in the audit
// record, flushed, before it is answered.
func personRead(ctx context.Context, s *stand) (round, error) {
	l, err := s.openCopy(ctx, bihar)
	if err != nil {
		return nil, err
	}
	publish, end, err := flushing(ctx, s)
	if err != nil {
		return nil, err
	}
	s.later(func() error { end(); return nil })
	message := make([]byte, singleBytes)
	return underLoad(s, l, func(ctx context.Context, i int) error {
		_, err := l.Person(ctx, reference(anyOf(i, s.people())), verification)
		return err
	}, func(int) error { return publish(message) }), nil
}

var verification = ledger.Reader{Officer: "bench", Purpose: "verification"}

// anyOf is the number of one of so many people, another for every i.
func anyOf(i, people int) int { return 1 + i*7919%people }

// underLoad asks, and then asks what it is measured beside, while a load runs.
func underLoad(s *stand, l *ledger.Ledger, ask func(ctx context.Context, i int) error, limit func(i int) error) round {
	next := (s.people() + bundlePeople - 1) / bundlePeople * bundlePeople // whom the load has come to
	return func(ctx context.Context) (found sample, err error) {
		working, ctx := errgroup.WithContext(ctx)
		loading, stop := context.WithCancel(ctx)
		defer stop()
		beside := &load{ledger: l, next: next, began: make(chan struct{})}
		working.Go(func() error { return beside.run(loading) })
		working.Go(func() error {
			defer stop()
			select {
			case <-beside.began:
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(loadWithin):
				return errors.New("no bundle of the load is answered")
			}
			peak := watchMemory()
			if found, err = repeat(askFor, func(i int) error { return ask(ctx, i) }); err != nil {
				return err
			}
			found.memory = peak()
			raw, err := repeat(askRawFor, limit)
			found.limit, found.limitLatencies = float64(raw.events)/raw.took.Seconds(), raw.latencies
			return err
		})
		err = working.Wait()
		next, found.load = beside.next, beside.perSecond
		return found, err
	}
}

// repeat asks again and again, one at a time.
func repeat(during time.Duration, ask func(i int) error) (sample, error) {
	found := sample{latencies: new(histogram)}
	start := time.Now()
	for asked := start; asked.Sub(start) < during; {
		if err := ask(found.events); err != nil {
			return found, err
		}
		answered := time.Now()
		found.latencies.add(answered.Sub(asked))
		found.events, asked = found.events+1, answered
	}
	found.took = time.Since(start)
	return found, nil
}

// load submits bundles at [loadRate], or as fast as they are answered when that is
// slower.
type load struct {
	ledger    *ledger.Ledger
	next      int           // people who are submitted
	began     chan struct{} // closed when the first bundle is answered
	perSecond float64       // events, in the end
}

// run submits until ctx ends.
func (w *load) run(ctx context.Context) error {
	tick := time.NewTicker(ledgerBundle * time.Second / loadRate)
	defer tick.Stop()
	bundle := make([]domain.Submission, 0, ledgerBundle)
	from, start := w.next, time.Now()
	for first := true; ; first = false {
		bundle = bundle[:0]
		for i := range ledgerBundle {
			bundle = append(bundle, bihar.submission(w.next*submissionsEach+i))
		}
		// What is begun is brought to its end, so that nobody is submitted twice.
		if err := submit(context.WithoutCancel(ctx), w.ledger, bundle); err != nil {
			return err
		}
		w.next += bundlePeople
		if first {
			close(w.began)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.perSecond = float64((w.next-from)*submissionsEach) / time.Since(start).Seconds()
			return nil
		}
	}
}
