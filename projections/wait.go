package projections

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Wait returns when views have folded through a sequence: all that are followed, when
// none is named. Before Run has found a view to be of this ledger, nothing that it has
// folded counts. It waits a while for one that is folded anew, and then says how far
// that is.
//
// Errors: a [FoldingError]; why a view cannot be folded, such as a [ViewError]; why
// Run ended; ctx's.
func (r *Runner) Wait(ctx context.Context, sequence uint64, views ...View) error {
	return r.wait(ctx, func(f *follower) bool {
		return len(views) > 0 && !slices.Contains(views, f.view) ||
			f.joined && f.view.Folded() >= sequence && f.view.Unusable() == nil
	})
}

// WaitTold returns when every followed view has folded through a sequence or, when it
// is folded anew, was told the orders through there: what a freeze ends is gone from
// what is read, and kept nowhere from then on. Errors are those of Wait.
func (r *Runner) WaitTold(ctx context.Context, sequence uint64) error {
	return r.wait(ctx, func(f *follower) bool {
		return f.view.Folded() >= sequence || !f.joined && f.admitted && r.told >= sequence
	})
}

// wait returns when every followed view is good.
func (r *Runner) wait(ctx context.Context, good func(*follower) bool) error {
	patience := r.Patience
	if patience == 0 {
		patience = 5 * time.Second
	}
	var enough <-chan time.Time
	for {
		r.mu.Lock()
		advancing, err, behind := r.advancing, r.stopped, (*follower)(nil)
		ready := true
		for _, f := range r.followed {
			if good(f) {
				continue
			}
			if ready = false; f.err != nil && err == nil {
				err = f.err
			}
			if f.admitted && !f.joined {
				behind = f
			}
		}
		var folding error
		if behind != nil {
			folding = &FoldingError{View: behind.view.Name(), Done: behind.at.Done, Total: behind.at.Total}
		}
		r.mu.Unlock()
		switch {
		case ready:
			return nil
		case err != nil:
			return fmt.Errorf("wait for the views: %w", err)
		case folding != nil && enough == nil:
			enough = time.After(patience)
		}
		select {
		case <-advancing:
		case <-enough:
			if folding != nil {
				return folding
			}
			enough = nil
		case <-ctx.Done():
			return fmt.Errorf("wait for the views: %w", ctx.Err())
		}
	}
}
