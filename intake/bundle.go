package intake

import (
	"bytes"
	"context"
	"errors"
	"log/slog"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/nats-io/nats.go"

	"bahi/domain"
	"bahi/formats"
	"bahi/vault"
)

// BundleCode is a stable, documented name of a reason why a whole bundle could
// not be taken in.
type BundleCode string

// The codes.
const (
	BundleCannotOpen BundleCode = "cannot_open" // not sealed, changed on its way, or sealed for another subject
	BundleOtherKey   BundleCode = "other_key"   // sealed to a key that the ledger does not have: fetch the present one
	BundleBadSubject BundleCode = "bad_subject" // the subject names no district and centre
	BundleEmpty      BundleCode = "empty"       // no submission in it
	BundleTooMany    BundleCode = "too_many"    // more than 500 submissions in it
	BundleCrashed    BundleCode = "crashed"     // a fault of the ledger's own, which its operator finds in the log
)

// unfit is the error for a bundle that no further attempt can take in.
type unfit struct{ code BundleCode }

func (u *unfit) Error() string { return "a bundle cannot be taken in: " + string(u.code) }

// errNotNow is all that the router, and with it the log, is told of why a bundle
// goes back to wait.
var errNotNow = errors.New("the bundle waits")

// isPermanent tells whether a further attempt is pointless.
func isPermanent(err error) bool {
	var u *unfit
	return errors.As(err, &u)
}

// takeIn handles one bundle: opens it, has its submissions decided, and answers.
func (d *Door) takeIn(m *message.Message) error {
	ctx := m.Context()
	origin, _ := OriginOf(ctx)
	from, ok := senderOf(origin.Subject)
	if !ok {
		return &unfit{BundleBadSubject}
	}
	plain, reply, err := d.keys.OpenBundle(m.Payload, []byte(from.subject()))
	switch {
	case errors.Is(err, vault.ErrOtherKey):
		return &unfit{BundleOtherKey}
	case errors.Is(err, vault.ErrClosed):
		return err
	case err != nil:
		return &unfit{BundleCannotOpen}
	}
	defer clear(plain)
	verdicts, err := d.decide(ctx, from, plain)
	if err != nil {
		return err
	}
	sealed, err := reply.Seal(verdicts)
	if err != nil {
		return err
	}
	return d.answer(m, sealed, "")
}

// decide submits what is in an opened bundle and returns the verdicts as NDJSON.
func (d *Door) decide(ctx context.Context, from sender, plain []byte) ([]byte, error) {
	var items []formats.Item
	for item, err := range formats.ReadNDJSON(bytes.NewReader(plain)) {
		if err != nil {
			return nil, err
		}
		if len(items) == BundleSize {
			return nil, &unfit{BundleTooMany}
		}
		items = append(items, from.owns(item))
	}
	if len(items) == 0 {
		return nil, &unfit{BundleEmpty}
	}
	var verdicts []byte
	err := submitBundle(ctx, items, d.submit, func(v domain.Verdict) error {
		verdicts = append(formats.AppendVerdict(verdicts, v), '\n')
		return nil
	})
	return verdicts, err
}

// owns refuses a dose that another centre gave: who may publish to a subject
// speaks for the centre it names and for no other. What else a bundle holds is
// bound to no centre: the district of a registration is where the person lives.
func (s sender) owns(item formats.Item) formats.Item {
	dose, ok := item.Submission.(domain.DoseGiven)
	if !ok || dose.Centre == s.Centre && dose.District == s.District {
		return item
	}
	field := "centre"
	if dose.Centre == s.Centre {
		field = "district"
	}
	item.Submission = nil
	item.Reject = &domain.Rejection{Code: domain.CodeNotAllowed, Field: field, Message: "a centre reports its own doses; publish to the subject of the centre that gave this one"}
	return item
}

// answer publishes to the sender's inbox, if one is named: verdicts, or the code
// that stands for their absence. A sender who has gone misses them and publishes
// the bundle again.
func (d *Door) answer(m *message.Message, verdicts []byte, code BundleCode) error {
	to := m.Metadata.Get(HeaderReply)
	if !isReply(to) {
		return nil
	}
	msg := nats.NewMsg(to)
	msg.Data = verdicts
	if code != "" {
		msg.Header.Set(HeaderCode, string(code))
	}
	return d.conn.PublishMsg(msg)
}

// quarantine is the poison middleware: a bundle that cannot be taken in goes to
// the quarantine, still sealed as it came, with a code and no word more of why,
// and its sender is told the code. One that cannot be taken in now is left for
// the server to deliver again; its centre's next bundles wait behind it.
//
// Watermill's own would store the error's text, which after a panic is a dump of
// values.
func (d *Door) quarantine(to *Publisher) message.HandlerMiddleware {
	return func(next message.HandlerFunc) message.HandlerFunc {
		return func(m *message.Message) ([]*message.Message, error) {
			ctx := m.Context() // of the delivery, without the time-outs of attempts
			_, err := next(m)
			if err == nil {
				return nil, nil
			}
			origin, _ := OriginOf(ctx)
			log := d.log.With("subject", shownSubject(origin.Subject), "sequence", origin.Sequence, "delivered", origin.Delivered)
			code, permanent := d.judge(err, log)
			if !permanent {
				log.Warn("a bundle waits: the ledger does not answer; it comes again", "code", "not_now")
				return nil, errNotNow
			}
			kept := m.Payload
			if !vault.IsBundle(kept) {
				kept = nil // published in the clear: only that it came is kept
			}
			poisoned := message.NewMessage(m.UUID, kept)
			poisoned.SetContext(ctx)
			poisoned.Metadata.Set(HeaderCode, string(code))
			if reply := m.Metadata.Get(HeaderReply); isReply(reply) {
				poisoned.Metadata.Set(HeaderReply, reply)
			}
			if err := to.Publish(quarantineSubject(origin.Subject), poisoned); err != nil {
				log.Warn("a bundle cannot be put into quarantine; it comes again", "code", string(code))
				return nil, errNotNow
			}
			log.Warn("a bundle went into quarantine", "code", string(code))
			if err := d.answer(m, nil, code); err != nil {
				log.Warn("its sender could not be told", "code", string(code))
			}
			return nil, nil
		}
	}
}

// judge says which code an error that survived the attempts stands for, and
// whether the bundle is to blame. Of a panic the stack is logged, not the value:
// it may be anything.
func (d *Door) judge(err error, log *slog.Logger) (code BundleCode, permanent bool) {
	var u *unfit
	if errors.As(err, &u) {
		return u.code, true
	}
	var p middleware.RecoveredPanicError
	if errors.As(err, &p) {
		log.Error("taking in a bundle crashed", "stack", p.Stacktrace)
		return BundleCrashed, true
	}
	return "", false
}
