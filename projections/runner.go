package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"bahi/eventstore"
)

// farBehind is how many commits a view may lack to be folded together with the
// others. One that lacks more catches up by itself, and holds up nobody.
const farBehind = 1 << 10

// Runner folds the ledger into views. Its methods are safe for concurrent use.
type Runner struct {
	// Rebuilt, when not nil, is told the outcome of every rebuild. It is set before
	// Run is called.
	Rebuilt func(Rebuilt, error)
	// Patience is how long Wait waits for a view that is folded anew; 5 s when 0.
	Patience time.Duration

	ledger Ledger
	turn   sync.Mutex     // held while a batch is folded, and while a view joins the followed
	beside sync.WaitGroup // what Run does besides following

	mu        sync.Mutex // protects what follows
	followed  []*follower
	attended  []View
	jobs      map[string]*job
	told      uint64 // through which every view has folded the ledger, or was told its orders
	trouble   error  // why the ledger cannot be read; it is tried again
	stopped   error  // why Run ended
	advancing chan struct{}
}

// follower is a view that follows the ledger, or is to.
type follower struct {
	view     View
	admitted bool     // it was found to be of this ledger, and told the orders
	joined   bool     // it is folded with the others
	at       Progress // of one that is not
	err      error    // why it is not, when it is not for being behind
}

// NewRunner returns a runner that, once it runs, follows the ledger with these
// views.
func NewRunner(ledger Ledger, views ...View) *Runner {
	r := &Runner{ledger: ledger, jobs: map[string]*job{}, advancing: make(chan struct{})}
	for _, v := range views {
		r.followed = append(r.followed, &follower{view: v})
	}
	return r
}

// Attend adds views that somebody else folds, as the committer does its
// register: they are shown, rebuilt and verified, but not followed.
func (r *Runner) Attend(views ...View) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attended = append(r.attended, views...)
}

// Run folds the ledger into the followed views until ctx ends, which is no error. It
// tells the views all orders first, and purges from files that were put back from
// before a freeze what it had ended. Beside that it folds anew what cannot be read or
// is of an earlier version, and goes on with rebuilds that were stopped.
//
// A ledger that does not answer is asked again, later and later, and so is a view
// that cannot be folded; the others go on. What no waiting mends ends Run: a hole in
// the ledger, and commits that this program cannot read.
func (r *Runner) Run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		r.beside.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.stopped = err; err == nil {
			r.stopped = errStopped
		}
		r.advance()
	}()
	r.resume(ctx)
	for wait := (pause{}); ; {
		began := time.Now()
		err := r.follow(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case !mendable(err):
			return err
		}
		r.note(func() { r.trouble = err })
		if time.Since(began) > longestPause {
			wait = pause{}
		}
		if wait.over(ctx) != nil {
			return nil
		}
	}
}

var errStopped = errors.New("the views are not being folded; the ledger is closing")

// mendable tells whether a ledger that was not read may be read later.
func mendable(err error) bool {
	for _, final := range []error{eventstore.ErrGap, eventstore.ErrMalformed, eventstore.ErrNewer, eventstore.ErrAhead, eventstore.ErrClosed} {
		if errors.Is(err, final) {
			return false
		}
	}
	return true
}

// pause is the time between two tries, which doubles.
type pause struct{ next time.Duration }

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 30 * time.Second
)

