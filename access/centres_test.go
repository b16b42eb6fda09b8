package access_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"bahi/access"
	"bahi/eventstore"
	"bahi/internal/natstest"
	"bahi/vault"
)

func TestCentres(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	key := newKey(t)
	crt := certificate(t, key, o.Now().Add(-time.Hour), o.Now().Add(time.Hour))
	one := access.Centre{District: 208, Code: "208001", NKey: newWho(t, "", "").public, Certificate: access.Fingerprint(crt)}
	two := access.Centre{District: 208, Code: "208002", NKey: newWho(t, "", "").public}
	for _, c := range []access.Centre{two, one} {
		if err := o.AddCentre(t.Context(), operator, c); err != nil {
			t.Fatal(err)
		}
	}
	if got := o.Centres(); !reflect.DeepEqual(got, []access.Centre{one, two}) {
		t.Errorf("centres %+v", got)
	}
	p, err := o.Certificate(t.Context(), crt)
	want := access.Principal{Token: "cert:" + one.Certificate[:12], Role: vault.RoleCentre, District: 208, Centre: "208001", Expires: crt.NotAfter}
	if err != nil || p != want {
		t.Errorf("the certificate lets in %+v, %v", p, err)
	}
	// Renewed with the same key it still does; with another, or outside its time, not.
	renewed := certificate(t, key, o.Now().Add(-time.Minute), o.Now().Add(24*time.Hour))
	if _, err := o.Certificate(t.Context(), renewed); err != nil {
		t.Errorf("renewed: %v", err)
	}
	if _, err := o.Certificate(t.Context(), certificate(t, newKey(t), o.Now(), o.Now().Add(time.Hour))); !errors.Is(err, access.ErrUnknownToken) {
		t.Errorf("of another key: %v", err)
	}
	if _, err := o.Certificate(t.Context(), certificate(t, key, o.Now().Add(time.Hour), o.Now().Add(2*time.Hour))); !errors.Is(err, access.ErrExpired) {
		t.Errorf("of tomorrow: %v", err)
	}
	o.pass(2 * time.Hour)
	if _, err := o.Certificate(t.Context(), crt); !errors.Is(err, access.ErrExpired) {
		t.Errorf("of yesterday: %v", err)
	}

	// Added again, a centre has the new keys and no others.
	one.NKey, one.Certificate = newWho(t, "", "").public, ""
	if err := o.AddCentre(t.Context(), operator, one); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Certificate(t.Context(), renewed); !errors.Is(err, access.ErrUnknownToken) {
		t.Errorf("the certificate it had before: %v", err)
	}
	if err := o.RemoveCentre(t.Context(), operator, 208, "208002"); err != nil {
		t.Fatal(err)
	}
	if err := o.RemoveCentre(t.Context(), operator, 208, "208002"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("removed twice: %v", err)
	}
	again := openConfig(t, access.Config{Store: o.store, Vault: o.keys, Now: o.Now})
	if got := again.Centres(); !reflect.DeepEqual(got, []access.Centre{one}) {
		t.Errorf("after a restart: %+v", got)
	}
	var kinds []string
	for _, a := range recorded(t, o.store) {
		kinds = append(kinds, a.Kind.String())
	}
	if got := strings.Join(kinds, " "); got != "centre_added centre_added centre_added centre_removed" {
		t.Errorf("recorded %s", got)
	}
}

func TestCentresThatAreRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	taken := access.Centre{District: 208, Code: "208001", NKey: newWho(t, "", "").public, Certificate: strings.Repeat("ab", 32)}
	if err := o.AddCentre(t.Context(), operator, taken); err != nil {
		t.Fatal(err)
	}
	fresh := newWho(t, "", "")
	for why, c := range map[string]access.Centre{
		"no district":           {Code: "208002", NKey: fresh.public},
		"no such district":      {District: 9999, Code: "208002", NKey: fresh.public},
		"no code":               {District: 208, NKey: fresh.public},
		"a code with a dot":     {District: 208, Code: "a.b", NKey: fresh.public},
		"a wildcard":            {District: 208, Code: "*", NKey: fresh.public},
		"a seed":                {District: 208, Code: "208002", NKey: string(fresh.seed)},
		"an account's key":      {District: 208, Code: "208002", NKey: "A" + fresh.public[1:]},
		"half a fingerprint":    {District: 208, Code: "208002", Certificate: strings.Repeat("ab", 16)},
		"capital letters":       {District: 208, Code: "208002", Certificate: strings.Repeat("AB", 32)},
		"another's nkey":        {District: 208, Code: "208002", NKey: taken.NKey},
		"another's certificate": {District: 208, Code: "208002", NKey: fresh.public, Certificate: taken.Certificate},
	} {
		if err := o.AddCentre(t.Context(), operator, c); !errors.Is(err, access.ErrBadCentre) {
			t.Errorf("%s: %v", why, err)
		} else if strings.Contains(err.Error(), string(fresh.seed)) {
			t.Errorf("%s: the error shows a seed", why)
		}
	}
	for _, role := range []string{vault.RoleCentre, vault.RoleOfficer, vault.RoleAnalyst, vault.RoleAuditor} {
		by := access.Installation(role)
		if err := o.AddCentre(t.Context(), by, access.Centre{District: 208, Code: "208002", NKey: fresh.public}); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("%s adds: %v", role, err)
		}
		if err := o.RemoveCentre(t.Context(), by, 208, "208001"); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("%s removes: %v", role, err)
		}
	}
	if got := o.Centres(); len(got) != 1 || got[0] != taken {
		t.Errorf("centres %+v", got)
	}
}

// TestCentresComeAndGo: on the embedded server a centre is let in as soon as it is
// registered, and cut off when it is removed or has another key.
func TestCentresComeAndGo(t *testing.T) {
	t.Parallel()
	store := natstest.OpenConfig(t, eventstore.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	r := openRegistry(t, store, openVault(t))
	url := "nats://" + store.Address()
	first, second := newWho(t, "first", "_INBOX"), newWho(t, "second", "_INBOX")
	if _, err := first.connect(t, url); !errors.Is(err, nats.ErrAuthorization) {
		t.Fatalf("before it is registered: %v", err)
	}
	add := func(code string, w who) {
		t.Helper()
		if err := r.AddCentre(t.Context(), operator, access.Centre{District: 208, Code: code, NKey: w.public}); err != nil {
			t.Fatal(err)
		}
	}
	connect := func(w who) (*nats.Conn, chan struct{}) {
		t.Helper()
		conn, err := w.connect(t, url)
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan struct{})
		conn.SetClosedHandler(func(*nats.Conn) { close(closed) })
		return conn, closed
	}
	cut := func(what string, closed chan struct{}) {
		t.Helper()
		select {
		case <-closed:
		case <-time.After(natstest.Patience):
			t.Errorf("%s is still connected", what)
		}
	}
	add("208001", first)
	add("208002", second)
	_, firstClosed := connect(first)
	other, otherClosed := connect(second)

	third := newWho(t, "third", "_INBOX")
	add("208001", third) // in place of the first
	cut("the centre's old key", firstClosed)
	if _, err := first.connect(t, url); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("the centre's old key: %v", err)
	}
	_, thirdClosed := connect(third)
	if err := r.RemoveCentre(t.Context(), operator, 208, "208001"); err != nil {
		t.Fatal(err)
	}
	cut("a centre that was removed", thirdClosed)
	if _, err := third.connect(t, url); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("a centre that was removed: %v", err)
	}
	select {
	case <-otherClosed:
		t.Error("another centre was cut off, too")
	default:
		if err := other.FlushTimeout(natstest.Patience); err != nil {
			t.Error(err)
		}
	}
}
