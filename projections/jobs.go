package projections

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// RebuildOptions say what is to become of what a rebuild builds. The zero value swaps
// it in.
type RebuildOptions struct {
	// DryRun builds, compares with the live generation, and removes what was built.
	DryRun bool
	// To, when not 0, builds through that ledger sequence and tells the digest of what
	// there was then, of those who are not frozen by now. It implies DryRun. There is
	// nothing to compare with. It is at most the ledger's head.
	To uint64
}

// job is a rebuild that is under way.
type job struct {
	stop context.CancelFunc
	done chan struct{} // closed when it has ended
	told error         // why it was told to stop. The runner's lock protects this and the next
	at   Progress
	out  Rebuilt // set before done is closed, with err
	err  error
}

// watching is how often whoever joins a rebuild that is under way looks at it.
const watching = 100 * time.Millisecond

// Rebuild folds a view anew from the ledger, beside the live generation, compares the
// two and swaps the new one in: readers notice nothing, and a freeze that lands
// meanwhile holds in both. Where the live one differs or cannot be read, the new one
// is held against the ledger a second time before it takes over.
//
// When ctx ends, or the process, what was built stays, and the next Rebuild goes on
// there; so does [Runner.Run]. A rebuild that is under way already is joined. Tell,
// when not nil, is told how far it is.
//
// Errors: [ErrUnknownView]; a [*BeyondError]; [ErrRebuilding] for a dry run beside
// another or a verification; [ErrStopped]; [ErrUncertain]; those of [CatchUp].
func (r *Runner) Rebuild(ctx context.Context, name string, o RebuildOptions, tell func(Progress)) (Rebuilt, error) {
	v, err := r.view(name)
	if err != nil {
		return Rebuilt{}, err
	}
	if o.To > 0 {
		if head, err := r.ledger.Head(ctx); err != nil || o.To > head {
			return Rebuilt{}, cmp.Or(err, error(&BeyondError{o.To, head}))
		}
	}
	if o.DryRun || o.To > 0 {
		return v.dryRun(ctx, r.ledger, o.To, tell)
	}
	for {
		within, stop := context.WithCancel(ctx)
		j, mine := r.job(name, stop)
		if !mine {
			stop()
			out, err := r.watch(ctx, j, tell)
			if errors.Is(err, context.Canceled) && ctx.Err() == nil {
				continue // whoever began it left
			}
			return out, err
		}
		j.out, j.err = v.rebuild(within, r.ledger, func(p Progress) {
			r.note(func() { j.at = p })
			if tell != nil {
				tell(p)
			}
		})
		stop()
		r.note(func() {
			delete(r.jobs, name)
			if j.told != nil && errors.Is(j.err, context.Canceled) {
				j.err = j.told
			}
		})
		close(j.done)
		if r.Rebuilt != nil {
			r.Rebuilt(j.out, j.err)
		}
		return j.out, j.err
	}
}

// job returns the rebuild of a view that is under way, or a new one, which stop ends.
func (r *Runner) job(name string, stop context.CancelFunc) (j *job, mine bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if j = r.jobs[name]; j != nil {
		return j, false
	}
	j = &job{done: make(chan struct{}), stop: stop}
	r.jobs[name] = j
	return j, true
}

// watch tells of somebody else's rebuild until it ends.
func (r *Runner) watch(ctx context.Context, j *job, tell func(Progress)) (Rebuilt, error) {
	look := time.NewTicker(watching)
	defer look.Stop()
	for {
		select {
		case <-j.done:
			return j.out, j.err
		case <-ctx.Done():
			return Rebuilt{}, ctx.Err()
		case <-look.C:
			r.mu.Lock()
			at := j.at
			r.mu.Unlock()
			if tell != nil {
				tell(at)
			}
		}
	}
}

// Stop ends the rebuild of a view that is under way, and leaves what was built. It
// tells whether there was one. Errors: [ErrUnknownView]; ctx's.
func (r *Runner) Stop(ctx context.Context, name string) (bool, error) {
	return r.stop(ctx, name, errKept)
}

// stop ends a rebuild, which returns why.
func (r *Runner) stop(ctx context.Context, name string, why error) (bool, error) {
	if _, err := r.view(name); err != nil {
		return false, err
	}
	j := r.end(name, why)
	if j == nil {
		return false, nil
	}
	select {
	case <-j.done:
		return true, nil
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

// end tells a rebuild to end, if one is under way, and why.
func (r *Runner) end(name string, why error) *job {
	r.mu.Lock()
	defer r.mu.Unlock()
	j := r.jobs[name]
	if j == nil {
		return nil
	}
	if j.told == nil || why == ErrDiscarded {
		j.told = why // who only stops it does not bring back what another throws away
	}
	j.stop()
	return j
}

// Abort ends the rebuild of a view and removes what was built, also of one that was
// stopped before. It tells whether there was anything. Errors: those of Stop.
func (r *Runner) Abort(ctx context.Context, name string) (bool, error) {
	stopped, err := r.stop(ctx, name, ErrDiscarded)
	if err != nil {
		return stopped, err
	}
	v, err := r.view(name)
	if err != nil {
		return stopped, err
	}
	dropped, err := v.drop()
	return stopped || dropped, err
}

// resume goes on, beside, with rebuilds that were stopped, and begins those of views
// that an earlier version has folded. What cannot be read is brought up anyway.
func (r *Runner) resume(ctx context.Context) {
	for _, v := range r.views() {
		if v.Unusable() == nil && (v.outdated() || v.unfinished() > 0) {
			r.beside.Go(func() {
				_, _ = r.Rebuild(ctx, v.Name(), RebuildOptions{}, nil) // Rebuilt is told
			})
		}
	}
}

// ViewStatus is where a view stands.
type ViewStatus struct {
	Name     string  `json:"name"`
	Version  int     `json:"version"`
	Folded   uint64  `json:"folded"`
	Head     uint64  `json:"head"` // of the ledger
	Lag      uint64  `json:"lag"`  // commits
	Trouble  string  `json:"trouble,omitempty"`
	Building uint64  `json:"rebuilt,omitempty"`       // commits that a rebuild has folded, one that is under way or one that was stopped
	Total    uint64  `json:"rebuilt_total,omitempty"` // of how many; 0 when it was stopped
	Step     Step    `json:"rebuild_step,omitempty"`
	Rate     float64 `json:"rebuild_rate,omitempty"`        // events a second
	Left     float64 `json:"rebuild_eta_seconds,omitempty"` // 0 when nobody knows
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
		if err := r.troubleOf(v); err != nil {
			s.Trouble = err.Error()
		}
		s.Building = v.unfinished()
		r.mu.Lock()
		if j := r.jobs[s.Name]; j != nil {
			s.Building, s.Total = j.at.Done, j.at.Total
			s.Step, s.Rate, s.Left = j.at.Step, j.at.Rate, j.at.Left
		}
		r.mu.Unlock()
		status = append(status, s)
	}
	return status, nil
}

// troubleOf returns what is the matter with a view, or with the reading of the ledger
// that keeps it from being folded.
func (r *Runner) troubleOf(v View) error {
	if err := v.trouble(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.followed {
		if f.view != v {
			continue
		}
		switch {
		case f.err != nil:
			return f.err
		case r.stopped != nil && r.stopped != errStopped:
			return r.stopped
		}
		return r.trouble
	}
	return nil
}
