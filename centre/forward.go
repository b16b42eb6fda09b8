package centre

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"

	"bahi/domain"
	"bahi/intake"
)

// forwarder sends what waits in the spool to the ledger, in order and one
// exchange at a time, and keeps the verdicts.
//
// An exchange takes as many bundles as fit into one of the ledger's, so that a
// day of single doses goes over a poor link in a few. What came of one that was
// not answered is asked for, by its id, before the same is sent again.
type forwarder struct {
	config Config
	pace   pace
	spool  *spool
	folder *folder
	link   *link
	client *intake.Client // nil until it is made, and after the ledger's key changed

	alone int // so many bundles go alone, because one among them was refused

	mu    sync.Mutex // guards tally
	tally tally
}

// tally is what the forwarder has done since the start.
type tally struct {
	forwarded int64 // bundles
	exchanges int64
	failures  int64 // exchanges without an answer
	counts    Counts
	last      time.Time // of the last answer
	holding   string    // why nothing goes on until somebody mends it
}

// The codes of a centre's own, beside those of [intake.BundleError].
const (
	codeDamaged    = "damaged"          // a bundle on this disk cannot be opened
	codeTooLarge   = "too_large"        // the server takes no message of that size
	codeMiscounted = "miscounted"       // the ledger answered with another number of verdicts
	codeMany       = "too_many_refused" // so many are set aside that the fault is elsewhere
)

func (f *forwarder) run(ctx context.Context) error {
	if err := f.resume(ctx); err != nil {
		return unlessDone(ctx, err)
	}
	for {
		batch, err := f.gather(ctx)
		if err == nil && len(batch) > 0 {
			err = f.deliver(ctx, batch)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case len(batch) > 0:
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-f.spool.news:
		}
	}
}

// gather returns the bundles at the head of the spool that go in one exchange.
// Those that need none are dealt with on the way: the ledger has answered them
// before a restart, or the reader refused all that is in them.
func (f *forwarder) gather(ctx context.Context) (batch []waiting, err error) {
	lines, size := 0, 0
	for after := uint64(0); ; {
		w, ok, err := f.spool.next(ctx, after)
		if err != nil || !ok {
			return batch, err
		}
		after = w.sequence
		answered, err := f.dispatched(ctx, w)
		if err != nil {
			return nil, err
		}
		if answered {
			continue
		}
		lines, size = lines+w.sent, size+len(w.lines)
		if len(batch) > 0 && (lines > f.pace.exchange || size > maxLines || f.alone > 0) {
			return batch, nil
		}
		batch = append(batch, w)
	}
}

// dispatched finishes a bundle that needs no exchange.
func (f *forwarder) dispatched(ctx context.Context, w waiting) (bool, error) {
	lines, known, err := f.spool.verdictsOf(ctx, w.id)
	switch {
	case err != nil:
		return false, err
	case known:
		return true, f.finish(ctx, w, lines)
	case w.damaged:
		return true, f.setAside(ctx, w, codeDamaged)
	case w.sent == 0:
		_, err := f.settle(ctx, w, nil)
		return true, err
	}
	return false, nil
}

// deliver exchanges bundles for their verdicts, for as long as it takes. Its
// error is the spool's.
func (f *forwarder) deliver(ctx context.Context, batch []waiting) error {
	x := &exchange{batch: batch, id: batch[0].id}
	if len(batch) > 1 {
		x.id = newID()
	}
	for failures, refusals := 0, 0; ; failures++ {
		verdicts, err := f.exchange(ctx, x)
		f.count(func(t *tally) { t.exchanges++ })
		var refused *intake.BundleError
		switch {
		case err == nil:
			f.alone = max(f.alone-len(batch), 0)
			return f.settleAll(ctx, batch, verdicts)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errSpool):
			return err
		case errors.Is(err, errLinkDown):
			failures = 0 // the link has a patience of its own
			f.count(func(t *tally) { t.failures++ })
		case errors.Is(err, errDenied):
			f.count(func(t *tally) { t.failures++ })
			f.hold(ctx, intake.CodeNotPermitted)
		case !errors.As(err, &refused):
			f.unanswered(ctx, x, err, failures+1)
		case refused.Code == intake.BundleOtherKey && f.config.IntakeKey == nil && refusals == 0:
			refusals++ // the ledger has another key since it was asked for
			x.renew()
			f.client = nil
		case f.holds(refused.Code):
			f.hold(ctx, string(refused.Code))
			if refused.Code != intake.BundleLocked { // of which nothing is remembered
				x.renew()
			}
		case len(batch) > 1: // one of them is to blame: send each alone
			f.alone = len(batch)
			return nil
		default:
			if refusals++; refusals >= f.pace.refusals {
				f.alone = max(f.alone-1, 0)
				return f.setAside(ctx, batch[0], string(refused.Code))
			}
			x.renew()
			f.pause(ctx, f.pace.again.after(refusals))
		}
	}
}

