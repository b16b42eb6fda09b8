package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/vault"
)

// Door takes in the bundles that centres publish to JetStream: it opens each,
// submits what is in it, and seals the verdicts to the centre. See
// docs/CENTRES.md for the other side.
//
// Bundles of one centre are taken in one after another, in the order in which
// the server received them, whatever fails in between; up to 32 centres are
// served at a time. A bundle is acknowledged to the server after its verdicts
// are out, so that it may be taken in twice but never not at all; the second
// time its submissions are duplicates.
type Door struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	keys   *vault.Vault
	submit Submitter
	log    *slog.Logger
	pace   pace
	key    *nats.Subscription // to requests for the intake key
}

// pace is how patient the door is. Tests are less so.
type pace struct {
	ackWait   time.Duration // a bundle in hand at a crash comes again after this
	nackDelay time.Duration // a bundle that could not be decided comes again after this
	grace     time.Duration // bundles in hand at the end may be finished within this
	attempt   time.Duration // for one attempt to decide a bundle
	pause     time.Duration // after a first attempt; doubled after each further one
	retries   int           // attempts after the first, before the bundle goes back to wait
}

var steady = pace{
	ackWait:   15 * time.Second,
	nackDelay: 2 * time.Second,
	grace:     10 * time.Second,
	attempt:   30 * time.Second,
	pause:     100 * time.Millisecond,
	retries:   3,
}

// Serve opens the door and serves until ctx is done; see [OpenDoor] and
// [Door.Serve].
func Serve(ctx context.Context, conn *nats.Conn, keys *vault.Vault, submit Submitter, log *slog.Logger) error {
	d, err := OpenDoor(ctx, conn, keys, submit, log)
	if err != nil {
		return err
	}
	return d.Serve(ctx)
}

// OpenDoor makes sure of the door's streams. From then on the server receives
// bundles, and requests for the intake key are answered; [Door.Serve] takes the
// bundles in. The connection is for the door's own use,
// so that a flood of bundles does not hold up the ledger; the caller closes it,
// after Serve has returned. Submissions go to submit without the authority's
// credential.
func OpenDoor(ctx context.Context, conn *nats.Conn, keys *vault.Vault, submit Submitter, log *slog.Logger) (*Door, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("cannot use JetStream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := openStreams(ctx, js, 1); err != nil {
		return nil, err
	}
	d := &Door{conn: conn, js: js, keys: keys, submit: submit, log: log, pace: steady}
	d.key, err = conn.QueueSubscribe(KeySubject, "bahi", d.giveKey)
	if err == nil {
		err = conn.FlushWithContext(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot answer for the intake key: %w", err)
	}
	return d, nil
}

// Serve takes in bundles until ctx is done. Then it takes no more, lets those in
// hand be finished, and returns nil.
func (d *Door) Serve(ctx context.Context) error {
	defer func() { _ = d.key.Unsubscribe() }()
	subscriber, err := NewSubscriber(d.conn, SubscriberOptions{
		Stream: streamIntake, AckWait: d.pace.ackWait, NackDelay: d.pace.nackDelay, Grace: d.pace.grace, Log: d.log,
	})
	if err != nil {
		return err
	}
	quarantine, err := NewPublisher(d.conn)
	if err != nil {
		return err
	}
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: d.pace.grace + 10*time.Second}, watermillLog(d.log))
	if err != nil {
		return fmt.Errorf("cannot make the router: %w", err)
	}
	router.AddMiddleware(
		d.quarantine(quarantine), // outermost: it sees what the others could not mend
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

	ended := make(chan error, 1)
	// Not with ctx itself: its end would abort the bundles in hand.
	go func() { ended <- router.Run(context.WithoutCancel(ctx)) }()
	select {
	case err := <-ended:
		// The router's own Close would wait for handlers that never began.
		return errors.Join(errors.New("the door cannot take in bundles"), err, subscriber.Close())
	case <-ctx.Done():
	}
	<-router.Running()
	if err := router.Close(); err != nil {
		return fmt.Errorf("closing the door: %w", err)
	}
	return <-ended
}

// giveKey answers a request for the intake key.
func (d *Door) giveKey(request *nats.Msg) {
	if err := request.Respond(d.keys.IntakePublicKey()); err != nil {
		d.log.Warn("the intake key could not be given", "code", "no_reply")
	}
}

// watermillLog passes on what the router has to say, a step quieter: it speaks
// of every handler's beginning and end.
func watermillLog(log *slog.Logger) watermill.LoggerAdapter {
	return watermill.NewSlogLoggerWithLevelMapping(log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})
}
