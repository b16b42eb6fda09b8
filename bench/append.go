package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"bahi/domain"
	"bahi/ledger"
)

const (
	bundleClients = 8
	singleClients = 64
	ledgerBundle  = ledger.MaxBundle / submissionsEach * submissionsEach
)

// appendBundles submits bundles of 500 from eight clients to one district: decided,
// tokenised, sealed, flushed.
func appendBundles(_ context.Context, s *stand) (round, error) {
	return appended(s, inBundles(muzaffarpur, s.people()), func(ctx context.Context, l *ledger.Ledger) (float64, error) {
		return rawAppend(ctx, s, l.Store())
	}), nil
}

// appendSingles submits one submission a call from 64 goroutines.
func appendSingles(p *population) func(context.Context, *stand) (round, error) {
	return func(_ context.Context, s *stand) (round, error) {
		work := submitting{population: p, people: s.people(), turn: 1, size: 1, clients: singleClients}
		return appended(s, work, func(ctx context.Context, _ *ledger.Ledger) (float64, error) {
			found, err := rawSingles(ctx, s, singleClients)
			return found.limit, err
		}), nil
	}
}

// appended submits to a ledger of the round's own, and then measures the limit.
func appended(s *stand, work submitting, limit func(context.Context, *ledger.Ledger) (float64, error)) round {
	return func(ctx context.Context) (found sample, err error) {
		l, err := s.openFresh(ctx)
		if err != nil {
			return found, err
		}
		defer func() { err = errors.Join(err, l.Close(context.WithoutCancel(ctx))) }()
		if found, err = work.submit(ctx, l); err != nil {
			return found, err
		}
		if found.disk, err = onDisk(s.room); err != nil {
			return found, err
		}
		found.limit, err = limit(ctx, l)
		return found, err
	}
}

// submitting is a population's history as clients submit it. They take turns: one
// client submits the history of so many people, in calls of a size, one after the
// other, and then takes the next turn.
type submitting struct {
	population *population
	people     int
	turn       int // people
	size       int // submissions a call
	clients    int
}

func inBundles(p *population, people int) submitting {
	return submitting{population: p, people: people, turn: bundlePeople, size: ledgerBundle, clients: bundleClients}
}

// submit submits all, and insists that all are accepted.
func (w submitting) submit(ctx context.Context, l *ledger.Ledger) (sample, error) {
	found := sample{events: w.people * submissionsEach, latencies: new(histogram)}
	var turns atomic.Int64
	peak, start := watchMemory(), time.Now()
	clients, ctx := errgroup.WithContext(ctx)
	for range w.clients {
		clients.Go(func() error {
			bundle := make([]domain.Submission, 0, w.size)
			for {
				from := int(turns.Add(1)-1) * w.turn
				if from >= w.people {
					return nil
				}
				through := min(w.people, from+w.turn) * submissionsEach
				for i := from * submissionsEach; i < through; i += len(bundle) {
					bundle = bundle[:0]
					for j := i; j < min(through, i+w.size); j++ {
						bundle = append(bundle, w.population.submission(j))
					}
					sent := time.Now()
					if err := submit(ctx, l, bundle); err != nil {
						return err
					}
					found.latencies.add(time.Since(sent))
				}
			}
		})
	}
	err := clients.Wait()
	found.took, found.memory = time.Since(start), peak()
	return found, err
}

// submit submits one bundle, and insists that all of it is accepted.
func submit(ctx context.Context, l *ledger.Ledger, bundle []domain.Submission) error {
	verdicts, err := l.Submit(ctx, ledger.Caller{Name: "bench"}, bundle)
	if err != nil {
		return err
	}
	for _, v := range verdicts {
		if v.Outcome != domain.Accepted {
			return fmt.Errorf("a submission of the benchmark was %s: %v", v.Outcome, v.Reject)
		}
	}
	return nil
}
