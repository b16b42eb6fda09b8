package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/projections"
	"bahi/vault"
)

// Config says where a ledger lies. Data alone is enough.
type Config struct {
	Data string // directory of the ledger and its views
	Keys string // directory of the vault; by default Data with "-keys" appended

	NATS            string // URL of an external NATS; the embedded server when empty
	NATSCredentials string // its credentials file
	ListenNATS      string // host:port at which the embedded server takes centres' bundles; off when empty

	// PEM files of a TLS certificate and its key for ListenNATS; without them it
	// speaks no TLS.
	ListenNATSCertificate, ListenNATSKey string

	// Sandbox founds the ledger as one whose recorded times follow the
	// submissions', so that history can be replayed as it happened. A ledger is
	// a sandbox or not from its first commit on.
	Sandbox bool

	// ReadsPerDay is how many people's details one officer may open in a day, on
	// this node; DefaultReadsPerDay when 0.
	ReadsPerDay int

	// Unusable, when not nil, is told of every view that cannot be read and is folded
	// anew.
	Unusable func(view string, why error)

	// Patience is how long a question waits for a view that is folded anew; 5 s when
	// 0.
	Patience time.Duration

	// RegisterCache is how much memory the register's look-ups in files may take, in
	// bytes; 128 MiB when 0. A rebuild takes it twice.
	RegisterCache int64

	// Holders makes the holders above the ledger, in the order in which a freeze
	// comes to them. Whoever opens a ledger that has them enrolled gives the
	// same, or its freezes wait. Nil: there are none.
	Holders func(*eventstore.Store, *vault.Vault) []Holder

	Log *slog.Logger     // nil: nothing is logged
	Now func() time.Time // nil: the machine's clock

	vault *vault.Vault // already open, and another's to close; tests run two nodes on one
}

// Ledger is an open ledger. Its methods are safe for concurrent use.
type Ledger struct {
	config   Config
	node     string // names this node's holders of details
	sandbox  atomic.Bool
	log      *slog.Logger
	now      func() time.Time
	rules    domain.Rules
	mixing   int           // submissions of a district, on average, that share a commit with others', when no more wait
	silence  time.Duration // of the ledger, through which what waits is kept
	pause    time.Duration // before freezes that could not be attended to are again
	lock     *os.File
	vault    *vault.Vault
	store    *eventstore.Store
	register *projections.Register
	people   *projections.People
	counts   *projections.Counts
	merkle   *projections.Merkle
	runner   *projections.Runner
	append   func(context.Context, eventstore.Commit, uint64) (uint64, error) // store.Append; tests lose acknowledgements here

	queue     chan []*ask
	refreshes chan chan error
	stopping  chan struct{}
	stopped   chan struct{} // the committer has returned
	views     sync.RWMutex  // held for reading by who reads the views, taken for good by Close
	closing   sync.Once
	closed    error              // what Close found; set once
	following context.Context    // ends when the ledger closes
	cancel    context.CancelFunc // of following
	attending sync.WaitGroup     // who carries this node's part of other nodes' freezes
	folding   chan struct{}      // closed when the runner has returned
	folded    error              // what it returned; set before folding is closed

	above   []Holder    // above the ledger
	waiting atomic.Bool // one of them answered ErrWaits

	founding   sync.Mutex
	founded    atomic.Bool      // found has nothing left to do
	unfinished chan domain.UUID // freezes that could not be carried out to their end
	freezing   sync.Mutex       // one freeze is carried out at a time
	readings   readings
	reading    sync.Mutex // protects barrier
	barrier    uint64     // the last audit barrier whose order this node has folded

	checkpoints checkpoints
	metrics     *metrics
}

