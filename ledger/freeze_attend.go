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

// attendPause is how long orders that cannot be read are left alone.
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
// purges its own people view and destroys its own keys, and acknowledges.
func (l *Ledger) attendFreezes() {
	after := l.register.Folded()
	l.attending.Go(func() {
		ctx := l.following
		// An order may have been folded while earlier freezes were resumed.
		if err := l.attend(ctx); err != nil && ctx.Err() == nil {
			l.log.Error(notAttended, "error", err)
		}
		for ctx.Err() == nil {
			for order, err := range l.store.Read(ctx, eventstore.Reading{After: after, Only: eventstore.Filter{Orders: true}, Follow: true}) {
				if err == nil {
					after = order.Sequence
					err = l.attend(ctx)
				}
				if ctx.Err() != nil || errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					l.log.Error(notAttended, "error", err)
				}
			}
			select { // the orders could not be read
			case <-time.After(attendPause):
			case <-ctx.Done():
			}
		}
	})
}

const notAttended = "a freeze that another node ordered is not complete here; it is resumed at the next start"

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
