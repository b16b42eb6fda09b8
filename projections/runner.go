package projections

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"golang.org/x/sync/errgroup"

	"bahi/eventstore"
)

// Ledger is what views are folded from: [eventstore.Store], or a ledger in
// memory.
type Ledger interface {
	Read(ctx context.Context, r eventstore.Reading) iter.Seq2[eventstore.Commit, error]
	Head(ctx context.Context) (uint64, error)
}

// A batch of commits is folded together: everything that waits, up to these.
const (
	batchCommits = 1 << 10
	batchEntries = 1 << 14
)

// Runner folds the ledger into views. Its methods are safe for concurrent use.
type Runner struct {
	ledger   Ledger
	followed []View

	mu        sync.Mutex // protects what follows
	attended  []View     // in addition to the followed ones
	rebuilds  map[string]progressing
	head      uint64 // the last commit that Run has seen
	stopped   error  // why Run ended
	advancing chan struct{}
}

type progressing struct{ done, total uint64 }

// NewRunner returns a runner that, once it runs, follows the ledger with these
// views.
func NewRunner(ledger Ledger, views ...View) *Runner {
	return &Runner{
		ledger: ledger, followed: views, rebuilds: map[string]progressing{}, advancing: make(chan struct{}),
	}
}

// Attend adds views that somebody else folds, as the committer does its
// register: they are shown, rebuilt and verified, but not followed.
func (r *Runner) Attend(views ...View) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attended = append(r.attended, views...)
}

