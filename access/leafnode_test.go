package access_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"bahi/access"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

// serverOf runs a server on a configuration in a file.
func serverOf(t *testing.T, text string) *server.Server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return natstest.StartFile(t, path)
}

// TestLeafNodeOfACentre: with the two blocks of docs/CENTRES.md a leaf node that
// signs in as a centre has the rights of that centre and no others.
func TestLeafNodeOfACentre(t *testing.T) {
	t.Parallel()
	ledger := newWho(t, "the ledger", "_INBOX")
	centres, list := registered(t)
	text := writeConfig(t, filepath.Join(t.TempDir(), "nats.conf"), access.NATSConfig{
		Listen: "127.0.0.1:-1", StoreDir: t.TempDir(), Ledger: []string{ledger.public}, Centres: list,
	})
	hub := serverOf(t, text+"\nleafnodes { listen: \"127.0.0.1:-1\" }\n")
	store := natstest.OpenConfig(t, eventstore.Config{URL: hub.ClientURL(), Credentials: ledger.file(t)})
	h := furnish(t, house{url: hub.ClientURL(), store: store, centres: centres})
	info, err := hub.Varz(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf := serverOf(t, fmt.Sprintf("listen: \"127.0.0.1:-1\"\nleafnodes { remotes: [ { urls: [\"nats://127.0.0.1:%d\"], nkey: %q } ] }\n", info.LeafNode.Port, centres[north].seed))

	inbox := eventstore.CentreInboxPrefix(north.District, north.Code)
	conn := natstest.Connect(t, leaf.ClientURL(), nats.CustomInboxPrefix(inbox))
	var answer *nats.Msg
	for deadline := time.Now().Add(natstest.Patience); time.Now().Before(deadline); {
		if answer, err = conn.Request("bahi.intake.key", nil, time.Second); err == nil {
			break
		}
	}
	if err != nil || string(answer.Data) != "the ledger's answer" {
		t.Fatalf("the intake key: %v", err)
	}
	if _, err := conn.Request("intake.208.208001", []byte("x"), natstest.Patience); err != nil {
		t.Errorf("a bundle of its own: %v", err)
	}
	heard, err := conn.SubscribeSync(inbox + ".x")
	if err == nil {
		err = conn.FlushTimeout(natstest.Patience)
	}
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(natstest.Patience); ; {
		if err := h.intake.Conn().Publish(inbox+".x", []byte("verdicts")); err != nil {
			t.Fatal(err)
		}
		if _, err = heard.NextMsg(200 * time.Millisecond); err == nil || time.Now().After(deadline) {
			break
		}
	}
	if err != nil {
		t.Errorf("its verdicts: %v", err)
	}
	for _, subject := range []string{"intake.208.208002", "ledger.208", "$JS.API.STREAM.INFO.INTAKE"} {
		if _, err := conn.Request(subject, []byte("x"), 300*time.Millisecond); err == nil {
			t.Errorf("%s is answered", subject)
		}
	}
	s, err := h.intake.Stream(t.Context(), "INTAKE")
	if err != nil || s.CachedInfo().State.Msgs != 1 {
		t.Errorf("in INTAKE: %+v, %v", s.CachedInfo().State, err)
	}
}
