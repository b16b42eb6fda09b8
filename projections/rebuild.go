package projections

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// almost is how many commits a rebuild may be behind when the live generation
// stops for it.
const almost = 64

// Rebuilt is the outcome of a rebuild.
type Rebuilt struct {
	View      string   `json:"view"`
	Through   uint64   `json:"through"`                  // the ledger sequence through which the new generation is folded
	Events    uint64   `json:"events"`                   // that were folded for it now
	Seconds   float64  `json:"seconds"`                  // that it took
	Continued uint64   `json:"continued_from,omitempty"` // where an unfinished rebuild had come to; 0 when it began at the first commit
	Anew      string   `json:"anew,omitempty"`           // why what there was of an unfinished one was thrown away
	Compared  Compared `json:"compared"`
	Differs   []string `json:"differs,omitempty"` // in what, or why it could not be compared
	Digest    string   `json:"digest,omitempty"`  // of what the rows mean, in hexadecimal
	Swapped   bool     `json:"swapped"`           // readers see the new generation
}

// Compared says how a new generation compares with the live one.
type Compared string

// The outcomes of a comparison. Where the two are different, or the live one cannot
// be read, the new one is held against the ledger a second time before it takes over.
const (
	Equal     Compared = "equal"
	Different Compared = "different"
	Damaged   Compared = "damaged" // the live one cannot be read to its end
	NoLive    Compared = "no live" // there is none to compare with, or it stands at another sequence
)

// ErrUncertain: a new generation differs from the live one and from what the ledger
// says. Nothing is swapped.
var ErrUncertain = errors.New("two foldings of the same ledger differ: look into the machine's memory and disk, then rebuild again")

// rebuild goes on with the next generation, or begins one, and swaps it in. What is
// built stays for the next time when ctx ends or the ledger cannot be read.
func (g *generations[T, R]) rebuild(ctx context.Context, from Ledger, tell func(Progress)) (out Rebuilt, err error) {
	if !g.working.TryLock() {
		return out, fmt.Errorf("rebuild the view %s: %w", g.name, ErrRebuilding)
	}
	defer g.working.Unlock()
	m := newMeter(g.name, tell)
	for {
		out, err = g.rebuildOnce(ctx, from, m)
		if !errors.Is(err, errGone) {
			break
		}
	}
	out.View, out.Events, out.Seconds = g.name, m.entries, time.Since(m.began).Seconds()
	return out, err
}

func (g *generations[T, R]) rebuildOnce(ctx context.Context, from Ledger, m *meter) (out Rebuilt, err error) {
	b, err := g.begin(ctx, from, &out)
	if err != nil {
		return out, err
	}
	approach := func() error { return g.approach(ctx, from, b, m) }
	for _, step := range []func() error{
		approach,
		func() error { return g.merge(ctx, b, m) },
		approach,
		func() error { return g.openForReaders(ctx, from, b) },
		func() error { return g.compareWithLive(ctx, from, b, m, &out) },
		approach,
	} {
		if err := step(); err != nil {
			return out, g.leave(ctx, b, err)
		}
	}
	m.step(StepSwapping, 0, 0)
	old, dir, err := g.swap(ctx, from, b)
	if err != nil {
		return out, g.leave(ctx, b, err)
	}
	out.Through, out.Swapped = b.at.Load(), true
	return out, g.retire(ctx, old, dir)
}

// begin returns the next generation: the unfinished one, when it was folded from
// this ledger, or an empty one. From here on it is told every order.
func (g *generations[T, R]) begin(ctx context.Context, from Ledger, out *Rebuilt) (*beside[R], error) {
	g.folding.Lock()
	b := g.building
	g.folding.Unlock()
	if b != nil {
		if err := belongs(ctx, from, g.name, b.rows.base().last); errors.Is(err, ErrOtherLedger) {
			if err := b.remove(); err != nil {
				return nil, err
			}
			g.lose(b, ErrOtherLedger.Error())
			b = nil
		} else if err != nil {
			return nil, err
		}
	}
	g.folding.Lock()
	if b == nil {
		var err error
		if b, err = g.beside(g.dir(g.number + 1)); err != nil {
			g.folding.Unlock()
			return nil, err
		}
		g.building = b
	}
	out.Anew, g.anew = g.anew, ""
	out.Continued = b.at.Load()
	g.folding.Unlock()
	head, err := from.Head(ctx)
	if err != nil {
		return nil, err
	}
	return b, g.foretell(ctx, from, b, head)
}

// beside makes an empty generation, where there is space for another like the live one.
// The folding lock is held.
func (g *generations[T, R]) beside(dir string) (*beside[R], error) {
	if err := room(g.options.FS, g.root, g.name, R(g.live.Load()).base().size()); err != nil {
		return nil, err
	}
	if err := g.options.FS.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("rebuild the view %s: %w", g.name, err)
	}
	r, err := g.openGeneration(dir, true)
	if err != nil {
		return nil, err
	}
	return newBeside(r, dir), nil
}

// foretell tells a generation the orders of the ledger through a sequence, and the live
// one, which may not have come so far: the two are to be compared.
func (g *generations[T, R]) foretell(ctx context.Context, from Ledger, b *beside[R], through uint64) error {
	orders, err := readOrders(ctx, from, through)
	if err != nil {
		return err
	}
	if err := b.work(func() error { return b.rows.foresee(orders) }); err != nil {
		return err
	}
	g.folding.Lock()
	defer g.folding.Unlock()
	return R(g.live.Load()).foresee(orders)
}

