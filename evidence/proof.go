package evidence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// The kinds of proof.
const (
	Inclusion   = "inclusion"
	Consistency = "consistency"
)

// Proof shows, to who has the ledger's public key, that a commit is in the tree
// of a checkpoint ([Inclusion]), or that the tree is a continuation of an earlier
// one ([Consistency]). Its hashes are those of RFC 6962.
type Proof struct {
	Type       string `json:"type"`
	Commit     uint64 `json:"commit,omitempty"` // of an inclusion: the sequence; the leaf's index is one less
	Leaf       *Hash  `json:"leaf,omitempty"`   // of an inclusion: SHA-256 of 0x00 and the commit's stored bytes
	From       uint64 `json:"from,omitempty"`   // of a consistency: the earlier size
	Hashes     []Hash `json:"proof"`
	Checkpoint string `json:"checkpoint"` // signed
}

// ParseProof reads a proof.
func ParseProof(b []byte) (Proof, error) {
	var p Proof
	if err := parseJSON("a proof", b, &p); err != nil {
		return Proof{}, err
	}
	switch {
	case p.Type == Inclusion && p.Commit > 0 && p.Leaf != nil && p.From == 0:
	case p.Type == Consistency && p.Commit == 0 && p.Leaf == nil:
	default:
		return Proof{}, fmt.Errorf("%w: a proof is of inclusion, with commit and leaf, or of consistency, with from", ErrMalformed)
	}
	return p, nil
}

// Check checks the checkpoint's signature and the proof, of a consistency against
// the earlier checkpoint, and returns the checkpoint. Errors: [ErrMalformed],
// [ErrSignature], [ErrProof], [ErrContradiction] when the earlier one is another
// ledger's, [ErrNoProof] when it is none that the proof is about.
func (p Proof) Check(keys Keys, earlier *Checkpoint) (Checkpoint, error) {
	c, err := OpenCheckpoint([]byte(p.Checkpoint), keys)
	if err != nil {
		return Checkpoint{}, err
	}
	if p.Type == Inclusion {
		if err := checkInclusion(p.Hashes, c, p.Commit, *p.Leaf); err != nil {
			return Checkpoint{}, err
		}
		if earlier != nil {
			return c, checkContinues(c, *earlier, nil)
		}
		return c, nil
	}
	if earlier == nil {
		return Checkpoint{}, fmt.Errorf("%w: a proof of consistency is checked against the earlier checkpoint; give it", ErrNoProof)
	}
	return c, checkContinues(c, *earlier, []Step{{From: p.From, Hashes: p.Hashes}})
}

// checkInclusion shows that a commit is in the tree of a checkpoint.
func checkInclusion(proof []Hash, c Checkpoint, commit uint64, leaf Hash) error {
	if commit == 0 || commit > c.Size {
		return fmt.Errorf("%w: commit %d is not among the %d of the checkpoint", ErrProof, commit, c.Size)
	}
	if tlog.CheckRecord(proof, int64(c.Size), c.Root, int64(commit)-1, leaf) != nil {
		return fmt.Errorf("%w: commit %d is not in the tree of the checkpoint", ErrProof, commit)
	}
	return nil
}

// Continues shows that a checkpoint is of the same tree as a kept one, or of one that
// continues it, as far as that can be told without a proof: when both have the same
// size. Errors: [ErrProof], [ErrContradiction], [ErrNoProof].
func (c Checkpoint) Continues(kept Checkpoint) error { return checkContinues(c, kept, nil) }

// Step is the hashes that take a tree of an earlier size to that of a checkpoint.
type Step struct {
	From   uint64 `json:"from"`
	Hashes []Hash `json:"proof"`
}

// checkContinues shows by one of the steps that a checkpoint continues an earlier
// one.
func checkContinues(c, earlier Checkpoint, steps []Step) error {
	switch {
	case c.Origin != earlier.Origin:
		return fmt.Errorf("%w: the kept checkpoint is of %s, this is of %s", ErrContradiction, earlier.Origin, c.Origin)
	case earlier.Size > c.Size:
		return fmt.Errorf("%w: the kept checkpoint covers %d commits, this only %d; ask for newer evidence", ErrNoProof, earlier.Size, c.Size)
	case earlier.Size == c.Size && earlier.Root != c.Root:
		return fmt.Errorf("%w: two checkpoints of %d commits have different roots: history was rewritten", ErrProof, c.Size)
	case earlier.Size == c.Size:
		return nil
	case earlier.Size == 0:
		if earlier.Root != emptyRoot {
			return fmt.Errorf("%w: the kept checkpoint of no commits has a root of some", ErrProof)
		}
		return nil
	}
	for _, s := range steps {
		if s.From != earlier.Size {
			continue
		}
		if tlog.CheckTree(s.Hashes, int64(c.Size), c.Root, int64(earlier.Size), earlier.Root) != nil {
			return rewritten(c, earlier)
		}
		return nil
	}
	return fmt.Errorf("%w of %d commits; ask the ledger for one that begins there (--from)", ErrNoProof, earlier.Size)
}

func rewritten(c, earlier Checkpoint) error {
	return fmt.Errorf("%w: the ledger of %d commits does not continue the one of %d that was kept: history was rewritten", ErrProof, c.Size, earlier.Size)
}

// MaxSize bounds a proof or a receipt, in bytes. An order's commit alone may have a
// megabyte.
const MaxSize = 64 << 20

// parseJSON reads one JSON value that has no member that v does not know.
func parseJSON(what string, b []byte, v any) error {
	if len(b) > MaxSize {
		return fmt.Errorf("%w: %s of more than %d bytes", ErrMalformed, what, MaxSize)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %s is not the JSON it should be", ErrMalformed, what)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w: something follows %s", ErrMalformed, what)
	}
	return nil
}
