package access_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"bahi/access"
	"bahi/eventstore"
	"bahi/vault"
)

func TestRate(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	r := openConfig(t, access.Config{Store: o.store, Vault: o.keys, Now: o.Now, Rates: map[string]access.Rate{
		vault.RoleOfficer: {PerSecond: 2, Burst: 3}, "role:" + vault.RoleOfficer: {PerSecond: 1000, Burst: 1000},
	}})
	one, two := access.Principal{Token: "1", Role: vault.RoleOfficer}, access.Principal{Token: "2", Role: vault.RoleOfficer}
	for range 3 {
		if _, ok := r.Take(one); !ok {
			t.Fatal("refused within the burst")
		}
	}
	for range 2 { // what is refused uses nothing up
		if wait, ok := r.Take(one); ok || wait != 500*time.Millisecond {
			t.Errorf("beyond the burst: %t, %s", ok, wait)
		}
	}
	if _, ok := r.Take(two); !ok {
		t.Error("one token uses up another's")
	}
	o.pass(500 * time.Millisecond)
	if _, ok := r.Take(one); !ok {
		t.Error("refused after the wait")
	}
	for range 1000 {
		if _, ok := r.Take(access.Installation(vault.RoleOfficer)); !ok {
			t.Fatal("the installation's token has a rate of its own")
		}
	}
	for range 10_000 {
		if _, ok := r.Take(access.Principal{Token: "3", Role: vault.RoleAuditor}); !ok {
			t.Fatal("a role without a rate is limited")
		}
	}
	for role, rate := range access.DefaultRates() {
		if rate.PerSecond <= 0 || rate.Burst < 1 {
			t.Errorf("%s: %+v", role, rate)
		}
	}
}

// look notes so many look-ups that found nobody.
func look(t *testing.T, r *access.Registry, p access.Principal, officer string, times int) (err error) {
	t.Helper()
	for range times {
		err = r.Looked(t.Context(), p, officer, false)
	}
	return err
}

func TestProbingLocks(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	issued := o.issue(t, forOfficer)
	p, err := o.Bearer(t.Context(), issued.Text, false)
	if err != nil {
		t.Fatal(err)
	}
	// Few, or spread over more than an hour, or people who are found, lock nothing.
	if err := look(t, o.Registry, p, "", 19); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if err := o.Looked(t.Context(), p, "", true); err != nil {
			t.Fatal(err)
		}
	}
	o.pass(time.Hour)
	if err := look(t, o.Registry, p, "", 19); err != nil {
		t.Fatalf("after an hour: %v", err)
	}
	if err := o.MayLook(p, ""); err != nil {
		t.Fatal(err)
	}
	// The twentieth within an hour does.
	if err := look(t, o.Registry, p, "", 1); !errors.Is(err, access.ErrLocked) {
		t.Fatalf("the twentieth: %v", err)
	}
	if err := o.MayLook(p, ""); !errors.Is(err, access.ErrLocked) {
		t.Errorf("may look again: %v", err)
	}
	again := openConfig(t, access.Config{Store: o.store, Vault: o.keys, Now: o.Now})
	for name, r := range map[string]*access.Registry{"here": o.Registry, "after a restart": again} {
		if _, err := r.Bearer(t.Context(), issued.Text, false); !errors.Is(err, access.ErrLocked) {
			t.Errorf("%s: %v", name, err)
		}
		if list := r.Tokens(); len(list) != 1 || list[0].State != access.Locked {
			t.Errorf("%s the list has %+v", name, list)
		}
	}
	events := recorded(t, o.store)
	if last := events[len(events)-1]; len(events) != 2 || last.Kind != eventstore.TokenLocked || last.Token != issued.ID || last.By != "ledger" || last.Officer != "dio-208-3" {
		t.Errorf("recorded %+v", events)
	}

	if err := o.Unlock(t.Context(), authority, issued.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the other node lets it in", func() bool {
		_, err := again.Bearer(t.Context(), issued.Text, false)
		return err == nil
	})
	if err := look(t, o.Registry, p, "", 19); err != nil {
		t.Errorf("after the lock was taken off it begins anew: %v", err)
	}
	if err := o.Unlock(t.Context(), authority, issued.ID); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("unlocked twice: %v", err)
	}
}

// TestProbingThroughAPortal: behind a role's token stand many officers; one who
// probes does not shut out the others.
func TestProbingThroughAPortal(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := access.Installation(vault.RoleOfficer)
	for i := range 10 {
		if err := look(t, o.Registry, p, fmt.Sprintf("clerk-%d", i), 19); err != nil {
			t.Fatal(err)
		}
	}
	if err := look(t, o.Registry, p, "clerk-3", 1); !errors.Is(err, access.ErrLocked) {
		t.Fatalf("the twentieth: %v", err)
	}
	if err := o.MayLook(p, "clerk-3"); !errors.Is(err, access.ErrLocked) {
		t.Errorf("clerk-3: %v", err)
	}
	if err := o.MayLook(p, "clerk-4"); err != nil {
		t.Errorf("clerk-4: %v", err)
	}
	token, err := o.keys.RoleToken(vault.RoleOfficer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Bearer(t.Context(), token, true); err != nil {
		t.Errorf("the portal: %v", err)
	}
	const id = "role:officer:clerk-3"
	if list := o.Tokens(); len(list) != 1 || list[0] != (access.Token{ID: id, State: access.Locked}) {
		t.Errorf("the list has %+v", list)
	}
	if err := access.CheckID(id); err != nil {
		t.Error(err)
	}
	if err := o.Unlock(t.Context(), authority, id); err != nil {
		t.Fatal(err)
	}
	if err := o.MayLook(p, "clerk-3"); err != nil {
		t.Errorf("clerk-3, unlocked: %v", err)
	}
}

// TestNoRecordNoLook: a lock that cannot be recorded is an error, not a way past it.
func TestNoRecordNoLook(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	p := access.Principal{Token: "x", Role: vault.RoleOfficer}
	if err := look(t, o.Registry, p, "", 19); err != nil {
		t.Fatal(err)
	}
	if err := o.store.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := look(t, o.Registry, p, "", 1); err == nil || errors.Is(err, access.ErrLocked) {
			t.Errorf("without a record: %v", err)
		}
	}
}
