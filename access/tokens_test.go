package access_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"bahi/access"
	"bahi/eventstore"
	"bahi/internal/natstest"
	"bahi/vault"
)

var (
	forCentre  = access.Grant{Role: vault.RoleCentre, District: 208, Centre: "208001", For: 90 * 24 * time.Hour}
	forOfficer = access.Grant{Role: vault.RoleOfficer, District: 208, Officer: "dio-208-3"}
)

func TestTokenIsWhatWasIssued(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, g := range []access.Grant{
		forCentre, forOfficer, {Role: vault.RoleAnalyst}, {Role: vault.RoleAnalyst, District: 208},
		{Role: vault.RoleOperator}, {Role: vault.RoleAuditor}, {Role: vault.RoleAuthority}, {Role: vault.RoleAuthority, Officer: "secretary"},
	} {
		issued := o.issue(t, g)
		life := g.For
		if life == 0 {
			life = access.DefaultLife
		}
		want := access.Principal{Token: issued.ID, Role: g.Role, District: g.District, Centre: g.Centre, Officer: g.Officer, Expires: o.Now().Add(life)}
		for _, local := range []bool{true, false} {
			if p, err := o.Bearer(t.Context(), issued.Text, local); err != nil || p != want {
				t.Errorf("%+v lets in %+v, %v", g, p, err)
			}
		}
		if strings.Contains(issued.ID, ".") || access.CheckID(issued.ID) != nil {
			t.Errorf("%q is no id", issued.ID)
		}
	}
	events := recorded(t, o.store)
	if last := events[len(events)-1]; last.Kind != eventstore.TokenIssued || last.Role != vault.RoleAuthority || last.Officer != "secretary" ||
		last.By != "role:authority" || !last.Expires.Equal(o.Now().Add(8*time.Hour)) || len(events) != 8 {
		t.Errorf("%d events are recorded, the last %+v", len(events), last)
	}
	if list := o.Tokens(); len(list) != 8 || list[0].State != access.Valid || list[0].By != "role:authority" {
		t.Errorf("the list has %+v", list)
	}
	again := openConfig(t, access.Config{Store: o.store, Vault: o.keys, Now: o.Now})
	if got, want := again.Tokens(), o.Tokens(); len(got) != len(want) || got[0] != want[0] {
		t.Errorf("after a restart the list has %+v", got)
	}
}

func TestWhoMayIssue(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, role := range vault.Roles() {
		for _, g := range []access.Grant{forCentre, forOfficer, {Role: vault.RoleOperator}, {Role: vault.RoleAuthority}} {
			may := role == vault.RoleAuthority || role == vault.RoleOperator && g.Role == vault.RoleCentre
			issued, err := o.Issue(t.Context(), access.Installation(role), g)
			if may != (err == nil) || !may && !errors.Is(err, access.ErrForbidden) {
				t.Errorf("%s issues for %s: %v", role, g.Role, err)
			}
			if !may {
				issued = o.issue(t, g)
			}
			if err := o.Revoke(t.Context(), access.Installation(role), issued.ID); may != (err == nil) {
				t.Errorf("%s revokes one of %s: %v", role, g.Role, err)
			}
		}
		if err := o.Unlock(t.Context(), access.Installation(role), "x"); errors.Is(err, access.ErrForbidden) == (role == vault.RoleAuthority) {
			t.Errorf("%s unlocks: %v", role, err)
		}
	}
}

func TestGrantsThatAreRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for why, g := range map[string]access.Grant{
		"no role":                    {},
		"another role":               {Role: "minister"},
		"centre without a district":  {Role: vault.RoleCentre, Centre: "208001"},
		"centre without a centre":    {Role: vault.RoleCentre, District: 208},
		"centre with an officer":     {Role: vault.RoleCentre, District: 208, Centre: "208001", Officer: "x"},
		"centre that is no token":    {Role: vault.RoleCentre, District: 208, Centre: "a.b"},
		"officer without a district": {Role: vault.RoleOfficer, Officer: "x"},
		"officer without an officer": {Role: vault.RoleOfficer, District: 208},
		"officer with a space":       {Role: vault.RoleOfficer, District: 208, Officer: "a b"},
		"officer of a centre":        {Role: vault.RoleOfficer, District: 208, Officer: "x", Centre: "208001"},
		"no such district":           {Role: vault.RoleOfficer, District: 9999, Officer: "x"},
		"analyst who is an officer":  {Role: vault.RoleAnalyst, Officer: "x"},
		"operator of a district":     {Role: vault.RoleOperator, District: 208},
		"authority of a district":    {Role: vault.RoleAuthority, District: 208},
		"auditor of a district":      {Role: vault.RoleAuditor, District: 208},
		"for a second":               {Role: vault.RoleAuditor, For: time.Second},
		"for less than no time":      {Role: vault.RoleAuditor, For: -time.Hour},
		"for 31 days":                {Role: vault.RoleAuditor, For: 31 * 24 * time.Hour},
		"a centre for 91 days":       {Role: vault.RoleCentre, District: 208, Centre: "208001", For: 91 * 24 * time.Hour},
	} {
		if _, err := o.Issue(t.Context(), authority, g); !errors.Is(err, access.ErrBadGrant) {
			t.Errorf("%s: %v", why, err)
		}
	}
	if events := recorded(t, o.store); len(events) != 0 {
		t.Errorf("recorded %+v", events)
	}
}

