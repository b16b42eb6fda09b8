package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/eventstore"
	"bahi/internal/natstest"
)

// configured starts a server on a configuration of two users, and returns how it is
// given another one.
func configured(t *testing.T, account string) (s *server.Server, configure func(account string)) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "nats.conf")
	write := func(account string) {
		t.Helper()
		conf := fmt.Sprintf("listen: \"127.0.0.1:-1\"\njetstream { store_dir: %q }\naccounts { ONE { %s }, TWO { users: [ { user: two, password: two } ] } }\n", dir, account)
		if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(account)
	s = natstest.StartFile(t, file)
	return s, func(account string) {
		t.Helper()
		write(account)
		if err := s.Reload(); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	withJetStream    = "jetstream: enabled, users: [ { user: one, password: one } ]"
	withoutJetStream = "users: [ { user: one, password: one } ]"
)

// TestAskAgain: while the server has nobody for JetStream it is asked again, and so it
// is when an answer does not come.
func TestAskAgain(t *testing.T) {
	t.Parallel()
	s, configure := configured(t, withoutJetStream)
	conn := natstest.Connect(t, s.ClientURL(), nats.UserInfo("one", "one"))
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	_, err = eventstore.Ask(natstest.Context(t), conn, func(ctx context.Context) (jetstream.Stream, error) {
		if tries++; tries == 3 {
			<-ctx.Done() // the answer is lost
			return nil, ctx.Err()
		}
		stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "TEST"})
		if tries == 1 {
			if !eventstore.Unanswered(err) {
				t.Errorf("with nobody for JetStream: %v", err)
			}
			configure(withJetStream)
		} else if tries == 2 {
			err = nats.ErrNoResponders
		}
		return stream, err
	})
	if err != nil || tries != 4 {
		t.Errorf("after %d tries: %v", tries, err)
	}
}

