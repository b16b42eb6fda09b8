package ledger

import "errors"

// Errors that callers decide on.
var (
	// ErrFrozen is the answer about a frozen person, and, once any freeze holds
	// in the ledger, about a number that it does not know.
	ErrFrozen = errors.New("frozen")
	// ErrNotFound is the answer about a number, a freeze or a request that the
	// ledger does not know.
	ErrNotFound = errors.New("not found")
	// ErrSandbox says that a ledger founded with real time was asked to run as a
	// sandbox.
	ErrSandbox = errors.New("this ledger keeps real time and cannot be used as a sandbox; take another --data directory for replayed history")
	// ErrOtherKeys says that the keys directory is not this ledger's.
	ErrOtherKeys = errors.New("the keys directory belongs to another ledger, or was made anew; give the one this ledger was founded with, with --keys")
	// ErrKeysMissing says that a ledger is there and its keys directory is not.
	ErrKeysMissing = errors.New("the ledger's keys directory is missing; put it back, or say where it is with --keys")
	// ErrLocked says that another process has the data directory open.
	ErrLocked = errors.New("the data directory is in use by another bahi; stop it, or use --server with its address")
	// ErrClosed says that the ledger is shutting down; nothing of the call was stored.
	ErrClosed = errors.New("the ledger is shutting down; submit again later")
	// ErrUndecided says that an append was neither confirmed nor found. The same
	// submissions can be sent again: what was stored answers as a duplicate.
	ErrUndecided = errors.New("the ledger could not confirm the commit; submit the same again, nothing is stored twice")
	// ErrTooManyReads says that an officer has used up the day's readings.
	ErrTooManyReads = errors.New("this officer has opened as many people's details as one may in a day; the operator sets how many")
	// ErrBadRequest says that a question cannot be understood.
	ErrBadRequest = errors.New("bad request")
)