func (p *pause) over(ctx context.Context) error {
	p.next = min(max(2*p.next, firstPause), longestPause)
	select {
	case <-time.After(p.next):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// note changes what Wait looks at.
func (r *Runner) note(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	r.advance()
}

// advance wakes who waits. The runner's lock is held.
func (r *Runner) advance() {
	close(r.advancing)
	r.advancing = make(chan struct{})
}

// follow admits views and folds the ledger into them until it cannot be read.
func (r *Runner) follow(ctx context.Context) error {
	after, err := r.admit(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	commits := make(chan result, 64)
	go func() {
		defer close(commits)
		for c, err := range r.ledger.Read(ctx, eventstore.Reading{After: after, Follow: true}) {
			select {
			case commits <- result{c, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	r.note(func() { r.trouble = nil })
	for {
		b, err := gather(ctx, commits)
		if len(b.commits) > 0 {
			if err := r.fold(ctx, b.commits); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// gather waits for a commit and takes what else is there.
func gather(ctx context.Context, commits <-chan result) (b batch, err error) {
	for !b.full() {
		var next result
		var ok bool
		if len(b.commits) == 0 {
			next, ok = <-commits
		} else {
			select {
			case next, ok = <-commits:
			default:
				return b, nil
			}
		}
		if !ok {
			if err := ctx.Err(); err != nil {
				return b, err
			}
			return b, errors.New("the reading of the ledger ended")
		}
		if next.err != nil {
			return b, next.err
		}
		b.add(next.commit)
	}
	return b, nil
}

// admit tells every view all orders, and lets those join that are not far behind. It
// returns the sequence behind which the joined ones are to be followed. The error is
// the ledger's.
func (r *Runner) admit(ctx context.Context) (after uint64, err error) {
	head, err := r.ledger.Head(ctx)
	if err != nil {
		return 0, err
	}
	orders, err := readOrders(ctx, r.ledger, head)
	if err != nil {
		return 0, err
	}
	for _, f := range r.followed {
		if err := f.view.Foresee(orders...); err != nil {
			return 0, err
		}
		r.mu.Lock()
		before := f.admitted
		f.admitted = true
		r.mu.Unlock()
		if before {
			continue
		}
		err := belongs(ctx, r.ledger, f.view.Name(), f.view.checkpoint())
		if err == nil {
			err = f.view.Settle(ctx)
		}
		if err == nil && f.view.Unusable() == nil && f.view.Folded()+farBehind >= head {
			r.note(func() { f.joined = true })
			continue
		}
		r.note(func() { f.err = err })
		r.beside.Go(func() { r.care(ctx, f) })
	}
	after = head
	for _, f := range r.joined() {
		after = min(after, f.view.Folded())
	}
	r.note(func() { r.told = max(r.told, head) })
	return after, nil
}

// joined returns the views that are folded together.
func (r *Runner) joined() (joined []*follower) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.followed {
		if f.joined {
			joined = append(joined, f)
		}
	}
	return joined
}

// fold folds a batch into the views that have joined, and tells the others its orders.
// A view that cannot be folded leaves. The error is of telling.
func (r *Runner) fold(ctx context.Context, commits []eventstore.Commit) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	joined := r.joined()
	for _, f := range r.followed {
		if !slices.Contains(joined, f) {
			if err := f.view.Foresee(ordersOf(commits)...); err != nil {
				return err
			}
		}
	}
	var views errgroup.Group
	for _, f := range joined {
		views.Go(func() error {
			fresh := commits
			for folded := f.view.Folded(); len(fresh) > 0 && fresh[0].Sequence <= folded; {
				fresh = fresh[1:]
			}
			if err := f.view.Fold(ctx, fresh...); err != nil && ctx.Err() == nil {
				r.note(func() { f.joined, f.err = false, err })
				r.beside.Go(func() { r.care(ctx, f) })
			}
			return ctx.Err()
		})
	}
	if err := views.Wait(); err != nil {
		return err
	}
	r.note(func() { r.told = max(r.told, commits[len(commits)-1].Sequence) })
	return nil
}

// care brings a view to where the others are, and lets it join them. It tries until
// that is done.
func (r *Runner) care(ctx context.Context, f *follower) {
	for wait := (pause{}); ; {
		err := r.bringUp(ctx, f)
		if err == nil || ctx.Err() != nil {
			return
		}
		r.note(func() { f.err = err })
		if wait.over(ctx) != nil {
			return
		}
	}
}

func (r *Runner) bringUp(ctx context.Context, f *follower) error {
	tell := func(p Progress) { r.note(func() { f.at = p }) }
	r.mu.Lock()
	damaged := errors.Is(f.err, ErrCorrupt)
	r.mu.Unlock()
	// An empty one is folded sorted, beside itself.
	if damaged || f.view.Unusable() != nil || f.view.Folded() == 0 {
		if _, err := r.Rebuild(ctx, f.view.Name(), RebuildOptions{}, tell); err != nil {
			return err
		}
	}
	if err := CatchUp(ctx, r.ledger, f.view, tell); err != nil {
		return err
	}
	if err := f.view.Settle(ctx); err != nil {
		return err
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	r.mu.Lock()
	through := r.told
	r.mu.Unlock()
	if err := foldThrough(ctx, r.ledger, f.view.Folded(), through, f.view.Fold, nil); err != nil {
		return err
	}
	r.note(func() { f.joined, f.err, f.at = true, nil, Progress{} })
	return nil
}

func (r *Runner) views() []View {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := slices.Clone(r.attended)
	for _, f := range r.followed {
		all = append(all, f.view)
	}
	return all
}

func (r *Runner) view(name string) (View, error) {
	for _, v := range r.views() {
		if v.Name() == name {
			return v, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", name, ErrUnknownView)
}
