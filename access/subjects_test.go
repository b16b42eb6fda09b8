package access_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"bahi/access"
	"bahi/eventstore"
	"bahi/internal/natstest"
	"bahi/vault"
)

// who is a user of NATS with a key of its own.
type who struct {
	name   string
	seed   []byte
	public string
	inbox  string
}

func newWho(t *testing.T, name, inbox string) who {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := pair.Seed()
	public, _ := pair.PublicKey()
	return who{name, seed, public, inbox}
}

func (w who) file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(path, w.seed, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func (w who) connect(t *testing.T, url string) (*nats.Conn, error) {
	t.Helper()
	signIn, err := eventstore.SignIn(w.file(t))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect(url, signIn, nats.CustomInboxPrefix(w.inbox), nats.MaxReconnects(0), nats.Timeout(natstest.Patience),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // read from LastError
	if err == nil {
		t.Cleanup(conn.Close)
	}
	return conn, err
}

var (
	north  = access.Centre{District: 208, Code: "208001"}
	south  = access.Centre{District: 208, Code: "208002"}
	other  = access.Centre{District: 216, Code: "216001"}
	others = access.Centre{District: 216, Code: "208001"} // the code of another district's
)

// house is a NATS server with all streams of a ledger, and who may be there.
type house struct {
	url     string
	store   *eventstore.Store
	centres map[access.Centre]who
	intake  jetstream.JetStream // with those of the door
}

func registered(t *testing.T) (centres map[access.Centre]who, list []access.Centre) {
	t.Helper()
	centres = map[access.Centre]who{}
	for _, c := range []access.Centre{north, south, other, others} {
		w := newWho(t, fmt.Sprintf("centre %s of %d", c.Code, c.District), eventstore.CentreInboxPrefix(c.District, c.Code))
		centres[c] = w
		c.NKey = w.public
		list = append(list, c)
	}
	return centres, list
}

// embedded is a house whose server runs in this process and has its users from the
// registry.
func embedded(t *testing.T) house {
	t.Helper()
	store := natstest.OpenConfig(t, eventstore.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	registry := openRegistry(t, store, openVault(t))
	centres, list := registered(t)
	for _, c := range list {
		if err := registry.AddCentre(t.Context(), access.Installation(vault.RoleOperator), c); err != nil {
			t.Fatal(err)
		}
	}
	return furnish(t, house{url: "nats://" + store.Address(), store: store, centres: centres})
}

// external is a house whose server was started with what nats-config writes.
func external(t *testing.T, ledger, operator, portal, everywhere who) house {
	t.Helper()
	centres, list := registered(t)
	s, _ := startServer(t, access.NATSConfig{
		Listen: "127.0.0.1:-1", StoreDir: t.TempDir(),
		Ledger: []string{ledger.public}, Operators: []string{operator.public}, Centres: list,
		Portals: []access.Portal{{Name: "portal-208", District: 208, NKey: portal.public}, {Name: "state", NKey: everywhere.public}},
	})
	url := s.ClientURL()
	store := natstest.OpenConfig(t, eventstore.Config{URL: url, Credentials: ledger.file(t)})
	return furnish(t, house{url: url, store: store, centres: centres})
}

// furnish makes the streams of the doors beside those of the ledger, and answers
// what the doors answer.
func furnish(t *testing.T, h house) house {
	t.Helper()
	door, err := h.store.Connect("door")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(door.Close)
	if h.intake, err = jetstream.New(door); err != nil {
		t.Fatal(err)
	}
	for _, s := range []jetstream.StreamConfig{
		{Name: "INTAKE", Subjects: []string{"intake.*.*"}},
		{Name: "QUARANTINE", Subjects: []string{"quarantine.*.*"}},
		{Name: "VERDICTS", Subjects: []string{"verdict.*.*.*"}},
		{Name: "NOTICES", Subjects: []string{"notice.>"}},
	} {
		if _, err := h.intake.CreateStream(natstest.Context(t), s); err != nil {
			t.Fatal(err)
		}
	}
	for _, subject := range []string{"bahi.intake.key", "bahi.verdicts.*.*"} {
		if _, err := door.Subscribe(subject, func(m *nats.Msg) { _ = m.Respond([]byte("the ledger's answer")) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := door.FlushTimeout(natstest.Patience); err != nil {
		t.Fatal(err)
	}
	return h
}

// everySubject is what there is to publish to, with one of each that has tokens.
func everySubject() []string {
	subjects := []string{
		"ledger.208", "ledger.order", "audit.read", "audit.barrier", "audit.access",
		"intake.208.208001", "intake.208.208002", "intake.216.216001", "intake.216.208001", "intake.208.999", "intake.3.208.208001",
		"quarantine.208.208001", "verdict.208.208001.x", "notice.208.freeze",
		"bahi.intake.key", "bahi.verdicts.208.208001", "bahi.verdicts.208.208002", "bahi.verdicts.216.216001", "bahi.verdicts.216.208001", "bahi.other",
		"bahi.API.CONSUMER.INFO.NOTICES.portal-208", "bahi.API.CONSUMER.INFO.NOTICES.state", "bahi.API.CONSUMER.MSG.NEXT.NOTICES.portal-208", "bahi.API.CONSUMER.MSG.NEXT.NOTICES.state",
		"_INBOX.x.y", "_INBOX_operator.x", "_INBOX_portal-208.x", "_INBOX_state.x", "_INBOX_centre.x",
		"_INBOX_centre.208.208001.x", "_INBOX_centre.208.208002.x", "_INBOX_centre.216.216001.x", "_INBOX_centre.216.208001.x",
		"$SYS.REQ.USER.INFO", "$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.PING.CONNZ", "_R_.x", "$JSC.R.x",
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.CREATE.COPY", "$JS.API.ACCOUNT.PURGE.LEDGER",
	}
	for _, stream := range []string{"LEDGER", "AUDIT", "INTAKE", "QUARANTINE", "VERDICTS", "NOTICES"} {
		for _, pattern := range []string{
			"$JS.API.STREAM.INFO.%s", "$JS.API.STREAM.UPDATE.%s", "$JS.API.STREAM.DELETE.%s", "$JS.API.STREAM.PURGE.%s",
			"$JS.API.STREAM.MSG.GET.%s", "$JS.API.STREAM.MSG.DELETE.%s", "$JS.API.STREAM.SNAPSHOT.%s", "$JS.API.STREAM.RESTORE.%s",
			"$JS.API.STREAM.LEADER.STEPDOWN.%s", "$JS.API.STREAM.PEER.REMOVE.%s",
			"$JS.API.DIRECT.GET.%s", "$JS.API.DIRECT.GET.%s.ledger.208",
			"$JS.API.CONSUMER.CREATE.%s", "$JS.API.CONSUMER.CREATE.%s.spy", "$JS.API.CONSUMER.CREATE.%s.spy.ledger.208", "$JS.API.CONSUMER.DURABLE.CREATE.%s.spy",
			"$JS.API.CONSUMER.NAMES.%s", "$JS.API.CONSUMER.LIST.%s", "$JS.API.CONSUMER.INFO.%s.spy", "$JS.API.CONSUMER.DELETE.%s.spy",
			"$JS.API.CONSUMER.MSG.NEXT.%s.spy", "$JS.API.CONSUMER.PAUSE.%s.spy", "$JS.API.CONSUMER.UNPIN.%s.spy",
			"$JS.ACK.%s.spy.1.1.1.1.1", "$JS.FC.%s.spy.x",
		} {
			subjects = append(subjects, fmt.Sprintf(pattern, stream))
		}
	}
	return subjects
}

// everyPattern is what there is to subscribe to.
var everyPattern = []string{
	">", "*", "*.*", "ledger.*", "ledger.>", "audit.*", "audit.access", "intake.>", "intake.*.*", "intake.208.208001", "quarantine.>", "verdict.>",
	"notice.>", "notice.*.*", "notice.208.*", "notice.212.*", "notice.place", "_INBOX_portal-208.>", "_INBOX_state.>",
	"bahi.>", "bahi.intake.key", "bahi.verdicts.*.*", "bahi.verdicts.208.208001", "_INBOX.>", "_INBOX.*", "_INBOX_centre.>", "_INBOX_centre.*.*.>",
	"_INBOX_centre.208.>", "_INBOX_centre.208.208001.>", "_INBOX_centre.208.208001.x", "_INBOX_centre.208.208002.>", "_INBOX_centre.216.216001.>", "_INBOX_centre.216.208001.>",
	"_INBOX_operator.>", "$JS.>", "$JS.API.>", "$JS.EVENT.ADVISORY.>", "$SYS.>", "_R_.>",
}

// refused tells whether the server said that the connection may not do that to the
// subject. A server answers in order, so that it has said so when a flush is
// through.
func refused(t *testing.T, conn *nats.Conn, subject string) bool {
	t.Helper()
	if err := conn.FlushTimeout(natstest.Patience); err != nil {
		t.Fatal(err)
	}
	err := conn.LastError()
	return errors.Is(err, nats.ErrPermissionViolation) && strings.Contains(err.Error(), `"`+subject+`"`)
}

// body is the worst that a subject could be sent: of a consumer, one that pushes the
// ledger into the sender's own inbox.
func body(subject string, w who) []byte {
	switch {
	case strings.Contains(subject, "CONSUMER.CREATE"), strings.Contains(subject, "CONSUMER.DURABLE"):
		stream := strings.Split(strings.SplitAfterN(subject, "CREATE.", 2)[1], ".")[0]
		return fmt.Appendf(nil, `{"stream_name":%q,"config":{"name":"spy","deliver_subject":"%s.leak","deliver_policy":"all","ack_policy":"none"}}`, stream, w.inbox)
	case strings.Contains(subject, "STREAM.CREATE"):
		return []byte(`{"name":"COPY","mirror":{"name":"LEDGER"},"storage":"file"}`)
	case strings.Contains(subject, "MSG.GET"), strings.Contains(subject, "DIRECT.GET"), strings.Contains(subject, "MSG.DELETE"):
		return []byte(`{"seq":1}`)
	}
	return []byte(`{}`)
}

// holds tries every subject and pattern and holds what the server refuses against
// what is allowed.
func (w who) holds(t *testing.T, conn *nats.Conn, publish, subscribe []string) {
	t.Helper()
	for _, subject := range everySubject() {
		if err := conn.PublishRequest(subject, w.inbox+".answer", body(subject, w)); err != nil {
			t.Fatal(err)
		}
		if got, want := !refused(t, conn, subject), slices.Contains(publish, subject); got != want {
			t.Errorf("%s may publish to %s: %t, want %t", w.name, subject, got, want)
		}
	}
	for _, pattern := range everyPattern {
		for _, queue := range []string{"", "bahi"} {
			subscription, err := conn.QueueSubscribeSync(pattern, queue)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := !refused(t, conn, pattern), slices.Contains(subscribe, pattern); got != want {
				t.Errorf("%s may subscribe to %s (queue %q): %t, want %t", w.name, pattern, queue, got, want)
			}
			_ = subscription.Unsubscribe()
		}
	}
}

// TestWhoMayWhatOnNATS: every user on every subject, on the embedded server and on
// an external one that was started with what nats-config writes.
func TestWhoMayWhatOnNATS(t *testing.T) {
	t.Parallel()
	ledger, operator := newWho(t, "the ledger", "_INBOX"), newWho(t, "the operator", "_INBOX_operator")
	portal, everywhere := newWho(t, "a portal", "_INBOX_portal-208"), newWho(t, "the state's portal", "_INBOX_state")
	for name, build := range map[string]func(*testing.T) house{
		"embedded": embedded,
		"external": func(t *testing.T) house { return external(t, ledger, operator, portal, everywhere) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := build(t)
			before := h.held(t)
			for centre, w := range h.centres {
				h.centreHolds(t, centre, w)
			}
			if name == "external" {
				h.operatorHolds(t, operator)
				h.ledgerHolds(t, ledger)
				h.portalHolds(t, portal, "notice.208.*", "_INBOX_portal-208.>")
				h.portalHolds(t, everywhere, "notice.*.*", "notice.208.*", "notice.212.*", "_INBOX_state.>")
			}
			h.strangersStayOut(t, operator)
			// Each centre has published to its own subject once as the table has it, and
			// then as often as it named somewhere for the answer. Nothing else stands
			// anywhere.
			after := h.held(t)
			for _, subject := range []string{"notice.place", "notice.208.told"} { // what portals heard
				delete(after, subject)
			}
			for _, c := range []access.Centre{north, south, other, others} {
				subject := fmt.Sprintf("intake.%d.%s", c.District, c.Code)
				if got := after[subject]; got != uint64(2+len(forged)) {
					t.Errorf("%d messages stand on %s, want %d", got, subject, 2+len(forged))
				}
				delete(after, subject)
			}
			if !equal(before, after) {
				t.Errorf("streams hold\n%v\nand held before\n%v", after, before)
			}
		})
	}
}

// forged are addresses for an answer where the server would do harm if it sent it
// there.
var forged = []string{
	"ledger.208", "ledger.order", "audit.read", "audit.access", "intake.216.216001", "quarantine.208.208002", "verdict.208.208002.x", "notice.208.freeze",
	"$JS.API.STREAM.DELETE.INTAKE", "bahi.verdicts.208.208002",
}

func (h house) centreHolds(t *testing.T, centre access.Centre, w who) {
	t.Helper()
	conn, err := w.connect(t, h.url)
	if err != nil {
		t.Fatal(err)
	}
	own := eventstore.CentreUser{District: centre.District, Centre: centre.Code}
	inbox := w.inbox
	w.holds(t, conn, own.Publish(), []string{inbox + ".>", inbox + ".x"})

	for _, address := range forged {
		if err := conn.PublishRequest(own.Publish()[0], address, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	// The answer to the first tells that the stream has taken all before it.
	for _, subject := range own.Publish() {
		answer, err := conn.Request(subject, []byte("x"), natstest.Patience)
		if err != nil {
			t.Errorf("%s gets no answer from %s: %v", w.name, subject, err)
		} else if strings.HasPrefix(subject, "intake.") != bytes.Contains(answer.Data, []byte(`"stream":"INTAKE"`)) {
			t.Errorf("%s got from %s: %s", w.name, subject, answer.Data)
		}
	}
	// Verdicts reach it and nobody else.
	verdicts, err := conn.SubscribeSync(inbox + ".verdicts")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.FlushTimeout(natstest.Patience); err != nil {
		t.Fatal(err)
	}
	if err := h.intake.Conn().Publish(inbox+".verdicts", []byte("sealed")); err != nil {
		t.Fatal(err)
	}
	if m, err := verdicts.NextMsg(natstest.Patience); err != nil || string(m.Data) != "sealed" {
		t.Errorf("%s does not get its verdicts: %v", w.name, err)
	}
}

func (h house) operatorHolds(t *testing.T, operator who) {
	t.Helper()
	conn, err := operator.connect(t, h.url)
	if err != nil {
		t.Fatal(err)
	}
	may := []string{"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST"}
	for _, stream := range []string{"LEDGER", "AUDIT", "INTAKE", "QUARANTINE", "VERDICTS", "NOTICES"} {
		may = append(may, "$JS.API.CONSUMER.NAMES."+stream, "$JS.API.CONSUMER.LIST."+stream)
	}
	operator.holds(t, conn, may, []string{"_INBOX_operator.>"})
	for _, subject := range may {
		for _, address := range forged {
			if err := conn.PublishRequest(subject, address, nil); err != nil {
				t.Fatal(err)
			}
		}
		// Also when it is asked to list subjects.
		answer, err := conn.Request(subject, []byte(`{"subjects_filter":">"}`), natstest.Patience)
		if err != nil {
			t.Errorf("the operator gets no answer from %s: %v", subject, err)
		} else if bytes.Contains(answer.Data, []byte("208.208001")) {
			t.Errorf("the operator is told by %s who published: %s", subject, answer.Data)
		}
	}
}

// portalHolds: a portal listens to its notices, and asks and acknowledges its own
// consumer.
func (h house) portalHolds(t *testing.T, portal who, subscribe ...string) {
	t.Helper()
	conn, err := portal.connect(t, h.url)
	if err != nil {
		t.Fatal(err)
	}
	may := []string{}
	for _, ask := range []string{"INFO", "MSG.NEXT"} {
		may = append(may, "bahi.API.CONSUMER."+ask+".NOTICES."+strings.TrimPrefix(portal.inbox, "_INBOX_"))
	}
	portal.holds(t, conn, may, subscribe)
	for _, address := range forged {
		for _, subject := range may {
			if err := conn.PublishRequest(subject, address, []byte(`{"batch":1,"no_wait":true}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	heard, err := conn.SubscribeSync(subscribe[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.FlushTimeout(natstest.Patience); err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"notice.place", "notice.208.told"} {
		if err := h.intake.Conn().Publish(subject, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for {
		m, err := heard.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatalf("%s does not hear a notice: %v", portal.name, err)
		}
		if m.Subject == "notice.208.told" {
			return
		}
		if !slices.Contains(forged, m.Subject) { // portals hear each other's forged answers, and nobody else does
			t.Errorf("%s hears %s", portal.name, m.Subject)
		}
	}
}

// ledgerHolds: the ledger may all, but nothing that would end history.
func (h house) ledgerHolds(t *testing.T, ledger who) {
	t.Helper()
	conn, err := ledger.connect(t, h.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{
		"$JS.API.STREAM.DELETE.LEDGER", "$JS.API.STREAM.DELETE.AUDIT", "$JS.API.STREAM.PURGE.LEDGER", "$JS.API.STREAM.PURGE.AUDIT",
		"$JS.API.STREAM.MSG.DELETE.LEDGER", "$JS.API.STREAM.MSG.DELETE.AUDIT", "$JS.API.STREAM.SNAPSHOT.LEDGER", "$JS.API.STREAM.RESTORE.LEDGER",
	} {
		if err := conn.PublishRequest(subject, "_INBOX.x", body(subject, ledger)); err != nil {
			t.Fatal(err)
		}
		if !refused(t, conn, subject) {
			t.Errorf("the ledger may %s", subject)
		}
	}
}

// strangersStayOut: nobody gets in without a registered key, nor with another's.
func (h house) strangersStayOut(t *testing.T, operator who) {
	t.Helper()
	if conn, err := newWho(t, "nobody", "_INBOX").connect(t, h.url); err == nil {
		conn.Close()
		t.Error("an nkey that nobody registered gets in")
	}
	if h.store.Address() != "" {
		if conn, err := operator.connect(t, h.url); err == nil {
			conn.Close()
			t.Error("an external server's operator gets into the embedded one")
		}
	}
	registered := h.centres[north].public
	for name, options := range map[string][]nats.Option{
		"nothing":               nil,
		"the ledger's name":     {nats.UserInfo("ledger", "")},
		"the intake's name":     {nats.UserInfo("intake", "x")},
		"a token":               {nats.Token("x")},
		"another's nkey":        {nats.Nkey(registered, func([]byte) ([]byte, error) { return []byte("no signature"), nil })},
		"a key of another kind": {nats.Nkey(registered, func(nonce []byte) ([]byte, error) { return newSigner(t).Sign(nonce) })},
	} {
		if conn, err := nats.Connect(h.url, append(options, nats.MaxReconnects(0), nats.Timeout(natstest.Patience))...); err == nil {
			conn.Close()
			t.Errorf("with %s one gets in", name)
		}
	}
}

func newSigner(t *testing.T) nkeys.KeyPair {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Error(err)
	}
	return pair
}

// held is how many messages stand on each subject of each stream, and how many
// streams and consumers there are.
func (h house) held(t *testing.T) map[string]uint64 {
	t.Helper()
	ctx := natstest.Context(t)
	held := map[string]uint64{}
	streams := h.intake.ListStreams(ctx)
	for info := range streams.Info() {
		held["stream "+info.Config.Name] = 1
		held["consumers of "+info.Config.Name] = uint64(info.State.Consumers)
		stream, err := h.intake.Stream(ctx, info.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		with, err := stream.Info(ctx, jetstream.WithSubjectFilter(">"))
		if err != nil {
			t.Fatal(err)
		}
		for subject, n := range with.State.Subjects {
			held[subject] = n
		}
	}
	if err := streams.Err(); err != nil {
		t.Fatal(err)
	}
	info, err := h.store.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	held["commits"], held["audited"] = info.Commits, info.Audited
	return held
}

func equal(a, b map[string]uint64) bool {
	for k, n := range a {
		if b[k] != n {
			return false
		}
	}
	return len(a) == len(b)
}
