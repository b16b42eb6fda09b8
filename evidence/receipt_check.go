package evidence

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// Report is what a receipt was found to show.
type Report struct {
	Claims     Claims
	Checkpoint Checkpoint
	Statement  Statement
	Enrolled   int  // holders that were enrolled before the order; each acknowledged
	Continues  bool // a kept checkpoint, which was given
}

// Check checks everything that a receipt says, with the ledger's public key alone:
// that its parts are signed and of one tree; that every commit it has is in that
// tree; that the order stands there, with the scope and the people that are
// claimed; that every holder that was enrolled before it acknowledged it after it,
// without residue, a vault and a people view among them; and, given one, that the
// tree continues a kept checkpoint.
//
// That the receipt names every enrolment before the order is the signer's word.
// Whoever has the ledger can check it; a receipt that leaves one out is signed
// proof of it.
//
// Errors: [ErrMalformed], [ErrSignature], [ErrProof], [ErrContradiction],
// [ErrIncomplete], [ErrNoProof].
func (r Receipt) Check(keys Keys, kept *Checkpoint) (Report, error) {
	found := Report{}
	var err error
	if found.Checkpoint, err = OpenCheckpoint([]byte(r.Checkpoint), keys); err != nil {
		return Report{}, err
	}
	if found.Claims, err = openClaims([]byte(r.Claims), keys); err != nil {
		return Report{}, err
	}
	if found.Statement, err = OpenStatement([]byte(r.Statement), keys); err != nil {
		return Report{}, err
	}
	if found.Claims.Tree != found.Checkpoint || found.Statement.Tree != found.Checkpoint {
		return Report{}, fmt.Errorf("%w: receipt, counts and checkpoint are not of one tree", ErrContradiction)
	}
	if d := found.Statement.District; d != found.Claims.District {
		return Report{}, fmt.Errorf("%w: the counts are of district %s, the freeze of %s", ErrContradiction, districtText(d), districtText(found.Claims.District))
	}
	orders, err := r.proven(found.Checkpoint)
	if err != nil {
		return Report{}, err
	}
	if found.Enrolled, err = orders.bearOut(found.Claims); err != nil {
		return Report{}, err
	}
	if kept != nil {
		if err := r.continues(found.Checkpoint, *kept); err != nil {
			return Report{}, err
		}
		found.Continues = true
	}
	return found, nil
}

// proven decodes the commits that are in the tree.
func (r Receipt) proven(tree Checkpoint) (ordersFound, error) {
	found := ordersFound{enrolled: map[string]uint64{}, purged: map[string][]acknowledgement{}}
	last := uint64(0)
	for _, p := range r.Commits {
		if p.Commit <= last {
			return found, fmt.Errorf("%w: the commits are not in their order", ErrMalformed)
		}
		last = p.Commit
		if err := checkInclusion(p.Hashes, tree, p.Commit, LeafHash(p.Stored)); err != nil {
			return found, err
		}
		commit, err := eventstore.Decode(p.Stored)
		if err != nil {
			return found, fmt.Errorf("%w: commit %d: %w", ErrMalformed, p.Commit, err)
		}
		if commit.District != 0 {
			return found, fmt.Errorf("%w: commit %d holds no orders", ErrContradiction, p.Commit)
		}
		for _, e := range commit.Entries {
			found.add(p.Commit, e)
		}
	}
	return found, nil
}

// ordersFound is what the proven commits say.
type ordersFound struct {
	enrolled  map[string]uint64 // holder → the first commit that enrolled it
	orders    []ordered
	handovers []handedOver
	purged    map[string][]acknowledgement // by holder
}

type ordered struct {
	commit uint64
	domain.FreezeOrdered
}

type handedOver struct {
	commit uint64
	domain.HandoverMade
}

type acknowledgement struct {
	commit   uint64
	recorded time.Time
	domain.Purged
}

func (o *ordersFound) add(commit uint64, e eventstore.Entry) {
	switch event := e.Event.(type) {
	case domain.HolderEnrolled:
		if _, known := o.enrolled[event.Holder]; !known {
			o.enrolled[event.Holder] = commit
		}
	case domain.FreezeOrdered:
		o.orders = append(o.orders, ordered{commit, event})
	case domain.HandoverMade:
		o.handovers = append(o.handovers, handedOver{commit, event})
	case domain.Purged:
		o.purged[event.Holder] = append(o.purged[event.Holder], acknowledgement{commit, e.Recorded, event})
	}
}