// unanswered waits after an exchange that brought no answer.
func (f *forwarder) unanswered(ctx context.Context, x *exchange, err error, failures int) {
	f.count(func(t *tally) { t.failures++ })
	f.config.Log.Warn("a bundle is not answered; it is asked for, or sent again", "bundle", x.id.String(), "failures", failures, "why", because(err))
	patience := f.pace.again
	switch {
	case errors.Is(err, intake.ErrNotReceived):
		f.link.doubt()
	case errors.Is(err, intake.ErrNoVerdicts):
		patience = f.pace.silent // each attempt may leave the ledger one more to take in
	}
	f.pause(ctx, patience.after(failures))
}

// holds tells whether a refusal would meet every other bundle, too, so that
// nothing is won by setting this one aside.
func (f *forwarder) holds(code intake.BundleCode) bool {
	return code == intake.BundleOtherKey || code == intake.BundleBadSubject || code == intake.BundleLocked
}

// hold waits for somebody to mend what stands in the way, and then begins with a
// new client: the ledger's key may be another.
func (f *forwarder) hold(ctx context.Context, code string) {
	f.config.Log.Error("the ledger takes in no bundle of this centre until somebody mends this", "code", code)
	f.count(func(t *tally) { t.holding = code })
	f.pause(ctx, f.pace.hold)
	f.client = nil
}

// settleAll gives each bundle its verdicts.
func (f *forwarder) settleAll(ctx context.Context, batch []waiting, verdicts []domain.Verdict) (err error) {
	f.count(func(t *tally) { t.last, t.holding = time.Now(), "" })
	ctx = context.WithoutCancel(ctx) // so near the end
	for _, w := range batch {
		if verdicts, err = f.settle(ctx, w, verdicts); err != nil {
			return err
		}
	}
	return nil
}

// settle keeps the verdicts of a bundle and forgets it.
func (f *forwarder) settle(ctx context.Context, w waiting, verdicts []domain.Verdict) (left []domain.Verdict, err error) {
	lines, counts, left, err := w.answer(verdicts)
	if err != nil {
		return nil, err
	}
	if err := f.spool.keepVerdicts(ctx, w.id, lines); err != nil {
		return nil, err
	}
	f.count(func(t *tally) { t.counts.plus(counts) })
	return left, f.finish(ctx, w, lines)
}

// finish forgets a bundle whose verdicts are kept, after its file has them, too.
func (f *forwarder) finish(ctx context.Context, w waiting, lines []byte) error {
	if err := f.folder.answer(w.bundle, lines, false); err != nil {
		return err
	}
	if err := f.spool.forget(ctx, w.sequence); err != nil {
		return err
	}
	f.count(func(t *tally) { t.forwarded++ })
	return nil
}

// setAside keeps a bundle that the ledger cannot take in where it is, so that
// the next goes on. When very many are set aside it holds instead.
func (f *forwarder) setAside(ctx context.Context, w waiting, code string) error {
	if len(f.spool.listRefused()) >= maxRefused {
		f.hold(ctx, codeMany)
		return nil
	}
	f.config.Log.Error("a bundle is set aside; see `bahi centre status`", "bundle", w.id.String(), "code", code)
	if err := f.folder.answer(w.bundle, w.refused(w.id, code), true); err != nil {
		return err
	}
	return f.spool.refuse(ctx, w, code, time.Now())
}

// pause waits, or until ctx is done.
func (f *forwarder) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func (f *forwarder) count(change func(*tally)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.tally)
}

func (f *forwarder) look() tally {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tally
}

// newID returns an id that no other bundle or file has, later ones sorting
// behind earlier ones.
func newID() domain.UUID { return domain.UUID(uuid.Must(uuid.NewV7())) }
