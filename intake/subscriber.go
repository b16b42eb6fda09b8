package intake

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
)

// headerUUID carries a Watermill message's UUID.
const headerUUID = "Bahi-Message"

// Subscriber is a Watermill subscriber on a JetStream stream. Each topic, which
// is a subject of the stream or a pattern, has a durable pull consumer of that
// name, on which the server lets one message be out at a time. So messages of a
// topic are handled strictly in their order: over a nack, over a crash, and over
// any number of subscribers on any number of machines. Whoever wants
// concurrency subscribes to several topics.
//
// While a message is being handled the server is told so; when nobody tells it
// anything for AckWait, the message is delivered again. The connection is the
// caller's and is not closed.
type Subscriber struct {
	conn    *nats.Conn
	js      jetstream.JetStream
	options SubscriberOptions

	closing chan struct{} // closed when no more messages are wanted
	mu      sync.Mutex    // guards closed and running.Add against running.Wait
	closed  bool
	running sync.WaitGroup // one a subscription
}

// SubscriberOptions are how a [Subscriber] treats its messages. Zero values
// stand for the defaults named.
type SubscriberOptions struct {
	Stream    string        // which has to exist
	AckWait   time.Duration // 15 s: how long after a crash a message is delivered again
	NackDelay time.Duration // 0: after a nack a message is delivered again at once
	Grace     time.Duration // 0: how long a message in hand may be finished after the end of the subscription
	Log       *slog.Logger  // slog.Default: says when the server is out of reach
}

// NewSubscriber returns a subscriber on a stream.
func NewSubscriber(conn *nats.Conn, options SubscriberOptions) (*Subscriber, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("cannot use JetStream: %w", err)
	}
	if options.AckWait == 0 {
		options.AckWait = 15 * time.Second
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	return &Subscriber{conn: conn, js: js, options: options, closing: make(chan struct{})}, nil
}

var errClosed = errors.New("closed")

// Subscribe delivers the topic's messages until ctx is done or the subscriber
// is closed; either closes the channel, after the message in hand has been acked
// or nacked or has had its time of Grace. A message's context has the values of
// ctx and ends with its ack or nack, or when it is given back to the server
// unhandled. What the message came as is told by [OriginOf].
//
// A server that does not answer is no error: the subscription is taken up when
// it does.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	if !s.enter() {
		return nil, fmt.Errorf("subscribing to %s: %w", topic, errClosed)
	}
	wanted, stop := context.WithCancel(ctx) // ends when no more messages are wanted
	go func() {
		select {
		case <-s.closing:
			stop()
		case <-wanted.Done():
		}
	}()
	consumer, err := s.consume(wanted, topic)
	if err != nil && (wanted.Err() != nil || !eventstore.Unanswered(err)) {
		stop()
		s.running.Done()
		return nil, err
	}
	out := make(chan *message.Message)
	go func() {
		defer s.running.Done()
		defer close(out)
		defer stop()
		for {
			if consumer != nil {
				s.relay(wanted, consumer, out)
			}
			if consumer = s.again(wanted, topic); consumer == nil {
				return
			}
		}
	}()
	return out, nil
}

// enter counts a subscription, unless the subscriber is closed.
func (s *Subscriber) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.running.Add(1)
	}
	return !s.closed
}

