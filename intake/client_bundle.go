package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/formats"
	"bahi/vault"
)

// SealedBundle is a bundle as it travels. It can be kept, and sent any number of
// times.
type SealedBundle struct {
	ID       domain.UUID
	District domain.District
	Centre   string
	Sealed   []byte
	Replies  *vault.ReplyOpener // opens its verdicts, and nothing else does
	Sent     bool               // it may have been sent before: its verdicts are asked for before it is sent again
}

// Seal seals 1 to [BundleSize] submissions, in lines of the native format, to an
// intake key, as the centre of a district sends them. The id names the bundle: two
// bundles of a centre never have the same. It needs no server.
func Seal(intakeKey []byte, district domain.District, centre string, id domain.UUID, lines []byte) (SealedBundle, error) {
	subject, err := Subject(district, centre)
	if err != nil {
		return SealedBundle{}, err
	}
	if n := countLines(lines); n < 1 || n > BundleSize {
		return SealedBundle{}, fmt.Errorf("a bundle holds 1 to %d submissions, this one %d", BundleSize, n)
	}
	sealed, replies, err := vault.SealBundle(intakeKey, lines, []byte(subject))
	if err != nil {
		return SealedBundle{}, fmt.Errorf("cannot seal the bundle: %w", err)
	}
	return SealedBundle{ID: id, District: district, Centre: centre, Sealed: sealed, Replies: replies}, nil
}

// countLines counts the lines that are not blank.
func countLines(bundle []byte) (n int) {
	for line := range bytes.Lines(bundle) {
		if len(bytes.TrimSpace(line)) > 0 {
			n++
		}
	}
	return n
}

// The answers to [Client.Verdicts] on which a centre decides.
var (
	// ErrWaiting: bundles of the centre wait at the server, this one perhaps among
	// them; ask again later.
	ErrWaiting = errors.New("bundles of this centre wait to be taken in; ask again later")
	// ErrUnknownBundle: the ledger has neither the bundle nor verdicts of it; send
	// it again.
	ErrUnknownBundle = errors.New("the ledger has no verdicts of this bundle, nor the bundle; send it again")
)

// Send publishes a bundle and waits for its verdicts, in the order of its lines. One
// that may have been sent before it asks for first, and does not send again while it
// waits to be taken in. It sets Sent. The errors are [ErrNotReceived],
// [ErrNoVerdicts], a [*BundleError], of a client of [Dial] also a [*DeniedError], and
// ctx's.
func (c *Client) Send(ctx context.Context, b *SealedBundle) ([]domain.Verdict, error) {
	ctx, done := c.begin(ctx, sender{b.District, b.Centre})
	defer done()
	verdicts, err := c.send(ctx, b)
	return verdicts, orDenied(ctx, err)
}

func (c *Client) send(ctx context.Context, b *SealedBundle) ([]domain.Verdict, error) {
	inbox := c.inbox(b)
	replies, err := c.conn.SubscribeSync(inbox)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for verdicts: %w", err)
	}
	defer func() { _ = replies.Unsubscribe() }()

	received := false
	for attempt := range c.options.Attempts {
		if attempt > 0 {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(c.options.Pause):
			}
		}
		if b.Sent {
			verdicts, err := c.Verdicts(ctx, *b)
			if decided(err) {
				return verdicts, err
			}
			received = received && !errors.Is(err, ErrUnknownBundle) || errors.Is(err, ErrWaiting)
		}
		if !received {
			b.Sent = true
			received = c.publish(ctx, b, inbox) == nil
		}
		if received {
			verdicts, err := c.await(ctx, b, replies)
			if decided(err) {
				return verdicts, err
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if received {
		return nil, ErrNoVerdicts
	}
	return nil, ErrNotReceived
}

// decided tells whether an answer of the ledger's is final.
func decided(err error) bool {
	var refused *BundleError
	return err == nil || errors.As(err, &refused)
}

func (c *Client) inbox(b *SealedBundle) string {
	return InboxPrefix(b.District, b.Centre) + "." + nats.NewInbox()[len(nats.InboxPrefix):]
}

// publish sends a bundle and waits for the receipt. No message id: a server that had
// received the bundle before would keep the repeated one from the ledger.
func (c *Client) publish(ctx context.Context, b *SealedBundle, inbox string) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.Receipt)
	defer cancel()
	msg := nats.NewMsg(sender{b.District, b.Centre}.subject())
	msg.Header.Set(HeaderBundle, b.ID.String())
	msg.Header.Set(HeaderReply, inbox)
	msg.Data = b.Sealed
	_, err := c.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
	return err
}