// Open opens the ledger in config.Data, or makes an empty one: nothing is
// written to the ledger before the first submission. A freeze that was left
// unfinished is carried to its end before Open returns.
//
// A view that cannot be read, because its files are damaged or of another version, is
// folded anew: the register and the tree before Open returns, the others beside, while
// whoever asks them is told how far it is.
//
// Errors: ErrLocked, ErrSandbox, ErrKeysMissing, ErrOtherKeys, [*RewrittenError],
// those of the event store (unreachable NATS), and of the vault;
// projections.ErrOtherLedger for a register or tree of another ledger.
func Open(ctx context.Context, config Config) (*Ledger, error) {
	l := &Ledger{
		config:     config,
		log:        config.Log,
		now:        config.Now,
		rules:      domain.BuiltInRules(),
		mixing:     mixedAtMost,
		silence:    maxSilence,
		pause:      attendPause,
		queue:      make(chan []*ask, maxWaiting),
		refreshes:  make(chan chan error),
		unfinished: make(chan domain.UUID, maxUnfinished),
		stopping:   make(chan struct{}),
		stopped:    make(chan struct{}),
		metrics:    newMetrics(),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.config.Keys == "" {
		l.config.Keys = filepath.Clean(config.Data) + "-keys"
	}
	if err := l.openParts(ctx); err != nil {
		return nil, errors.Join(err, l.release())
	}
	if err := l.checkFounding(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	l.append = l.metrics.timed(l.store.Append)
	l.cancel = func() {}
	go (&committer{Ledger: l, blocked: map[[domain.TokenSize]byte]bool{}}).run()
	if err := l.start(ctx); err != nil {
		return nil, errors.Join(err, l.Close(context.WithoutCancel(ctx)))
	}
	return l, nil
}

// start begins to fold details, once the ledger knows that this node does, and
// ends what was begun before.
func (l *Ledger) start(ctx context.Context) error {
	if _, ok := l.register.Founded(); ok {
		if err := l.found(ctx, time.Time{}); err != nil {
			return err
		}
	}
	l.startRunner()
	l.keepCheckpoints()
	if err := l.resumeFreezes(ctx); err != nil {
		return err
	}
	l.attendFreezes()
	l.finishFreezes()
	l.attendHolders()
	return nil
}

func (l *Ledger) openParts(ctx context.Context) error {
	if err := vault.Outside(l.config.Data, l.config.Keys); err != nil {
		return err
	}
	if err := os.MkdirAll(l.config.Data, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	var err error
	if l.lock, err = lock(filepath.Join(l.config.Data, "lock")); err != nil {
		return err
	}
	if l.node, err = nodeName(filepath.Join(l.config.Data, "node")); err != nil {
		return err
	}
	if err := l.checkKeys(); err != nil {
		return err
	}
	if l.vault = l.config.vault; l.vault == nil {
		if l.vault, err = vault.Open(l.config.Keys); err != nil {
			return err
		}
	}
	storeConfig := eventstore.Config{
		Dir:         filepath.Join(l.config.Data, "jetstream"),
		URL:         l.config.NATS,
		Credentials: l.config.NATSCredentials,
		Listen:      l.config.ListenNATS,
		Log:         l.log,

		ListenCertificate: l.config.ListenNATSCertificate,
		ListenKey:         l.config.ListenNATSKey,
	}
	if l.store, err = eventstore.Open(ctx, storeConfig); err != nil {
		return err
	}
	if l.config.Holders != nil {
		l.above = l.config.Holders(l.store, l.vault)
	}
	return l.openViews(ctx)
}

// checkKeys refuses to make new keys beside views that were folded with others:
// it would bury the loss, and stand in the way of putting the old ones back.
func (l *Ledger) checkKeys() error {
	if _, err := os.Stat(viewDir(l.config.Data, "register")); err != nil {
		return nil // never opened to the end
	}
	if _, err := os.Stat(l.config.Keys); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w", l.config.Keys, ErrKeysMissing)
	}
	return nil
}

// Views returns the names of the views, in the order in which they are shown.
func Views() []string { return []string{"register", "people", "counts", "merkle"} }

func viewDir(data, name string) string { return filepath.Join(data, name) }

// DiscardView removes the files of a view that cannot be opened. The next Open
// folds it anew.
func DiscardView(config Config, name string) error {
	return projections.Discard(viewDir(config.Data, name))
}

// openViews opens the views. It brings the tree to the head of the ledger first, to
// see whether this is still the ledger that was signed, and then the register, for
// whoever decides must know everything. The others are followed by the runner.
func (l *Ledger) openViews(ctx context.Context) (err error) {
	if l.register, err = projections.OpenRegister(viewDir(l.config.Data, "register"), l.vault, projections.Options{CacheBytes: l.config.RegisterCache}); err != nil {
		return err
	}
	l.warnOf(l.register)
	// Before anything else is held against the keys: under another ledger's, all of
	// it would seem broken.
	if err := l.checkFounding(); err != nil {
		return err
	}
	if err := l.openCheckpoints(ctx); err != nil {
		return err
	}
	if l.people, err = projections.OpenPeople(viewDir(l.config.Data, "people")); err != nil {
		return err
	}
	if l.counts, err = projections.OpenCounts(viewDir(l.config.Data, "counts")); err != nil {
		return err
	}
	if l.merkle, err = projections.OpenMerkle(viewDir(l.config.Data, "merkle")); err != nil {
		return err
	}
	for _, v := range []projections.View{l.people, l.counts, l.merkle} {
		l.warnOf(v)
	}
	if err := projections.CatchUp(ctx, l.store, l.merkle, nil); err != nil {
		return err
	}
	if err := l.checkHistory(); err != nil {
		return err
	}
	if err := projections.CatchUp(ctx, l.store, l.register, nil); err != nil {
		return err
	}
	if err := l.register.Settle(ctx); err != nil {
		return err
	}
	l.runner = projections.NewRunner(l.store, l.people, l.counts, l.merkle)
	l.runner.Attend(l.register)
	l.runner.Rebuilt = l.rebuilt
	l.runner.Patience = l.config.Patience
	return nil
}

// startRunner follows the ledger with the views that people look at.
func (l *Ledger) startRunner() {
	l.following, l.cancel = context.WithCancel(context.Background())
	l.folding = make(chan struct{})
	go func() {
		defer close(l.folding)
		if l.folded = l.runner.Run(l.following); l.folded != nil {
			l.log.Error("the views are not followed any more", "error", l.folded)
		}
	}()
}

// Wait returns when ctx ends, or earlier with the reason why the views cannot be
// followed any more.
func (l *Ledger) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-l.folding:
		return l.folded
	}
}

