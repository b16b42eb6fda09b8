package centre

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bahi/domain"
	"bahi/intake"
	"bahi/vault"
)

// exchange is bundles on their way to the ledger as one of its own.
type exchange struct {
	id     domain.UUID
	batch  []waiting
	sealed *intake.SealedBundle // nil until it is sealed
}

// renew has the same be sealed again, under another id: of the old one the ledger
// remembers what came of it.
func (x *exchange) renew() { x.id, x.sealed = newID(), nil }

// sent is what is kept of the last exchange, so that after a restart its verdicts
// can be asked for, and opened.
type sent struct {
	ID      domain.UUID  `json:"id"`
	Replies []byte       `json:"replies"` // the key of the verdicts
	Bundles []sentBundle `json:"bundles"`
}

type sentBundle struct {
	Sequence uint64 `json:"sequence"`
	Lines    int    `json:"lines"`
}

// overhead is more than a bundle grows by when it is sealed and addressed, in
// bytes.
const overhead = 4096

// errSpool marks an error of this machine's disk.
var errSpool = errors.New("the spool cannot be used")

// exchange sends bundles and waits for the verdicts, while the link is up. The
// end of ctx leaves it a moment.
func (f *forwarder) exchange(ctx context.Context, x *exchange) (verdicts []domain.Verdict, err error) {
	lines := 0
	err = f.connected(ctx, func(ctx context.Context) error {
		if x.sealed == nil {
			if err := f.seal(ctx, x); err != nil {
				return err
			}
		}
		for _, w := range x.batch {
			lines += w.sent
		}
		return f.spool.do("exchange", func() error {
			verdicts, err = f.client.Send(ctx, x.sealed)
			return err
		})
	})
	if err == nil && len(verdicts) != lines {
		err = &intake.BundleError{Code: codeMiscounted}
	}
	return verdicts, err
}

// connected does something while the link is up, with a client.
func (f *forwarder) connected(ctx context.Context, do func(context.Context) error) error {
	up, err := f.link.wait(ctx)
	if err != nil {
		return err
	}
	if err := f.openClient(); err != nil {
		return err
	}
	during, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	defer context.AfterFunc(up, func() { cancel(errLinkDown) })()
	defer f.link.during(cancel)()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(f.pace.grace, func() { cancel(ctx.Err()) }) })()
	err = do(during)
	cause := context.Cause(during)
	switch {
	case err == nil, errors.As(err, new(*intake.BundleError)):
		f.link.answered()
	case errors.Is(err, errSpool):
	case errors.Is(cause, errLinkDown), errors.Is(cause, errDenied):
		return cause
	}
	return err
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

// seal seals the bundles of an exchange to the ledger's present key, and keeps
// what opens the verdicts before anything is sent.
func (f *forwarder) seal(ctx context.Context, x *exchange) error {
	key, err := f.client.IntakeKey(ctx)
	if err != nil {
		return err
	}
	var lines []byte
	s := sent{ID: x.id}
	for _, w := range x.batch {
		lines = append(lines, w.lines...)
		s.Bundles = append(s.Bundles, sentBundle{w.sequence, w.sent})
	}
	defer clear(lines)
	if most := f.link.conn.MaxPayload(); int64(len(lines)+overhead) > most {
		return &intake.BundleError{Code: codeTooLarge}
	}
	sealed, err := intake.Seal(key, f.config.District, f.config.Centre, x.id, lines)
	if err != nil {
		return err
	}
	s.Replies = sealed.Replies.Bytes()
	if err := f.spool.keepSent(context.WithoutCancel(ctx), s); err != nil { // the link's end is not the disk's
		return fmt.Errorf("%w: %w", errSpool, err)
	}
	x.sealed = &sealed
	return nil
}

// resume asks for the verdicts of the exchange that was under way when the
// process before this one ended. What it finds no answer to is sent again.
func (f *forwarder) resume(ctx context.Context) error {
	s, ok, err := f.spool.lastSent(ctx)
	if err != nil || !ok {
		return err
	}
	left := map[uint64]waiting{}
	for _, b := range s.Bundles {
		w, ok, err := f.spool.at(ctx, b.Sequence)
		if err != nil {
			return err
		}
		if ok {
			left[b.Sequence] = w
		}
	}
	if len(left) == 0 {
		return nil
	}
	verdicts, err := f.askFor(ctx, s)
	for _, b := range s.Bundles {
		if err != nil || len(verdicts) < b.Lines {
			return err
		}
		if w, ok := left[b.Sequence]; ok && !w.damaged {
			_, err = f.settle(ctx, w, verdicts[:b.Lines])
		}
		verdicts = verdicts[b.Lines:]
	}
	return err
}

// askFor asks what came of an exchange. No verdicts are no error: the ledger does
// not know it, or refused it, or nobody answers.
func (f *forwarder) askFor(ctx context.Context, s sent) ([]domain.Verdict, error) {
	replies, err := vault.ParseReplyOpener(s.Replies)
	if err != nil {
		return nil, err
	}
	b := intake.SealedBundle{ID: s.ID, District: f.config.District, Centre: f.config.Centre, Replies: replies}
	for n := 1; ctx.Err() == nil; n++ {
		var verdicts []domain.Verdict
		err := f.connected(ctx, func(ctx context.Context) (err error) {
			verdicts, err = f.client.Verdicts(ctx, b)
			return err
		})
		switch {
		case err == nil:
			f.count(func(t *tally) { t.last = time.Now() })
			return verdicts, nil
		case errors.Is(err, errLinkDown):
			n = 0
		case errors.Is(err, errDenied):
			n = 0
			f.hold(ctx, intake.CodeNotPermitted)
		case errors.Is(err, intake.ErrWaiting):
			n = 0
			f.pause(ctx, f.pace.again.after(3))
		case errors.Is(err, intake.ErrUnknownBundle), errors.As(err, new(*intake.BundleError)), n == f.pace.asks:
			return nil, nil
		default:
			f.pause(ctx, f.pace.again.after(n))
		}
	}
	return nil, ctx.Err()
}

// because names why an exchange failed, for a log.
func because(err error) string {
	for _, known := range []struct {
		err  error
		code string
	}{
		{intake.ErrNotReceived, "not_received"}, {intake.ErrNoVerdicts, "no_verdicts"}, {intake.ErrNoKey, "no_key"},
		{errKeyFile, "intake_key"},
	} {
		if errors.Is(err, known.err) {
			return known.code
		}
	}
	return "failed"
}
