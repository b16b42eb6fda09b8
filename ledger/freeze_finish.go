package ledger

import (
	"context"
	"errors"
	"time"

	"bahi/domain"
)

// longestFinishPause is how long a freeze that still cannot be carried out is left
// alone; each time before it was half as long.
const longestFinishPause = time.Minute

// maxUnfinished is how many freezes may wait for the goroutine that carries them on.
const maxUnfinished = 64

// finishLater has a freeze carried on that could not be carried out to its end.
func (l *Ledger) finishLater(id domain.UUID) {
	select {
	case l.unfinished <- id:
	default: // they are many, or the ledger closes: the next start carries it on
	}
}

// finishFreezes carries on what could not be carried out to its end. A server that was
// away, or whoever ordered the freeze and did not wait, leaves no keys and no rows until
// the next start.
func (l *Ledger) finishFreezes() {
	l.attending.Go(func() {
		said := map[domain.UUID]string{} // of each that is not finished
		pause, again := time.Duration(0), (<-chan time.Time)(nil)
		for {
			select {
			case id := <-l.unfinished:
				said[id], pause = "", l.pause
				again = time.After(pause)
			case <-again:
				for id := range said {
					if !l.finished(id, said) {
						return
					}
				}
				if again = nil; len(said) > 0 {
					pause = min(2*pause, longestFinishPause)
					again = time.After(pause)
				}
			case <-l.following.Done():
				return
			}
		}
	})
}

// finished tries once more, and tells whether the ledger is still open. A freeze that is
// complete is dropped from said.
func (l *Ledger) finished(id domain.UUID, said map[domain.UUID]string) bool {
	err := l.finish(l.following, id)
	switch {
	case l.following.Err() != nil, errors.Is(err, ErrClosed):
		return false
	case err == nil:
		delete(said, id)
		l.tryReceipt(l.following, id)
		l.log.Info("a freeze is carried out that was not complete", "freeze", id.String())
	case err.Error() != said[id]:
		said[id] = err.Error()
		l.log.Error(notComplete, "freeze", id.String(), "error", err)
	}
	return true
}

const notComplete = "a freeze is not complete; it holds, and is carried on"

func (l *Ledger) finish(ctx context.Context, id domain.UUID) error {
	l.freezing.Lock()
	defer l.freezing.Unlock()
	if err := l.refresh(ctx); err != nil {
		return err
	}
	if f, ok := l.freeze(id); !ok || l.done(f) {
		return nil
	}
	return l.carryOut(ctx, id)
}
