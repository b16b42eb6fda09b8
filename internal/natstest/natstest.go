// Package natstest opens real ledgers for tests: an embedded NATS server in a
// directory of the test's own, flushed and locked as in production, closed when
// the test ends.
package natstest

import (
	"cmp"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"bahi/eventstore"
)

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
// otherwise, and shuts it down when the test ends, if the test has not.
func Start(tb testing.TB, options *server.Options) *server.Server {
	tb.Helper()
	options.Host, options.NoLog, options.NoSigs = cmp.Or(options.Host, "127.0.0.1"), true, true
	options.Port = cmp.Or(options.Port, server.RANDOM_PORT)
	s, err := server.NewServer(options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { Stop(s) })
	s.Start()
	if !s.ReadyForConnections(20 * time.Second) {
		tb.Fatal("a NATS server does not start")
	}
	return s
}

// Stop shuts a server down, if it is not, and waits for that.
func Stop(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}
