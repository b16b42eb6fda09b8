package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/formats"
	"bahi/vault"
)

// Client is a centre's side of the door: it seals bundles to the ledger's intake
// key, publishes them and reads the verdicts. It may be used from several
// goroutines; bundles that must be taken in one after another are published one
// after another.
type Client struct {
	conn     *nats.Conn
	js       jetstream.JetStream
	options  ClientOptions
	ownsConn bool

	mu  sync.Mutex // guards key
	key []byte     // the intake key; nil until it is fetched
}

// ClientOptions are how a [Client] behaves. Zero values stand for the defaults
// named.
type ClientOptions struct {
	// IntakeKey pins the ledger's intake key, as its operator gave it out.
	// Without it the client asks the NATS server for the key and believes the
	// answer: whoever can answer in the ledger's place then reads the bundles.
	IntakeKey []byte

	Attempts int           // 3: how often a bundle is published before Publish gives up
	Receipt  time.Duration // 5 s: how long to wait for the server's receipt
	Verdicts time.Duration // 60 s: how long to wait for verdicts after a receipt
	Pause    time.Duration // 1 s: between attempts

	// InboxPrefix is the part of the subject space in which this centre may
	// listen, such as "_INBOX_centre"; "_INBOX" by default.
	InboxPrefix string

	// NATS are further options of the connection: credentials, TLS, a name.
	NATS []nats.Option
}

// The errors of [Client.Publish] on which a centre decides.
var (
	// ErrNotReceived: the server does not have the bundle. Keep it and publish
	// it again later.
	ErrNotReceived = errors.New("the server did not confirm that it received the bundle; keep it and publish it again later")
	// ErrNoVerdicts: the server has the bundle and the ledger will take it in,
	// but no verdicts came in time. To publish it again is safe.
	ErrNoVerdicts = errors.New("the bundle was received, but no verdicts came in time; publish it again, nothing is stored twice")
	// ErrNoKey: the ledger did not answer with its intake key.
	ErrNoKey = errors.New("the ledger does not give its intake key; see whether it is running")
)

// BundleError says that the ledger could not take in the bundle as a whole. It
// lies in the ledger's quarantine; nothing of it is stored.
type BundleError struct{ Code BundleCode }

func (e *BundleError) Error() string {
	return "the ledger could not take in the bundle: " + string(e.Code)
}

// Dial connects to the NATS server at url, such as nats://127.0.0.1:4222.
func Dial(url string, options ClientOptions) (*Client, error) {
	if options.InboxPrefix == "" {
		options.InboxPrefix = "_INBOX"
	}
	natsOptions := append([]nats.Option{
		nats.Name("bahi centre"),
		nats.CustomInboxPrefix(options.InboxPrefix),
		nats.MaxReconnects(-1),
	}, options.NATS...)
	conn, err := nats.Connect(url, natsOptions...)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the NATS server: %w", err)
	}
	c, err := NewClient(conn, options)
	if err != nil {
		conn.Close()
		return nil, err
	}
	c.ownsConn = true
	return c, nil
}

// NewClient returns a client on a connection of the caller's, whose inbox prefix
// is the connection's.
func NewClient(conn *nats.Conn, options ClientOptions) (*Client, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("cannot use JetStream: %w", err)
	}
	options.Attempts = orElse(options.Attempts, 3)
	options.Receipt = orElse(options.Receipt, 5*time.Second)
	options.Verdicts = orElse(options.Verdicts, time.Minute)
	options.Pause = orElse(options.Pause, time.Second)
	return &Client{conn: conn, js: js, options: options, key: options.IntakeKey}, nil
}