// Vault is the ledger's vault, for the doors that check tokens and open bundles.
func (l *Ledger) Vault() *vault.Vault { return l.vault }

// Store is the event store, for the doors that have subjects of their own.
func (l *Ledger) Store() *eventstore.Store { return l.store }

// enter lets a call read the views until it leaves. Its context ends when the
// ledger closes, and no call enters after that. Calls do not nest: a closing
// ledger lets nobody in a second time.
func (l *Ledger) enter(ctx context.Context) (inside context.Context, leave func(), err error) {
	l.views.RLock()
	select {
	case <-l.stopping:
		l.views.RUnlock()
		return nil, nil, ErrClosed
	default:
	}
	inside, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(l.following, cancel)
	return inside, func() {
		release()
		cancel()
		l.views.RUnlock()
	}, nil
}

// Close answers what is queued, flushes the views and lets go of everything.
// What ctx cuts off is folded again at the next start.
func (l *Ledger) Close(ctx context.Context) error {
	l.closing.Do(func() {
		close(l.stopping)
		select {
		case <-l.stopped:
		case <-ctx.Done():
			l.closed = errors.Join(ctx.Err(), l.store.Close())
			<-l.stopped // soon: what is queued is answered with the store's error
		}
		l.lastCheckpoint(ctx)
		l.cancel()
		if l.folding != nil {
			<-l.folding
		}
		l.attending.Wait()
		l.freezing.Lock() // a freeze that a caller carries out has come to its next step, and no further
		defer l.freezing.Unlock()
		l.views.Lock() // who reads the views has left
		defer l.views.Unlock()
		l.closed = errors.Join(l.closed, l.release())
	})
	return l.closed
}

// release closes whatever is open, the ledger last: it is what the others follow.
func (l *Ledger) release() error {
	var errs []error
	if l.merkle != nil {
		errs = append(errs, l.merkle.Close())
	}
	if l.counts != nil {
		errs = append(errs, l.counts.Close())
	}
	if l.people != nil {
		errs = append(errs, l.people.Close())
	}
	if l.register != nil {
		errs = append(errs, l.register.Close())
	}
	if l.store != nil {
		errs = append(errs, l.store.Close())
	}
	if l.vault != nil && l.config.vault == nil {
		errs = append(errs, l.vault.Close())
	}
	if l.lock != nil {
		errs = append(errs, unlock(l.lock))
	}
	return errors.Join(errs...)
}
