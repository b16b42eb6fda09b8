package access_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"bahi/access"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

// TestFollowsAfterTheServerWasAway: a node that lost the server learns, when it is
// back, what another node recorded since.
func TestFollowsAfterTheServerWasAway(t *testing.T) {
	t.Parallel()
	start := func(o server.Options) *server.Server {
		t.Helper()
		o.JetStream, o.SyncAlways = true, true
		return natstest.Start(t, &o)
	}
	dir, keys := t.TempDir(), openVault(t)
	port := natstest.Ports(t, 1)[0]
	s := start(server.Options{Port: port, StoreDir: dir})
	url := s.ClientURL()
	r := openRegistry(t, natstest.OpenConfig(t, eventstore.Config{URL: url}), keys)
	issued, err := r.Issue(t.Context(), authority, forOfficer)
	if err != nil {
		t.Fatal(err)
	}

	natstest.Stop(s)
	if _, err := r.Bearer(t.Context(), issued.Text, false); err != nil {
		t.Errorf("while the server is away: %v", err)
	}
	hasty, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := r.Revoke(hasty, authority, issued.ID); err == nil {
		t.Error("revoked without a record")
	}
	start(server.Options{Port: port, StoreDir: dir})

	other := openRegistry(t, natstest.OpenConfig(t, eventstore.Config{URL: url}), keys)
	if err := other.Revoke(t.Context(), authority, issued.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the node that lost the server knows", func() bool {
		_, err := r.Bearer(t.Context(), issued.Text, false)
		return errors.Is(err, access.ErrRevoked)
	})
}
