package bench

import (
	"context"
	"fmt"
	"time"

	"bahi/eventstore"
	"bahi/ledger"
	"bahi/projections"
)

// limiter measures a limit once.
type limiter func(context.Context) (perSecond float64, err error)

// rebuild folds one view anew from the ledger, beside the live one, compares the two
// and swaps it in.
func rebuild(view string, beside func(context.Context, *stand, *ledger.Ledger) (limiter, error)) func(context.Context, *stand) (round, error) {
	return func(ctx context.Context, s *stand) (round, error) {
		return readAll(ctx, s, beside, func(ctx context.Context, l *ledger.Ledger) (int, error) {
			out, err := l.RebuildView(ctx, view, projections.RebuildOptions{}, nil)
			if err == nil && out.Compared != projections.Equal {
				err = fmt.Errorf("the rebuilt view is not the live one: %s", out.Compared)
			}
			return int(out.Events), err
		})
	}
}

// verify reads the whole ledger, recomputes the tree's root and every count, and
// compares.
func verify(ctx context.Context, s *stand) (round, error) {
	return readAll(ctx, s, besideMessages, func(ctx context.Context, l *ledger.Ledger) (int, error) {
		report, err := l.Verify(ctx, nil)
		if err == nil && (!report.OK() || report.Root == "") {
			err = fmt.Errorf("the benchmark's ledger does not verify: %v", report.Mismatches)
		}
		return 0, err
	})
}

// replayCommits reads and decodes the whole ledger.
func replayCommits(ctx context.Context, s *stand) (round, error) {
	return readAll(ctx, s, besideSingles, func(ctx context.Context, l *ledger.Ledger) (events int, err error) {
		for commit, err := range l.Store().Read(ctx, eventstore.Reading{}) {
			if err != nil {
				return events, err
			}
			events += len(commit.Entries)
		}
		return events, nil
	})
}

// readAll times do on the ledger that all who read it share. Do returns how many
// events it read, 0 when it does not count them.
func readAll(ctx context.Context, s *stand, beside func(context.Context, *stand, *ledger.Ledger) (limiter, error), do func(context.Context, *ledger.Ledger) (int, error)) (round, error) {
	l, err := s.openFilled(ctx, bihar)
	if err != nil {
		return nil, err
	}
	limit, err := beside(ctx, s, l)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (found sample, err error) {
		if found, err = timed(ctx, l, do); err != nil {
			return found, err
		}
		if found.events == 0 {
			found.events = s.people() * submissionsEach
		}
		found.limit, err = limit(ctx)
		return found, err
	}, nil
}

// timed does something with a ledger once.
func timed(ctx context.Context, l *ledger.Ledger, do func(context.Context, *ledger.Ledger) (int, error)) (found sample, err error) {
	peak, start := watchMemory(), time.Now()
	found.events, err = do(ctx, l)
	found.took, found.memory = time.Since(start), peak()
	return found, err
}

// besideMessages has raw JetStream deliver the ledger's own messages.
func besideMessages(ctx context.Context, s *stand, l *ledger.Ledger) (limiter, error) {
	all, events, err := messages(ctx, l.Store(), sampled)
	if err != nil {
		return nil, err
	}
	deliver, err := storeRaw(ctx, s, all)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (float64, error) {
		perSecond, err := deliver(ctx)
		return perSecond * float64(events) / float64(len(all)), err
	}, nil
}

// besideSingles has raw JetStream deliver events of the ledger, each in a message of
// its own.
func besideSingles(ctx context.Context, s *stand, l *ledger.Ledger) (limiter, error) {
	all, err := singles(ctx, l.Store(), sampledSingles)
	if err != nil {
		return nil, err
	}
	return storeRaw(ctx, s, all)
}

// besideRows has raw Pebble take the rows of the people view.
func besideRows(ctx context.Context, s *stand, l *ledger.Ledger) (limiter, error) {
	people := min(s.people(), sampled/submissionsEach)
	each, err := sealedBytes(ctx, l.Store())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (float64, error) {
		dir, err := s.fresh()
		if err != nil {
			return 0, err
		}
		took, err := ingestRows(ctx, dir, people, each)
		return float64(people*submissionsEach) / took.Seconds(), err
	}, nil
}

// Limits are measured with the first so many events of a ledger.
const (
	sampled        = 300_000
	sampledSingles = 100_000
)

// messages returns the first of the ledger's commits as they are stored, with at
// least so many events when it has them.
func messages(ctx context.Context, store *eventstore.Store, atLeast int) (all [][]byte, events int, err error) {
	for commit, err := range store.Read(ctx, eventstore.Reading{}) {
		if err != nil {
			return nil, 0, err
		}
		all = append(all, commit.Stored)
		if events += len(commit.Entries); events >= atLeast {
			break
		}
	}
	return all, events, nil
}

// singles returns the first events of the ledger, each as a commit of one.
func singles(ctx context.Context, store *eventstore.Store, atMost int) (all [][]byte, err error) {
	for commit, err := range store.Read(ctx, eventstore.Reading{}) {
		if err != nil {
			return nil, err
		}
		for _, e := range commit.Entries {
			one, err := eventstore.Encode(eventstore.Commit{ID: commit.ID, District: commit.District, Entries: []eventstore.Entry{e}})
			if err != nil {
				return nil, err
			}
			if all = append(all, one); len(all) == atMost {
				return all, nil
			}
		}
	}
	return all, nil
}
