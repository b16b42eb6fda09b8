package ledger

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

// TestReadyAgain: a ledger whose server went is not ready, and is again when the server
// is back.
func TestReadyAgain(t *testing.T) {
	t.Parallel()
	options := server.Options{Port: natstest.Ports(t, 1)[0], JetStream: true, StoreDir: t.TempDir(), SyncAlways: true}
	start := func() *server.Server { return natstest.Start(t, &options) }
	first := start()
	dir := t.TempDir()
	l, err := Open(t.Context(), Config{Data: dir + "/data", Keys: dir + "/keys", Sandbox: true, NATS: first.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	submit(t, l, centre, registrationOf(1, 208, domain.HealthCareWorker, "2021-01-16"))
	if not := l.Ready(t.Context()); len(not) > 0 {
		t.Errorf("not ready: %v", not)
	}
	ready := func() []error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // it may not have noticed yet that nobody answers
		defer cancel()
		return l.Ready(ctx)
	}
	natstest.Stop(first)
	if not := ready(); len(not) != 1 || !errors.Is(not[0], eventstore.ErrUnreachable) {
		t.Errorf("without a server it is not ready for %v", not)
	}
	if is := measured(t, l); is["bahi_ledger_up"] != 0 || is["bahi_events_total"] == 0 {
		t.Errorf("without a server: %v", is)
	}
	start() // at the port that the first had
	t.Cleanup(func() { shut(t, l) })
	for deadline := time.Now().Add(natstest.Patience); len(ready()) > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s later: %v", natstest.Patience, ready())
		}
	}
	submit(t, l, centre, registrationOf(2, 208, domain.HealthCareWorker, "2021-01-16"))
}
