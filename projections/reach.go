package projections

import (
	"errors"
	"fmt"
)

// ErrBehind: the view is too far behind the ledger to be asked. See [BehindError].
var ErrBehind = errors.New("the view is behind the ledger")

// BehindError says that a view is further behind the ledger than somebody wants it,
// or cannot be folded further. It counts as [ErrBehind].
type BehindError struct {
	View  string
	Lag   uint64 // commits
	Cause error  // why it is not folded further; nil when it only lags
}

func (e *BehindError) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("the view %s cannot be folded further: %v", e.View, e.Cause)
	}
	return fmt.Sprintf("the view %s is %d commits behind the ledger", e.View, e.Lag)
}

// Is makes a BehindError an [ErrBehind].
func (e *BehindError) Is(target error) bool { return target == ErrBehind }

// Unwrap returns why the view is not folded further.
func (e *BehindError) Unwrap() error { return e.Cause }

// OutOfReach returns an error for every view that nobody can ask, or that is more than
// so many commits behind a head of the ledger: a [FoldingError] for one that is folded
// anew, a [BehindError] for others. It asks nobody and waits for nothing.
func (r *Runner) OutOfReach(head, within uint64) (out []error) {
	for _, v := range r.views() {
		lag := head - min(head, v.Folded())
		at, anew := r.foldedAnew(v)
		if v.Unusable() != nil || anew && lag > within {
			out = append(out, &FoldingError{View: v.Name(), Done: at.Done, Total: at.Total})
		} else if cause := r.troubleOf(v); cause != nil || lag > within {
			out = append(out, &BehindError{View: v.Name(), Lag: lag, Cause: cause})
		}
	}
	return out
}

// foldedAnew tells whether a view is brought up beside the others, and how far that or
// its rebuild is.
func (r *Runner) foldedAnew(v View) (at Progress, anew bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.followed {
		if f.view == v {
			at, anew = f.at, f.admitted && !f.joined && f.err == nil
		}
	}
	if j := r.jobs[v.Name()]; j != nil {
		at = j.at
	}
	return at, anew
}
