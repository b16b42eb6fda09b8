package ledger

import (
	"context"
	"errors"
	"fmt"

	"bahi/projections"
)

// RebuildView folds a view anew beside the live one, compares the two and swaps the
// new one in: see [projections.Runner.Rebuild]. When ctx ends, what was built stays,
// and the next rebuild or the next start goes on there. Errors: its; [ErrBadRequest]
// to build through a commit that is not there yet.
func (l *Ledger) RebuildView(ctx context.Context, name string, o projections.RebuildOptions, tell func(projections.Progress)) (projections.Rebuilt, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return projections.Rebuilt{}, err
	}
	defer leave()
	out, err := l.runner.Rebuild(ctx, name, o, tell)
	if beyond := (*projections.BeyondError)(nil); errors.As(err, &beyond) {
		return out, fmt.Errorf("%w: %w", ErrBadRequest, beyond)
	}
	if err != nil {
		return out, fmt.Errorf("rebuild %s: %w", name, err)
	}
	return out, nil
}

// WatchRebuild tells how far the rebuild of a view is that is under way, as
// [projections.Runner.Watch] does.
func (l *Ledger) WatchRebuild(ctx context.Context, name string, tell func(projections.Progress)) (projections.Rebuilt, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return projections.Rebuilt{}, err
	}
	defer leave()
	return l.runner.Watch(ctx, name, tell)
}

// StopRebuild ends the rebuild of a view that is under way, whoever began it, and
// leaves what was built. It tells whether there was one.
func (l *Ledger) StopRebuild(ctx context.Context, name string) (bool, error) {
	return l.rebuildEnded(ctx, name, l.runner.Stop)
}

// AbortRebuild ends the rebuild of a view and removes what was built, also of one that
// was stopped before. It tells whether there was anything.
func (l *Ledger) AbortRebuild(ctx context.Context, name string) (bool, error) {
	return l.rebuildEnded(ctx, name, l.runner.Abort)
}

func (l *Ledger) rebuildEnded(ctx context.Context, name string, end func(context.Context, string) (bool, error)) (bool, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	return end(ctx, name)
}

// rebuilt logs the outcome of a rebuild, of which nobody else may hear.
func (l *Ledger) rebuilt(out projections.Rebuilt, err error) {
	switch {
	case errors.Is(err, projections.ErrDiscarded):
		l.log.Info("a rebuild was stopped, and what was built is thrown away", "view", out.View)
	case errors.Is(err, context.Canceled), errors.Is(err, projections.ErrStopped):
		l.log.Info("a rebuild was stopped; it goes on at the next start, or when it is asked for", "view", out.View)
	case err != nil:
		l.log.Error("a view could not be rebuilt", "view", out.View, "error", err)
	case out.Compared == projections.Different, out.Compared == projections.Damaged:
		l.log.Error("a view was not what the ledger says, and was replaced", "view", out.View, "through", out.Through, "found", out.Compared, "what", out.Differs)
	default:
		l.log.Info("a view was rebuilt", "view", out.View, "through", out.Through, "events", out.Events, "seconds", out.Seconds)
	}
}

// warnOf logs that a view cannot be read.
func (l *Ledger) warnOf(v projections.View) {
	err := v.Unusable()
	if err == nil {
		return
	}
	l.log.Error("a view cannot be read; it is folded anew", "view", v.Name(), "error", err)
	if l.config.Unusable != nil {
		l.config.Unusable(v.Name(), err)
	}
}