// Run folds the ledger into the followed views until ctx ends, which is no
// error, or a view cannot be folded. It tells the views all orders first, and
// purges from files that were put back from before a freeze what it had ended.
//
// Errors, as [ViewError]: [ErrOtherLedger]. A [TokensError]; those of the ledger.
func (r *Runner) Run(ctx context.Context) (err error) {
	defer func() {
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = nil
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.stopped = err; err == nil {
			r.stopped = errStopped
		}
		close(r.advancing)
		r.advancing = make(chan struct{})
	}()
	if err := prepare(ctx, r.ledger, r.followed...); err != nil {
		return err
	}
	for _, v := range r.followed {
		if err := v.Settle(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	commits := make(chan result, 64)
	go func() {
		defer close(commits)
		from := eventstore.Reading{After: least(r.followed), Follow: true}
		for c, err := range r.ledger.Read(ctx, from) {
			select {
			case commits <- result{c, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		batch, err := gather(ctx, commits)
		if len(batch) > 0 {
			if err := r.fold(ctx, batch); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

var errStopped = errors.New("the views are not being folded; the ledger is closing")

type result struct {
	commit eventstore.Commit
	err    error
}

// gather waits for a commit and takes what else is there.
func gather(ctx context.Context, commits <-chan result) (batch []eventstore.Commit, err error) {
	entries := 0
	for len(batch) < batchCommits && entries < batchEntries {
		var next result
		var ok bool
		if len(batch) == 0 {
			next, ok = <-commits
		} else {
			select {
			case next, ok = <-commits:
			default:
				return batch, nil
			}
		}
		if !ok {
			if err := ctx.Err(); err != nil {
				return batch, err
			}
			return batch, errors.New("the reading of the ledger ended")
		}
		if next.err != nil {
			return batch, next.err
		}
		batch = append(batch, next.commit)
		entries += len(next.commit.Entries)
	}
	return batch, nil
}

func (r *Runner) fold(ctx context.Context, batch []eventstore.Commit) error {
	var views errgroup.Group
	for _, v := range r.followed {
		views.Go(func() error {
			fresh := batch
			for folded := v.Folded(); len(fresh) > 0 && fresh[0].Sequence <= folded; {
				fresh = fresh[1:]
			}
			return v.Fold(ctx, fresh...)
		})
	}
	if err := views.Wait(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.head = batch[len(batch)-1].Sequence
	close(r.advancing)
	r.advancing = make(chan struct{})
	return nil
}

// least returns the sequence through which all views have folded.
func least(views []View) uint64 {
	if len(views) == 0 {
		return 0
	}
	folded := views[0].Folded()
	for _, v := range views[1:] {
		folded = min(folded, v.Folded())
	}
	return folded
}

// Wait returns when the followed views have folded through a sequence. The error
// is Run's, when it ended, or ctx's.
func (r *Runner) Wait(ctx context.Context, sequence uint64) error {
	for {
		r.mu.Lock()
		advancing, stopped := r.advancing, r.stopped
		r.mu.Unlock()
		if least(r.followed) >= sequence || len(r.followed) == 0 {
			return nil
		}
		if stopped != nil {
			return fmt.Errorf("wait for the views: %w", stopped)
		}
		select {
		case <-advancing:
		case <-ctx.Done():
			return fmt.Errorf("wait for the views: %w", ctx.Err())
		}
	}
}

// CatchUp folds a view through the ledger's head as it is now. Progress, when not
// nil, is told how many commits are folded of how many.
//
// Errors are those of [Runner.Run].
func CatchUp(ctx context.Context, ledger Ledger, view View, progress func(done, total uint64)) error {
	if err := prepare(ctx, ledger, view); err != nil {
		return err
	}
	head, err := ledger.Head(ctx)
	if err != nil {
		return err
	}
	return foldThrough(ctx, ledger, view.Folded(), head, view.Fold, progress)
}

// foldThrough folds the commits behind after through a sequence in batches.
func foldThrough(ctx context.Context, ledger Ledger, after, through uint64, fold func(context.Context, ...eventstore.Commit) error, progress func(done, total uint64)) error {
	if after >= through {
		return nil
	}
	var batch []eventstore.Commit
	entries := 0
	for c, err := range ledger.Read(ctx, eventstore.Reading{After: after, Through: through}) {
		if err != nil {
			return err
		}
		batch = append(batch, c)
		entries += len(c.Entries)
		if len(batch) < batchCommits && entries < batchEntries && c.Sequence < through {
			continue
		}
		if err := fold(ctx, batch...); err != nil {
			return err
		}
		batch, entries = batch[:0], 0
		if progress != nil {
			progress(c.Sequence, through)
		}
	}
	return nil
}

// prepare checks that views belong to the ledger and tells them its orders.
func prepare(ctx context.Context, ledger Ledger, views ...View) error {
	head, err := ledger.Head(ctx)
	if err != nil {
		return err
	}
	for _, v := range views {
		at := v.checkpoint()
		if at.sequence > head {
			return &ViewError{View: v.Name(), Err: ErrOtherLedger}
		}
		if at.sequence == 0 {
			continue
		}
		for c, err := range ledger.Read(ctx, eventstore.Reading{After: at.sequence - 1, Through: at.sequence}) {
			if err != nil {
				return err
			}
			if (checkpoint{version: at.version}).after(c) != at {
				return &ViewError{View: v.Name(), Err: ErrOtherLedger}
			}
		}
	}
	orders, err := readOrders(ctx, ledger, head)
	if err != nil {
		return err
	}
	for _, v := range views {
		if err := v.Foresee(orders...); err != nil {
			return err
		}
	}
	return nil
}

func readOrders(ctx context.Context, ledger Ledger, through uint64) (orders []eventstore.Commit, err error) {
	if through == 0 {
		return nil, nil
	}
	for c, err := range ledger.Read(ctx, eventstore.Reading{Through: through, Only: eventstore.Filter{Orders: true}}) {
		if err != nil {
			return nil, err
		}
		orders = append(orders, c)
	}
	return orders, nil
}

// ViewStatus is where a view stands.
type ViewStatus struct {
	Name     string `json:"name"`
	Version  int    `json:"version"`
	Folded   uint64 `json:"folded"`
	Head     uint64 `json:"head"` // of the ledger
	Lag      uint64 `json:"lag"`  // commits
	Trouble  string `json:"trouble,omitempty"`
	Building uint64 `json:"rebuilt,omitempty"`       // commits that a rebuild has folded
	Total    uint64 `json:"rebuilt_total,omitempty"` // of how many
}

// Status tells where every view stands.
func (r *Runner) Status(ctx context.Context) ([]ViewStatus, error) {
	head, err := r.ledger.Head(ctx)
	if err != nil {
		return nil, err
	}
	var status []ViewStatus
	for _, v := range r.views() {
		s := ViewStatus{Name: v.Name(), Version: v.Version(), Folded: v.Folded(), Head: head}
		s.Lag = head - min(head, s.Folded)
		if err := v.trouble(); err != nil {
			s.Trouble = err.Error()
		}
		r.mu.Lock()
		s.Building, s.Total = r.rebuilds[s.Name].done, r.rebuilds[s.Name].total
		if r.stopped != nil && r.stopped != errStopped && s.Trouble == "" {
			s.Trouble = r.stopped.Error()
		}
		r.mu.Unlock()
		status = append(status, s)
	}
	return status, nil
}

func (r *Runner) views() []View {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append(append([]View(nil), r.attended...), r.followed...)
}

func (r *Runner) view(name string) (View, error) {
	for _, v := range r.views() {
		if v.Name() == name {
			return v, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", name, ErrUnknownView)
}
