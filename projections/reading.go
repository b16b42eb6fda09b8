package projections

import (
	"context"
	"iter"

	"bahi/eventstore"
)

// Ledger is what views are folded from: [eventstore.Store], or a ledger in
// memory.
type Ledger interface {
	Read(ctx context.Context, r eventstore.Reading) iter.Seq2[eventstore.Commit, error]
	Head(ctx context.Context) (uint64, error)
}

// A batch of commits is folded together: everything that waits, up to these.
const (
	batchEntries = 1 << 14
	batchBytes   = 8 << 20 // as they are stored
)

var batchCommits = 1 << 10 // fewer in tests

// batch is commits to be folded together.
type batch struct {
	commits []eventstore.Commit
	entries int
	bytes   int
}

func (b *batch) add(c eventstore.Commit) {
	b.commits = append(b.commits, c)
	b.entries += len(c.Entries)
	b.bytes += len(c.Stored)
}

func (b *batch) full() bool {
	return len(b.commits) >= batchCommits || b.entries >= batchEntries || b.bytes >= batchBytes
}

func (b *batch) last() uint64 { return b.commits[len(b.commits)-1].Sequence }

// result is a commit that was read, or why no more is.
type result struct {
	commit eventstore.Commit
	err    error
}

// foldThrough folds the commits behind after through a sequence in batches, while
// what follows is read and decoded beside: at most three batches are in memory. Tell,
// when not nil, is told the sequence through which is folded, and how many entries
// more.
func foldThrough(ctx context.Context, ledger Ledger, after, through uint64, fold func(context.Context, ...eventstore.Commit) error, tell func(done, entries uint64)) error {
	if after >= through {
		return nil
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	batches, ended := make(chan batch, 1), make(chan error, 1)
	go func() {
		defer close(batches)
		ended <- gatherThrough(reading, ledger, after, through, batches)
	}()
	for b := range batches {
		if err := fold(ctx, b.commits...); err != nil {
			return err
		}
		if tell != nil {
			tell(b.last(), uint64(b.entries))
		}
	}
	return <-ended
}

// gatherThrough reads commits and hands them on in batches.
func gatherThrough(ctx context.Context, ledger Ledger, after, through uint64, batches chan<- batch) error {
	var b batch
	send := func() error {
		select {
		case batches <- b:
			b = batch{}
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for c, err := range ledger.Read(ctx, eventstore.Reading{After: after, Through: through}) {
		if err != nil {
			return err
		}
		if b.add(c); !b.full() && c.Sequence < through {
			continue
		}
		if err := send(); err != nil {
			return err
		}
	}
	if len(b.commits) > 0 { // the ledger ends before
		return send()
	}
	return nil
}

func readOrders(ctx context.Context, ledger Ledger, through uint64) (orders []eventstore.Commit, err error) {
	if through == 0 {
		return nil, nil
	}
	for c, err := range ledger.Read(ctx, eventstore.Reading{Through: through, Only: eventstore.Filter{Orders: true}}) {
		if err != nil {
			return nil, err
		}
		orders = append(orders, c)
	}
	return orders, nil
}

// belongs tells whether what a checkpoint says was folded is in the ledger: nil, or
// [ErrOtherLedger].
func belongs(ctx context.Context, ledger Ledger, view string, at checkpoint) error {
	head, err := ledger.Head(ctx)
	if err != nil {
		return err
	}
	if at.sequence > head {
		return &ViewError{View: view, Err: ErrOtherLedger}
	}
	if at.sequence == 0 {
		return nil
	}
	for c, err := range ledger.Read(ctx, eventstore.Reading{After: at.sequence - 1, Through: at.sequence}) {
		if err != nil {
			return err
		}
		if (checkpoint{version: at.version}).after(c) != at {
			return &ViewError{View: view, Err: ErrOtherLedger}
		}
	}
	return nil
}

// prepare checks that views belong to the ledger and tells them its orders.
func prepare(ctx context.Context, ledger Ledger, views ...View) error {
	head, err := ledger.Head(ctx)
	if err != nil {
		return err
	}
	orders, err := readOrders(ctx, ledger, head)
	if err != nil {
		return err
	}
	for _, v := range views {
		if err := belongs(ctx, ledger, v.Name(), v.checkpoint()); err != nil {
			return err
		}
		if err := v.Foresee(orders...); err != nil {
			return err
		}
	}
	return nil
}

// CatchUp folds a view through the ledger's head as it is now; one that cannot be read
// is folded anew. Progress, when not nil, is told how many commits are folded of how
// many.
//
// Errors, as [ViewError]: [ErrOtherLedger]. A [TokensError]; those of the ledger.
func CatchUp(ctx context.Context, ledger Ledger, view View, tell func(Progress)) error {
	if err := prepare(ctx, ledger, view); err != nil {
		return err
	}
	if view.Unusable() != nil {
		if _, err := view.rebuild(ctx, ledger, tell); err != nil {
			return err
		}
	}
	head, err := ledger.Head(ctx)
	if err != nil {
		return err
	}
	m := newMeter(view.Name(), tell)
	m.step(StepFolding, view.Folded(), head)
	return foldThrough(ctx, ledger, view.Folded(), head, view.Fold, m.folded)
}
