package centre

import (
	"context"
	"errors"
	"fmt"
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
// day of single doses goes over a poor link in a few. Until it is answered the
// same ones are sent again, under the same id; only a restart cuts anew, and
// then the ledger finds duplicates.
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
	codeDamaged = "damaged"          // a bundle on this disk cannot be opened
	codeMany    = "too_many_refused" // so many are set aside that the fault is elsewhere
)

func (f *forwarder) run(ctx context.Context) error {
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
		b, n := w.appendLines(nil)
		lines, size = lines+n, size+len(b)
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
	}
	if _, n := w.appendLines(nil); n == 0 {
		_, err := f.settle(ctx, w, nil)
		return true, err
	}
	return false, nil
}

// deliver exchanges bundles for their verdicts, for as long as it takes. Its
// error is the spool's.
func (f *forwarder) deliver(ctx context.Context, batch []waiting) error {
	id := batch[0].id
	if len(batch) > 1 {
		id = newID()
	}
	for failures, refusals := 0, 0; ; failures++ {
		verdicts, err := f.exchange(ctx, id, batch)
		f.count(func(t *tally) { t.exchanges++ })
		var refused *intake.BundleError
		switch {
		case err == nil:
			f.alone = max(f.alone-len(batch), 0)
			return f.settleAll(ctx, batch, verdicts)
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errLinkDown):
			f.count(func(t *tally) { t.failures++ })
			failures = 0 // the link has a patience of its own
			continue
		case !errors.As(err, &refused):
			f.count(func(t *tally) { t.failures++ })
			f.config.Log.Warn("a bundle is not answered; it is sent again", "bundle", id.String(), "failures", failures+1, "why", because(err))
			patience := f.pace.again
			switch {
			case errors.Is(err, intake.ErrNotReceived):
				f.link.doubt()
			case errors.Is(err, intake.ErrNoVerdicts):
				patience = f.pace.silent // each attempt may leave the ledger one more to take in
			}
			f.pause(ctx, patience.after(failures+1))
		case f.holds(refused.Code):
			f.hold(ctx, string(refused.Code))
		case len(batch) > 1: // one of them is to blame: send each alone
			f.alone = len(batch)
			return nil
		default:
			if refusals++; refusals >= f.pace.refusals {
				f.alone = max(f.alone-1, 0)
				return f.setAside(ctx, batch[0], string(refused.Code))
			}
			id = newID() // of the old one the ledger remembers what came of it
			f.pause(ctx, f.pace.again.after(refusals))
		}
	}
}

// holds tells whether a refusal would meet every other bundle, too, so that
// nothing is won by setting this one aside.
func (f *forwarder) holds(code intake.BundleCode) bool {
	return code == intake.BundleOtherKey || code == intake.BundleBadSubject
}

// hold waits for somebody to mend what stands in the way, and then begins with a
// new client: the ledger's key may be another.
func (f *forwarder) hold(ctx context.Context, code string) {
	f.config.Log.Error("the ledger takes in no bundle of this centre until somebody mends this", "code", code)
	f.count(func(t *tally) { t.holding = code })
	f.pause(ctx, f.pace.hold)
	f.client = nil
}

// exchange sends bundles and waits for the verdicts, while the link is up. The
// end of ctx leaves it a moment.
func (f *forwarder) exchange(ctx context.Context, id domain.UUID, batch []waiting) (verdicts []domain.Verdict, err error) {
	up, err := f.link.wait(ctx)
	if err != nil {
		return nil, err
	}
	if err := f.openClient(); err != nil {
		return nil, err
	}
	during, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(up, func() { cancel(errLinkDown) })()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(f.pace.grace, func() { cancel(ctx.Err()) }) })()
	var lines []byte
	sent := 0
	for _, w := range batch {
		n := 0
		lines, n = w.appendLines(lines)
		sent += n
	}
	defer clear(lines)
	err = f.spool.do("exchange", func() error {
		verdicts, err = f.client.PublishBundle(during, f.config.District, f.config.Centre, id, lines)
		return err
	})
	if err == nil && len(verdicts) != sent {
		err = errMiscounted
	}
	if err != nil && errors.Is(context.Cause(during), errLinkDown) {
		err = errLinkDown
	}
	return verdicts, err
}

// errKeyFile: the pinned intake key cannot be read.
var errKeyFile = errors.New("the ledger's intake key cannot be read")

// openClient makes the client, with the intake key as it is given now.
func (f *forwarder) openClient() error {
	if f.client != nil {
		return nil
	}
	options := intake.ClientOptions{Attempts: 1, Receipt: f.pace.receipt, Verdicts: f.pace.verdicts}
	if f.config.IntakeKey != nil {
		key, err := f.config.IntakeKey()
		if err != nil {
			return fmt.Errorf("%w: %w", errKeyFile, err)
		}
		options.IntakeKey = key
	}
	client, err := intake.NewClient(f.link.conn, options)
	f.client = client
	return err
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

// because names why an exchange failed, for a log.
func because(err error) string {
	for _, known := range []struct {
		err  error
		code string
	}{
		{intake.ErrNotReceived, "not_received"}, {intake.ErrNoVerdicts, "no_verdicts"}, {intake.ErrNoKey, "no_key"},
		{errMiscounted, "miscounted"}, {errKeyFile, "intake_key"},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	return "failed"
}

// newID returns an id that no other bundle or file has, later ones sorting
// behind earlier ones.
func newID() domain.UUID { return domain.UUID(uuid.Must(uuid.NewV7())) }
