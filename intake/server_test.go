package intake

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"bahi/internal/natstest"
)

// startServer starts a NATS server with JetStream in a directory of the test's.
func startServer(t testing.TB) *server.Server {
	t.Helper()
	return natstest.Start(t, &server.Options{JetStream: true, StoreDir: t.TempDir()})
}

func connect(t testing.TB, s *server.Server) *nats.Conn {
	t.Helper()
	return natstest.Connect(t, s.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
}
