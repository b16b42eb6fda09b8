package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/evidence"
	"bahi/projections"
)

// Prove shows that a commit is in the ledger. Errors: ErrNotFound.
func (l *Ledger) Prove(ctx context.Context, commit uint64) (evidence.Proof, error) {
	signed, err := l.freshCheckpoint(ctx)
	if err != nil {
		return evidence.Proof{}, err
	}
	if commit == 0 || commit > signed.Size {
		return evidence.Proof{}, fmt.Errorf("the ledger has no commit %d: %w", commit, ErrNotFound)
	}
	leaves, err := l.merkle.Leaves(commit-1, commit)
	if err != nil {
		return evidence.Proof{}, err
	}
	hashes, err := l.merkle.ProveRecord(commit-1, signed.Size)
	if err != nil {
		return evidence.Proof{}, err
	}
	return evidence.Proof{Type: evidence.Inclusion, Commit: commit, Leaf: &leaves[0], Hashes: listed(hashes), Checkpoint: signed.text}, nil
}

// ProveFrom shows that the ledger continues what its first so many commits were.
// It does not look at what an auditor believes them to be: the proof tells.
// Errors: ErrNotFound when the ledger never had so many.
func (l *Ledger) ProveFrom(ctx context.Context, size uint64) (evidence.Proof, error) {
	signed, err := l.freshCheckpoint(ctx)
	if err != nil {
		return evidence.Proof{}, err
	}
	hashes, err := l.stepFrom(size, signed.Size)
	if err != nil {
		return evidence.Proof{}, err
	}
	return evidence.Proof{Type: evidence.Consistency, From: size, Hashes: hashes, Checkpoint: signed.text}, nil
}

func (l *Ledger) stepFrom(size, to uint64) ([]evidence.Hash, error) {
	if size > to {
		return nil, fmt.Errorf("the ledger has %d commits, and no history from %d: %w", to, size, ErrNotFound)
	}
	hashes, err := l.merkle.ProveTree(size, to)
	return listed(hashes), err
}

// listed makes an empty list of none, as JSON has it.
func listed(hashes []evidence.Hash) []evidence.Hash {
	if hashes == nil {
		return []evidence.Hash{}
	}
	return hashes
}

// CountStatement answers a count query, without a breakdown, as a signed note that
// names the tree that was counted. See [evidence.Statement].
func (l *Ledger) CountStatement(ctx context.Context, q projections.CountsQuery) ([]byte, error) {
	if len(q.By) > 0 {
		return nil, fmt.Errorf("%w: a signed statement has no rows; leave the breakdown out", ErrBadRequest)
	}
	if l.origin() == "" { // or another node has founded it meanwhile
		if _, err := l.freshCheckpoint(ctx); err != nil {
			return nil, err
		}
	}
	if q.AsKnown.IsZero() {
		q.AsKnown = l.knownNow()
	}
	s, err := l.statement(ctx, q)
	if err != nil {
		return nil, err
	}
	return l.signStatement(s)
}

func (l *Ledger) signStatement(s evidence.Statement) ([]byte, error) {
	key, err := l.vault.Signer(s.Tree.Origin)
	if err != nil {
		return nil, err
	}
	return s.Sign(key)
}

// statement counts, and names the tree of exactly the commits that were counted.
func (l *Ledger) statement(ctx context.Context, q projections.CountsQuery) (evidence.Statement, error) {
	counted, err := l.Counts(ctx, q)
	if err != nil {
		return evidence.Statement{}, err
	}
	if err := l.runner.Wait(ctx, counted.Through, l.merkle); err != nil {
		return evidence.Statement{}, err
	}
	tree, err := l.tree(counted.Through)
	if err != nil {
		return evidence.Statement{}, err
	}
	f := counted.Figures
	return evidence.Statement{
		Tree: tree, District: counted.District, AsOf: counted.AsOf, AsKnown: counted.AsKnown, Rules: l.rules.Version(),
		Figures: evidence.Figures{
			Registered: f.Registered, Dose1: f.Dose1, Dose2: f.Dose2, Dose3: f.Dose3, Precaution: f.Precaution,
			Unvaccinated: f.Unvaccinated, Partial: f.Partial, Full: f.Full, Frozen: f.Frozen, PendingReversals: f.PendingReversals,
		},
	}, nil
}

// receiptPath is where the signed receipt of a freeze is kept.
func (l *Ledger) receiptPath(id domain.UUID) string {
	return filepath.Join(l.config.Data, "receipts", id.String()+".receipt")
}

// keepReceipt signs the receipt of a freeze that is carried out, and keeps it. One
// that is there stays: it holds for ever.
func (l *Ledger) keepReceipt(ctx context.Context, id domain.UUID) (path string, err error) {
	path = l.receiptPath(id)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	receipt, err := l.Receipt(ctx, id)
	if err != nil {
		return "", err
	}
	text, err := receipt.Marshal()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return path, replaceFile(path, text)
}