// await waits for the answer to a bundle that the server has. An answer that got
// lost it asks for.
func (c *Client) await(ctx context.Context, b *SealedBundle, replies *nats.Subscription) ([]domain.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Verdicts)
	defer cancel()
	for {
		soon, cancel := context.WithTimeout(ctx, min(askEvery, c.options.Verdicts/4))
		reply, err := replies.NextMsgWithContext(soon)
		cancel()
		switch {
		case err == nil:
			// What does not open as an answer is passed over: it is not the ledger's.
			if verdicts, err := b.read(reply); decided(err) {
				return verdicts, err
			}
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case !errors.Is(err, context.DeadlineExceeded):
			return nil, err
		default:
			if verdicts, err := c.Verdicts(ctx, *b); decided(err) || errors.Is(err, ErrUnknownBundle) {
				return verdicts, err
			}
		}
	}
}

// askEvery is how long an answer may be on its way before it is asked for.
const askEvery = 5 * time.Second

// Verdicts asks for the verdicts of a bundle that was sent earlier, perhaps by a
// process that is gone. They are kept for 30 days. The errors are [ErrWaiting],
// [ErrUnknownBundle], a [*BundleError], of a client of [Dial] also a [*DeniedError],
// ctx's, and others when no answer comes.
func (c *Client) Verdicts(ctx context.Context, b SealedBundle) ([]domain.Verdict, error) {
	subject, err := VerdictsSubject(b.District, b.Centre)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Receipt)
	defer cancel()
	ctx, done := c.begin(ctx, sender{b.District, b.Centre})
	defer done()
	question := nats.NewMsg(subject)
	question.Data = []byte(b.ID.String())
	question.Header.Set(HeaderReply, c.inbox(&b))
	answers, err := c.conn.SubscribeSync(question.Header.Get(HeaderReply))
	if err != nil {
		return nil, fmt.Errorf("cannot listen for verdicts: %w", err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := c.conn.PublishMsg(question); err != nil {
		return nil, fmt.Errorf("cannot ask for verdicts: %w", err)
	}
	answer, err := answers.NextMsgWithContext(ctx)
	if err != nil {
		return nil, orDenied(ctx, fmt.Errorf("cannot ask for verdicts: %w", err))
	}
	verdicts, err := b.read(answer)
	if errors.Is(err, vault.ErrCorrupt) {
		return nil, ErrUnknownBundle // they are of an earlier sealing, whose key is not kept
	}
	return verdicts, err
}

// read reads an answer about the bundle.
func (b *SealedBundle) read(answer *nats.Msg) ([]domain.Verdict, error) {
	switch code := BundleCode(answer.Header.Get(HeaderCode)); code {
	case "":
	case AnswerWaiting:
		return nil, ErrWaiting
	case AnswerNotFound:
		return nil, ErrUnknownBundle
	default:
		return nil, &BundleError{code}
	}
	plain, err := b.Replies.Open(answer.Data)
	if err != nil {
		return nil, err
	}
	var verdicts []domain.Verdict
	for line := range bytes.Lines(plain) {
		v, err := formats.ParseVerdict(line)
		if err != nil {
			return nil, err
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, nil
}
