// Package natstest opens real ledgers for tests: an embedded NATS server in a
// directory of the test's own, flushed and locked as in production, closed when
// the test ends.
package natstest

import (
	"testing"

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
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT,
		JetStream: true, StoreDir: tb.TempDir(), SyncAlways: true,
		NoLog: true, NoSigs: true,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	s.Start()
	return s.ClientURL()
}