// leave keeps what a rebuild that stops has built, so that the next goes on there.
// When nobody can say what of it is in the files, or it takes the space that others
// need, it is removed.
func (g *generations[T, R]) leave(ctx context.Context, b *beside[R], why error) error {
	if errors.Is(why, errGone) {
		return why
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	useless := errors.As(why, new(*ViewError)) || errors.Is(why, ErrUncertain) || errors.Is(why, ErrSpace)
	if !useless && b.flush(ctx) == nil {
		return why
	}
	err := b.remove()
	g.lose(b, lost(why))
	return errors.Join(why, err)
}

// lost says why what was built is gone.
func lost(why error) string {
	for _, err := range []error{ErrSpace, ErrUncertain} {
		if errors.Is(why, err) {
			return err.Error()
		}
	}
	return "what there was of it could not be written to its end"
}

// approach folds until the generation is almost where the live one is.
func (g *generations[T, R]) approach(ctx context.Context, from Ledger, b *beside[R], m *meter) error {
	for {
		target, err := g.target(ctx, from, b)
		if err != nil {
			return err
		}
		done := b.at.Load()
		if target <= done+almost && (done > 0 || target == 0) {
			return nil
		}
		m.step(StepFolding, done, target)
		if err := b.fold(ctx, from, target, m.folded); err != nil {
			return err
		}
	}
}

// target returns how far the generation has to be folded. A live one that is empty or
// cannot be read is folded by nobody, so nobody tells the ledger's orders as they come.
func (g *generations[T, R]) target(ctx context.Context, from Ledger, b *beside[R]) (uint64, error) {
	head, err := from.Head(ctx)
	if err != nil {
		return 0, err
	}
	if folded := g.Folded(); g.Unusable() == nil && folded > 0 {
		return min(head, folded), nil
	}
	return head, g.foretell(ctx, from, b, head)
}

// merge makes one run of those that the generation was written in.
func (g *generations[T, R]) merge(ctx context.Context, b *beside[R], m *meter) error {
	m.step(StepMerging, 0, 0)
	for {
		err := b.long(ctx, func(ctx context.Context) error {
			sorter := b.rows.base().sorter
			if err := flushed(ctx, b.rows); err != nil || sorter == nil {
				return err
			}
			return sorter.merge(ctx)
		})
		if !errors.Is(err, errInterrupted) {
			return err
		}
	}
}

// openForReaders opens a generation that was folded for nobody as it will be opened at
// every start, so that what is compared is what will be read. What it was told of
// orders that it has not folded is told again.
func (g *generations[T, R]) openForReaders(ctx context.Context, from Ledger, b *beside[R]) error {
	err := b.work(func() error {
		if err := flushed(context.WithoutCancel(ctx), b.rows); err != nil {
			return err
		}
		folded := b.rows.base()
		err := folded.discard()
		if err == nil {
			if folded.memory != nil || folded.sorter != nil {
				debug.FreeOSMemory() // of folding; comparing wants memory for itself
			}
			b.rows, err = g.openGeneration(b.dir, false)
		}
		if err != nil {
			b.gone = true
			return errors.Join(err, g.options.FS.RemoveAll(b.dir))
		}
		return nil
	})
	if err != nil {
		return err
	}
	head, err := from.Head(ctx)
	if err != nil {
		return err
	}
	return g.foretell(ctx, from, b, head)
}

// swap makes the next generation the live one, and returns the one before and its
// directory.
func (g *generations[T, R]) swap(ctx context.Context, from Ledger, b *beside[R]) (old R, dir string, err error) {
	g.folding.Lock()
	defer g.folding.Unlock()
	old, dir = R(g.live.Load()), g.dir(g.number)
	if g.Unusable() == nil {
		if err := b.fold(ctx, from, old.base().last.sequence, nil); err != nil {
			return nil, "", err
		}
	}
	if err := b.flush(ctx); err != nil {
		return nil, "", err
	}
	if err := g.point(g.number + 1); err != nil {
		return nil, "", err
	}
	g.live.Store((*T)(b.rows))
	g.unusable.Store(nil)
	g.building, g.number = nil, g.number+1
	return old, dir, nil
}

// retire removes a generation that was live, when its last reader has left, and purges
// from the one that took its place what was frozen meanwhile. It does not end with who
// asked for the rebuild; what it cannot do is done at the next start.
func (g *generations[T, R]) retire(ctx context.Context, r R, dir string) error {
	r.base().readers.Lock() // for good; it waits for readers, and for a purge
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	err := errors.Join(r.base().discard(), g.options.FS.RemoveAll(dir), g.Settle(ctx))
	if err != nil {
		return fmt.Errorf("remove a generation of the view %s: %w", g.name, err)
	}
	return nil
}

// drop removes what an unfinished rebuild has left, and tells whether there was
// anything.
func (g *generations[T, R]) drop() (bool, error) {
	if !g.working.TryLock() {
		return false, fmt.Errorf("throw away what is built of the view %s: %w", g.name, ErrRebuilding)
	}
	defer g.working.Unlock()
	g.folding.Lock()
	b := g.building
	g.building, g.anew = nil, ""
	g.folding.Unlock()
	if b == nil {
		return false, nil
	}
	return true, b.remove()
}

// Discard removes a view's directory, so that opening it and catching up folds it
// from the beginning. The error is [ErrLocked] while somebody has it open.
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
