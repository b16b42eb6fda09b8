package intake

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/internal/natstest"
)

// workQueue makes the stream of these tests.
func workQueue(t *testing.T, conn *nats.Conn) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.CreateStream(natstest.Context(t), jetstream.StreamConfig{Name: "TEST", Subjects: []string{"test.*"}, Retention: jetstream.WorkQueuePolicy})
	if err != nil {
		t.Fatal(err)
	}
	return js, stream
}

// subscribed subscribes to a topic of that stream until the test ends.
func subscribed(t *testing.T, conn *nats.Conn, o SubscriberOptions) (*Subscriber, <-chan *message.Message) {
	t.Helper()
	o.Stream = "TEST"
	sub, err := NewSubscriber(conn, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	incoming, err := sub.Subscribe(t.Context(), "test.one")
	if err != nil {
		t.Fatal(err)
	}
	return sub, incoming
}

// TestServerRestart stops the server under a subscriber, twice, and starts it
// again: every message arrives, in order, but for repetitions.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	store, port := t.TempDir(), natstest.Ports(t, 1)[0]
	start := func() *server.Server {
		return natstest.Start(t, &server.Options{Port: port, JetStream: true, StoreDir: store})
	}
	s := start()
	conn := connect(t, s)
	workQueue(t, conn)
	pub, err := NewPublisher(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, incoming := subscribed(t, connect(t, s), SubscriberOptions{AckWait: time.Second})
	const n = 300
	go func() {
		for i := range n {
			m := message.NewMessage(watermill.NewUUID(), fmt.Appendf(nil, "%d", i))
			for pub.Publish("test.one", m) != nil {
				time.Sleep(10 * time.Millisecond) // until the server is back
			}
		}
	}()
	for next := 0; next < n; {
		select {
		case m := <-incoming:
			got := string(m.Payload)
			m.Ack()
			if got != fmt.Sprint(next) {
				if next == 0 || got != fmt.Sprint(next-1) {
					t.Fatalf("message %s where %d should be", got, next)
				}
				continue // its ack was lost with the server
			}
			next++
			if next == n/3 || next == n/2 {
				natstest.Stop(s)
				s = start()
			}
		case <-time.After(natstest.Patience):
			t.Fatalf("no message %d", next)
		}
	}
}

// TestNobodyForJetStream subscribes while nobody answers for JetStream, as for an
// instant while a server takes up new accounts: the subscription is taken up when
// somebody does.
func TestNobodyForJetStream(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "nats.conf")
	configure := func(account string) {
		t.Helper()
		conf := fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\nno_auth_user: one\naccounts { ONE { %s users: [ { user: one, password: one } ] } }\n",
			filepath.Dir(file), account)
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("")
	s := natstest.StartFile(t, file)
	conn := connect(t, s)
	_, incoming := subscribed(t, conn, SubscriberOptions{})
	configure("jetstream: enabled,")
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	js, _ := workQueue(t, conn)
	if _, err := js.Publish(natstest.Context(t), "test.one", []byte("x")); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-incoming:
		m.Ack()
	case <-time.After(natstest.Patience):
		t.Error("the subscription was not taken up")
	}
}

// TestRepeatedHeader: a message whose header stands twice is delivered with the
// first; a name that is no UUID is not taken over.
func TestRepeatedHeader(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	conn := connect(t, s)
	js, _ := workQueue(t, conn)
	msg := nats.NewMsg("test.one")
	msg.Header.Add("Bahi-Reply", "first")
	msg.Header.Add("Bahi-Reply", "second")
	msg.Header.Set(headerUUID, "Kanariya Kumari")
	if _, err := js.PublishMsg(natstest.Context(t), msg); err != nil {
		t.Fatal(err)
	}
	sub, incoming := subscribed(t, conn, SubscriberOptions{})
	m := <-incoming
	if m.Metadata.Get("Bahi-Reply") != "first" || m.UUID != "TEST-1" {
		t.Errorf("metadata %v, name %s", m.Metadata, m.UUID)
	}
	if o, ok := OriginOf(m.Context()); !ok || o != (Origin{Subject: "test.one", Sequence: 1, Delivered: 1, Stored: o.Stored}) || time.Since(o.Stored) > natstest.Patience {
		t.Errorf("origin %+v", o)
	}
	m.Ack()
	if err := sub.Close(); err != nil {
		t.Error(err)
	}
	if _, err := sub.Subscribe(t.Context(), "test.one"); err == nil {
		t.Error("a closed subscriber subscribes")
	}
}

// TestConsumerTakenAway: an operator deletes the consumer; the subscriber makes
// it again and goes on.
func TestConsumerTakenAway(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	conn := connect(t, s)
	js, stream := workQueue(t, conn)
	_, incoming := subscribed(t, conn, SubscriberOptions{})
	if err := stream.DeleteConsumer(natstest.Context(t), durableName("test.one")); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(natstest.Context(t), "test.one", []byte("x")); err != nil {
		t.Fatal(err)
	}
	select {
	case m := <-incoming:
		m.Ack()
	case <-time.After(natstest.Patience):
		t.Error("the subscriber did not go on")
	}
}

func TestPublisherRefusesWhatHeadersCannotCarry(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	pub, err := NewPublisher(connect(t, s))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"": "x", "a b": "x", "a:b": "x", "é": "x", "a": "x\r\ny", "b": " x", "c": "x\x00"} {
		m := message.NewMessage("", nil)
		m.Metadata.Set(name, value)
		if err := pub.Publish("test.one", m); err == nil {
			t.Errorf("published %q: %q", name, value)
		}
	}
}
