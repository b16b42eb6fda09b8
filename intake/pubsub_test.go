package intake

import (
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/internal/natstest"
)

// TestConformance holds subscriber and publisher to Watermill's own suite, on a
// work queue as INTAKE is one.
func TestConformance(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	conn := connect(t, s)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(natstest.Context(t), jetstream.StreamConfig{
		Name: "TEST", Subjects: []string{"test.*"}, Retention: jetstream.WorkQueuePolicy, Storage: jetstream.FileStorage,
	}); err != nil {
		t.Fatal(err)
	}
	construct := func(t *testing.T) (message.Publisher, message.Subscriber) {
		conn := connect(t, s)
		pub, err := NewPublisher(conn)
		if err != nil {
			t.Fatal(err)
		}
		sub, err := NewSubscriber(conn, SubscriberOptions{Stream: "TEST", AckWait: 2 * time.Second, Grace: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return pub, sub
	}
	tests.TestPubSub(t, tests.Features{
		ConsumerGroups:                      false, // a work queue gives each message to one consumer
		ExactlyOnceDelivery:                 false, // an ack may be lost on its way
		GuaranteedOrder:                     true,
		GuaranteedOrderWithSingleSubscriber: false, // and with ten
		Persistent:                          true,
		NewSubscriberReceivesOldMessages:    false, // what was acked is gone
		RestartServiceCommand:               nil,   // TestServerRestart below does that
		GenerateTopicFunc:                   func(c tests.TestContext) string { return "test." + c.TestID.String() },
	}, construct, nil)
}