// bearOut holds what a receipt claims against what is proven, and returns how many
// holders there were.
func (o *ordersFound) bearOut(c Claims) (enrolled int, err error) {
	if err := o.orderedAs(c); err != nil {
		return 0, err
	}
	if err := o.handedOverAs(c); err != nil {
		return 0, err
	}
	var vault, people bool
	for holder, commit := range o.enrolled {
		if commit >= c.Order {
			continue // it was enrolled when there was nothing left to hold
		}
		enrolled++
		vault = vault || strings.HasPrefix(holder, "vault@")
		people = people || strings.HasPrefix(holder, "people@")
		if !slices.ContainsFunc(c.Holders, func(h HolderClaim) bool { return h.Name == holder && h.Enrolled == commit }) {
			return 0, fmt.Errorf("%w: %s was enrolled in commit %d, before the order, and is not among the holders", ErrIncomplete, holder, commit)
		}
	}
	if !vault || !people {
		return 0, fmt.Errorf("%w: before the order neither a vault nor a people view, or only one of them, was enrolled", ErrIncomplete)
	}
	return enrolled, o.acknowledgedAs(c)
}

func (o *ordersFound) orderedAs(c Claims) error {
	at := slices.IndexFunc(o.orders, func(f ordered) bool { return f.commit == c.Order && f.Freeze == c.Freeze })
	if at < 0 {
		return fmt.Errorf("%w: the order of freeze %s is not in commit %d", ErrIncomplete, c.Freeze, c.Order)
	}
	order := o.orders[at]
	var people int64
	for _, cohort := range order.Cohorts {
		people += cohort.People
	}
	switch {
	case order.District != c.District, !slices.Equal(order.Groups, c.Groups), order.Standing != c.Standing, order.Mode != c.Mode:
		return fmt.Errorf("%w: the order has another scope or mode than the receipt", ErrContradiction)
	case people != c.People:
		return fmt.Errorf("%w: %d people by the receipt, %d by the order", ErrContradiction, c.People, people)
	}
	return nil
}

func (o *ordersFound) handedOverAs(c Claims) error {
	if c.Handover == nil {
		if c.Mode == domain.Handover {
			return fmt.Errorf("%w: nothing says that the keys were handed over", ErrIncomplete)
		}
		return nil
	}
	if !slices.ContainsFunc(o.handovers, func(h handedOver) bool {
		return h.Freeze == c.Freeze && h.commit == c.Handover.Commit && h.SHA256 == c.Handover.SHA256 && h.commit > c.Order
	}) {
		return fmt.Errorf("%w: the handover is not in commit %d", ErrIncomplete, c.Handover.Commit)
	}
	return nil
}

// acknowledgedAs checks every holder that is claimed, and when the last was heard.
func (o *ordersFound) acknowledgedAs(c Claims) error {
	var last time.Time
	for i, h := range c.Holders {
		if i > 0 && h.Name <= c.Holders[i-1].Name {
			return fmt.Errorf("%w: the holders are not in the order of their names", ErrMalformed)
		}
		if commit, ok := o.enrolled[h.Name]; !ok || commit != h.Enrolled {
			return fmt.Errorf("%w: the enrolment of %s is not in commit %d", ErrIncomplete, h.Name, h.Enrolled)
		}
		at := slices.IndexFunc(o.purged[h.Name], func(a acknowledgement) bool { return a.commit == h.Acknowledged && a.Freeze == c.Freeze })
		if at < 0 {
			return fmt.Errorf("%w: %s has not acknowledged it in commit %d", ErrIncomplete, h.Name, h.Acknowledged)
		}
		a := o.purged[h.Name][at]
		switch {
		case a.commit <= c.Order:
			return fmt.Errorf("%w: %s acknowledged it in commit %d, before the order", ErrIncomplete, h.Name, a.commit)
		case a.Residue != 0:
			return fmt.Errorf("%w: %s found residue in %d files", ErrIncomplete, h.Name, a.Residue)
		case strings.HasPrefix(h.Name, "vault@") && c.Handover != nil && a.commit < c.Handover.Commit:
			return fmt.Errorf("%w: %s destroyed the keys before they were handed over", ErrContradiction, h.Name)
		}
		if a.recorded.After(last) {
			last = a.recorded
		}
	}
	if !last.Equal(c.Completed) {
		return fmt.Errorf("%w: the last acknowledgement was recorded at another time than the receipt says", ErrContradiction)
	}
	return nil
}

// continues shows that the receipt's tree continues a kept checkpoint: by the end
// of the tree where it reaches back so far, or else by one of the steps.
func (r Receipt) continues(tree, kept Checkpoint) error {
	if kept.Origin != tree.Origin || kept.Size >= tree.Size || kept.Size < r.Recent.Size {
		return checkContinues(tree, kept, r.Earlier)
	}
	edge, err := NewEdge(r.Recent.Size, r.Recent.Edge)
	if err != nil {
		return err
	}
	then := edge.Root() // of the kept size, once the edge has passed it
	for _, leaf := range r.Recent.Leaves {
		edge.Append(leaf, nil)
		if edge.Size() == kept.Size {
			then = edge.Root()
		}
	}
	switch {
	case edge.Size() != tree.Size || edge.Root() != tree.Root:
		return fmt.Errorf("%w: the end of the tree does not lead to its root", ErrProof)
	case then != kept.Root:
		return rewritten(tree, kept)
	}
	return nil
}
