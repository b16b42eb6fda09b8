package intake

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/eventstore"
)

// Publisher is a Watermill publisher to JetStream: a topic is a subject. Each
// message is published with the server's acknowledgement awaited, so that what
// Publish returned nil for is stored, in that order. A message's UUID and topic
// name it for the stream's detection of duplicates.
//
// The connection is the caller's: Close, which the Router calls when one of its
// handlers stops, leaves it open.
type Publisher struct {
	js     jetstream.JetStream
	closed atomic.Bool
}

// NewPublisher returns a publisher.
func NewPublisher(conn *nats.Conn) (*Publisher, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("cannot use JetStream: %w", err)
	}
	return &Publisher{js: js}, nil
}

// Publish publishes messages one after another and stops at the first that the
// server does not acknowledge. Metadata become headers; it refuses what headers
// cannot carry unchanged.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	for _, m := range messages {
		if p.closed.Load() {
			return fmt.Errorf("publishing to %s: %w", topic, errClosed)
		}
		msg := nats.NewMsg(topic)
		msg.Data = m.Payload
		for name, value := range m.Metadata {
			if !isHeaderName(name) || strings.ContainsAny(value, "\r\n\x00") || strings.TrimSpace(value) != value {
				return fmt.Errorf("publishing to %s: a metadata entry of the message does not fit into a header", topic)
			}
			msg.Header.Set(name, value)
		}
		var options []jetstream.PublishOpt
		if m.UUID != "" {
			msg.Header.Set(headerUUID, m.UUID)
			options = append(options, jetstream.WithMsgID(topic+" "+m.UUID))
		}
		_, err := eventstore.WhileConnected(m.Context(), p.js.Conn(), func(ctx context.Context) (*jetstream.PubAck, error) {
			return p.js.PublishMsg(ctx, msg, options...)
		})
		if err != nil {
			return fmt.Errorf("publishing to %s: %w", topic, err)
		}
	}
	return nil
}

// Close makes Publish refuse. There is nothing to flush: Publish waits.
func (p *Publisher) Close() error {
	p.closed.Store(true)
	return nil
}

// isHeaderName tells whether name is a token of RFC 9110; other names would be
// left out of the message without a word.
func isHeaderName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return name != ""
}
