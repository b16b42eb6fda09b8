package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// Door takes in the bundles that centres publish to JetStream: it opens each,
// submits what is in it, and seals the verdicts to the centre. See
// docs/CENTRES.md for the other side.
//
// Bundles of one centre are taken in one after another, in the order in which
// the server received them, whatever fails in between; up to 32 centres are
// served at a time. A bundle is acknowledged to the server after its verdicts
// are kept and out, so that it may be taken in twice but never not at all; the
// second time its submissions are duplicates.
type Door struct {
	config     Config
	js         jetstream.JetStream
	intake     jetstream.Stream
	verdicts   jetstream.Stream
	quarantine *Quarantine
	log        *slog.Logger
	pace       pace
	asked      []*nats.Subscription // to requests for the intake key, and for verdicts
	turns      turns                // of verdicts kept
	asks       chan struct{}        // holds a token a question that is being answered
	bundles    *prometheus.CounterVec
}

// pace is how patient the door is. Tests are less so.
type pace struct {
	ackWait   time.Duration // a bundle in hand at a crash comes again after this
	nackDelay time.Duration // a bundle that could not be decided comes again after this
	grace     time.Duration // bundles in hand at the end may be finished within this
	attempt   time.Duration // for one attempt to decide a bundle
	pause     time.Duration // after a first attempt; doubled after each further one
	retries   int           // attempts after the first, before the bundle goes back to wait
	ask       time.Duration // for the answer to a question for verdicts
	watch     time.Duration // between looks at what waits
	stuck     time.Duration // what waits for longer is told in the log
}

var steady = pace{
	ackWait:   15 * time.Second,
	nackDelay: 2 * time.Second,
	grace:     10 * time.Second,
	attempt:   30 * time.Second,
	pause:     100 * time.Millisecond,
	retries:   3,
	ask:       5 * time.Second,
	watch:     time.Minute,
	stuck:     2 * time.Minute,
}

// Serve opens the door and serves until ctx is done; see [OpenDoor] and
// [Door.Serve].
func Serve(ctx context.Context, config Config) error {
	d, err := OpenDoor(ctx, config)
	if err != nil {
		return err
	}
	return d.Serve(ctx)
}

// OpenDoor makes sure of the door's streams. From then on the server receives
// bundles, and requests for the intake key and for verdicts are answered;
// [Door.Serve] takes the bundles in.
func OpenDoor(ctx context.Context, config Config) (*Door, error) {
	quarantine, err := NewQuarantine(config)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	js := quarantine.js
	if err := openStreams(ctx, js, config.Replicas); err != nil {
		return nil, err
	}
	d := &Door{
		config: config, js: js, quarantine: quarantine, log: quarantine.log, pace: steady,
		asks: make(chan struct{}, asksAtATime), bundles: newBundleCounter(),
	}
	if d.intake, err = streamOf(ctx, js, streamIntake); err == nil {
		d.verdicts, err = streamOf(ctx, js, streamVerdicts)
	}
	if err == nil && (d.intake == nil || d.verdicts == nil) {
		err = jetstream.ErrStreamNotFound // somebody has removed it in the moment
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the door's streams: %w", err)
	}
	if err := d.listen(ctx); err != nil {
		return nil, fmt.Errorf("cannot answer centres: %w", err)
	}
	return d, nil
}

// listen answers what centres ask.
func (d *Door) listen(ctx context.Context) error {
	for subject, answer := range map[string]nats.MsgHandler{KeySubject: d.giveKey, verdictsPattern: d.giveVerdicts} {
		s, err := d.config.Conn.QueueSubscribe(subject, "bahi", answer)
		if err != nil {
			return err
		}
		d.asked = append(d.asked, s)
	}
	return d.config.Conn.FlushWithContext(ctx)
}

// Serve takes in bundles until ctx is done. Then it takes no more, lets those in
// hand be finished, and returns nil.
func (d *Door) Serve(ctx context.Context) error {
	defer func() {
		for _, s := range d.asked {
			_ = s.Unsubscribe()
		}
	}()
	subscriber, err := NewSubscriber(d.config.Conn, SubscriberOptions{
		Stream: streamIntake, AckWait: d.pace.ackWait, NackDelay: d.pace.nackDelay, Grace: d.pace.grace, Log: d.log,
	})
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: d.pace.grace + 10*time.Second}, watermillLog(d.log))
	if err != nil {
		return fmt.Errorf("cannot make the router: %w", err)
	}
	router.AddMiddleware(
		d.poison, // outermost: it sees what the others could not mend
		middleware.Retry{
			MaxRetries:          d.pace.retries,
			InitialInterval:     d.pace.pause,
			MaxInterval:         time.Second,
			Multiplier:          2,
			ResetContextOnRetry: true,
			ShouldRetry:         func(p middleware.RetryParams) bool { return !isPermanent(p.Err) },
		}.Middleware,
		middleware.Timeout(d.pace.attempt),
		middleware.Recoverer, // innermost: a panic is an error like others
	)
	for n := range partitions {
		router.AddConsumerHandler(fmt.Sprintf("intake-%d", n), partitionSubject(n), subscriber, d.takeIn)
	}

	watching, stop := context.WithCancel(ctx)
	defer stop()
	go d.watch(watching)
	ended := make(chan error, 1)
	// Not with ctx itself: its end would abort the bundles in hand.
	go func() { ended <- router.Run(context.WithoutCancel(ctx)) }()
	select {
	case err := <-ended:
		// The router's own Close would wait for handlers that never began.
		return errors.Join(errors.New("the door cannot take in bundles"), err, subscriber.Close())
	case <-ctx.Done():
	}
	closed := make(chan error, 1)
	go func() { closed <- subscriber.Close() }() // also of what only begins, for the server is away
	select {
	case <-router.Running():
	case <-ended:
		return <-closed
	}
	if err := errors.Join(router.Close(), <-closed); err != nil {
		return fmt.Errorf("closing the door: %w", err)
	}
	return <-ended
}

// giveKey answers a request for the intake key: to an inbox and nothing else, lest
// somebody have the door publish where he himself must not. (A request from another
// account of the server's comes with a reply subject that the server makes, _R_.)
func (d *Door) giveKey(request *nats.Msg) {
	first, rest, _ := strings.Cut(request.Reply, ".")
	if first != "_R_" && first != "_INBOX" && !strings.HasPrefix(first, "_INBOX_") || !isInbox(rest) {
		return
	}
	if err := request.Respond(d.config.Keys.IntakePublicKey()); err != nil {
		d.log.Warn("the intake key could not be given", "code", "no_reply")
	}
}

// watermillLog passes on what the router has to say, a step quieter: it speaks
// of every handler's beginning and end.
func watermillLog(log *slog.Logger) watermill.LoggerAdapter {
	return watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})
}
