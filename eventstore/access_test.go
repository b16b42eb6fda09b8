package eventstore_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"bahi/eventstore"
	"bahi/internal/natstest"
)

// accessEvents are one of each kind, with every field set in one of them.
func accessEvents() []eventstore.AuditAccess {
	at := time.UnixMilli(1_614_859_800_000).UTC()
	return []eventstore.AuditAccess{
		{At: at, Kind: eventstore.TokenIssued, Token: "ZNJ5RQ6TTQ6OCTYGVSQTKB6AQX", Role: "centre", District: 208, Centre: "208001", Officer: "o", Expires: at.Add(8 * time.Hour), By: "role:authority"},
		{At: at, Kind: eventstore.TokenRevoked, Token: "ZNJ5RQ6TTQ6OCTYGVSQTKB6AQX", Role: "centre", By: "role:operator"},
		{At: at, Kind: eventstore.TokenLocked, Token: "role:officer:clerk-3", Role: "officer", Officer: "clerk-3", By: "ledger"},
		{At: at, Kind: eventstore.TokenUnlocked, Token: "role:officer:clerk-3", By: "role:authority"},
		{At: at, Kind: eventstore.CentreAdded, District: 208, Centre: "208001", By: "role:operator", NKey: "UANBVHNGY7LWOO4LOBFFSSZWZ4PZYYUNBBNX22U4IJDCOCO5WDAWNKR6", Certificate: []byte(strings.Repeat("\xab", 32))},
		{At: at, Kind: eventstore.CentreRemoved, District: 208, Centre: "208001", By: "role:operator"},
	}
}

func accessed(tb testing.TB, s *eventstore.Store, after uint64) (events []eventstore.AuditAccess) {
	tb.Helper()
	for a, err := range s.Access(tb.Context(), after) {
		if err != nil {
			tb.Fatal(err)
		}
		events = append(events, a)
	}
	return events
}

func TestAccess(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	following := make(chan eventstore.AuditAccess, 16)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		for a, err := range s.FollowAccess(ctx, 0) {
			if err != nil {
				ended <- err
				return
			}
			following <- a
		}
	}()
	want := accessEvents()
	last := uint64(0)
	for i, a := range want {
		if err := s.AppendRead(t.Context(), auditRead(i), 0); err != nil { // the stream has others
			t.Fatal(err)
		}
		if _, err := s.AppendAccess(t.Context(), a, last+1); !errors.Is(err, eventstore.ErrConflict) {
			t.Errorf("decided on what is not there: %v", err)
		}
		sequence, err := s.AppendAccess(t.Context(), a, last)
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			if _, err := s.AppendAccess(t.Context(), a, last); !errors.Is(err, eventstore.ErrConflict) {
				t.Errorf("decided before the last: %v", err)
			}
		}
		last, want[i].Sequence = sequence, sequence
		if got := <-following; !reflect.DeepEqual(got, want[i]) {
			t.Errorf("who follows gets\n%+v\nwant\n%+v", got, want[i])
		}
	}
	if got := accessed(t, s, 0); !reflect.DeepEqual(got, want) {
		t.Errorf("recorded\n%+v\nwant\n%+v", got, want)
	}
	if got := accessed(t, s, want[3].Sequence); !reflect.DeepEqual(got, want[4:]) {
		t.Errorf("behind the fourth\n%+v", got)
	}
	if reads := audited(t, s, 0); len(reads) != len(want) {
		t.Errorf("%d readings", len(reads))
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}

func TestAccessRefuses(t *testing.T) {
	t.Parallel()
	s := natstest.Open(t)
	good := accessEvents()[0]
	for name, change := range map[string]func(*eventstore.AuditAccess){
		"no kind":            func(a *eventstore.AuditAccess) { a.Kind = 0 },
		"another kind":       func(a *eventstore.AuditAccess) { a.Kind = 99 },
		"a long text":        func(a *eventstore.AuditAccess) { a.Token = strings.Repeat("x", 200) },
		"not UTF-8":          func(a *eventstore.AuditAccess) { a.Officer = "\xff" },
		"half a fingerprint": func(a *eventstore.AuditAccess) { a.Certificate = make([]byte, 16) },
	} {
		a := good
		change(&a)
		if _, err := s.AppendAccess(t.Context(), a, 0); err == nil {
			t.Errorf("%s is recorded", name)
		}
	}
	for _, kind := range []string{"", "kind 7", "token"} {
		if err := new(eventstore.AccessKind).UnmarshalText([]byte(kind)); err == nil {
			t.Errorf("%q is a kind", kind)
		}
	}
	for _, a := range accessEvents() {
		text, _ := a.Kind.MarshalText()
		var kind eventstore.AccessKind
		if err := kind.UnmarshalText(text); err != nil || kind != a.Kind {
			t.Errorf("%s reads back as %s, %v", text, kind, err)
		}
	}
}

