package intake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"time"

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
	BundleLocked     BundleCode = "locked"      // the centre is locked: too much of what it sent named nobody
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

// arrival is a bundle as the server received it.
type arrival struct {
	from   sender
	bundle domain.UUID // that the centre gave it, or else one that its place in the stream gives
	named  bool        // by its centre
	since  time.Time
}

// arrivalOf reads what is known of a bundle before it is opened. It returns false
// when its subject names no district and centre.
func arrivalOf(m *message.Message) (a arrival, ok bool) {
	origin, _ := OriginOf(m.Context())
	a.since = origin.Stored
	if id, err := domain.ParseUUID(m.Metadata.Get(HeaderBundle)); err == nil && id != (domain.UUID{}) {
		a.bundle, a.named = id, true
	} else {
		place := binary.BigEndian.AppendUint64([]byte("bahi bundle 1"), origin.Sequence)
		a.bundle = uuidOf(binary.BigEndian.AppendUint64(place, uint64(origin.Stored.UnixNano())))
	}
	a.from, ok = senderOf(origin.Subject)
	return a, ok
}

// uuidOf is a UUID of version 8 that follows from what.
func uuidOf(what []byte) domain.UUID {
	sum := sha256.Sum256(what)
	id := domain.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return id
}

// takeIn handles one bundle: it is opened and decided, what is refused goes into
// quarantine, the verdicts are kept and sent. A bundle that comes again, because
// the process ended in between, comes to the same.
func (d *Door) takeIn(m *message.Message) error {
	ctx := m.Context()
	a, ok := arrivalOf(m)
	if !ok {
		return &unfit{BundleBadSubject}
	}
	if err := d.mayPublish(a.from); err != nil {
		return err
	}
	plain, reply, err := openBundle(d.config.Keys, a.from, m.Payload)
	if err != nil {
		return err
	}
	defer clear(plain)
	items, err := readBundle(a.from, plain)
	if err != nil {
		return err
	}
	verdicts, refused, err := d.decide(ctx, items)
	if err != nil {
		return err
	}
	if len(refused) > 0 {
		if err := d.quarantine.file(ctx, a, CodeRejected, refused); err != nil {
			return err
		}
	}
	sealed, err := reply.Seal(verdicts)
	if err != nil {
		return err
	}
	if err := d.keepVerdicts(ctx, a, sealed, ""); err != nil {
		return err
	}
	d.countUnknown(ctx, a.from, refused)
	return d.answer(a.from, m, sealed, "")
}

// openBundle opens a bundle of that sender.
func openBundle(keys *vault.Vault, from sender, sealed []byte) ([]byte, *vault.ReplySealer, error) {
	plain, reply, err := keys.OpenBundle(sealed, []byte(from.subject()))
	switch {
	case errors.Is(err, vault.ErrOtherKey):
		err = &unfit{BundleOtherKey}
	case err != nil && !errors.Is(err, vault.ErrClosed):
		err = &unfit{BundleCannotOpen}
	}
	return plain, reply, err
}

// readBundle reads the submissions of an opened bundle.
func readBundle(from sender, plain []byte) ([]formats.Item, error) {
	var items []formats.Item
	for item, err := range formats.ReadNDJSON(bytes.NewReader(plain)) {
		if err != nil {
			return nil, err
		}
		if len(items) == BundleSize {
			return nil, &unfit{BundleTooMany}
		}
		items = append(items, OwnedBy(item, from.District, from.Centre))
	}
	if len(items) == 0 {
		return nil, &unfit{BundleEmpty}
	}
	return items, nil
}

// decide submits what is in a bundle and returns the verdicts as NDJSON, and the
// rows that are refused.
func (d *Door) decide(ctx context.Context, items []formats.Item) (verdicts []byte, refused []row, err error) {
	n := 0
	err = queue(ctx, items, d.config.Submit.inTurn).answer(func(v domain.Verdict) error {
		if v.Outcome == domain.Rejected {
			refused = append(refused, row{verdict: &v, submission: items[n].Submission})
		}
		n++
		verdicts = append(formats.AppendVerdict(verdicts, v), '\n')
		return nil
	})
	return verdicts, refused, err
}

// answer publishes to the sender's inbox, if one of its own is named: verdicts, or
// the code that stands for their absence. A sender who has gone misses them, and
// asks for them later.
func (d *Door) answer(to sender, m *message.Message, verdicts []byte, code BundleCode) error {
	inbox := m.Metadata.Get(HeaderReply)
	if !to.hears(inbox) {
		return nil
	}
	msg := nats.NewMsg(inbox)
	msg.Data = verdicts
	if code != "" {
		msg.Header.Set(HeaderCode, string(code))
	}
	return d.config.Conn.PublishMsg(msg)
}

// poison is the outermost middleware: what of a bundle that cannot be taken in can
// be tried again goes into quarantine, with a code and no word more of why, and its
// sender is told the code. One that cannot be taken in now is left for the server to
// deliver again; its centre's next bundles wait behind it.
//
// Watermill's own would store the error's text, which after a panic is a dump of
// values.
func (d *Door) poison(next message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		ctx := m.Context() // of the delivery, without the time-outs of attempts
		_, err := next(m)
		if err == nil {
			d.bundles.WithLabelValues(bundleTaken, "").Inc()
			return nil, nil
		}
		m.SetContext(ctx)
		origin, _ := OriginOf(ctx)
		log := d.log.With("subject", shownSubject(origin.Subject), "sequence", origin.Sequence, "delivered", origin.Delivered)
		code, permanent := judge(err, log)
		if !permanent {
			d.bundles.WithLabelValues(bundleWaits, "").Inc()
			log.Warn("a bundle waits: the ledger does not answer; it comes again", "code", "not_now")
			return nil, errNotNow
		}
		if err := d.putAside(ctx, m, code); err != nil {
			d.bundles.WithLabelValues(bundleWaits, "").Inc()
			log.Warn("a bundle cannot be put into quarantine; it comes again", "code", string(code))
			return nil, errNotNow
		}
		d.bundles.WithLabelValues(bundleQuarantined, string(code)).Inc()
		log.Warn("a bundle went into quarantine", "code", string(code))
		return nil, nil
	}
}

// putAside puts a bundle into quarantine and tells its sender, now and later.
func (d *Door) putAside(ctx context.Context, m *message.Message, code BundleCode) error {
	a, known := arrivalOf(m)
	if !known {
		return d.quarantine.fileUnknown(ctx, a, code)
	}
	if err := d.quarantine.filePoison(ctx, a, code, m.Payload); err != nil {
		return err
	}
	// A lock says nothing about the bundle. Asked about later it is not found, and so
	// is sent again.
	if code != BundleLocked {
		if err := d.keepVerdicts(ctx, a, nil, code); err != nil {
			return err
		}
	}
	return d.answer(a.from, m, nil, code)
}

// judge says which code an error that survived the attempts stands for, and
// whether the bundle is to blame. Of a panic the stack is logged, not the value:
// it may be anything.
func judge(err error, log *slog.Logger) (code BundleCode, permanent bool) {
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
