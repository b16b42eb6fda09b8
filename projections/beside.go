package projections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"bahi/eventstore"
)

// beside is a generation that is folded beside the live one: the next, of a rebuild,
// or one of a verification. Whoever folds the live generation tells it the ledger's
// orders, and whoever purges that purges this.
type beside[R rows] struct {
	rows R
	dir  string
	at   atomic.Uint64 // the ledger sequence through which it is folded
	told atomic.Uint64 // how many times others told it orders

	// turn is held by whoever works on the generation, in steps that are short or
	// can be interrupted: a fold of the live generation may be waiting.
	turn      sync.Mutex
	waiting   atomic.Int32
	interrupt atomic.Pointer[context.CancelFunc] // ends a long step; nil while there is none
	gone      bool                               // it was removed. The turn protects it
}

func newBeside[R rows](r R, dir string) *beside[R] {
	b := &beside[R]{rows: r, dir: dir}
	b.at.Store(r.base().last.sequence)
	return b
}

// errGone: somebody removed the generation meanwhile.
var errGone = errors.New("what was built was removed meanwhile")

// errInterrupted: a long step has ended for somebody else's sake. It is done again.
var errInterrupted = errors.New("interrupted")

// work calls do when nobody else works on the generation. It ends a long step that
// is under way.
func (b *beside[R]) work(do func() error) error {
	b.waiting.Add(1)
	if stop := b.interrupt.Load(); stop != nil {
		(*stop)()
	}
	b.turn.Lock()
	defer b.turn.Unlock()
	b.waiting.Add(-1)
	if b.gone {
		return errGone
	}
	return do()
}

// long is work for do, which takes long: its context ends when somebody else wants to
// work, and then long returns errInterrupted.
func (b *beside[R]) long(ctx context.Context, do func(context.Context) error) error {
	b.turn.Lock()
	defer b.turn.Unlock()
	if b.gone {
		return errGone
	}
	within, stop := context.WithCancel(ctx)
	defer stop()
	b.interrupt.Store(&stop)
	defer b.interrupt.Store(nil)
	if b.waiting.Load() > 0 {
		return errInterrupted
	}
	err := do(within)
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return errInterrupted
	}
	return err
}

// foretold tells the generation orders of the ledger, as [View.Foresee] does.
func (b *beside[R]) foretold(orders []eventstore.Commit) error {
	err := b.work(func() error {
		b.told.Add(1)
		return b.rows.foresee(orders)
	})
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// fold folds the commits of the ledger that the generation has not folded, through a
// sequence.
func (b *beside[R]) fold(ctx context.Context, from Ledger, through uint64, tell func(done, entries uint64)) error {
	return foldThrough(ctx, from, b.at.Load(), through, func(ctx context.Context, commits ...eventstore.Commit) error {
		return b.work(func() error {
			if err := cmp.Or(b.rows.base().follows(commits), b.rows.base().room(0)); err != nil {
				return err
			}
			if err := b.rows.fold(ctx, commits); err != nil {
				return err
			}
			b.at.Store(b.rows.base().last.sequence)
			return nil
		})
	}, tell)
}

// flush puts everything that is folded into files: from here the generation goes on
// after a crash.
func (b *beside[R]) flush(ctx context.Context) error {
	return b.work(func() error { return flushed(ctx, b.rows) })
}

func flushed(ctx context.Context, r rows) error {
	if err := r.drain(); err != nil {
		return err
	}
	return r.base().flush(ctx)
}

// remove closes the generation and takes its files away. Nobody holds its turn.
func (b *beside[R]) remove() error {
	err := b.work(b.removed)
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

// removed is remove for who holds the turn.
func (b *beside[R]) removed() error {
	b.gone = true
	db := b.rows.base()
	db.readers.Lock() // for good: nobody looks any more
	if err := errors.Join(db.discard(), db.fs.RemoveAll(b.dir)); err != nil {
		return fmt.Errorf("remove a generation of the view %s: %w", db.view, err)
	}
	return nil
}

// looks are the snapshots of a view that are open to compare generations. While one
// is open, nothing that it sees can be purged.
type looks struct {
	open sync.RWMutex // held for reading while one is open

	mu   sync.Mutex
	stop map[int]context.CancelFunc
	next int
}

// look calls do, which opens a snapshot and closes it again. Its context ends when a
// purge is to begin, and then look returns errInterrupted.
func (l *looks) look(ctx context.Context, do func(context.Context) error) error {
	within, stop := context.WithCancel(ctx)
	defer stop()
	l.mu.Lock()
	if l.stop == nil {
		l.stop = map[int]context.CancelFunc{}
	}
	me := l.next
	l.next++
	l.stop[me] = stop
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.stop, me)
	}()
	l.open.RLock()
	defer l.open.RUnlock()
	err := within.Err()
	if err == nil {
		err = do(within)
	}
	if err != nil && within.Err() != nil && ctx.Err() == nil {
		return errInterrupted
	}
	return err
}

// away ends the looks that are open, and lets nobody look until back is called.
func (l *looks) away() (back func()) {
	l.mu.Lock()
	for _, stop := range l.stop {
		stop()
	}
	l.mu.Unlock()
	l.open.Lock()
	return l.open.Unlock
}
