package notices

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"bahi/internal/natstest"
	"bahi/ledger"
)

// portals is a server on docs/nats.conf with the lines of docs/NOTICES.md in it, for
// a portal of district 208 and another one of 212.
func portals(t *testing.T) (url string, seeds map[string]string) {
	t.Helper()
	read := func(path string) string {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	block := func(page, info string) string {
		_, rest, ok := strings.Cut(page, "```conf "+info+"\n")
		if !ok {
			t.Fatalf("docs/NOTICES.md has no block %s", info)
		}
		text, _, _ := strings.Cut(rest, "```")
		return text
	}
	page, seeds := read("../docs/NOTICES.md"), map[string]string{}
	account := block(page, "account")
	user := regexp.MustCompile(`(?s)      \{ nkey: (\w+),.*?\} \}\n`).FindStringSubmatch(account)
	if user == nil {
		t.Fatal("docs/NOTICES.md shows no user")
	}
	users := ""
	for _, district := range []string{"208", "212"} {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		public, _ := pair.PublicKey()
		seed, _ := pair.Seed()
		seeds[district] = filepath.Join(t.TempDir(), "seed")
		if err := os.WriteFile(seeds[district], seed, 0o600); err != nil {
			t.Fatal(err)
		}
		users += strings.NewReplacer(user[1], public, "208", district).Replace(user[0])
	}
	nobody, both := strings.Replace(account, user[0], "", 1), strings.Replace(account, user[0], users, 1)

	config := read("../docs/nats.conf")
	for _, edit := range []struct{ at, by string }{
		{`listen: "0.0.0.0:4222"`, `listen: "127.0.0.1:-1"`},
		{`store_dir: "/data"`, fmt.Sprintf("store_dir: %q", t.TempDir())},
		{"$LEDGER_PASSWORD", "ledger"},
		{block(page, "exports"), block(page, "exports")}, // they are there
		{nobody, both},
	} {
		if strings.Count(config, edit.at) != 1 {
			t.Fatalf("docs/nats.conf has no %q, or several", edit.at)
		}
		config = strings.Replace(config, edit.at, edit.by, 1)
	}
	path := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return natstest.StartFile(t, path).ClientURL(), seeds
}

// portal connects one.
func portal(t *testing.T, url, seed, district string) *nats.Conn {
	t.Helper()
	signIn, err := nats.NkeyOptionFromSeed(seed)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect(url, signIn, nats.Timeout(natstest.Patience), nats.CustomInboxPrefix("_INBOX_portal-"+district), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// refused tells whether the server said that the connection may not do that to the
// subject.
func refused(t *testing.T, conn *nats.Conn, subject string) bool {
	t.Helper()
	if err := conn.FlushTimeout(natstest.Patience); err != nil {
		t.Fatal(err)
	}
	err := conn.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+subject+`"`)
}

// TestPortalsHearTheirDistrict: on an external server that is set up as the documents
// say, a portal gets the notices of its own district, live and from where it was, and
// can do nothing else.
func TestPortalsHearTheirDistrict(t *testing.T) {
	t.Parallel()
	address, seeds := portals(t)
	dir := t.TempDir()
	withPassword := strings.Replace(address, "nats://", "nats://ledger:ledger@", 1)
	l, err := ledger.Open(t.Context(), ledger.Config{Data: dir + "/data", Keys: dir + "/keys", NATS: withPassword, Sandbox: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	f := openFollower(t, l, Options{})
	for district := range seeds {
		_, err := f.stream.CreateConsumer(natstest.Context(t), jetstream.ConsumerConfig{
			Durable: "portal-" + district, FilterSubject: "notice." + district + ".*", AckPolicy: jetstream.AckExplicitPolicy,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	conn := portal(t, address, seeds["208"], "208")
	live, err := conn.SubscribeSync("notice.208.*")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.FlushTimeout(natstest.Patience); err != nil {
		t.Fatal(err)
	}
	s := serve(t, f)
	submit(t, l, story()...)
	e := expect(t, l)
	e.told(t, f)
	s.end(t)

	var want []string
	for _, n := range stored(t, f) {
		if strings.HasPrefix(n.subject, "notice.208.") {
			want = append(want, n.ID)
		}
	}
	var heard []string
	for len(heard) < len(want) {
		m, err := live.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatalf("live: %v after %v", err, heard)
		}
		heard = append(heard, hear(t, m.Subject, m.Header, m.Data))
	}
	js, err := jetstream.NewWithAPIPrefix(conn, "bahi.API")
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.Consumer(natstest.Context(t), streamName, "portal-208")
	if err != nil {
		t.Fatal(err)
	}
	var fetched []string
	for len(fetched) < len(want) {
		m, err := consumer.Next(jetstream.FetchMaxWait(natstest.Patience))
		if err != nil {
			t.Fatalf("consumer: %v after %v", err, fetched)
		}
		fetched = append(fetched, hear(t, m.Subject(), m.Headers(), m.Data()))
		if err := m.DoubleAck(natstest.Context(t)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(heard, want) || !slices.Equal(fetched, want) {
		t.Errorf("heard %v\nand fetched %v,\nwant %v", heard, fetched, want)
	}

	head, err := l.Store().Head(natstest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	own := []string{"bahi.API.CONSUMER.INFO.NOTICES.portal-208", "bahi.API.CONSUMER.MSG.NEXT.NOTICES.portal-208"}
	for _, subject := range append([]string{
		"notice.208.freeze_announced", "notice.place", "ledger.208", "audit.access", "intake.208.208001", "bahi.intake.key", "_INBOX_portal-212.x",
		"bahi.API.CONSUMER.INFO.NOTICES.portal-212", "bahi.API.CONSUMER.MSG.NEXT.NOTICES.portal-212", "$JS.ACK.NOTICES.portal-212.1.1.1.1.1",
		"$JS.API.CONSUMER.CREATE.NOTICES", "$JS.API.CONSUMER.CREATE.NOTICES.portal-208", "$JS.API.CONSUMER.CREATE.NOTICES.spy.notice.208.x",
		"$JS.API.CONSUMER.DELETE.NOTICES.portal-208", "$JS.API.STREAM.INFO.NOTICES", "$JS.API.STREAM.MSG.GET.NOTICES", "$JS.API.DIRECT.GET.NOTICES",
		"$JS.API.CONSUMER.MSG.NEXT.NOTICES.portal-208", "$JS.API.CONSUMER.MSG.NEXT.LEDGER.portal-208", "$JS.API.STREAM.NAMES", "$JS.API.INFO",
	}, own...) {
		for _, answer := range []string{"_INBOX_portal-208.x", "ledger.208", "notice.208.freeze_announced"} {
			if err := conn.PublishRequest(subject, answer, []byte(`{"batch":1,"no_wait":true}`)); err != nil {
				t.Fatal(err)
			}
			if got, want := !refused(t, conn, subject), slices.Contains(own, subject); got != want {
				t.Errorf("a portal may publish to %s: %t, want %t", subject, got, want)
			}
		}
	}
	for _, pattern := range []string{">", "notice.>", "notice.*.*", "notice.212.*", "notice.place", "ledger.>", "_INBOX.>", "_INBOX_portal-212.>", "$JS.>", "intake.>"} {
		subscription, err := conn.SubscribeSync(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if !refused(t, conn, pattern) {
			t.Errorf("a portal may listen to %s", pattern)
		}
		_ = subscription.Unsubscribe()
	}
	if now, err := l.Store().Head(natstest.Context(t)); err != nil || now != head {
		t.Errorf("the ledger ends at %d (%v) and ended at %d", now, err, head)
	}
	e.compare(t, stored(t, f))
}

// hear reads a notice as a subscriber does.
func hear(t *testing.T, subject string, headers nats.Header, data []byte) string {
	t.Helper()
	n := notice{subject: subject, headers: headers, raw: data}
	n.check(t)
	return n.ID
}