// consume makes sure of the topic's consumer.
func (s *Subscriber) consume(ctx context.Context, topic string) (jetstream.Consumer, error) {
	consumer, err := eventstore.WhileConnected(ctx, s.conn, func(ctx context.Context) (jetstream.Consumer, error) {
		return s.js.CreateOrUpdateConsumer(ctx, s.options.Stream, jetstream.ConsumerConfig{
			Durable:       durableName(topic),
			FilterSubject: topic,
			AckPolicy:     jetstream.AckExplicitPolicy,
			AckWait:       s.options.AckWait,
			MaxDeliver:    -1,
			MaxAckPending: 1, // what keeps the order
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot subscribe to %s of stream %s: %w", topic, s.options.Stream, err)
	}
	return consumer, nil
}

// again takes up a subscription after the server went or took the consumer away.
// It returns nil when no more messages are wanted.
func (s *Subscriber) again(wanted context.Context, topic string) jetstream.Consumer {
	const pause = 200 * time.Millisecond
	for told := false; wanted.Err() == nil && !s.conn.IsClosed(); told = true {
		if !told {
			s.options.Log.Warn("a subscription was interrupted; it is taken up again", "stream", s.options.Stream, "topic", topic)
		}
		select {
		case <-wanted.Done():
			return nil
		case <-time.After(pause):
		}
		if consumer, err := s.consume(wanted, topic); err == nil {
			return consumer
		}
	}
	return nil
}

// relay hands over messages until no more are wanted or the consumer is gone.
//
// It asks for one message at a time. The iterator of nats.go would be quicker,
// but asked for one message ahead it may wait for 30 seconds with nothing asked
// for: it does not ask while its last request is still being sent, and when the
// answer overtakes the end of the sending it does not look again.
func (s *Subscriber) relay(wanted context.Context, consumer jetstream.Consumer, out chan<- *message.Message) {
	for wanted.Err() == nil {
		// A message that is on its way when wanted ends comes again after AckWait.
		msg, err := consumer.Next(jetstream.FetchContext(wanted), jetstream.FetchHeartbeat(heartbeat))
		switch {
		case err == nil:
			s.deliver(wanted, msg, out)
		case !errors.Is(err, nats.ErrTimeout):
			return
		}
	}
}

// heartbeat is how often a server without messages says that it is there. After
// twice that time the subscription is taken up anew.
const heartbeat = 2 * time.Second

// deliver hands over one message and waits for what becomes of it. An ack or nack
// that gets lost on its way to the server means that the message is delivered
// again, so their errors need no care.
func (s *Subscriber) deliver(wanted context.Context, msg jetstream.Msg, out chan<- *message.Message) {
	ctx, cancel := context.WithCancel(withOrigin(context.WithoutCancel(wanted), msg))
	defer cancel()
	m := received(msg)
	m.SetContext(ctx)
	busy := time.NewTicker(s.options.AckWait / 3)
	defer busy.Stop()
	handed := false
	for !handed {
		select {
		case out <- m:
			handed = true
		case <-busy.C:
			_ = msg.InProgress()
		case <-wanted.Done():
			_ = msg.Nak()
			return
		}
	}
	ended := wanted.Done()
	var graceOver <-chan time.Time
	for {
		select {
		case <-m.Acked():
			_ = msg.Ack()
			return
		case <-m.Nacked():
			if s.options.NackDelay == 0 {
				_ = msg.Nak()
			} else {
				_ = msg.NakWithDelay(s.options.NackDelay)
			}
			return
		case <-busy.C:
			_ = msg.InProgress()
		case <-ended:
			ended, graceOver = nil, time.After(s.options.Grace)
		case <-graceOver:
			_ = msg.Nak()
			return
		}
	}
}

// Close ends every subscription and waits for them. It may be called again, and
// waits each time.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	if !s.closed {
		s.closed = true
		close(s.closing)
	}
	s.mu.Unlock()
	s.running.Wait()
	if s.conn.IsConnected() {
		// So that the last acks are on their way before the connection ends.
		if err := s.conn.FlushTimeout(5 * time.Second); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			return fmt.Errorf("flushing acknowledgements: %w", err)
		}
	}
	return nil
}

// durableName is the name of a topic's consumer; a name may not hold what makes
// subjects and patterns.
func durableName(topic string) string {
	return strings.NewReplacer(".", "_", "*", "any", ">", "all").Replace(topic)
}

// received turns a message of the server's into Watermill's. A header that is
// repeated counts with its first value; those of the server's own are left out.
// The message's name is its UUID header, if that is a UUID: names are logged,
// and a sender may write anything. Otherwise it is the message's place in its
// stream.
func received(msg jetstream.Msg) *message.Message {
	headers := msg.Headers()
	name := headers.Get(headerUUID)
	if _, err := domain.ParseUUID(name); err != nil {
		name = ""
	}
	m := message.NewMessage(name, msg.Data())
	for name, values := range headers {
		if name != headerUUID && !strings.HasPrefix(name, "Nats-") && len(values) > 0 {
			m.Metadata.Set(name, values[0])
		}
	}
	if m.UUID == "" {
		if meta, err := msg.Metadata(); err == nil {
			m.UUID = meta.Stream + "-" + strconv.FormatUint(meta.Sequence.Stream, 10)
		}
	}
	return m
}

// Origin is where a message came from.
type Origin struct {
	Subject   string
	Sequence  uint64    // in its stream
	Stored    time.Time // when the server received it
	Delivered uint64    // how many times it has been delivered, this time included
}

type originKey struct{}

func withOrigin(ctx context.Context, msg jetstream.Msg) context.Context {
	origin := Origin{Subject: msg.Subject()}
	if meta, err := msg.Metadata(); err == nil {
		origin.Sequence, origin.Stored, origin.Delivered = meta.Sequence.Stream, meta.Timestamp, meta.NumDelivered
	}
	return context.WithValue(ctx, originKey{}, origin)
}

// OriginOf returns where the message came from whose context this is.
func OriginOf(ctx context.Context) (Origin, bool) {
	o, ok := ctx.Value(originKey{}).(Origin)
	return o, ok
}