// TestAskNoMore: a refusal is an answer, and without a connection nothing is waited
// for, were it only lost while the answer was on its way.
func TestAskNoMore(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, &server.Options{JetStream: true, StoreDir: t.TempDir()})
	conn := natstest.Connect(t, s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectBufSize(-1))
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	tries := 0
	ask := func(question func(context.Context) (jetstream.Stream, error)) error {
		tries = 0
		_, err := eventstore.Ask(t.Context(), conn, func(ctx context.Context) (jetstream.Stream, error) {
			tries++
			return question(ctx)
		})
		return err
	}
	missing := func(ctx context.Context) (jetstream.Stream, error) { return js.Stream(ctx, "MISSING") }
	if err := ask(missing); !errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, eventstore.ErrUnreachable) || tries != 1 {
		t.Errorf("refused after %d tries: %v", tries, err)
	}
	err = ask(func(ctx context.Context) (jetstream.Stream, error) {
		if tries == 1 {
			natstest.Stop(s)
		}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	if !errors.Is(err, eventstore.ErrUnreachable) || !errors.Is(err, nats.ErrDisconnected) || tries != 1 {
		t.Errorf("cut off after %d tries: %v", tries, err)
	}
	if err := ask(missing); !errors.Is(err, eventstore.ErrUnreachable) || tries != 1 {
		t.Errorf("without a server, after %d tries: %v", tries, err)
	}
	conn.Close()
	if err := ask(missing); !errors.Is(err, nats.ErrConnectionClosed) || tries != 1 {
		t.Errorf("closed, after %d tries: %v", tries, err)
	}
}

// TestUnanswered: that there is no space is an answer, though the server gives it the
// code of a server that is away.
func TestUnanswered(t *testing.T) {
	t.Parallel()
	for id, silence := range map[server.ErrorIdentifier]bool{
		server.JSClusterNotAvailErr: true, server.JSNotEnabledErr: true,
		server.JSInsufficientResourcesErr: false, server.JSStreamStoreFailedF: false,
	} {
		err := fmt.Errorf("ask: %w", &jetstream.APIError{Code: 503, ErrorCode: jetstream.ErrorCode(id)})
		if eventstore.Unanswered(err) != silence {
			t.Errorf("%v: %t", err, !silence)
		}
	}
}

// TestShutOut: a server that was given a configuration without the ledger's user, and
// then the right one, is signed in to again.
func TestShutOut(t *testing.T) {
	t.Parallel()
	s, configure := configured(t, withJetStream)
	address := "nats://one:one@" + s.Addr().String()
	store := natstest.OpenConfig(t, eventstore.Config{URL: address})
	conn, err := store.Connect("test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	deadline := time.Now().Add(natstest.Patience)
	until := func(what string, isSo func() bool) {
		t.Helper()
		for ; !isSo(); time.Sleep(20 * time.Millisecond) {
			if conn.IsClosed() || time.Now().After(deadline) {
				t.Fatalf("it does not come to that: %s (%v)", what, conn.LastError())
			}
		}
	}
	configure("jetstream: enabled, users: [ { user: other, password: other } ]")
	until("three refusals of each connection", func() bool { // after two a client gives up by itself
		closed, err := s.Connz(&server.ConnzOptions{State: server.ConnClosed})
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for _, c := range closed.Conns {
			if c.Reason == server.AuthenticationViolation.String() {
				refused++
			}
		}
		return refused >= 6
	})
	configure(withJetStream)
	until("it is connected", conn.IsConnected)
	until("the ledger is read", func() bool {
		_, err := store.Head(t.Context())
		if err != nil && !errors.Is(err, eventstore.ErrUnreachable) {
			t.Fatal(err)
		}
		return err == nil
	})
}

// TestDialAgain: who is cut off while signing in signs in again.
func TestDialAgain(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, &server.Options{})
	cut := false
	conn, err := eventstore.Dial(through(t, s, func(client, inside net.Conn) {
		if !cut {
			cut = true
			client.Close()
			inside.Close()
			return
		}
		go pass(client, inside, nil)
	}))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// TestAppendCutOff: an acknowledgement that was to come over a connection that is lost
// is not waited for, and what became of the commit is unknown.
func TestAppendCutOff(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, &server.Options{JetStream: true, StoreDir: t.TempDir()})
	var deaf atomic.Bool
	lines := make(chan net.Conn, 10)
	store := natstest.OpenConfig(t, eventstore.Config{URL: through(t, s, func(client, inside net.Conn) {
		lines <- client
		go pass(client, inside, &deaf)
	})})
	direct := natstest.OpenConfig(t, eventstore.Config{URL: s.ClientURL()})
	deaf.Store(true)
	outcome := make(chan error, 1)
	go func() {
		_, err := store.Append(t.Context(), enrolment(1, 1), 0)
		outcome <- err
	}()
	for head := uint64(0); head == 0; {
		var err error
		if head, err = direct.Head(natstest.Context(t)); err != nil {
			t.Fatal(err)
		}
	}
	(<-lines).Close()
	if err := <-outcome; !errors.Is(err, eventstore.ErrUnknownOutcome) || !errors.Is(err, nats.ErrDisconnected) {
		t.Errorf("%v", err)
	}
}

// through returns an address at which who connects is passed on to a server. What the
// server says is passed back by back.
func through(t *testing.T, s *server.Server, back func(client, inside net.Conn)) (url string) {
	t.Helper()
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { door.Close() })
	go func() {
		for {
			client, err := door.Accept()
			if err != nil {
				return
			}
			inside, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				client.Close()
				continue
			}
			go pass(inside, client, nil)
			back(client, inside)
		}
	}()
	return "nats://" + door.Addr().String()
}

// pass passes on what comes, unless it is not to be heard.
func pass(to, from net.Conn, deaf *atomic.Bool) {
	b := make([]byte, 4<<10)
	for {
		n, err := from.Read(b)
		if err == nil && (deaf == nil || !deaf.Load()) {
			_, err = to.Write(b[:n])
		}
		if err != nil {
			to.Close()
			from.Close()
			return
		}
	}
}
