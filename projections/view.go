package projections

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

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
	rebuild(ctx context.Context, from Ledger, progress func(done, total uint64)) error
	verify(ctx context.Context, from Ledger, progress func(done, total uint64)) (Verification, error)
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
	// settle purges what is frozen and was not purged here: of a generation that
	// was rebuilt, or of files that were put back from before a freeze.
	settle(ctx context.Context, folding locker) error
	// digest sums up what the rows mean, part by part, so that two generations
	// folded through the same sequence are equal exactly when they answer alike.
	digest(from pebble.Reader) (map[string][32]byte, error)
}

// generations are a view's numbered generations on disk, of which one is live.
// T is the generation's type.
type generations[T any, R interface {
	*T
	rows
}] struct {
	name     string
	version  int
	compress bool
	root     string
	options  Options
	open     func(*database) (R, error)

	lock *pebble.Lock
	live atomic.Pointer[T]

	// folding is held while commits are folded and while a rebuilt generation
	// takes over. It protects what follows.
	folding   sync.Mutex
	building  R      // the generation of a rebuild, nil when there is none
	disturbed bool   // a freeze was told to it before its time
	number    uint64 // of the live generation
}

func (g *generations[T, R]) Name() string   { return g.name }
func (g *generations[T, R]) Version() int   { return g.version }
func (g *generations[T, R]) Folded() uint64 { return R(g.live.Load()).base().at.Load() }

// load takes the lock of the view's directory and opens its live generation, or
// makes the first.
func (g *generations[T, R]) load() (err error) {
	g.options = g.options.withDefaults()
	disk := g.options.FS
	if err := disk.MkdirAll(g.root, 0o700); err != nil {
		return fmt.Errorf("make the directory of the view %s: %w", g.name, err)
	}
	if g.lock, err = pebble.LockDirectory(g.root, disk); err != nil {
		if err = openError(g.name, err); errors.Is(err, ErrCorrupt) {
			err = fmt.Errorf("lock the view %s: %w", g.name, errors.Unwrap(err))
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.lock.Close())
		}
	}()
	if g.number, err = g.current(); err != nil {
		return err
	}
	first := g.number == 0
	if first {
		g.number = 1
	}
	if err := g.sweep(g.number); err != nil {
		return err
	}
	live, err := g.openGeneration(g.number)
	if err != nil {
		return err
	}
	if first {
		if err := g.point(g.number); err != nil {
			return errors.Join(err, live.base().discard())
		}
	}
	g.live.Store((*T)(live))
	return nil
}

func (g *generations[T, R]) dir(number uint64) string {
	return g.options.FS.PathJoin(g.root, fmt.Sprintf("%06d", number))
}

func (g *generations[T, R]) openGeneration(number uint64) (R, error) {
	db, err := openDatabase(g.name, g.dir(number), uint32(g.version), g.compress, g.options)
	if err != nil {
		return nil, err
	}
	r, err := g.open(db)
	if err != nil {
		return nil, errors.Join(err, db.discard())
	}
	return r, nil
}

// currentFile names the live generation. It is replaced by renaming.
const currentFile = "CURRENT"

// current returns the number of the live generation, 0 when there is none yet.
func (g *generations[T, R]) current() (uint64, error) {
	disk := g.options.FS
	f, err := disk.Open(disk.PathJoin(g.root, currentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open the view %s: %w", g.name, err)
	}
	defer f.Close()
	b := make([]byte, 32)
	n, _ := f.Read(b)
	number, err := strconv.ParseUint(strings.TrimSpace(string(b[:n])), 10, 64)
	if err != nil || number == 0 {
		return 0, &ViewError{View: g.name, Err: ErrCorrupt}
	}
	return number, nil
}

// point makes a generation the live one of the directory.
func (g *generations[T, R]) point(number uint64) error {
	disk := g.options.FS
	temporary := disk.PathJoin(g.root, currentFile+".new")
	err := func() error {
		f, err := disk.Create(temporary, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		if _, err = fmt.Fprintf(f, "%06d\n", number); err == nil {
			err = f.Sync()
		}
		if err = closing(f, err); err != nil {
			return err
		}
		if err := disk.Rename(temporary, disk.PathJoin(g.root, currentFile)); err != nil {
			return err
		}
		root, err := disk.OpenDir(g.root)
		if err != nil {
			return err
		}
		return closing(root, root.Sync())
	}()
	if err != nil {
		return fmt.Errorf("point the view %s at generation %d: %w", g.name, number, err)
	}
	return nil
}

// sweep removes every generation but one: a rebuild that was stopped may hold
// details that are frozen by now.
func (g *generations[T, R]) sweep(keep uint64) error {
	disk := g.options.FS
	names, err := disk.List(g.root)
	if err != nil {
		return fmt.Errorf("list the view %s: %w", g.name, err)
	}
	for _, name := range names {
		number, err := strconv.ParseUint(filepath.Base(name), 10, 64)
		if err != nil || number == keep {
			continue
		}
		if err := disk.RemoveAll(g.dir(number)); err != nil {
			return fmt.Errorf("remove an old generation of the view %s: %w", g.name, err)
		}
	}
	return nil
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

// foretold tells orders to a generation that is being built: a freeze that lands
// in a rebuild holds in both. The folding lock is held.
func (g *generations[T, R]) foretold(orders []eventstore.Commit) error {
	if g.building == nil || len(orders) == 0 {
		return nil
	}
	g.disturbed = true
	return g.building.foresee(orders)
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
	live := g.reading()
	defer live.base().readers.RUnlock()
	return live.settle(ctx, &g.folding)
}

func (g *generations[T, R]) Close() error {
	g.folding.Lock()
	defer g.folding.Unlock()
	live := R(g.live.Load())
	live.base().readers.Lock()
	defer live.base().readers.Unlock()
	return errors.Join(live.base().close(), g.lock.Close())
}

func (g *generations[T, R]) checkpoint() checkpoint {
	g.folding.Lock()
	defer g.folding.Unlock()
	return R(g.live.Load()).base().last
}

func (g *generations[T, R]) trouble() error {
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
