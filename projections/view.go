package projections

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"bahi/domain"
	"bahi/eventstore"
)

// View is what the [Runner] needs of a view. [Register], [People], [Counts] and
// [Merkle] are views.
type View interface {
	// Name is what operators call the view.
	Name() string
	// Version changes with the meaning of the view's rows; a view of another
	// version is rebuilt.
	Version() int
	// Folded is the ledger sequence through which readers see the ledger.
	Folded() uint64
	// Unusable says why nobody can read what the directory held when it was opened:
	// a [ViewError]. Until the view is folded anew it answers as an empty one, which
	// is why [Runner.Wait] lets nobody ask. Nil for a view that can be read.
	Unusable() error
	// Foresee tells the view orders of the ledger, perhaps beyond what it has
	// folded: from then on it treats the cohorts of a freeze as closed. Telling
	// an order again does nothing.
	Foresee(orders ...eventstore.Commit) error
	// Fold folds commits that follow what is folded, in one batch with the
	// checkpoint. After an error nothing of them is folded.
	Fold(ctx context.Context, commits ...eventstore.Commit) error
	// Settle purges what freezes have ended and the files still hold: those that
	// were put back from before a freeze, or that a crash kept from being purged.
	Settle(ctx context.Context) error
	// Close flushes and closes. Nobody may be reading.
	Close() error

	checkpoint() checkpoint
	trouble() error
	outdated() bool
	unfinished() uint64
	rebuild(ctx context.Context, from Ledger, tell func(Progress)) (Rebuilt, error)
	dryRun(ctx context.Context, from Ledger, to uint64, tell func(Progress)) (Rebuilt, error)
	verify(ctx context.Context, from Ledger, tell func(Progress)) (Verification, error)
	drop() (bool, error)
}

// Mismatch is a difference between a view and what the ledger says it must be.
type Mismatch struct {
	View string `json:"view"`
	What string `json:"what"` // a sentence; names cells and cohorts, never persons
}

// rows is one generation of a view: its database and what it keeps in memory.
type rows interface {
	base() *database
	foresee(orders []eventstore.Commit) error
	fold(ctx context.Context, commits []eventstore.Commit) error
	// drain gives the database what folds of a generation that nobody reads yet
	// have gathered in memory.
	drain() error
	// settle purges what is frozen and was not purged here: of a generation that
	// was rebuilt, or of files that were put back from before a freeze.
	settle(ctx context.Context, folding locker) error
	// digest sums up what the rows mean, part by part, so that two generations
	// folded through the same sequence are equal exactly when they answer alike.
	digest(ctx context.Context, from pebble.Reader) (map[string][32]byte, error)
}

// keeping is how a view is kept.
type keeping struct {
	name     string
	version  int
	reads    int  // the oldest version whose rows this program reads, and folds on
	compress bool // its rows
	sorts    bool // the rows of a generation that nobody reads yet: its fold asks for none of them
	root     string
	options  Options
}

func (k *keeping) Name() string { return k.name }
func (k *keeping) Version() int { return k.version }

func (k *keeping) dir(number uint64) string {
	return k.options.FS.PathJoin(k.root, fmt.Sprintf("%06d", number))
}

// generations are a view's numbered generations on disk, of which one is live. The
// next one, when it is there, belongs to a rebuild: one that is under way, or one
// that was stopped and goes on. T is the generation's type.
type generations[T any, R interface {
	*T
	rows
}] struct {
	keeping
	open func(*database) (R, error)

	lock     *pebble.Lock
	live     atomic.Pointer[T]
	unusable atomic.Pointer[ViewError] // why nobody can read the live directory; then a stand-in is live

	// folding is held while commits are folded into the live generation and while
	// another takes over. It protects what follows.
	folding  sync.Mutex
	number   uint64     // of the live generation
	building *beside[R] // the next generation, nil when there is none
	trial    *beside[R] // of a verification, nil when there is none
	anew     string     // why what was found of the next generation was thrown away

	working sync.Mutex // held by whoever works on the next generation
	trying  sync.Mutex // held by whoever works on a trial
	looks   looks
}

func (g *generations[T, R]) Folded() uint64 { return R(g.live.Load()).base().at.Load() }

func (g *generations[T, R]) Unusable() error {
	if why := g.unusable.Load(); why != nil {
		return why
	}
	return nil
}

// outdated tells whether the live generation is of an earlier version that this
// program still reads and folds on.
func (g *generations[T, R]) outdated() bool {
	g.folding.Lock()
	defer g.folding.Unlock()
	return g.Unusable() == nil && int(R(g.live.Load()).base().last.version) != g.version
}

// unfinished returns how far a rebuild had come that was stopped, 0 when there is
// none.
func (g *generations[T, R]) unfinished() uint64 {
	g.folding.Lock()
	defer g.folding.Unlock()
	if g.building == nil {
		return 0
	}
	return g.building.at.Load()
}

