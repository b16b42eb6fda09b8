package access_test

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"bahi/access"
	"bahi/domain"
	"bahi/eventstore"
	"bahi/vault"
)

func (o office) letIn(t testing.TB, g access.Grant) access.Principal {
	t.Helper()
	p, err := o.Bearer(t.Context(), o.issue(t, g).Text, false)
	if err != nil || o.Stands(p) != nil {
		t.Fatal(err, o.Stands(p))
	}
	return p
}

// TestStands: who was let in does not stand any longer than it would be let in.
func TestStands(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	revoked, removed, expired := o.letIn(t, forCentre), o.letIn(t, forCentre), o.letIn(t, forOfficer)
	if err := o.Revoke(t.Context(), authority, revoked.Token); err != nil || !errors.Is(o.Stands(revoked), access.ErrRevoked) {
		t.Errorf("revoked: %v, %v", err, o.Stands(revoked))
	}
	crt := certificate(t, newKey(t), o.Now().Add(-time.Hour), o.Now().Add(time.Hour))
	if err := o.AddCentre(t.Context(), operator, access.Centre{District: 208, Code: "208001", Certificate: access.Fingerprint(crt)}); err != nil {
		t.Fatal(err)
	}
	shown, err := o.Certificate(t.Context(), crt)
	if err != nil || o.Stands(shown) != nil || o.Stands(removed) != nil {
		t.Fatal(err, o.Stands(shown), o.Stands(removed))
	}
	if err := o.RemoveCentre(t.Context(), operator, 208, "208001"); err != nil {
		t.Fatal(err)
	}
	again := openConfig(t, access.Config{Store: o.store, Vault: o.keys, Now: o.Now})
	for _, r := range []*access.Registry{o.Registry, again} {
		if !errors.Is(r.Stands(shown), access.ErrUnknownToken) || !errors.Is(r.Stands(removed), access.ErrRevoked) {
			t.Errorf("of a removed centre: %v, %v", r.Stands(shown), r.Stands(removed))
		}
	}
	if _, err := o.Issue(t.Context(), authority, forCentre); !errors.Is(err, access.ErrBadGrant) {
		t.Errorf("a token is issued for a removed centre: %v", err)
	}
	o.pass(access.DefaultLife + time.Hour)
	if err := o.Stands(expired); !errors.Is(err, access.ErrExpired) {
		t.Errorf("expired: %v", err)
	}
	if err := o.Stands(access.Installation(vault.RoleCentre)); err != nil {
		t.Error(err)
	}
}

// Where centres are registered, a token is of one of them: neither is another issued,
// nor does one let in that was issued before.
func TestTokensAreOfRegisteredCentres(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	early, elsewhere := o.letIn(t, forCentre), access.Grant{Role: vault.RoleCentre, District: 216, Centre: "208001"}
	text := o.issue(t, forCentre).Text
	add := func(code string) {
		t.Helper()
		if err := o.AddCentre(t.Context(), operator, access.Centre{District: 208, Code: code}); err != nil { // tokens are all it has
			t.Fatal(err)
		}
	}
	add("208002")
	again := openConfig(t, access.Config{Store: o.store, Vault: o.keys, Now: o.Now})
	for _, r := range []*access.Registry{o.Registry, again} {
		if err := r.Stands(early); !errors.Is(err, access.ErrUnregistered) || !errors.Is(err, access.ErrRevoked) {
			t.Errorf("of a centre that never was registered: %v", err)
		}
		if _, err := r.Bearer(t.Context(), text, true); !errors.Is(err, access.ErrUnregistered) {
			t.Errorf("of a centre that never was registered: %v", err)
		}
		if _, err := r.Issue(t.Context(), operator, forCentre); !errors.Is(err, access.ErrBadGrant) {
			t.Errorf("a token is issued for it: %v", err)
		}
	}
	o.letIn(t, elsewhere)
	add("208001")
	if err := o.Stands(early); err != nil {
		t.Errorf("registered: %v", err)
	}
	o.letIn(t, forCentre)
}

// TestCentreProbes: look-ups and verdicts that find nobody count for the centre, not
// for each of its tokens, and lock all of them.
func TestCentreProbes(t *testing.T) {
	t.Parallel()
	for name, probe := range map[string]func(o office, p access.Principal, last bool) error{
		"look-ups": func(o office, p access.Principal, last bool) error {
			n := 10
			if !last {
				n = 9
			}
			return look(t, o.Registry, p, "", n)
		},
		"verdicts": func(o office, p access.Principal, last bool) error {
			if last {
				return o.Unknown(t.Context(), p, unknown(251))
			}
			return o.Unknown(t.Context(), p, unknown(249))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			one, two := o.letIn(t, forCentre), o.letIn(t, forCentre)
			other := o.letIn(t, access.Grant{Role: vault.RoleCentre, District: 208, Centre: "208010"})
			if err := probe(o, one, false); err != nil {
				t.Fatal(err)
			}
			o.pass(time.Minute)
			err := probe(o, two, true)
			if err == nil {
				err = probe(o, two, false)
			}
			if err != nil && !errors.Is(err, access.ErrLocked) || !errors.Is(o.Stands(one), access.ErrLocked) || !errors.Is(o.Stands(two), access.ErrLocked) || o.Stands(other) != nil {
				t.Errorf("%v, then %v, %v, %v", err, o.Stands(one), o.Stands(two), o.Stands(other))
			}
			if err := o.Unlock(t.Context(), authority, two.Token); err != nil || o.Stands(one) != nil {
				t.Errorf("unlocked: %v, %v", err, o.Stands(one))
			}
			if err := probe(o, one, false); err != nil {
				t.Errorf("after the lock was taken off it begins anew: %v", err)
			}
		})
	}
}

