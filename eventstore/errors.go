package eventstore

import (
	"errors"
	"fmt"
)

// MaxCommitSize is the most bytes that an encoded commit may have. It leaves
// room under the server's limit of 1 MiB for the headers of the concurrency
// check.
const MaxCommitSize = 1_000_000

// What goes wrong, for callers to decide on with [errors.Is].
var (
	// ErrConflict: another commit stands where this one was to go. Fold the
	// tail and decide again. See [ConflictError].
	ErrConflict = errors.New("another commit was appended first")

	// ErrUnknownOutcome: the commit may be in the ledger or not. Fold to the
	// head and look for its id.
	ErrUnknownOutcome = errors.New("it is unknown whether the ledger holds the commit")

	// ErrTooLarge: the commit is over [MaxCommitSize]. Nothing was sent.
	ErrTooLarge = errors.New("a commit is at most 1 MB; split it")

	// ErrFull: the disk, or the space allowed to the ledger, is full. Nothing
	// was stored.
	ErrFull = errors.New("there is no space left for the ledger; free some and try again, nothing was stored")

	// ErrBarrier: a freeze was ordered that the caller has not folded. Fold the
	// ledger and look again whether the person may be read.
	ErrBarrier = errors.New("a freeze was ordered meanwhile")

	// ErrLocked: another process has the data directory open.
	ErrLocked = errors.New("the data directory is in use by another process; stop it, or talk to it with --server")

	// ErrUnreachable: no NATS server answers.
	ErrUnreachable = errors.New("the NATS server does not answer; check that it runs, the address, and the credentials")

	// ErrUnfit: a stream of an external server is set up in a way that could
	// lose or change history.
	ErrUnfit = errors.New("the stream is not fit to hold a ledger")

	// ErrNotFound: the ledger has no commit with that sequence.
	ErrNotFound = errors.New("the ledger has no such commit")

	// ErrGap: the stream lacks a message that it had. See [GapError].
	ErrGap = errors.New("the ledger has a hole")

	// ErrAhead: a reader wants to go on after a sequence that the ledger has
	// not reached.
	ErrAhead = errors.New("the ledger ends before the place to read from; it is another ledger, or was put back from an older copy")

	// ErrNewer: the message holds a field, an event or a value that this
	// version does not know. See [DecodeError].
	ErrNewer = errors.New("it was written by a newer version; update this program")

	// ErrMalformed: the message is not a commit. See [DecodeError].
	ErrMalformed = errors.New("it is not a commit of this ledger")

	// ErrClosed: the store was closed.
	ErrClosed = errors.New("the ledger is closed")
)

// ConflictError is an [ErrConflict]: the ledger's last sequence was not the
// expected one.
type ConflictError struct {
	Expected uint64
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%v: the ledger has gone beyond %d", ErrConflict, e.Expected)
}

// Is makes a ConflictError an [ErrConflict].
func (e *ConflictError) Is(target error) bool { return target == ErrConflict }

// DecodeError tells which message cannot be understood and why: its cause is
// [ErrNewer] or [ErrMalformed]. It holds none of the message's bytes.
type DecodeError struct {
	Stream   string // LEDGER or AUDIT; empty when only bytes were given
	Sequence uint64 // 0 when only bytes were given
	Err      error
}

func (e *DecodeError) Error() string {
	if e.Sequence == 0 {
		return "the message cannot be read: " + e.Err.Error()
	}
	return fmt.Sprintf("message %d of %s cannot be read: %v", e.Sequence, e.Stream, e.Err)
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }

// GapError is an [ErrGap]: sequences of the ledger have no gaps, so a message
// was lost or taken away.
type GapError struct {
	Stream    string
	Want, Got uint64 // the sequence that was due, and the one that came
}

func (e *GapError) Error() string {
	return fmt.Sprintf("%v: %s has no message %d (the next is %d); restore it from a backup", ErrGap, e.Stream, e.Want, e.Got)
}

// Is makes a GapError an [ErrGap].
func (e *GapError) Is(target error) bool { return target == ErrGap }
