package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// launch appends the next commit, or, when nothing in it is to be appended,
// answers what was decided.
func (c *committer) launch() {
	f := c.next
	c.next, c.scanned = nil, 0
	clear(c.blocked)
	if len(f.commit.Entries) == 0 {
		c.answerUnfenced(f)
		return
	}
	if err := f.keepPhotoIDs(); err != nil {
		f.answer(err)
		return
	}
	c.inflight = f
	c.send(f, 0)
}

// answerUnfenced answers what leads to no commit. Everything of this node that it
// rests on is flushed by now; what other nodes have written, which a commit would
// have met as a conflict, is looked for.
func (c *committer) answerUnfenced(f *flight) {
	if c.config.NATS == "" { // nobody else writes
		f.answer(nil)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), appendTimeout)
	defer cancel()
	before := c.register.Folded()
	_, err := c.foldTail(ctx, [16]byte{})
	if c.register.Folded() != before {
		c.requeue(f)
		return
	}
	f.answer(err)
}

// keep notes the photo ID of somebody who is born closed.
func (f *flight) keep(c domain.Cohort, t domain.PhotoIDToken) {
	if f.closed == nil {
		f.closed = map[domain.Cohort][]domain.PhotoIDToken{}
	}
	f.closed[c] = append(f.closed[c], t)
}

// keepPhotoIDs ends a commit with the photo IDs of those who were born closed in
// it, as sorted sets without persons, so that nobody registers twice. In a
// commit of one the set still tells whose it is.
func (f *flight) keepPhotoIDs() error {
	for c, tokens := range f.closed {
		slices.SortFunc(tokens, func(a, b domain.PhotoIDToken) int { return bytes.Compare(a[:], b[:]) })
		last := f.commit.Entries[len(f.commit.Entries)-1]
		kept := eventstore.Entry{Recorded: last.Recorded, Event: domain.PhotoIDsKept{Cohort: c, Tokens: tokens}}
		if err := f.draft.Add(kept, nil); err != nil {
			return err
		}
		f.commit.Entries = append(f.commit.Entries, kept)
	}
	return nil
}

func (c *committer) send(f *flight, pause time.Duration) {
	f.attempts++
	expected := f.draft.Sequence() - 1
	go func() {
		time.Sleep(pause)
		ctx, cancel := context.WithTimeout(context.Background(), appendTimeout)
		defer cancel()
		err := c.seal(f)
		if err == nil {
			_, err = c.append(ctx, f.commit, expected)
		}
		f.outcome <- err
	}()
}

// answer settles every ask of the flight.
func (f *flight) answer(err error) {
	for _, a := range f.answers {
		if a.err == nil {
			a.err = err
		}
		a.ask.batch.settle(a.err)
	}
}

// land takes the outcome of the commit in flight.
func (c *committer) land(err error) {
	f := c.inflight
	if err == nil {
		c.silent = time.Time{}
		if err = c.register.Accept(f.draft); err != nil {
			// The commit is in the ledger; the register folds it again from there.
			err = fmt.Errorf("the commit is stored, but the register could not be written: %w", err)
		}
		c.inflight = nil
		f.answer(err)
		if err != nil {
			c.redecide()
		}
		clear(f.commit.Entries)
		clear(f.answers)
		f.draft, f.closed = nil, nil
		c.landed = f
		return
	}
	c.resolve(f, err)
}