// TestGoldenAccess: the bytes that the first version wrote read back the same.
func TestGoldenAccess(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	s := natstest.OpenConfig(t, eventstore.Config{URL: url})
	_, js := client(t, url)
	const golden = "08c09b94e9ff2e10011a1a5a4e4a35525136545451364f43545947565351544b4236415158220663656e747265" +
		"28d00132063230383030313a016f40c083f2f6ff2e4a0e726f6c653a617574686f72697479"
	want := accessEvents()[0]
	if _, err := s.AppendAccess(t.Context(), want, 0); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "AUDIT")
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(m.Data); got != golden {
		t.Errorf("the encoding has changed:\n%s\nwant\n%s", got, golden)
	}
	for _, foreign := range [][]byte{{}, []byte("hello"), append(slices.Clip(m.Data), 0x78, 1), append(slices.Clip(m.Data), 0x10, 7)} {
		if _, err := js.Publish(t.Context(), "audit.access", foreign); err != nil {
			t.Fatal(err)
		}
	}
	causes := map[uint64]error{2: eventstore.ErrMalformed, 3: eventstore.ErrMalformed, 4: eventstore.ErrNewer, 5: eventstore.ErrMalformed}
	for sequence, want := range causes {
		for _, err := range s.Access(t.Context(), sequence-1) {
			var decode *eventstore.DecodeError
			if !errors.As(err, &decode) || decode.Sequence != sequence || !errors.Is(err, want) {
				t.Errorf("message %d: %v, want %v", sequence, err, want)
			}
		}
	}
}

// TestStreamOfEarlierVersion: an AUDIT that does not take access events yet is given
// the subject, and keeps what it has.
func TestStreamOfEarlierVersion(t *testing.T) {
	t.Parallel()
	url := natstest.Server(t)
	_, js := client(t, url)
	earlier := jetstream.StreamConfig{
		Name: "AUDIT", Subjects: []string{"audit.read", "audit.barrier"}, Discard: jetstream.DiscardNew,
		MaxMsgSize: 1 << 20, MaxBytes: 1 << 30, DenyDelete: true, DenyPurge: true,
	}
	if _, err := js.CreateStream(t.Context(), earlier); err != nil {
		t.Fatal(err)
	}
	s := natstest.OpenConfig(t, eventstore.Config{URL: url})
	if _, err := s.AppendAccess(t.Context(), accessEvents()[0], 0); err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "AUDIT")
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().Config; got.MaxBytes != 1<<30 || !got.DenyPurge || len(got.Subjects) != 3 {
		t.Errorf("it is now %+v", got)
	}
}

// TestListenWithTLS: with a certificate nobody speaks to the embedded server in the
// clear, but this process.
func TestListenWithTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	crt, key, pool := selfSigned(t, dir)
	s := natstest.OpenConfig(t, eventstore.Config{Dir: filepath.Join(dir, "data"), Listen: "127.0.0.1:0", ListenCertificate: crt, ListenKey: key})
	fill(t, s, 1, 1)
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := pair.PublicKey()
	if err := s.SetCentres([]eventstore.CentreUser{{District: 208, Centre: "1", NKey: public}}); err != nil {
		t.Fatal(err)
	}
	signIn := nats.Nkey(public, pair.Sign)
	conn, err := nats.Connect("tls://"+s.Address(), signIn, nats.Secure(&tls.Config{RootCAs: pool}), nats.MaxReconnects(0), nats.Timeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if conn, err := nats.Connect("tls://"+s.Address(), signIn, nats.MaxReconnects(0), nats.Timeout(natstest.Patience)); err == nil {
		conn.Close()
		t.Error("a client that does not know the certificate trusts it")
	}
	plain, err := net.Dial("tcp", s.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if _, err := plain.Write([]byte("CONNECT {\"verbose\":true}\r\nPING\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := plain.SetReadDeadline(time.Now().Add(natstest.Patience)); err != nil {
		t.Fatal(err)
	}
	var heard strings.Builder
	buffer := make([]byte, 4096)
	for {
		n, err := plain.Read(buffer)
		heard.Write(buffer[:n])
		if err != nil {
			break
		}
	}
	if strings.Contains(heard.String(), "PONG") || strings.Contains(heard.String(), "+OK") {
		t.Errorf("the server answers in the clear: %q", heard.String())
	}
	_, err = eventstore.Open(t.Context(), eventstore.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", ListenCertificate: crt, ListenKey: crt})
	if err == nil {
		t.Error("opened with a key that is none")
	}
}

func selfSigned(t *testing.T, dir string) (crt, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ledger"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	crt, key = filepath.Join(dir, "crt.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{crt: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return crt, key, pool
}

func TestSignIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, _ := pair.Seed()
	account, _ := nkeys.CreateAccount()
	accountSeed, _ := account.Seed()
	for name, c := range map[string]struct {
		content string
		good    bool
	}{
		"a seed":            {string(seed) + "\n", true},
		"a decorated seed":  {"-----BEGIN USER NKEY SEED-----\n" + string(seed) + "\n------END USER NKEY SEED------\n", true},
		"credentials":       {"-----BEGIN NATS USER JWT-----\nx\n------END NATS USER JWT------\n", true},
		"an account's seed": {string(accountSeed), false},
		"nothing":           {"", false},
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := eventstore.SignIn(path); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		} else if err != nil && strings.Contains(err.Error(), string(accountSeed)) {
			t.Errorf("%s: the error shows the seed", name)
		}
	}
	if _, err := eventstore.SignIn(filepath.Join(dir, "nowhere")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
