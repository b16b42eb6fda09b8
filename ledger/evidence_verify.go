package ledger

import (
	"context"
	"errors"
	"fmt"

	"bahi/eventstore"
	"bahi/evidence"
	"bahi/projections"
)

// Kept is what an auditor kept of the ledger, and holds it to: signed notes.
type Kept struct {
	Checkpoint []byte // nil for none
	Statement  []byte // of counts; nil for none
}

// Verify reads the whole ledger, recomputes every hash and every count from the
// commits alone, and compares with the views and with the last signed checkpoint.
// Progress, when not nil, is told how many commits are read of how many; the ledger
// is read twice.
func (l *Ledger) Verify(ctx context.Context, progress func(done, total uint64)) (VerifyReport, error) {
	return l.VerifyKept(ctx, Kept{}, progress)
}

// VerifyKept is Verify, and holds the commits against what an auditor kept. A
// checkpoint or statement that this ledger's keys did not sign is a mismatch, too.
func (l *Ledger) VerifyKept(ctx context.Context, kept Kept, progress func(done, total uint64)) (VerifyReport, error) {
	report := VerifyReport{Views: []string{"merkle", "counts"}, Mismatches: []projections.Mismatch{}}
	if err := l.caughtUp(ctx, l.merkle); err != nil {
		return report, err
	}
	// Counts of another history are one finding more, and no reason to tell none.
	unusable := (*projections.ViewError)(nil)
	if err := l.caughtUp(ctx, l.counts); err != nil && !errors.As(err, &unusable) {
		return report, err
	}
	a := audit{report: &report}
	if last := l.checkpoints.last.Load(); last != nil {
		a.hold(last.Checkpoint, "the last signed checkpoint")
	}
	if err := l.take(&a, kept); err != nil {
		return report, err
	}
	found, err := l.merkle.Recompute(ctx, l.store, a.see, halves(progress, 0))
	report.Commits = found.Through
	report.Mismatches = append(report.Mismatches, found.Mismatches...)
	if unreadable(err) {
		a.differ("the ledger cannot be read to its end: %v", err)
		return report, nil
	}
	if err != nil {
		return report, fmt.Errorf("verify the ledger: %w", err)
	}
	a.conclude()
	if unusable != nil {
		report.Mismatches = append(report.Mismatches, projections.Mismatch{View: unusable.View, What: unusable.Error()})
		return report, nil
	}
	counted, err := l.runner.Verify(ctx, "counts", func(p projections.Progress) { halves(progress, 1)(p.Done, p.Total) })
	if err != nil {
		return report, fmt.Errorf("verify counts: %w", err)
	}
	report.Mismatches = append(report.Mismatches, counted.Mismatches...)
	return report, nil
}

// halves tells the progress of the first (0) or second (1) of two passes.
func halves(progress func(done, total uint64), half uint64) func(done, total uint64) {
	return func(done, total uint64) {
		if progress != nil {
			progress(half*total+done, 2*total)
		}
	}
}

// unreadable tells whether an error says that the ledger's messages are not what
// they were.
func unreadable(err error) bool {
	return errors.Is(err, eventstore.ErrGap) || errors.Is(err, eventstore.ErrMalformed) || errors.Is(err, eventstore.ErrNewer)
}

// take opens what an auditor kept.
func (l *Ledger) take(a *audit, kept Kept) error {
	if kept.Checkpoint == nil && kept.Statement == nil {
		return nil
	}
	origin := l.origin()
	if origin == "" {
		return fmt.Errorf("the ledger is empty: %w", ErrNotFound)
	}
	keys, err := l.publicKeys(origin)
	if err != nil {
		return err
	}
	if kept.Checkpoint != nil {
		c, err := evidence.OpenCheckpoint(kept.Checkpoint, keys)
		if err != nil {
			a.differ("the kept checkpoint: %v", err)
		} else {
			a.hold(c, "the kept checkpoint")
		}
	}
	if kept.Statement != nil {
		s, err := evidence.OpenStatement(kept.Statement, keys)
		if err != nil {
			a.differ("the kept count statement: %v", err)
		} else {
			a.hold(s.Tree, "the kept count statement")
			a.recount = evidence.NewRecount(s)
		}
	}
	return nil
}

// audit holds the commits, as they are read, against what was signed of them.
type audit struct {
	report  *VerifyReport
	held    []held
	recount *evidence.Recount // nil when there is no statement
	tree    *evidence.Edge    // of what was read; nil before the first commit
}

type held struct {
	evidence.Checkpoint
	name string
	seen bool
}

func (a *audit) hold(c evidence.Checkpoint, name string) {
	a.held = append(a.held, held{Checkpoint: c, name: name})
}

func (a *audit) differ(format string, args ...any) {
	a.report.Mismatches = append(a.report.Mismatches, projections.Mismatch{View: "ledger", What: fmt.Sprintf(format, args...)})
}

// see is shown every commit with the tree that ends with it.
func (a *audit) see(c eventstore.Commit, tree *evidence.Edge) error {
	for i := range a.held {
		if h := &a.held[i]; h.Size == tree.Size() {
			h.seen = true
			if root := tree.Root(); root != h.Root {
				a.differ("the first %d commits have the root %s, %s has %s: history was rewritten", h.Size, root, h.name, h.Root)
			}
		}
	}
	if a.recount != nil {
		a.recount.Add(c)
	}
	a.tree = tree
	return nil
}

// conclude says what can be said at the end only.
func (a *audit) conclude() {
	size := uint64(0)
	if a.tree != nil {
		size, a.report.Root = a.tree.Size(), a.tree.Root().String()
	}
	for _, h := range a.held {
		if !h.seen && h.Size > 0 {
			a.differ("%s covers %d commits, the ledger has %d: commits are missing", h.name, h.Size, size)
		}
	}
	if a.recount != nil {
		for _, c := range a.recount.Contradictions() {
			a.differ("%s", c)
		}
	}
}
