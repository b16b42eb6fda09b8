// Package natstest opens real ledgers for tests: an embedded NATS server in a
// directory of the test's own, flushed and locked as in production, closed when
// the test ends.
package natstest

import (
	"cmp"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"bahi/eventstore"
)

// Patience is how long a test waits for what has to come. A machine may be slow, and
// may stand still for some seconds; a test that gives up earlier finds no fault by it.
const Patience = 2 * time.Minute

// Context is the test's, with an end: whoever asks JetStream with a context that has
// none gives up after five seconds.
func Context(tb testing.TB) context.Context {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), Patience)
	tb.Cleanup(cancel)
	return ctx
}

// Open opens an empty ledger in a directory of the test's own.
func Open(tb testing.TB) *eventstore.Store {
	tb.Helper()
	return OpenConfig(tb, eventstore.Config{Dir: tb.TempDir()})
}

// OpenDir opens the ledger in dir, which may hold one. To open it again, close
// it first.
func OpenDir(tb testing.TB, dir string) *eventstore.Store {
	tb.Helper()
	return OpenConfig(tb, eventstore.Config{Dir: dir})
}

// OpenConfig opens a ledger and closes it when the test ends.
func OpenConfig(tb testing.TB, c eventstore.Config) *eventstore.Store {
	tb.Helper()
	s, err := eventstore.Open(tb.Context(), c)
	for begun := time.Now(); errors.Is(err, eventstore.ErrUnreachable) && time.Since(begun) < Patience; {
		s, err = eventstore.Open(tb.Context(), c) // the test has a server there, be it that it stands still
	}
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close the ledger: %v", err)
		}
	})
	return s
}

// Connect connects to a server until the test ends.
func Connect(tb testing.TB, url string, options ...nats.Option) *nats.Conn {
	tb.Helper()
	conn, err := nats.Connect(url, append([]nats.Option{nats.Timeout(Patience)}, options...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(conn.Close)
	return conn
}

// Server starts a NATS server with JetStream on a free loopback port, as an
// operator would run beside bahi, and returns its address.
func Server(tb testing.TB) (url string) {
	tb.Helper()
	return Start(tb, &server.Options{JetStream: true, StoreDir: tb.TempDir(), SyncAlways: true}).ClientURL()
}

// StartFile starts a server on a configuration file.
func StartFile(tb testing.TB, path string) *server.Server {
	tb.Helper()
	options, err := server.ProcessConfigFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return Start(tb, options)
}

// Start starts a server, on loopback and a free port unless the options say
// otherwise, and shuts it down when the test ends, if the test has not. A server that
// is started again where it was needs a port of [Ports].
func Start(tb testing.TB, options *server.Options) *server.Server {
	tb.Helper()
	options.Host, options.NoLog, options.NoSigs = cmp.Or(options.Host, "127.0.0.1"), true, true
	options.Port = cmp.Or(options.Port, server.RANDOM_PORT)
	options.AuthTimeout = cmp.Or(options.AuthTimeout, Patience.Seconds())
	s, err := server.NewServer(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { Stop(s) })
	s.Start()
	if !s.ReadyForConnections(Patience) {
		tb.Fatal("a NATS server does not start")
	}
	return s
}

// Stop shuts a server down, if it is not, and waits for that.
func Stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}
