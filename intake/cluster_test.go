package intake

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"bahi/domain"
	"bahi/formats"
	"bahi/internal/natstest"
	"bahi/vault"
)

// TestDoorOnReplicas: on three servers, which refuse what only comes at the same time
// as something else, every refused row is in quarantine once, and leaves it once.
func TestDoorOnReplicas(t *testing.T) {
	t.Parallel()
	url := natstest.Cluster(t)
	dial := func() *nats.Conn { return natstest.Connect(t, url, nats.MaxReconnects(-1)) }
	keys, err := vault.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	var refuses atomic.Bool
	refuses.Store(true)
	m, h := &memory{}, &house{}
	d, err := OpenDoor(natstest.Context(t), Config{Conn: dial(), Replicas: 3, Keys: keys, Submit: m.refusing(&refuses), Custody: h.custody})
	if err != nil {
		t.Fatal(err)
	}
	d.pace = brisk
	d.serving(t)
	for _, name := range []string{streamIntake, streamQuarantine, streamVerdicts} {
		if s, err := d.js.Stream(natstest.Context(t), name); err != nil || s.CachedInfo().Config.Replicas != 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := NewClient(dial(), ClientOptions{IntakeKey: keys.IntakePublicKey(), Receipt: natstest.Patience})
	if err != nil {
		t.Fatal(err)
	}
	const centres = 12
	var group sync.WaitGroup
	sent := make([]SealedBundle, centres)
	for n := range centres {
		group.Go(func() {
			dose := refusedDose(n)
			dose.Centre = fmt.Sprintf("c-%d", n)
			b, err := Seal(keys.IntakePublicKey(), 208, dose.Centre, domain.UUID{byte(n + 1)}, formats.AppendSubmission(nil, dose))
			if err == nil {
				_, err = c.Send(t.Context(), &b)
			}
			if err != nil {
				t.Error(err)
			}
			sent[n] = b
		})
	}
	group.Wait()
	items := list(t, d.quarantine, QuarantineQuery{})
	if len(items) != centres {
		t.Fatalf("in quarantine: %d", len(items))
	}
	refuses.Store(false)
	for _, is := range items {
		group.Go(func() {
			if r, err := d.quarantine.Retry(natstest.Context(t), is.ID, 0); err != nil || r.Accepted != 1 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	group.Wait()
	if items = list(t, d.quarantine, QuarantineQuery{}); len(items) != 0 || len(m.order) != centres {
		t.Errorf("%d are still in quarantine, %d were taken in", len(items), len(m.order))
	}
	for _, b := range sent {
		if v, err := c.Verdicts(t.Context(), b); err != nil || len(v) != 1 || v[0].Outcome != domain.Rejected {
			t.Errorf("%v, %v", v, err)
		}
	}
}
