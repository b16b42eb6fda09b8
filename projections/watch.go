package projections

import (
	"context"
	"errors"
)

// ErrNoRebuild: no rebuild of the view is under way.
var ErrNoRebuild = errors.New("no rebuild of it is under way")

// Watch tells of the rebuild of a view that is under way, whoever began it, until it
// ends, and returns what came of it. Unlike [Runner.Rebuild] it begins none, and when
// ctx ends the rebuild goes on. Errors: [ErrUnknownView], [ErrNoRebuild]; the
// rebuild's; ctx's.
func (r *Runner) Watch(ctx context.Context, name string, tell func(Progress)) (Rebuilt, error) {
	if _, err := r.view(name); err != nil {
		return Rebuilt{}, err
	}
	r.mu.Lock()
	j := r.jobs[name]
	r.mu.Unlock()
	if j == nil {
		return Rebuilt{}, ErrNoRebuild
	}
	return r.watch(ctx, j, tell)
}
