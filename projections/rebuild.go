package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"bahi/eventstore"
)

// almost is how many commits a rebuild may be behind when the live generation
// stops for it.
const almost = 64

// Rebuild folds a view anew from the ledger, beside the live generation, and
// swaps it in: readers notice nothing, and a freeze that lands meanwhile holds in
// both. What was built before an error, or before ctx ended, is removed. Progress,
// when not nil, is told how many commits are folded of how many.
//
// Errors: [ErrUnknownView]; [ErrRebuilding]; those of [Runner.Run].
func (r *Runner) Rebuild(ctx context.Context, name string, progress func(done, total uint64)) error {
	v, err := r.view(name)
	if err != nil {
		return err
	}
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.rebuilds, name)
	}()
	return v.rebuild(ctx, r.ledger, func(done, total uint64) {
		r.mu.Lock()
		r.rebuilds[name] = progressing{done, total}
		r.mu.Unlock()
		if progress != nil {
			progress(done, total)
		}
	})
}

// Discard removes a view's directory, so that opening it and catching up folds it
// from the beginning: the way to rebuild a view that cannot be opened. The error
// is [ErrLocked] while somebody has it open.
func Discard(dir string, options ...Options) error {
	o := only(options).withDefaults()
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("remove the view in %s: %w", dir, err)
	}
	lock, err := pebble.LockDirectory(dir, o.FS)
	if err != nil {
		if err = openError(dir, err); !errors.Is(err, ErrLocked) {
			err = fmt.Errorf("remove the view in %s: %w", dir, err)
		}
		return err
	}
	return errors.Join(o.FS.RemoveAll(dir), lock.Close())
}

// begin opens an empty generation beside the live one. From here on the fold and
// Foresee tell it every freeze.
func (g *generations[T, R]) begin() (next R, number uint64, err error) {
	g.folding.Lock()
	defer g.folding.Unlock()
	if g.building != nil {
		return nil, 0, fmt.Errorf("rebuild the view %s: %w", g.name, ErrRebuilding)
	}
	number = g.number + 1
	if err := g.options.FS.RemoveAll(g.dir(number)); err != nil {
		return nil, 0, fmt.Errorf("rebuild the view %s: %w", g.name, err)
	}
	if next, err = g.openGeneration(number); err != nil {
		return nil, 0, err
	}
	g.building, g.disturbed = next, false
	return next, number, nil
}

// abandon removes the generation that begin opened.
func (g *generations[T, R]) abandon(next R, number uint64) error {
	g.folding.Lock()
	if g.building == next {
		g.building = nil
	}
	g.folding.Unlock()
	return g.remove(next, number)
}

func (g *generations[T, R]) remove(r R, number uint64) error {
	r.base().readers.Lock() // for good; it waits for readers, and for a purge
	err := errors.Join(r.base().discard(), g.options.FS.RemoveAll(g.dir(number)))
	if err != nil {
		return fmt.Errorf("remove a generation of the view %s: %w", g.name, err)
	}
	return nil
}

func (g *generations[T, R]) rebuild(ctx context.Context, from Ledger, progress func(done, total uint64)) (err error) {
	next, number, err := g.begin()
	if err != nil {
		return err
	}
	swapped := false
	defer func() {
		if !swapped {
			err = errors.Join(err, g.abandon(next, number))
		}
	}()
	head, err := from.Head(ctx)
	if err != nil {
		return err
	}
	if err := g.foretell(ctx, from, next, head); err != nil {
		return err
	}
	for {
		if err := g.foldInto(ctx, from, next, g.Folded(), progress); err != nil {
			return err
		}
		if g.Folded() <= next.base().last.sequence+almost {
			break
		}
	}
	if err := next.base().flush(ctx); err != nil {
		return err
	}

	g.folding.Lock()
	old, oldNumber := R(g.live.Load()), g.number
	err = g.foldInto(ctx, from, next, old.base().last.sequence, nil)
	if err == nil {
		err = next.base().flush(ctx)
	}
	if err == nil {
		err = g.point(number)
	}
	if err != nil {
		g.folding.Unlock()
		return err
	}
	g.live.Store((*T)(next))
	g.building, g.number, swapped = nil, number, true
	g.folding.Unlock()
	if err := g.remove(old, oldNumber); err != nil {
		return err
	}
	return g.Settle(ctx)
}

// foretell tells a new generation the orders of the ledger through a sequence.
func (g *generations[T, R]) foretell(ctx context.Context, from Ledger, next R, through uint64) error {
	orders, err := readOrders(ctx, from, through)
	if err != nil {
		return err
	}
	g.folding.Lock()
	defer g.folding.Unlock()
	return next.foresee(orders)
}

func (g *generations[T, R]) foldInto(ctx context.Context, from Ledger, next R, through uint64, progress func(done, total uint64)) error {
	fold := func(ctx context.Context, commits ...eventstore.Commit) error {
		if err := next.base().follows(commits); err != nil {
			return err
		}
		return next.fold(ctx, commits)
	}
	return foldThrough(ctx, from, next.base().last.sequence, through, fold, progress)
}
