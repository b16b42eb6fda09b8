package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

// commit returns a small commit with a number in its id and its event.
func commit(n int, district domain.District) eventstore.Commit {
	c := eventstore.Commit{District: district, Entries: []eventstore.Entry{{
		Recorded: time.UnixMilli(1_614_859_800_000 + int64(n)).UTC(),
		Event:    domain.PhotoIDsComplete{Tokens: int64(n)},
	}}}
	c.ID[0], c.ID[1], c.ID[2] = 1, byte(n), byte(n>>8)
	return c
}

// districtOf says where fill puts commit i: every tenth is an order, the others
// alternate between the districts 208 and 216.
func districtOf(i int) domain.District {
	switch {
	case i%10 == 0:
		return 0
	case i%2 == 0:
		return 208
	}
	return 216
}

// fill appends the commits from to through.
func fill(tb testing.TB, s *eventstore.Store, from, through int) {
	tb.Helper()
	for i := from; i <= through; i++ {
		if got, err := s.Append(tb.Context(), commit(i, districtOf(i)), uint64(i-1)); err != nil || got != uint64(i) {
			tb.Fatalf("append %d: sequence %d, %v", i, got, err)
		}
	}
}

// checkFilled fails when c is not the commit that fill put there.
func checkFilled(tb testing.TB, c eventstore.Commit) {
	tb.Helper()
	if c.ID != commit(int(c.Sequence), 0).ID || c.District != districtOf(int(c.Sequence)) {
		tb.Errorf("commit %d is another: %+v", c.Sequence, c)
	}
}

// sequences reads what fill wrote and returns the sequences.
func sequences(tb testing.TB, s *eventstore.Store, r eventstore.Reading) []uint64 {
	tb.Helper()
	got := []uint64{}
	for c, err := range s.Read(tb.Context(), r) {
		if err != nil {
			tb.Fatalf("after %d commits: %v", len(got), err)
		}
		checkFilled(tb, c)
		got = append(got, c.Sequence)
	}
	return got
}

func TestReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := natstest.OpenDir(t, dir)
	fill(t, s, 1, 25)
	before, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if before.Commits != 25 || before.First != 1 || before.Head != 25 || before.Bytes == 0 || !before.Embedded {
		t.Errorf("info says %+v", before)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Head(t.Context()); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("head of a closed ledger: %v", err)
	}
	if _, err := s.Append(t.Context(), commit(26, 208), 25); !errors.Is(err, eventstore.ErrClosed) {
		t.Errorf("append to a closed ledger: %v", err)
	}

	s = natstest.OpenDir(t, dir)
	if got := sequences(t, s, eventstore.Reading{}); len(got) != 25 {
		t.Errorf("read %d commits of 25", len(got))
	}
	fill(t, s, 26, 30)
	if after, err := s.Info(t.Context()); err != nil || after.Head != 30 {
		t.Errorf("after reopening: %+v, %v", after, err)
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := natstest.OpenDir(t, dir)
	_, err := eventstore.Open(t.Context(), eventstore.Config{Dir: dir})
	if !errors.Is(err, eventstore.ErrLocked) || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	natstest.OpenDir(t, dir)
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	address := fmt.Sprintf("127.0.0.1:%d", natstest.Ports(t, 1)[0]) // where nobody listens
	_, err := eventstore.Open(t.Context(), eventstore.Config{URL: "nats://bahi:secret@" + address})
	if !errors.Is(err, eventstore.ErrUnreachable) || !strings.Contains(err.Error(), address) {
		t.Errorf("got %v", err)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error tells the password: %v", err)
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]eventstore.Config{
		"nothing":           {},
		"listen, port":      {Dir: t.TempDir(), Listen: "127.0.0.1:nats"},
		"directory no dir":  {Dir: "/dev/null"},
		"no such creds":     {URL: "nats://127.0.0.1:1", Credentials: "/nowhere.creds"},
		"address not a URL": {URL: "nats://%zz"},
	} {
		if _, err := eventstore.Open(t.Context(), c); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = eventstore.Open(t.Context(), eventstore.Config{Dir: t.TempDir(), Listen: taken.Addr().String()})
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a taken port: %v", err)
	}
}

// client connects to an external server as an operator would.
func client(tb testing.TB, url string) (*nats.Conn, jetstream.JetStream) {
	tb.Helper()
	nc := natstest.Connect(tb, url)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(natstest.Patience))
	if err != nil {
		tb.Fatal(err)
	}
	return nc, js
}

func TestExternal(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	one, two := natstest.OpenConfig(t, eventstore.Config{URL: url}), natstest.OpenConfig(t, eventstore.Config{URL: url})
	fill(t, one, 1, 20)
	if got := sequences(t, two, eventstore.Reading{}); len(got) != 20 {
		t.Errorf("the other node reads %d commits of 20", len(got))
	}
	if info, err := two.Info(t.Context()); err != nil || info.Embedded || info.Server == "" {
		t.Errorf("info says %+v, %v", info, err)
	}
}

