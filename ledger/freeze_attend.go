package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/projections"
)

// holdersPatience is how long the node that carries a freeze out waits for the
// acknowledgements of others.
const holdersPatience = 30 * time.Second

// attendPause is how long what could not be attended to is left alone.
const attendPause = 5 * time.Second

// AwaitedError says that a freeze holds, and that some holders have not
// acknowledged it yet: their nodes do when they next run.
type AwaitedError struct {
	Holders []string
}

func (e *AwaitedError) Error() string {
	return fmt.Sprintf("the freeze holds, but these holders have not acknowledged it: %s; start their nodes, then order the same freeze again for its receipt", strings.Join(e.Holders, ", "))
}

// awaitHolders waits until every holder that was enrolled at the order has
// acknowledged the freeze.
func (l *Ledger) awaitHolders(ctx context.Context, id domain.UUID) (projections.FreezeState, error) {
	f, _ := l.freeze(id)
	if len(f.Awaits()) == 0 {
		return f, nil
	}
	waiting, cancel := context.WithTimeout(ctx, holdersPatience)
	defer cancel()
	for _, err := range l.store.Read(waiting, eventstore.Reading{After: f.Sequence, Only: eventstore.Filter{Orders: true}, Follow: true}) {
		if err == nil {
			err = l.refresh(waiting)
		}
		if err != nil && waiting.Err() == nil {
			return f, err
		}
		if f, _ = l.freeze(id); len(f.Awaits()) == 0 {
			return f, nil
		}
	}
	if ctx.Err() != nil {
		return f, ctx.Err()
	}
	return f, &AwaitedError{Holders: f.Awaits()}
}

// attendFreezes carries this node's part of freezes that other nodes order: it
// purges its own people view and destroys its own keys, and acknowledges. What cannot
// be done is tried again: a server that is away does not have it wait for the next
// order, of which there may be none for years.
func (l *Ledger) attendFreezes() {
	after := l.register.Folded()
	l.attending.Go(func() {
		said := ""
		for {
			err := l.attendOrders(l.following, &after)
			if l.following.Err() != nil || errors.Is(err, ErrClosed) {
				return
			}
			if now := fmt.Sprint(err); now != said {
				l.log.Error(notAttended, "error", err)
				said = now
			}
			select {
			case <-time.After(l.pause):
			case <-l.following.Done():
			}
		}
	})
}

const notAttended = "a freeze that another node ordered is not complete here; it is tried again"

// attendOrders attends to what is ordered, for an order may have been folded while
// earlier freezes were resumed, and then to every order behind after as it comes. It
// returns when it cannot; after is then what it has attended to.
func (l *Ledger) attendOrders(ctx context.Context, after *uint64) error {
	if err := l.attend(ctx); err != nil {
		return err
	}
	for order, err := range l.store.Read(ctx, eventstore.Reading{After: *after, Only: eventstore.Filter{Orders: true}, Follow: true}) {
		if err == nil {
			err = l.attend(ctx)
		}
		if err != nil {
			return err
		}
		*after = order.Sequence
	}
	return nil
}

// attend does what is due of this node's part. It waits for a freeze that this
// node carries out: no further order may come to remind it.
func (l *Ledger) attend(ctx context.Context) error {
	l.freezing.Lock()
	defer l.freezing.Unlock()
	if err := l.refresh(ctx); err != nil {
		return err
	}
	for _, f := range l.register.Freezes() {
		if err := l.ownPart(ctx, f); err != nil {
			return fmt.Errorf("freeze %s: %w", f.Order.Freeze, err)
		}
	}
	return nil
}

// ownPart purges this node's views, and destroys its keys once whoever carries
// the freeze out needs no keys any more.
func (l *Ledger) ownPart(ctx context.Context, f projections.FreezeState) error {
	if f.PhotoIDsComplete {
		if err := l.purgeRegister(ctx, f); err != nil {
			return err
		}
	}
	if f.PhotoIDsComplete && (f.Handover != nil || f.Order.Mode == domain.Erase) && (f.Rekeyed > 0 || !f.Order.ListsPersons()) {
		if err := l.destroyKeys(ctx, f); err != nil {
			return err
		}
	}
	return l.purgePeople(ctx, f)
}
