package ledger

import (
	"context"

	"bahi/projections"
)

// Explain calls tell with the commits that moved a district's figures of one day, as
// [projections.Counts.Explain] does. Zero AsKnown means now. It names commits: it is
// not for analysts.
func (l *Ledger) Explain(ctx context.Context, q projections.ExplainQuery, tell func(projections.Movement) error) error {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if q.AsKnown.IsZero() {
		q.AsKnown = l.now()
	}
	if err := l.caughtUp(ctx); err != nil {
		return err
	}
	return l.counts.Explain(ctx, q, l.read, tell)
}