func TestHistoryCannotBeDeleted(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	s := natstest.OpenConfig(t, eventstore.Config{URL: url})
	fill(t, s, 1, 5)
	if _, err := s.AppendBarrier(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	_, js := client(t, url)
	for _, name := range []string{"LEDGER", "AUDIT"} {
		stream, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.DeleteMsg(t.Context(), 1); err == nil {
			t.Errorf("%s: a message was deleted", name)
		}
		if err := stream.SecureDeleteMsg(t.Context(), 1); err == nil {
			t.Errorf("%s: a message was overwritten", name)
		}
		if err := stream.Purge(t.Context()); err == nil {
			t.Errorf("%s: it was purged", name)
		}
		config := stream.CachedInfo().Config
		config.DenyDelete, config.DenyPurge = false, false
		if _, err := js.UpdateStream(t.Context(), config); err == nil {
			t.Errorf("%s: the protection was taken back", name)
		}
	}
	if got := sequences(t, s, eventstore.Reading{}); len(got) != 5 {
		t.Errorf("%d commits are left of 5", len(got))
	}
}

func TestUnfit(t *testing.T) {
	t.Parallel()
	fit := jetstream.StreamConfig{Name: "LEDGER", Subjects: []string{"ledger.*"}, Discard: jetstream.DiscardNew, DenyDelete: true, DenyPurge: true}
	for fault, change := range map[string]func(*jetstream.StreamConfig){
		"":                           func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 30 },
		"deny deleting":              func(c *jetstream.StreamConfig) { c.DenyDelete = false },
		"deny purging":               func(c *jetstream.StreamConfig) { c.DenyPurge = false },
		"stored in files":            func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"maximal age":                func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"flushed before":             func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode },
		"maximal number of messages": func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 },
		"messages a subject":         func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 },
		"discard new":                func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
		"retention":                  func(c *jetstream.StreamConfig) { c.Retention = jetstream.InterestPolicy },
		"subjects must be ledger.*":  func(c *jetstream.StreamConfig) { c.Subjects = []string{"ledger.*", "more"} },
		"direct gets":                func(c *jetstream.StreamConfig) { c.AllowDirect = true },
		"expire":                     func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true },
		"1 MiB":                      func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 },
	} {
		url := natstest.Server(t)
		_, js := client(t, url)
		config := fit
		change(&config)
		if _, err := js.CreateStream(t.Context(), config); err != nil {
			t.Fatalf("%s: %v", fault, err)
		}
		s, err := eventstore.Open(t.Context(), eventstore.Config{URL: url})
		if fault == "" {
			if err != nil {
				t.Errorf("a limit in bytes is refused: %v", err)
				continue
			}
			s.Close()
			continue
		}
		if !errors.Is(err, eventstore.ErrUnfit) || !strings.Contains(err.Error(), fault) {
			t.Errorf("want a refusal that says %q, got %v", fault, err)
		}
	}
}

// TestCentre: what a centre can reach on the embedded server is its two
// subjects and its own inbox, and nothing of the ledger.
func TestCentre(t *testing.T) {
	t.Parallel()
	s := natstest.OpenConfig(t, eventstore.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	fill(t, s, 1, 3)

	intake, err := s.Connect("intake")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(intake.Close)
	js, err := jetstream.New(intake, jetstream.WithDefaultTimeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "BUNDLES", Subjects: []string{"intake.*.*"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := intake.Subscribe("bahi.intake.key", func(m *nats.Msg) { m.Respond([]byte("the key")) }); err != nil {
		t.Fatal(err)
	}

	url, patient := "nats://"+s.Address(), nats.Timeout(natstest.Patience)
	if _, err := nats.Connect(url, patient); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("connected without a password: %v", err)
	}
	if _, err := nats.Connect(url, patient, nats.UserInfo("ledger", "")); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("connected as the ledger: %v", err)
	}
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetCentres([]eventstore.CentreUser{{District: 208, Centre: "1", NKey: public}}); err != nil {
		t.Fatal(err)
	}
	denied := make(chan error, 10)
	centre, err := nats.Connect(url, patient, nats.Nkey(public, pair.Sign), nats.CustomInboxPrefix(eventstore.CentreInboxPrefix(208, "1")),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(centre.Close)

	if m, err := centre.Request("bahi.intake.key", nil, natstest.Patience); err != nil || string(m.Data) != "the key" {
		t.Errorf("ask for the key: %v", err)
	}
	if m, err := centre.Request("intake.208.1", []byte("a bundle"), natstest.Patience); err != nil || !strings.Contains(string(m.Data), `"stream":"BUNDLES"`) {
		t.Errorf("publish a bundle: %v", err)
	}
	// An acknowledgement that is to be sent to the ledger's subject.
	if err := centre.PublishRequest("intake.208.1", "ledger.208", []byte("a bundle")); err != nil {
		t.Fatal(err)
	}
	if err := centre.PublishRequest("bahi.intake.key", "ledger.order", nil); err != nil {
		t.Fatal(err)
	}
	for _, forbidden := range []func() error{
		func() error { return centre.Publish("ledger.208", nil) },
		func() error { return centre.Publish("$JS.API.STREAM.MSG.GET.BUNDLES", nil) },
		func() error { _, err := centre.SubscribeSync(">"); return err },
		func() error { _, err := centre.SubscribeSync("intake.>"); return err },
	} {
		if err := forbidden(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-denied:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("want a permission violation, got %v", err)
			}
		case <-time.After(natstest.Patience):
			t.Error("not denied")
		}
	}
	// The refusals came behind everything sent before, so it has had its effect.
	if head, err := s.Head(t.Context()); err != nil || head != 3 {
		t.Errorf("a centre put something into the ledger: head %d, %v", head, err)
	}
	if other, err := js.Stream(t.Context(), "LEDGER"); err == nil {
		t.Errorf("the centres' account sees %s", other.CachedInfo().Config.Name)
	}
}

func TestCancelledOpen(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	if _, err := eventstore.Open(ctx, eventstore.Config{Dir: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	natstest.OpenDir(t, dir) // it let go of the directory
}
