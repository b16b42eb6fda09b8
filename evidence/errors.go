package evidence

import "errors"

// Why evidence does not hold. Every error of a check is one of these, with a
// sentence on what does not fit.
var (
	// ErrMalformed: it is not what it should be, or not in its one form.
	ErrMalformed = errors.New("it cannot be read")

	// ErrSignature: it is not signed by the ledger's key, or was changed since.
	ErrSignature = errors.New("the signature does not hold")

	// ErrProof: a commit is not in the tree, or a tree is no continuation of
	// another: history was rewritten, or the proof was.
	ErrProof = errors.New("the proof does not hold")

	// ErrContradiction: two things that are signed or proven contradict each other.
	ErrContradiction = errors.New("it contradicts itself")

	// ErrIncomplete: a holder's acknowledgement, or another part of a freeze, is
	// missing.
	ErrIncomplete = errors.New("the freeze is not shown to be carried out")

	// ErrNoProof: nothing here shows how a kept checkpoint and this one belong
	// together. It may be in order; ask for a proof.
	ErrNoProof = errors.New("there is no proof for the kept checkpoint")
)