// Receipt makes the signed receipt of a freeze, of the ledger as it is now. From are
// the sizes of earlier checkpoints that it is to be seen to continue; those of the
// last thousand commits need not be given.
//
// Errors: ErrNotFound; [*AwaitedError] when a holder has not acknowledged it.
func (l *Ledger) Receipt(ctx context.Context, id domain.UUID, from ...uint64) (evidence.Receipt, error) {
	f, ok := l.freeze(id)
	if !ok {
		return evidence.Receipt{}, fmt.Errorf("freeze %s: %w", id, ErrNotFound)
	}
	if awaited := f.Awaits(); len(awaited) > 0 {
		return evidence.Receipt{}, &AwaitedError{Holders: awaited}
	}
	if err := l.caughtUp(ctx, l.merkle); err != nil {
		return evidence.Receipt{}, err
	}
	counted, err := l.statement(ctx, projections.CountsQuery{District: f.Order.District})
	if err != nil {
		return evidence.Receipt{}, err
	}
	claims, commits, err := l.claims(ctx, f, counted.Tree)
	if err != nil {
		return evidence.Receipt{}, err
	}
	receipt, err := l.assemble(counted.Tree, commits, from)
	if err != nil {
		return evidence.Receipt{}, err
	}
	key, err := l.vault.Signer(counted.Tree.Origin)
	if err != nil {
		return evidence.Receipt{}, err
	}
	statement, err := counted.Sign(key)
	if err != nil {
		return evidence.Receipt{}, err
	}
	checkpoint, err := counted.Tree.Sign(key)
	if err != nil {
		return evidence.Receipt{}, err
	}
	receipt.Statement, receipt.Checkpoint = string(statement), string(checkpoint)
	return receipt.Write(claims, key)
}

// claims reads the orders of the ledger, and returns what a receipt claims and the
// commits that bear it out.
func (l *Ledger) claims(ctx context.Context, f projections.FreezeState, tree evidence.Checkpoint) (evidence.Claims, []eventstore.Commit, error) {
	o := f.Order
	c := evidence.Claims{
		Tree: tree, Freeze: o.Freeze, District: o.District, Groups: o.Groups, Standing: o.Standing, Mode: o.Mode, Order: f.Sequence,
	}
	for _, size := range o.Cohorts {
		c.People += size.People
	}
	holders := map[string]*evidence.HolderClaim{}
	var commits []eventstore.Commit
	for commit, err := range l.store.Read(ctx, eventstore.Reading{Through: tree.Size, Only: eventstore.Filter{Orders: true}}) {
		if err != nil {
			return c, nil, err
		}
		needed := commit.Sequence == f.Sequence
		for _, e := range commit.Entries {
			switch event := e.Event.(type) {
			case domain.HolderEnrolled:
				if holders[event.Holder] == nil && commit.Sequence < f.Sequence {
					holders[event.Holder] = &evidence.HolderClaim{Name: event.Holder, Enrolled: commit.Sequence}
					needed = true
				}
			case domain.HandoverMade:
				if event.Freeze == o.Freeze && c.Handover == nil {
					c.Handover = &evidence.HandoverClaim{Commit: commit.Sequence, SHA256: event.SHA256}
					needed = true
				}
			case domain.Purged:
				if h := holders[event.Holder]; event.Freeze == o.Freeze && h != nil && h.Acknowledged == 0 {
					h.Acknowledged = commit.Sequence
					if e.Recorded.After(c.Completed) {
						c.Completed = e.Recorded
					}
					needed = true
				}
			}
		}
		if needed {
			commits = append(commits, commit)
		}
	}
	for _, h := range holders {
		c.Holders = append(c.Holders, *h)
	}
	slices.SortFunc(c.Holders, func(a, b evidence.HolderClaim) int { return strings.Compare(a.Name, b.Name) })
	return c, commits, nil
}

// assemble proves the commits, and adds what shows that earlier checkpoints are
// continued.
func (l *Ledger) assemble(tree evidence.Checkpoint, commits []eventstore.Commit, from []uint64) (r evidence.Receipt, err error) {
	for _, c := range commits {
		hashes, err := l.merkle.ProveRecord(c.Sequence-1, tree.Size)
		if err != nil {
			return r, err
		}
		r.Commits = append(r.Commits, evidence.Proven{Commit: c.Sequence, Stored: c.Stored, Hashes: listed(hashes)})
	}
	r.Recent.Size = tree.Size - min(tree.Size, evidence.MaxRecent)
	if r.Recent.Edge, err = l.merkle.Edge(r.Recent.Size); err != nil {
		return r, err
	}
	if r.Recent.Leaves, err = l.merkle.Leaves(r.Recent.Size, tree.Size); err != nil {
		return r, err
	}
	for _, size := range from {
		hashes, err := l.stepFrom(size, tree.Size)
		if err != nil {
			return r, err
		}
		r.Earlier = append(r.Earlier, evidence.Step{From: size, Hashes: hashes})
	}
	return r, nil
}

// tryReceipt keeps the receipt of a freeze that is carried out. The freeze holds
// without it, and it can be asked for later.
func (l *Ledger) tryReceipt(ctx context.Context, id domain.UUID) (path string) {
	path, err := l.keepReceipt(ctx, id)
	if awaited := (*AwaitedError)(nil); err != nil && !errors.As(err, &awaited) {
		l.log.Error("the receipt of a freeze could not be written; ask for it with: bahi receipt get", "freeze", id.String(), "error", err)
	}
	return path
}