func orElse[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Close ends a connection that [Dial] made.
func (c *Client) Close() {
	if c.ownsConn {
		c.conn.Close()
	}
}

// Publish sends 1 to [BundleSize] submissions of a centre as one bundle and
// returns their verdicts, in the same order. It publishes the same bytes again
// while no receipt or no verdicts come, which is safe: the ledger knows every
// submission by its id. The errors are [ErrNotReceived], [ErrNoVerdicts],
// [ErrNoKey], a [*BundleError], and ctx's.
func (c *Client) Publish(ctx context.Context, district domain.District, centre string, submissions []domain.Submission) ([]domain.Verdict, error) {
	var bundle []byte
	for _, s := range submissions {
		bundle = append(formats.AppendSubmission(bundle, s), '\n')
	}
	return c.PublishNDJSON(ctx, district, centre, bundle)
}

// PublishNDJSON is [Client.Publish] for a bundle of lines in the native format.
// Lines that are not submissions get verdicts of their own.
func (c *Client) PublishNDJSON(ctx context.Context, district domain.District, centre string, bundle []byte) ([]domain.Verdict, error) {
	subject, err := Subject(district, centre)
	if err != nil {
		return nil, err
	}
	if n := countLines(bundle); n < 1 || n > BundleSize {
		return nil, fmt.Errorf("a bundle holds 1 to %d submissions, this one %d", BundleSize, n)
	}
	verdicts, err := c.exchange(ctx, subject, bundle)
	var refused *BundleError
	if errors.As(err, &refused) && refused.Code == BundleOtherKey && c.options.IntakeKey == nil {
		// The ledger changed its key since it was fetched.
		c.forgetKey()
		verdicts, err = c.exchange(ctx, subject, bundle)
	}
	return verdicts, err
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

// exchange seals a bundle once, and publishes it until verdicts come.
func (c *Client) exchange(ctx context.Context, subject string, bundle []byte) ([]domain.Verdict, error) {
	key, err := c.intakeKey(ctx)
	if err != nil {
		return nil, err
	}
	sealed, opener, err := vault.SealBundle(key, bundle, []byte(subject))
	if err != nil {
		return nil, fmt.Errorf("cannot seal the bundle: %w", err)
	}
	inbox := c.conn.NewInbox()
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
		if err := c.send(ctx, subject, inbox, sealed); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			continue
		}
		received = true
		verdicts, err := c.await(ctx, replies, opener)
		if !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return verdicts, err
		}
	}
	if received {
		return nil, ErrNoVerdicts
	}
	return nil, ErrNotReceived
}

// send publishes and waits for the receipt. No message id: a server that had
// received the bundle before would keep the repeated one from the ledger, and
// with it the verdicts that got lost.
func (c *Client) send(ctx context.Context, subject, inbox string, sealed []byte) error {
	ctx, cancel := context.WithTimeout(ctx, c.options.Receipt)
	defer cancel()
	msg := nats.NewMsg(subject)
	msg.Header.Set(HeaderReply, inbox)
	msg.Data = sealed
	_, err := c.js.PublishMsg(ctx, msg, jetstream.WithRetryAttempts(0))
	return err
}

// await reads the answer to a bundle. What does not open as an answer is passed
// over: it is not the ledger's.
func (c *Client) await(ctx context.Context, replies *nats.Subscription, opener *vault.ReplyOpener) ([]domain.Verdict, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Verdicts)
	defer cancel()
	for {
		reply, err := replies.NextMsgWithContext(ctx)
		if err != nil {
			return nil, err
		}
		if code := reply.Header.Get(HeaderCode); code != "" {
			return nil, &BundleError{BundleCode(code)}
		}
		plain, err := opener.Open(reply.Data)
		if err != nil {
			continue
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
}

// intakeKey returns the pinned key, or the one fetched earlier, or fetches it.
func (c *Client) intakeKey(ctx context.Context) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.key != nil {
		return c.key, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Receipt)
	defer cancel()
	reply, err := c.conn.RequestWithContext(ctx, KeySubject, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoKey, err)
	}
	c.key = reply.Data
	return c.key, nil
}

func (c *Client) forgetKey() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key = nil
}
