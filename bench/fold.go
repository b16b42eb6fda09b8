package bench

import (
	"context"
	"time"

	"bahi/eventstore"
	"bahi/ledger"
	"bahi/projections"
)

// filled is a ledger with the benchmark's events in bundles.
func filled(ctx context.Context, o Options) (*ledger.Ledger, error) {
	l, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	_, err = submitAll(ctx, l, o.Events, bundleClients, ledger.MaxBundle/3*3)
	return l, err
}

// with runs do on a filled ledger and closes it.
func with(ctx context.Context, o Options, do func(*ledger.Ledger) (sample, error)) (sample, error) {
	l, err := filled(ctx, o)
	if err != nil {
		return sample{}, err
	}
	s, err := do(l)
	if closed := l.Close(ctx); err == nil {
		err = closed
	}
	return s, err
}

// rebuild folds one view anew from the ledger.
func rebuild(view string) func(context.Context, Options) (sample, error) {
	return func(ctx context.Context, o Options) (sample, error) {
		return with(ctx, o, func(l *ledger.Ledger) (sample, error) {
			all, events, err := messages(ctx, l.Store())
			if err != nil {
				return sample{}, err
			}
			start := time.Now()
			err = l.Rebuild(ctx, []string{view}, nil)
			s := sample{events: events, took: time.Since(start)}
			if err == nil {
				var perSecond float64
				perSecond, err = rawRead(ctx, o, all)
				s.limit = perSecond * float64(events) / float64(len(all))
			}
			return s, err
		})
	}
}

// replayCommits reads and decodes the whole ledger.
func replayCommits(ctx context.Context, o Options) (sample, error) {
	return with(ctx, o, func(l *ledger.Ledger) (sample, error) {
		start, events := time.Now(), 0
		for commit, err := range l.Store().Read(ctx, eventstore.Reading{}) {
			if err != nil {
				return sample{}, err
			}
			events += len(commit.Entries)
		}
		s := sample{events: events, took: time.Since(start)}
		singles := make([][]byte, min(o.Events, 50_000))
		for i := range singles {
			singles[i] = make([]byte, 300)
		}
		var err error
		s.limit, err = rawRead(ctx, o, singles)
		return s, err
	})
}

// queries is how often a question is asked.
const queries = 500

func countsQuery(ctx context.Context, o Options) (sample, error) {
	return with(ctx, o, func(l *ledger.Ledger) (sample, error) {
		return repeat(queries, func(int) error {
			_, err := l.Counts(ctx, projections.CountsQuery{District: district})
			return err
		})
	})
}

func personRead(ctx context.Context, o Options) (sample, error) {
	return with(ctx, o, func(l *ledger.Ledger) (sample, error) {
		people := max(1, o.Events/3/bundleClients)
		return repeat(queries, func(i int) error {
			_, err := l.Person(ctx, reference(1+i%people), ledger.Reader{Officer: "bench", Purpose: "verification"})
			return err
		})
	})
}

// repeat asks the same question again and again, one at a time.
func repeat(times int, ask func(i int) error) (sample, error) {
	s := sample{events: times}
	start := time.Now()
	for i := range times {
		asked := time.Now()
		if err := ask(i); err != nil {
			return s, err
		}
		s.latencies = append(s.latencies, time.Since(asked))
	}
	s.took = time.Since(start)
	return s, nil
}
