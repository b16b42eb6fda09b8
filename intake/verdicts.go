package intake

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
)

// The verdicts of a bundle that has a name are kept on verdict.<district>.<centre>.
// <bundle>, sealed as they were sent: only who sealed the bundle can open them. A
// bundle that could not be taken in leaves its code.
//
// The codes of answers about a bundle of which nothing is kept:
const (
	// AnswerWaiting: bundles of the centre wait, and this one may be among them.
	AnswerWaiting BundleCode = "waiting"
	// AnswerNotFound: none of its bundles waits, and there are no verdicts of this
	// one: it never came, or too long ago.
	AnswerNotFound BundleCode = "not_found"
)

// asksAtATime bounds how many questions for verdicts are answered at the same time.
const asksAtATime = 16

func verdictsSubject(of sender, bundle domain.UUID) string {
	return "verdict." + of.tokens() + "." + bundle.String()
}

// keepVerdicts keeps the sealed verdicts of a bundle that has a name, or the code
// that stands for their absence, which never takes the place of verdicts.
func (d *Door) keepVerdicts(ctx context.Context, a arrival, sealed []byte, code BundleCode) error {
	if !a.named {
		return nil
	}
	msg := nats.NewMsg(verdictsSubject(a.from, a.bundle))
	msg.Data = sealed
	if code != "" {
		if kept, err := d.keptVerdicts(ctx, a.from, a.bundle); err != nil || kept != nil && len(kept.Data) > 0 {
			return err
		}
		msg.Header.Set(HeaderCode, string(code))
	}
	// Twice is as good as once: the last one counts.
	_, err := eventstore.Ask(ctx, d.config.Conn, func(ctx context.Context) (*jetstream.PubAck, error) { return d.js.PublishMsg(ctx, msg) })
	if err != nil {
		return fmt.Errorf("cannot keep verdicts: %w", err)
	}
	d.trimVerdicts(ctx, a.from, len(sealed))
	return nil
}

// keptVerdicts returns what is kept of a bundle, or nil.
func (d *Door) keptVerdicts(ctx context.Context, of sender, bundle domain.UUID) (*jetstream.RawStreamMsg, error) {
	kept, err := eventstore.Ask(ctx, d.config.Conn, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return d.verdicts.GetLastMsgForSubject(ctx, verdictsSubject(of, bundle))
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look for verdicts: %w", err)
	}
	return kept, nil
}

// giveVerdicts answers a centre that asks for the verdicts of a bundle: to an inbox of
// the centre that the subject names, which alone may publish there. The inbox stands
// in [HeaderReply], as with a bundle: a NATS reply subject reaches the door changed
// when it crosses from one account of the server's to another, and could be anybody's.
func (d *Door) giveVerdicts(question *nats.Msg) {
	district, centre, _ := strings.Cut(strings.TrimPrefix(question.Subject, "bahi.verdicts."), ".")
	inbox := question.Header.Get(HeaderReply)
	of, ok := parseSender(district, centre)
	if !ok || !of.hears(inbox) {
		return
	}
	d.asks <- struct{}{}
	go func() {
		defer func() { <-d.asks }()
		answer := nats.NewMsg(inbox)
		err := d.answerAbout(answer, of, string(question.Data))
		if err == nil {
			err = d.config.Conn.PublishMsg(answer)
		}
		if err != nil {
			d.log.Warn("a question for verdicts could not be answered; the centre asks again", "code", "no_reply")
		}
	}()
}

// answerAbout writes the answer to a question for the verdicts of a bundle.
func (d *Door) answerAbout(answer *nats.Msg, of sender, id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), d.pace.ask)
	defer cancel()
	bundle, err := domain.ParseUUID(id)
	if err != nil {
		answer.Header.Set(HeaderCode, string(AnswerNotFound))
		return nil
	}
	kept, err := d.keptVerdicts(ctx, of, bundle)
	if err != nil {
		return err
	}
	if kept != nil && len(kept.Data) > 0 {
		answer.Data = kept.Data
		return nil
	}
	// A bundle of which a code is kept may have been sent again since.
	waiting, err := countOn(ctx, d.config.Conn, d.intake, "intake.*."+of.tokens())
	if err != nil {
		return err
	}
	code := AnswerNotFound
	switch {
	case waiting > 0:
		code = AnswerWaiting
	case kept != nil:
		code = BundleCode(kept.Header.Get(HeaderCode))
	}
	answer.Header.Set(HeaderCode, string(code))
	return nil
}
