package access_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"bahi/access"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

// writeConfig writes a configuration where a server reads it.
func writeConfig(t *testing.T, path string, c access.NATSConfig) string {
	t.Helper()
	var text bytes.Buffer
	if err := c.Write(&text); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// startServer runs a server on the configuration, read by NATS's own parser.
func startServer(t *testing.T, c access.NATSConfig) (s *server.Server, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "nats.conf")
	text := writeConfig(t, path, c)
	options, err := server.ProcessConfigFile(path)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if !options.SyncAlways || !options.JetStream {
		t.Error("a write is acknowledged before it is flushed")
	}
	return natstest.Start(t, options), path
}

// TestConfigInTheDocuments: docs/nats.conf is what is printed before there are
// centres.
func TestConfigInTheDocuments(t *testing.T) {
	path := filepath.Join("..", "docs", "nats.conf")
	want := writeConfig(t, filepath.Join(t.TempDir(), "nats.conf"), access.NATSConfig{})
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not what `bahi nats-config --no-centres` prints:\n%s", path, want)
	}
	t.Setenv("LEDGER_PASSWORD", "secret")
	if _, err := server.ProcessConfigFile(path); err != nil {
		t.Error(err)
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWho(t, "", "")
	for why, c := range map[string]access.NATSConfig{
		"a seed of the ledger":      {Ledger: []string{string(w.seed)}},
		"a seed of an operator":     {Operators: []string{string(w.seed)}},
		"a key without certificate": {Key: "key.pem"},
		"a certificate without key": {Certificate: "crt.pem"},
		"a quote in a path":         {StoreDir: `/data" }`},
		"a line end":                {Listen: "0.0.0.0:4222\nauthorization: {}"},
		"a centre of no district":   {Centres: []access.Centre{{Code: "1", NKey: w.public}}},
		"a centre with a wildcard":  {Centres: []access.Centre{{District: 208, Code: ">", NKey: w.public}}},
	} {
		var text bytes.Buffer
		if err := c.Write(&text); err == nil {
			t.Errorf("%s is written", why)
		} else if strings.Contains(err.Error(), string(w.seed)) {
			t.Errorf("%s: the error shows a seed", why)
		}
		if text.Len() > 0 {
			t.Errorf("%s: half a configuration is written", why)
		}
	}
}

// TestConfigIsReloaded: a server that is told to reload lets new centres in, cuts
// off those that are gone, and leaves streams and everybody else alone.
func TestConfigIsReloaded(t *testing.T) {
	t.Parallel()
	ledger := newWho(t, "the ledger", "_INBOX")
	centres, list := registered(t)
	config := access.NATSConfig{Listen: "127.0.0.1:-1", StoreDir: t.TempDir(), Ledger: []string{ledger.public}, Centres: list[:2]}
	s, path := startServer(t, config)
	url := s.ClientURL()
	store := natstest.OpenConfig(t, eventstore.Config{URL: url, Credentials: ledger.file(t)})
	h := furnish(t, house{url: url, store: store, centres: centres})

	publish := func(conn *nats.Conn, subject string) error {
		_, err := conn.Request(subject, []byte("x"), natstest.Patience)
		return err
	}
	stays, err := centres[north].connect(t, url)
	if err != nil {
		t.Fatal(err)
	}
	goes, err := centres[south].connect(t, url)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan struct{})
	goes.SetClosedHandler(func(*nats.Conn) { close(closed) })
	if err := publish(stays, "intake.208.208001"); err != nil {
		t.Fatal(err)
	}
	if _, err := centres[other].connect(t, url); err == nil {
		t.Error("a centre that is not registered gets in")
	}

	config.Centres = []access.Centre{list[0], list[2]}
	writeConfig(t, path, config)
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-time.After(natstest.Patience):
		t.Error("a centre that was removed is still connected")
	}
	if _, err := centres[south].connect(t, url); err == nil {
		t.Error("a centre that was removed gets in")
	}
	comes, err := centres[other].connect(t, url)
	if err != nil {
		t.Fatal(err)
	}
	if err := publish(comes, "intake.216.216001"); err != nil {
		t.Errorf("the new centre: %v", err)
	}
	if err := publish(stays, "intake.208.208001"); err != nil {
		t.Errorf("the one that stayed: %v", err)
	}
	stream, err := h.intake.Stream(t.Context(), "INTAKE")
	if err != nil {
		t.Fatal(err)
	}
	if info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(">")); err != nil || info.State.Msgs != 3 {
		t.Errorf("the stream has %+v, %v", info, err)
	}
	if _, err := store.AppendAccess(t.Context(), eventstore.AuditAccess{At: time.Now(), Kind: eventstore.CentreRemoved, District: 208, Centre: "1"}, 0); err != nil {
		t.Errorf("the ledger: %v", err)
	}
}

// TestManyCentresInAConfig: what a server needs to read a configuration grows with
// the centres, not with their square.
func TestManyCentresInAConfig(t *testing.T) {
	t.Parallel()
	nkey := newWho(t, "", "").public
	path := filepath.Join(t.TempDir(), "nats.conf")
	read := func(centres int) (took time.Duration) {
		t.Helper()
		c := access.NATSConfig{Ledger: []string{nkey}}
		for i := range centres {
			c.Centres = append(c.Centres, access.Centre{District: 208, Code: fmt.Sprint("c", i), NKey: newWho(t, "", "").public})
		}
		writeConfig(t, path, c)
		// What this thread works, however long it waits for others meanwhile.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		begun := worked(t)
		options, err := server.ProcessConfigFile(path)
		took = worked(t) - begun
		if err != nil {
			t.Fatal(err)
		}
		if len(options.Nkeys) != centres+1 {
			t.Errorf("it has %d users", len(options.Nkeys))
		}
		return took
	}
	few, many := read(1_000), min(read(10_000), read(10_000))
	t.Logf("1,000 centres are read in %s and 10,000 in %s", few, many)
	if many > 40*few {
		t.Errorf("1,000 centres are read in %s and 10,000 in %s", few, many)
	}
}

// worked is how long the calling thread has had a processor.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var used unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Nano())
}