// resolve finds out what became of a commit whose append failed. A commit can be
// stored and reported lost; its id, found while folding to the head, tells.
func (c *committer) resolve(f *flight, cause error) {
	ctx, cancel := context.WithTimeout(context.Background(), appendTimeout)
	defer cancel()
	before := c.register.Folded()
	stored, err := c.foldTail(ctx, f.commit.ID)
	switch {
	case stored:
		c.inflight = nil
		f.answer(nil)
		c.redecide()
	case f.attempts >= maxSends || !again(cause):
		c.inflight = nil
		f.answer(undecided(cause))
		c.redecide()
	case err == nil && c.register.Folded() == before:
		// Nothing new at the head: perhaps the commit is still on its way. The
		// same commit is sent again, under the same expectation and id: at most
		// one of the two is stored.
		c.send(f, 0)
	case err != nil && c.silentFor() > c.silence:
		c.inflight = nil
		f.answer(fmt.Errorf("%w (%w)", ErrUndecided, err))
		c.redecide()
	case c.register.Folded() == before:
		// Nor can it be read whether it is there. The same is sent until it can,
		// so that what was stored is not decided, and told, as a duplicate.
		if c.silent.IsZero() {
			c.silent = time.Now()
			c.log.Warn("the ledger cannot be read", "error", err)
		}
		f.attempts--
		c.send(f, silencePause)
	default:
		c.inflight = nil
		c.redecide() // first, so that f comes to stand before it
		c.requeue(f)
	}
}

// silentFor is how long the ledger could not be read.
func (c *committer) silentFor() time.Duration {
	if c.silent.IsZero() {
		return 0
	}
	return time.Since(c.silent)
}

// again tells whether an append that failed so may succeed later.
func again(cause error) bool {
	return errors.Is(cause, eventstore.ErrConflict) || errors.Is(cause, eventstore.ErrUnknownOutcome) || errors.Is(cause, eventstore.ErrUnreachable)
}

func undecided(cause error) error {
	if errors.Is(cause, eventstore.ErrUnknownOutcome) {
		return fmt.Errorf("%w (%w)", ErrUndecided, cause)
	}
	return cause // nothing was stored
}

// redecide puts what was decided on top of a commit that is not there, or on an
// older register, back to the head of the queue.
func (c *committer) redecide() {
	if c.next != nil {
		f := c.next
		c.next = nil
		c.requeue(f)
	}
	c.scanned = 0
	clear(c.blocked)
}

func (c *committer) requeue(f *flight) {
	back := make([]*ask, 0, len(f.answers)+len(c.waiting))
	for _, a := range f.answers {
		if a.ask.tries++; a.ask.tries > maxTries {
			a.ask.batch.settle(ErrUndecided)
			continue
		}
		back = append(back, a.ask)
	}
	c.waiting = append(back, c.waiting...)
	c.scanned = 0
	clear(c.blocked)
}

// foldForOthers folds what other writers have appended, for those who asked. Nothing
// is in flight.
func (c *committer) foldForOthers() {
	if len(c.refreshing) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), appendTimeout)
	defer cancel()
	before := c.register.Folded()
	_, err := c.foldTail(ctx, [16]byte{})
	if c.register.Folded() != before {
		c.redecide()
	}
	for _, asked := range c.refreshing {
		asked <- err
	}
	c.refreshing = nil
}

// foldTail folds the register to the head and tells whether it met the commit
// with that id. Orders are told first: a freeze further on may have destroyed the
// keys of what is registered before it.
func (c *committer) foldTail(ctx context.Context, id [16]byte) (met bool, err error) {
	defer func() {
		if err == nil {
			c.silent = time.Time{}
		}
	}()
	head, err := c.store.Head(ctx)
	if err != nil || head <= c.register.Folded() {
		return false, err
	}
	tail := eventstore.Reading{After: c.register.Folded(), Through: head}
	ordersOnly := tail
	ordersOnly.Only.Orders = true
	var orders []eventstore.Commit
	for order, err := range c.store.Read(ctx, ordersOnly) {
		if err != nil {
			return false, err
		}
		orders = append(orders, order)
	}
	if err := c.register.Foresee(orders...); err != nil {
		return false, err
	}
	for commit, err := range c.store.Read(ctx, tail) {
		if err != nil {
			return met, err
		}
		if err := c.register.Fold(ctx, commit); err != nil {
			return met, err
		}
		met = met || commit.ID == id
	}
	return met, nil
}