// TestForgedTokens: a token that differs in anything from what was issued and signed
// lets nobody in, not even one that the right key signed.
func TestForgedTokens(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	issued := o.issue(t, forOfficer)
	other := openVault(t).TokenSigner()
	own := o.keys.TokenSigner()
	now := o.Now().Unix()
	base := jwt.MapClaims{
		"iss": "bahi/test", "aud": []string{"bahi"}, "jti": issued.ID, "iat": now, "nbf": now, "exp": now + 8*3600,
		"role": "officer", "district": 208, "officer": "dio-208-3",
	}
	with := func(changed jwt.MapClaims) jwt.MapClaims {
		c := maps.Clone(base)
		for k, v := range changed {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		return c
	}
	sign := func(method jwt.SigningMethod, key any, c jwt.MapClaims) string {
		text, err := jwt.NewWithClaims(method, c).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	ours := func(changed jwt.MapClaims) string { return sign(jwt.SigningMethodEdDSA, own, with(changed)) }
	if _, err := o.Bearer(t.Context(), ours(nil), false); err != nil {
		t.Fatalf("what was issued, made again: %v", err)
	}
	head, rest, _ := strings.Cut(issued.Text, ".")
	body, signature, _ := strings.Cut(rest, ".")
	for name, text := range map[string]string{
		"empty":                  "",
		"no token":               "hello",
		"dots":                   "..",
		"too long":               strings.Repeat("x", 9<<10),
		"no signature":           head + "." + body + ".",
		"cut signature":          head + "." + body + "." + signature[:40],
		"padded":                 issued.Text + "=",
		"twice":                  issued.Text + "." + signature,
		"another key":            sign(jwt.SigningMethodEdDSA, other, base),
		"alg none":               sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, base),
		"HMAC by the public key": sign(jwt.SigningMethodHS256, []byte(own.Public().(ed25519.PublicKey)), base),
		"another issuer":         ours(jwt.MapClaims{"iss": "bahi/other"}),
		"no issuer":              ours(jwt.MapClaims{"iss": nil}),
		"another audience":       ours(jwt.MapClaims{"aud": "others"}),
		"no audience":            ours(jwt.MapClaims{"aud": nil}),
		"no id":                  ours(jwt.MapClaims{"jti": nil}),
		"never issued":           ours(jwt.MapClaims{"jti": "AAAAAAAAAAAAAAAAAAAAAAAAAA"}),
		"no end":                 ours(jwt.MapClaims{"exp": nil}),
		"a later end":            ours(jwt.MapClaims{"exp": now + 9*3600}),
		"no beginning":           ours(jwt.MapClaims{"nbf": nil}),
		"not begun":              ours(jwt.MapClaims{"nbf": now + 60}),
		"issued tomorrow":        ours(jwt.MapClaims{"iat": now + 86400}),
		"another role":           ours(jwt.MapClaims{"role": "authority"}),
		"another district":       ours(jwt.MapClaims{"district": 216}),
		"no district":            ours(jwt.MapClaims{"district": nil}),
		"another officer":        ours(jwt.MapClaims{"officer": "dio-208-4"}),
		"a centre":               ours(jwt.MapClaims{"centre": "208001"}),
		"a district in words":    ours(jwt.MapClaims{"district": "208"}),
	} {
		if p, err := o.Bearer(t.Context(), text, true); !errors.Is(err, access.ErrUnknownToken) {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	first, second := o.issue(t, forOfficer), o.issue(t, forCentre)
	if err := o.Revoke(t.Context(), operator, first.ID); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("an operator revokes an officer's: %v", err)
	}
	if _, err := o.Bearer(t.Context(), second.Text, false); err != nil {
		t.Fatal(err)
	}
	if err := o.Revoke(t.Context(), operator, second.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Bearer(t.Context(), second.Text, false); !errors.Is(err, access.ErrRevoked) {
		t.Errorf("revoked: %v", err)
	}
	for _, id := range []string{second.ID, "unknown"} {
		if err := o.Revoke(t.Context(), authority, id); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("%s revoked again: %v", id, err)
		}
	}
	o.pass(8*time.Hour - time.Second)
	if _, err := o.Bearer(t.Context(), first.Text, false); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	o.pass(10 * time.Second)
	if _, err := o.Bearer(t.Context(), first.Text, false); !errors.Is(err, access.ErrExpired) {
		t.Errorf("after its end: %v", err)
	}
	o.pass(2 * time.Hour)
	o.issue(t, forOfficer) // by which what expired long ago is forgotten
	for _, token := range o.Tokens() {
		if token.ID == first.ID {
			t.Errorf("it is not forgotten: %+v", token)
		}
	}
}

func TestInstallationsTokens(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	for _, role := range vault.Roles() {
		token, err := o.keys.RoleToken(role)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := o.Bearer(t.Context(), token, true); err != nil || p != access.Installation(role) || p.Token != "role:"+role {
			t.Errorf("%s from this machine: %+v, %v", role, p, err)
		}
		if p, err := o.Bearer(t.Context(), token, false); !errors.Is(err, access.ErrNotHere) || p != (access.Principal{}) {
			t.Errorf("%s from another: %+v, %v", role, p, err)
		}
	}
}

// provider stands for a verifier of another kind of token.
type provider struct{}

func (provider) Verify(_ context.Context, bearer string) (access.Principal, bool, error) {
	switch bearer {
	case "from-elsewhere":
		return access.Principal{Token: "oidc:7", Role: vault.RoleOfficer, District: 208, Officer: "dio-208-3"}, true, nil
	case "of-no-role":
		return access.Principal{Token: "oidc:8", Role: "guest"}, true, nil
	case "ended-there":
		return access.Principal{}, true, access.ErrRevoked
	}
	return access.Principal{}, false, nil
}

func TestTokensOfOthers(t *testing.T) {
	t.Parallel()
	r := openConfig(t, access.Config{Store: natstest.Open(t), Vault: openVault(t), Verifiers: []access.Verifier{provider{}}})
	if p, err := r.Bearer(t.Context(), "from-elsewhere", false); err != nil || p.Officer != "dio-208-3" {
		t.Errorf("%+v, %v", p, err)
	}
	for token, want := range map[string]error{"of-no-role": access.ErrUnknownToken, "ended-there": access.ErrRevoked, "of-nobody": access.ErrUnknownToken} {
		if _, err := r.Bearer(t.Context(), token, false); !errors.Is(err, want) {
			t.Errorf("%s: %v", token, err)
		}
	}
}

// TestTwoNodes: what one node records, the other holds to; both decide on what
// stands, however they race.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	url, keys := natstest.Server(t), openVault(t)
	var nodes [2]*access.Registry
	for i := range nodes {
		nodes[i] = openRegistry(t, natstest.OpenConfig(t, eventstore.Config{URL: url}), keys)
	}
	const each = 20
	var wg sync.WaitGroup
	for _, node := range nodes {
		wg.Go(func() {
			for n := 0; n < each; {
				_, err := node.Issue(t.Context(), authority, forOfficer)
				switch {
				case err == nil:
					n++
				case !errors.Is(err, context.DeadlineExceeded): // what no answer came of is asked for again
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	all := len(recorded(t, natstest.OpenConfig(t, eventstore.Config{URL: url})))
	for _, node := range nodes {
		eventually(t, "both nodes know all tokens", func() bool { return len(node.Tokens()) == all })
	}
	if all < 2*each {
		t.Errorf("%d tokens are recorded, %d were issued", all, 2*each)
	}
	issued, err := nodes[0].Issue(t.Context(), authority, forCentre)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other node lets it in", func() bool {
		_, err := nodes[1].Bearer(t.Context(), issued.Text, false)
		return err == nil
	})
	if err := nodes[1].Revoke(t.Context(), authority, issued.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first node does not any more", func() bool {
		_, err := nodes[0].Bearer(t.Context(), issued.Text, false)
		return errors.Is(err, access.ErrRevoked)
	})

	// One nkey for two centres, on two nodes at once: one of them gets it.
	nkey := newWho(t, "", "").public
	results := make([]error, 2)
	for i, code := range []string{"208001", "208002"} {
		wg.Go(func() {
			results[i] = nodes[i].AddCentre(t.Context(), operator, access.Centre{District: 208, Code: code, NKey: nkey})
		})
	}
	wg.Wait()
	if (results[0] == nil) == (results[1] == nil) || !errors.Is(errors.Join(results...), access.ErrBadCentre) {
		t.Errorf("one nkey for two centres: %v", results)
	}
}

// TestWhatCannotBeUnderstood: when the record of access holds what this version does
// not know, it might shut somebody out, and nobody is let in.
func TestWhatCannotBeUnderstood(t *testing.T) {
	t.Parallel()
	url, keys := natstest.Server(t), openVault(t)
	store := natstest.OpenConfig(t, eventstore.Config{URL: url})
	r := openRegistry(t, store, keys)
	issued, err := r.Issue(t.Context(), authority, forOfficer)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := store.Connect("somebody")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Request("audit.access", []byte("hello"), natstest.Patience); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody is let in", func() bool {
		_, err := r.Bearer(t.Context(), issued.Text, false)
		return errors.Is(err, access.ErrUnavailable)
	})
	if err := r.MayPublish(access.OverNATS(208, "208001")); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("a bundle is taken in: %v", err)
	}
	if _, err := r.Issue(t.Context(), authority, forOfficer); !errors.Is(err, access.ErrUnavailable) {
		t.Errorf("a token is issued: %v", err)
	}
	if _, err := access.Open(t.Context(), access.Config{Store: store, Vault: keys}); !errors.As(err, new(*eventstore.DecodeError)) {
		t.Errorf("opened: %v", err)
	}
}
