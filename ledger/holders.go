package ledger

import (
	"context"
	"errors"
	"slices"
	"time"

	"bahi/domain"
	"bahi/projections"
)

// Holder is a holder of what a freeze ends that is above the ledger and no node's
// own, such as a stream in which bundles wait. It is enrolled like the ledger's own
// holders: every freeze that is ordered later waits for its acknowledgement.
type Holder struct {
	Name string

	// Purge ends what the holder has of a freeze's scope, and returns how many
	// rows that were. It is called after the cohorts' keys are destroyed, never
	// twice at a time, and again after a crash: what is done already is no
	// error. What it cannot end yet it answers with [ErrWaits]; the freeze then
	// holds, its receipt waits, and Purge is called again.
	Purge func(context.Context, domain.FreezeOrdered) (rows int64, err error)

	// PurgeAgain, where there is one, is called at the start with the freezes that
	// the holder has acknowledged, in ledger order. What is there again of their
	// scope was put back from somewhere: it ends again. It returns how many keys
	// or rows that were.
	PurgeAgain func(context.Context, []domain.FreezeOrdered) (back int, err error)
}

// ErrWaits is what a [Holder] answers when it can end its part only later.
var ErrWaits = errors.New("a part of the freeze waits")

// pauseOfWaiting is how long a holder that answered ErrWaits is left alone.
const pauseOfWaiting = 500 * time.Millisecond

// dueOf tells whether that freeze waits for this holder.
func (h Holder) dueOf(f projections.FreezeState) bool {
	return slices.Contains(f.Holders, h.Name) && !f.PurgedBy(h.Name)
}

// purgeHolders has the holders above the ledger purge, one after another. One that
// waits holds up those after it, and is no error.
func (l *Ledger) purgeHolders(ctx context.Context, f projections.FreezeState) error {
	for _, h := range l.above {
		if !h.dueOf(f) {
			continue
		}
		rows, err := h.Purge(ctx, f.Order)
		if errors.Is(err, ErrWaits) {
			l.log.Warn("the freeze holds, and its receipt waits", "freeze", f.Order.Freeze.String(), "holder", h.Name, "reason", err)
			l.waiting.Store(true)
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.note(ctx, 0, f.Recorded, domain.Purged{Freeze: f.Order.Freeze, Holder: h.Name, Rows: rows}); err != nil {
			return err
		}
	}
	return nil
}

// purgeAgain has the holders above the ledger see to it that what they ended once is
// not there again.
func (l *Ledger) purgeAgain(ctx context.Context) error {
	for _, h := range l.above {
		if h.PurgeAgain == nil {
			continue
		}
		var ended []domain.FreezeOrdered
		for _, f := range l.register.Freezes() {
			if f.PurgedBy(h.Name) {
				ended = append(ended, f.Order)
			}
		}
		back, err := h.PurgeAgain(ctx, ended)
		if err != nil {
			return err
		}
		if back > 0 {
			l.log.Error("WHAT A FREEZE HAD ENDED WAS PUT BACK; it is ended again", "holder", h.Name, "count", back)
		}
	}
	return nil
}

// attendHolders calls again the holders that answered this node that they wait.
func (l *Ledger) attendHolders() {
	if len(l.above) == 0 {
		return
	}
	l.attending.Go(func() {
		pause := time.NewTicker(pauseOfWaiting)
		defer pause.Stop()
		for {
			select {
			case <-l.following.Done():
				return
			case <-pause.C:
			}
			if l.waiting.Load() && l.freezing.TryLock() {
				l.waiting.Store(false)
				for _, f := range l.register.Freezes() {
					l.again(l.following, f)
				}
				l.freezing.Unlock()
			}
		}
	})
}

// again has the holders above the ledger purge that a freeze waits for, after this
// node has done everything else.
func (l *Ledger) again(ctx context.Context, f projections.FreezeState) {
	if l.done(f) || slices.ContainsFunc(l.holders(), func(h string) bool { return !f.PurgedBy(h) }) {
		return
	}
	err := l.purgeHolders(ctx, f)
	if f, _ = l.freeze(f.Order.Freeze); err == nil && len(f.Awaits()) == 0 {
		l.tryReceipt(ctx, f.Order.Freeze)
	}
	if err != nil && ctx.Err() == nil {
		l.log.Error(notComplete, "freeze", f.Order.Freeze.String(), "error", err)
		l.finishLater(f.Order.Freeze)
	}
}
