package ledger

import (
	"context"
	"errors"
	"time"

	"bahi/eventstore"
)

const (
	// withinReach is how many commits a view may be behind for the ledger to be ready:
	// it folds as many while a question waits.
	withinReach = 1 << 10
	// appendsRest is how long a ledger whose last append failed is not ready. Then it
	// is tried again: nothing else finds out whether it can be written.
	appendsRest = 30 * time.Second
)

// Ready returns why the ledger cannot do all that it is asked for, one error for each
// part, and nothing when it can: it can be read and, as far as is known without
// writing, written; the register knows everything that is in it; and every view can be
// read and is almost at its head. A view that is rebuilt beside one that can be read is
// ready.
//
// Errors: ErrClosed; those of the event store; ErrUndecided when the last append
// failed; projections.FoldingError, projections.BehindError.
func (l *Ledger) Ready(ctx context.Context) (not []error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return []error{err}
	}
	defer leave()
	full := l.store.CanAppend()
	if full != nil && !errors.Is(full, eventstore.ErrFull) {
		return []error{full} // whatever else is wrong follows from it
	}
	head, err := l.store.Head(ctx)
	if err != nil {
		return []error{err}
	}
	if full != nil {
		not = append(not, full)
	} else if l.metrics.failing(appendsRest) {
		not = append(not, ErrUndecided)
	}
	if err := l.refresh(ctx); err != nil {
		not = append(not, err)
	}
	return append(not, l.runner.OutOfReach(head, withinReach)...)
}