// unknown is so many verdicts about nobody.
func unknown(n int) []domain.Verdict {
	return slices.Repeat([]domain.Verdict{{Outcome: domain.Rejected, Reject: &domain.Rejection{Code: domain.CodeUnknownPerson}}}, n)
}

// TestCentreProbesOverNATS: what a centre is told over NATS and over HTTP counts
// together, and the lock holds at both doors, on every node and after a restart.
func TestCentreProbesOverNATS(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	token, nats := o.letIn(t, forCentre), access.OverNATS(forCentre.District, forCentre.Centre)
	other := access.OverNATS(forCentre.District, "208010")
	told := func(p access.Principal, verdicts []domain.Verdict) error { return o.Unknown(t.Context(), p, verdicts) }

	known := []domain.Verdict{{Outcome: domain.Accepted}, {Outcome: domain.Rejected, Reject: &domain.Rejection{Code: domain.CodeDoseExists}}}
	for range 1000 {
		if err := told(nats, known); err != nil {
			t.Fatalf("what is known counts: %v", err)
		}
	}
	if err := errors.Join(told(nats, unknown(499)), told(other, unknown(1))); err != nil {
		t.Fatal(err)
	}
	o.pass(time.Hour)
	if err := errors.Join(told(nats, unknown(300)), told(token, unknown(199)), o.MayPublish(nats)); err != nil {
		t.Fatalf("499 within the hour: %v", err)
	}
	if err := told(nats, unknown(1)); !errors.Is(err, access.ErrLocked) {
		t.Fatalf("the 500th: %v", err)
	}
	again := openConfig(t, access.Config{Store: o.store, Vault: o.keys, Now: o.Now})
	for name, r := range map[string]*access.Registry{"here": o.Registry, "after a restart": again} {
		if err := r.MayPublish(nats); !errors.Is(err, access.ErrLocked) {
			t.Errorf("%s, over NATS: %v", name, err)
		}
		if err := r.Stands(token); !errors.Is(err, access.ErrLocked) {
			t.Errorf("%s, over HTTP: %v", name, err)
		}
		if err := r.MayPublish(other); err != nil {
			t.Errorf("%s, another centre: %v", name, err)
		}
	}
	const id = "nats:208:208001"
	events := recorded(t, o.store)
	want := eventstore.AuditAccess{
		Sequence: events[len(events)-1].Sequence, At: o.Now(), Kind: eventstore.TokenLocked, Token: id,
		Role: vault.RoleCentre, District: 208, Centre: "208001", By: "ledger",
	}
	if last := events[len(events)-1]; !reflect.DeepEqual(last, want) {
		t.Errorf("recorded %+v, want %+v", last, want)
	}
	if err := errors.Join(access.CheckID(id), o.Unlock(t.Context(), authority, id)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other node takes in what it publishes", func() bool { return again.MayPublish(nats) == nil })
	if err := errors.Join(o.Stands(token), told(nats, unknown(499))); err != nil {
		t.Errorf("unlocked it begins anew: %v", err)
	}
}

// TestOneLockACentre: what a centre was told by two doors at the same moment locks it
// once, so that unlocking what the list shows opens both.
func TestOneLockACentre(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"over HTTP first": true, "over NATS first": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			token, nats := o.letIn(t, forCentre), access.OverNATS(forCentre.District, forCentre.Centre)
			by := []access.Principal{nats, token}
			if first {
				slices.Reverse(by)
			}
			for _, p := range by {
				if err := o.Unknown(t.Context(), p, unknown(500)); !errors.Is(err, access.ErrLocked) {
					t.Fatalf("%s: %v", p.Token, err)
				}
			}
			if err := o.Unlock(t.Context(), authority, by[0].Token); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(o.Stands(token), o.MayPublish(nats), o.Unknown(t.Context(), nats, unknown(499))); err != nil {
				t.Errorf("unlocked: %v", err)
			}
		})
	}
}

// TestLockOutlivesItsToken: the token that locked its centre stands in the list as
// locked, although it was revoked or has expired, until it is unlocked: it is what the
// centre waits for.
func TestLockOutlivesItsToken(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(o office, id string) error{
		"revoked": func(o office, id string) error { return o.Revoke(t.Context(), authority, id) },
		"expired": func(o office, _ string) error { o.pass(forCentre.For + time.Minute); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t)
			token, nats := o.letIn(t, forCentre), access.OverNATS(forCentre.District, forCentre.Centre)
			if err := o.Unknown(t.Context(), token, unknown(500)); !errors.Is(err, access.ErrLocked) {
				t.Fatal(err)
			}
			if err := end(o, token.Token); err != nil || !errors.Is(o.MayPublish(nats), access.ErrLocked) {
				t.Fatalf("its centre may publish: %v, %v", err, o.MayPublish(nats))
			}
			if list := o.Tokens(); len(list) != 1 || list[0].ID != token.Token || list[0].State != access.Locked {
				t.Errorf("the list has %+v", list)
			}
			if err := errors.Join(o.Unlock(t.Context(), authority, token.Token), o.MayPublish(nats)); err != nil {
				t.Error(err)
			}
			if list := o.Tokens(); len(list) != 1 || string(list[0].State) != name {
				t.Errorf("unlocked, the list has %+v", list)
			}
		})
	}
}