// reading returns the live generation, held for a reader until it calls
// base().readers.RUnlock. A swap never makes a reader wait.
func (g *generations[T, R]) reading() R {
	for {
		r := R(g.live.Load())
		if r.base().readers.TryRLock() {
			return r
		}
	}
}

func (g *generations[T, R]) Foresee(orders ...eventstore.Commit) error {
	g.folding.Lock()
	defer g.folding.Unlock()
	if err := g.foretold(orders); err != nil {
		return err
	}
	return R(g.live.Load()).foresee(orders)
}

// foretold tells orders to the generations beside the live one: a freeze that lands
// in a rebuild holds in both. The folding lock is held.
func (g *generations[T, R]) foretold(orders []eventstore.Commit) error {
	if len(orders) == 0 {
		return nil
	}
	for _, b := range g.besides() {
		if err := b.foretold(orders); err != nil {
			return err
		}
	}
	return nil
}

// besides returns the generations beside the live one. The folding lock is held.
func (g *generations[T, R]) besides() (all []*beside[R]) {
	for _, b := range []*beside[R]{g.building, g.trial} {
		if b != nil {
			all = append(all, b)
		}
	}
	return all
}

func (g *generations[T, R]) Fold(ctx context.Context, commits ...eventstore.Commit) error {
	if len(commits) == 0 {
		return nil
	}
	g.folding.Lock()
	defer g.folding.Unlock()
	r := R(g.live.Load())
	if err := r.base().follows(commits); err != nil {
		return err
	}
	if err := g.foretold(ordersOf(commits)); err != nil {
		return err
	}
	return r.fold(ctx, commits)
}

// Settle costs a look at each freeze when there is nothing to purge.
func (g *generations[T, R]) Settle(ctx context.Context) error {
	err := g.eachBeside(func(r R) error { return r.settle(ctx, unlocked{}) })
	if err != nil {
		return err
	}
	live := g.reading()
	defer live.base().readers.RUnlock()
	return live.settle(ctx, &g.folding)
}

// eachBeside calls do with every generation beside the live one, while nobody else
// works on it. One that does not know a freeze yet, and had folded something when it
// was told of it, is removed: nobody can say what it holds.
func (g *generations[T, R]) eachBeside(do func(R) error) error {
	g.folding.Lock()
	all := g.besides()
	g.folding.Unlock()
	for _, b := range all {
		err := b.work(func() error {
			err := do(b.rows)
			if !errors.Is(err, ErrUnknownFreeze) {
				return err
			}
			if b.told.Load() == 0 {
				return nil
			}
			return cmp.Or(b.removed(), errGone)
		})
		if errors.Is(err, errGone) {
			g.lose(b, "a freeze was carried out meanwhile, of people that it had folded already")
		} else if err != nil {
			return err
		}
	}
	return nil
}

// lose lets go of a next generation that was removed, and remembers why.
func (g *generations[T, R]) lose(b *beside[R], why string) {
	g.folding.Lock()
	defer g.folding.Unlock()
	if g.building == b {
		g.building, g.anew = nil, why
	}
}

// removeUnusable removes what of the live directory nobody can read: it cannot be
// purged either.
func (g *generations[T, R]) removeUnusable() error {
	g.folding.Lock()
	defer g.folding.Unlock()
	if g.Unusable() == nil {
		return nil
	}
	if err := g.options.FS.RemoveAll(g.dir(g.number)); err != nil {
		return fmt.Errorf("purge the view %s: %w", g.name, err)
	}
	return nil
}

// unlocked is the locker of a generation that nobody folds meanwhile.
type unlocked struct{}

func (unlocked) Lock()   {}
func (unlocked) Unlock() {}

func (g *generations[T, R]) Close() error {
	g.folding.Lock()
	defer g.folding.Unlock()
	var left error
	if b := g.building; b != nil {
		left = b.work(func() error { return errors.Join(b.rows.drain(), b.rows.base().close()) })
		if errors.Is(left, errGone) {
			left = nil
		}
		g.building = nil
	}
	live := R(g.live.Load())
	live.base().readers.Lock()
	defer live.base().readers.Unlock()
	return errors.Join(left, live.base().close(), g.lock.Close())
}

func (g *generations[T, R]) checkpoint() checkpoint {
	g.folding.Lock()
	defer g.folding.Unlock()
	return R(g.live.Load()).base().last
}

func (g *generations[T, R]) trouble() error {
	if err := g.Unusable(); err != nil {
		return err
	}
	if err := R(g.live.Load()).base().trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// ordersOf returns those commits that hold orders.
func ordersOf(commits []eventstore.Commit) []eventstore.Commit {
	var orders []eventstore.Commit
	for _, c := range commits {
		if c.District == 0 {
			orders = append(orders, c)
		}
	}
	return orders
}

// freezeOrders calls do with every freeze ordered in commits.
func freezeOrders(commits []eventstore.Commit, do func(o domain.FreezeOrdered, sequence uint64) error) error {
	for _, c := range commits {
		for _, e := range c.Entries {
			if o, ok := e.Event.(domain.FreezeOrdered); ok {
				if err := do(o, c.Sequence); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
