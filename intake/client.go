package intake

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/formats"
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

	mu         sync.Mutex // guards what follows
	key        []byte     // the intake key; nil until it is fetched
	unanswered []*unanswered

	callsMu sync.Mutex     // guards calls
	calls   map[*call]bool // that are under way
}

// unanswered is a bundle that was sent, and of which no verdicts came.
type unanswered struct {
	bundle SealedBundle
	of     [sha256.Size]byte // its lines
}

// maxUnanswered bounds how many such bundles a client keeps: 16 MiB. Of others it
// seals what is published again anew, which only costs the ledger some work.
const maxUnanswered = 16

// ClientOptions are how a [Client] behaves. Zero values stand for the defaults
// named.
type ClientOptions struct {
	// IntakeKey pins the ledger's intake key, as its operator gave it out.
	// Without it the client asks the NATS server for the key and believes the
	// answer: whoever can answer in the ledger's place then reads the bundles.
	IntakeKey []byte

	Attempts int           // 3: how often a bundle is tried before Publish gives up, and the intake key asked for while nobody is there to give it
	Receipt  time.Duration // 5 s: how long to wait for the server's receipt, and for answers to questions
	Verdicts time.Duration // 60 s: how long to wait for verdicts after a receipt
	Pause    time.Duration // 1 s: between attempts

	// InboxPrefix is the part of the subject space in which the connection may
	// listen: of a centre see [InboxPrefix]. "_INBOX" by default.
	InboxPrefix string

	// Seed is the file of the nkey seed with which the centre signs in.
	Seed string

	// NATS are further options of the connection: TLS, a name.
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
// lies in the ledger's quarantine; nothing of it is stored. With [BundleLocked] the
// same bundle is sent again when the centre is unlocked.
type BundleError struct{ Code BundleCode }

func (e *BundleError) Error() string {
	return "the ledger could not take in the bundle: " + string(e.Code)
}

// dialTimeout is how long a connection may take until the centre has signed in: its
// link may be poor.
const dialTimeout = 20 * time.Second

// Dial connects to the NATS server at url, such as nats://127.0.0.1:4222.
func Dial(url string, options ClientOptions) (*Client, error) {
	if options.InboxPrefix == "" {
		options.InboxPrefix = "_INBOX"
	}
	natsOptions := []nats.Option{
		nats.Name("bahi centre"), nats.CustomInboxPrefix(options.InboxPrefix), nats.Timeout(dialTimeout),
		nats.MaxReconnects(-1), nats.IgnoreAuthErrorAbort(), // the operator may mend it
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // calls tell; the library would print
		nats.UseOldRequestStyle(), // each call asks anew whether it may listen
	}
	if options.Seed != "" {
		nkey, err := nats.NkeyOptionFromSeed(options.Seed)
		if err != nil {
			return nil, fmt.Errorf("cannot read the nkey seed in %s: %w", options.Seed, err)
		}
		natsOptions = append(natsOptions, nkey)
	}
	conn, err := eventstore.Dial(url, append(natsOptions, options.NATS...)...)
	if err != nil {
		return nil, fmt.Errorf("cannot connect to the NATS server: %w", err)
	}
	c, err := NewClient(conn, options)
	if err != nil {
		conn.Close()
		return nil, err
	}
	c.ownsConn = true
	c.heed()
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
// returns their verdicts, in the same order. The errors are [ErrNotReceived],
// [ErrNoVerdicts], [ErrNoKey], a [*BundleError], of a client of [Dial] also a
// [*DeniedError], and ctx's. After any of them the same submissions may be published
// again: what the ledger holds is a duplicate.
func (c *Client) Publish(ctx context.Context, district domain.District, centre string, submissions []domain.Submission) ([]domain.Verdict, error) {
	var lines []byte
	for _, s := range submissions {
		lines = append(formats.AppendSubmission(lines, s), '\n')
	}
	return c.PublishNDJSON(ctx, district, centre, lines)
}

// PublishNDJSON is [Client.Publish] for lines in the native format. Lines that are
// not submissions get verdicts of their own.
func (c *Client) PublishNDJSON(ctx context.Context, district domain.District, centre string, lines []byte) ([]domain.Verdict, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("cannot name the bundle: %w", err)
	}
	return c.PublishBundle(ctx, district, centre, domain.UUID(id), lines)
}

// PublishBundle is [Client.PublishNDJSON] for a bundle with a name of the centre's
// choice, which no other bundle of the centre has. After ErrNoVerdicts or
// ErrNotReceived it is published again under the same name: the client then asks for
// its verdicts before it sends it a second time. It knows what it sent as long as it
// lives; who wants to ask after a restart keeps a [SealedBundle].
func (c *Client) PublishBundle(ctx context.Context, district domain.District, centre string, id domain.UUID, lines []byte) ([]domain.Verdict, error) {
	verdicts, err := c.exchange(ctx, district, centre, id, lines)
	var refused *BundleError
	if errors.As(err, &refused) && refused.Code == BundleOtherKey && c.options.IntakeKey == nil {
		// The ledger changed its key since it was fetched.
		c.forgetKey()
		verdicts, err = c.exchange(ctx, district, centre, id, lines)
	}
	return verdicts, err
}

// exchange seals a bundle, unless it did earlier, and sends it.
func (c *Client) exchange(ctx context.Context, district domain.District, centre string, id domain.UUID, lines []byte) ([]domain.Verdict, error) {
	ctx, done := c.begin(ctx, sender{district, centre})
	defer done()
	of := sha256.Sum256(lines)
	b, ok := c.take(district, centre, id, of)
	if !ok {
		key, err := c.IntakeKey(ctx)
		if err != nil {
			return nil, orDenied(ctx, err)
		}
		if b, err = Seal(key, district, centre, id, lines); err != nil {
			return nil, err
		}
	}
	verdicts, err := c.Send(ctx, &b)
	if !decided(err) {
		c.keep(b, of)
	}
	return verdicts, err
}

// take returns the bundle with these lines that was not answered.
func (c *Client) take(district domain.District, centre string, id domain.UUID, of [sha256.Size]byte) (b SealedBundle, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, u := range c.unanswered {
		if b = u.bundle; b.ID == id && b.District == district && b.Centre == centre && u.of == of {
			c.unanswered = append(c.unanswered[:i], c.unanswered[i+1:]...)
			return b, true
		}
	}
	return SealedBundle{}, false
}

func (c *Client) keep(b SealedBundle, of [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unanswered) == maxUnanswered {
		c.unanswered = append(c.unanswered[:0], c.unanswered[1:]...)
	}
	c.unanswered = append(c.unanswered, &unanswered{b, of})
}

// IntakeKey returns the pinned key, or the one fetched earlier, or fetches it. Its
// error is [ErrNoKey].
func (c *Client) IntakeKey(ctx context.Context) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.key != nil {
		return c.key, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.options.Receipt)
	defer cancel()
	ctx, done := c.begin(ctx, sender{})
	defer done()
	for attempt := 1; ; attempt++ {
		reply, err := c.conn.RequestWithContext(ctx, KeySubject, nil)
		if err == nil {
			c.key = reply.Data
			return c.key, nil
		}
		if !errors.Is(err, nats.ErrNoResponders) || attempt == c.options.Attempts {
			return nil, fmt.Errorf("%w: %w", ErrNoKey, orDenied(ctx, err))
		}
		select { // the server takes up a new configuration, or the ledger is started again
		case <-time.After(c.options.Pause):
		case <-ctx.Done():
		}
	}
}

func (c *Client) forgetKey() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.key = nil
}
