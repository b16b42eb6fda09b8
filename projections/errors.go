package projections

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2"

	"bahi/domain"
)

// What goes wrong, for callers to decide on with [errors.Is].
var (
	// ErrCorrupt: a view's files are damaged. See [ViewError].
	ErrCorrupt = errors.New("its files are damaged")

	// ErrVersion: a view was folded by another version of the program. See
	// [ViewError].
	ErrVersion = errors.New("it was folded by another version of this program")

	// ErrOtherLedger: a view was folded from another ledger than the one at
	// hand, or from one that went further before an older copy was put back.
	// See [ViewError].
	ErrOtherLedger = errors.New("it was folded from another ledger, or from a newer copy of this one")

	// ErrLocked: another process has the view open.
	ErrLocked = errors.New("the view is in use by another process; stop it, or let it do the work")

	// ErrSequence: a commit, or a draft, does not follow what is folded. See
	// [SequenceError].
	ErrSequence = errors.New("does not follow what the view has folded")

	// ErrTokens: the tokens of a registration cannot be opened. See
	// [TokensError].
	ErrTokens = errors.New("the tokens of a registration cannot be opened")

	// ErrFrozen: the person's cohort is closed. Nothing is told.
	ErrFrozen = errors.New("the person's records are frozen")

	// ErrUnknown: nobody is registered under this token.
	ErrUnknown = errors.New("nobody is registered under this number")

	// ErrUnknownFreeze: the view has not folded the order of this freeze.
	ErrUnknownFreeze = errors.New("the view has not folded the order of this freeze")

	// ErrPinned: a reader keeps files open that a purge has to remove. Purge
	// again when it is done.
	ErrPinned = errors.New("files with frozen records are still held open by a reader; purge again")

	// ErrUnknownView: there is no view of that name.
	ErrUnknownView = errors.New("there is no view of that name")

	// ErrRebuilding: the view is being rebuilt or verified already.
	ErrRebuilding = errors.New("it is being rebuilt or verified already")

	// ErrStopped: somebody stopped the rebuild. What was built stays, unless it
	// counts as ErrDiscarded, too.
	ErrStopped = errors.New("the rebuild was stopped")

	// ErrDiscarded: somebody stopped the rebuild to throw away what was built.
	ErrDiscarded = fmt.Errorf("%w, and what was built is thrown away; the next rebuild begins at the first commit", ErrStopped)

	errKept = fmt.Errorf("%w; what was built stays, and the next rebuild goes on there", ErrStopped)

	// ErrFolding: the view is being folded anew, and cannot answer until then. See
	// [FoldingError].
	ErrFolding = errors.New("the view is being folded anew from the ledger")

	// ErrTooManyRows: a query asks for more than 280,000 rows.
	ErrTooManyRows = errors.New("that would be more than 280,000 rows; ask for fewer days or fewer groupings")
)

// ViewError says that a view cannot be used and has to be rebuilt. It counts as
// its Err.
type ViewError struct {
	View  string
	Err   error // ErrCorrupt, ErrVersion or ErrOtherLedger
	Cause error // what Pebble found; nil when there is no more to say
}

func (e *ViewError) Error() string {
	s := fmt.Sprintf("the view %s cannot be used: %v; rebuild it with: bahi projections rebuild %s", e.View, e.Err, e.View)
	if e.Cause != nil {
		why, _, _ := strings.Cut(e.Cause.Error(), "\n") // Pebble goes on with a line for its developers
		s += fmt.Sprintf(" (%s)", why)
	}
	return s
}

// Unwrap returns both the sentinel and the cause.
func (e *ViewError) Unwrap() []error { return []error{e.Err, e.Cause} }

// FoldingError says that a view cannot answer yet, because it is folded anew: its
// files are missing, could not be read, or lag far behind. It counts as [ErrFolding].
type FoldingError struct {
	View  string
	Done  uint64 // commits
	Total uint64 // 0 when nobody knows yet
}

func (e *FoldingError) Error() string {
	s := fmt.Sprintf("the view %s is being folded anew from the ledger", e.View)
	if e.Total > 0 {
		s += fmt.Sprintf(", %d of %d commits so far", e.Done, e.Total)
	}
	return s + "; ask again in a while"
}

// Is makes a FoldingError an [ErrFolding].
func (e *FoldingError) Is(target error) bool { return target == ErrFolding }

// SequenceError says that a commit does not follow what a view has folded. It
// counts as [ErrSequence].
type SequenceError struct {
	View   string
	Folded uint64
	Got    uint64
}

func (e *SequenceError) Error() string {
	return fmt.Sprintf("the view %s has folded the ledger through %d; commit %d does not follow", e.View, e.Folded, e.Got)
}

// Is makes a SequenceError an [ErrSequence].
func (e *SequenceError) Is(target error) bool { return target == ErrSequence }

// BeyondError says that a view was to be built through a commit that the ledger does
// not have yet.
type BeyondError struct {
	Asked uint64
	Head  uint64 // of the ledger
}

func (e *BeyondError) Error() string {
	return fmt.Sprintf("the ledger ends at commit %d; nothing can be built through %d", e.Head, e.Asked)
}

// TokensError says that a registration of an open cohort cannot be opened, so
// that the register cannot hold its mobile number and photo ID. The view is not
// folded further: a register that does not know them would accept duplicates.
// It counts as [ErrTokens] and as its cause.
type TokensError struct {
	Cohort domain.Cohort
	Commit uint64
	Err    error
}

func (e *TokensError) Error() string {
	return fmt.Sprintf("commit %d registers somebody in the open cohort %s, whose tokens cannot be opened; put the ledger's own keys back, then: bahi projections rebuild register (%v)",
		e.Commit, e.Cohort, e.Err)
}

// Unwrap returns both the sentinel and the cause.
func (e *TokensError) Unwrap() []error { return []error{ErrTokens, e.Err} }

// openError says what an error of opening a view's files means.
func openError(view string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EAGAIN), strings.Contains(err.Error(), "lock held by current process"):
		return fmt.Errorf("open the view %s: %w", view, ErrLocked)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EMFILE):
		return fmt.Errorf("open the view %s: %w", view, err)
	}
	return &ViewError{View: view, Err: ErrCorrupt, Cause: err}
}

// readError marks what Pebble says about damaged files while reading.
func readError(view string, err error) error {
	if pebble.IsCorruptionError(err) {
		return &ViewError{View: view, Err: ErrCorrupt, Cause: err}
	}
	return fmt.Errorf("read the view %s: %w", view, err)
}

func absentFile(err error) bool { return errors.Is(err, fs.ErrNotExist) }
