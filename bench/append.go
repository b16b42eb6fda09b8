package bench

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/ledger"
)

const (
	bundleClients = 8
	singleClients = 64
)

func open(ctx context.Context, o Options) (*ledger.Ledger, error) {
	return ledger.Open(ctx, ledger.Config{Data: filepath.Join(o.Dir, "data"), Keys: filepath.Join(o.Dir, "keys"), ReadsPerDay: math.MaxInt})
}

// appendBundles submits bundles of 500 from eight clients: decided, tokenised,
// sealed, flushed.
func appendBundles(ctx context.Context, o Options) (sample, error) {
	l, err := open(ctx, o)
	if err != nil {
		return sample{}, err
	}
	s, err := submitAll(ctx, l, o.Events, bundleClients, ledger.MaxBundle/3*3)
	if err == nil {
		s.limit, err = rawAppend(ctx, o, l.Store(), 1)
	}
	if closed := l.Close(ctx); err == nil {
		err = closed
	}
	return s, err
}

// appendSingles submits one submission a call from 64 goroutines.
func appendSingles(ctx context.Context, o Options) (sample, error) {
	l, err := open(ctx, o)
	if err != nil {
		return sample{}, err
	}
	s, err := submitAll(ctx, l, o.Events, singleClients, 1)
	if err == nil {
		s.limit, err = rawSingles(ctx, o, singleClients, 10_000)
	}
	if closed := l.Close(ctx); err == nil {
		err = closed
	}
	return s, err
}

// submitAll submits events in bundles of size from clients, each with people of
// its own, and insists that all are accepted.
func submitAll(ctx context.Context, l *ledger.Ledger, events, clients, size int) (sample, error) {
	people := max(1, events/3/clients)
	work := make([][]domain.Submission, clients)
	for i := range work {
		work[i] = submissions(1+i*people, people)
	}
	latencies := make([][]time.Duration, clients)
	var done atomic.Int64
	start := time.Now()
	var group errgroup.Group
	for i := range work {
		group.Go(func() error {
			for rest := work[i]; len(rest) > 0; {
				n := min(size, len(rest))
				sent := time.Now()
				verdicts, err := l.Submit(ctx, ledger.Caller{Name: "bench"}, rest[:n])
				if err != nil {
					return err
				}
				latencies[i] = append(latencies[i], time.Since(sent))
				for _, v := range verdicts {
					if v.Outcome != domain.Accepted {
						return fmt.Errorf("a submission of the benchmark was %s: %v", v.Outcome, v.Reject)
					}
				}
				done.Add(int64(n))
				rest = rest[n:]
			}
			return nil
		})
	}
	err := group.Wait()
	s := sample{events: int(done.Load()), took: time.Since(start)}
	for _, l := range latencies {
		s.latencies = append(s.latencies, l...)
	}
	return s, err
}

// messages returns the ledger's commits as they were sent.
func messages(ctx context.Context, store *eventstore.Store) (all [][]byte, events int, err error) {
	for commit, err := range store.Read(ctx, eventstore.Reading{}) {
		if err != nil {
			return nil, 0, err
		}
		b, err := eventstore.Encode(commit)
		if err != nil {
			return nil, 0, err
		}
		all = append(all, b)
		events += len(commit.Entries)
	}
	return all, events, nil
}
