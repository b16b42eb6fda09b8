package access_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"bahi/access"
	"bahi/eventstore"
	"bahi/internal/natstest"
	"bahi/vault"
)

var (
	authority = access.Installation(vault.RoleAuthority)
	operator  = access.Installation(vault.RoleOperator)
)

func openVault(t testing.TB) *vault.Vault {
	t.Helper()
	v, err := vault.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v
}

func openRegistry(t testing.TB, store *eventstore.Store, keys *vault.Vault) *access.Registry {
	t.Helper()
	return openConfig(t, access.Config{Store: store, Vault: keys})
}

func openConfig(t testing.TB, c access.Config) *access.Registry {
	t.Helper()
	c.Origin = "bahi/test"
	r, err := access.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// clock is the time of a test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2021, time.March, 4, 12, 30, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// office is a registry with a clock of the test's.
type office struct {
	*access.Registry
	*clock
	store *eventstore.Store
	keys  *vault.Vault
}

func newOffice(t testing.TB) office {
	t.Helper()
	o := office{clock: newClock(), store: natstest.Open(t), keys: openVault(t)}
	o.Registry = openConfig(t, access.Config{Store: o.store, Vault: o.keys, Now: o.Now})
	return o
}

func (o office) issue(t testing.TB, g access.Grant) access.Issued {
	t.Helper()
	issued, err := o.Issue(t.Context(), authority, g)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// recorded are the access events that stand in the audit.
func recorded(t testing.TB, store *eventstore.Store) (events []eventstore.AuditAccess) {
	t.Helper()
	for a, err := range store.Access(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, a)
	}
	return events
}

// eventually waits until a thing that another goroutine brings about holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(natstest.Patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", natstest.Patience, what)
		}
	}
}

// certificate is one that a centre made for itself.
func certificate(t testing.TB, key *ecdsa.PrivateKey, from, until time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "208001"}, NotBefore: from, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}
