package access

import (
	"errors"
	"fmt"
	"testing"

	"bahi/vault"
)

func TestLRU(t *testing.T) {
	t.Parallel()
	l := newLRU[*int](3)
	get := func(key string) *int { return l.get(key, func() *int { return new(int) }) }
	a := get("a")
	get("b")
	get("c")
	if get("a") != a {
		t.Error("what was just used is gone")
	}
	get("d") // b goes
	if len(l.values) != 3 || l.order.Len() != 3 || get("a") != a {
		t.Errorf("it keeps %d", len(l.values))
	}
	if _, ok := l.values["b"]; ok {
		t.Error("what was not used for longest is still there")
	}
	l.drop("a")
	l.drop("nothing")
	if get("a") == a {
		t.Error("what was dropped is still there")
	}
}

// TestTooManyLocks: whoever makes up officers' names until the locks of all of them
// cannot be remembered does not get past them by another name.
func TestTooManyLocks(t *testing.T) {
	t.Parallel()
	r := &Registry{locks: map[string]bool{}}
	portal, officer := Installation(vault.RoleOfficer), Principal{Token: "x", Role: vault.RoleOfficer}
	for i := range maxLocks - 1 {
		r.locks[probe(portal, fmt.Sprint("name-", i))] = true
	}
	if err := r.MayLook(portal, "asha"); err != nil {
		t.Fatal(err)
	}
	r.locks["one more"] = true
	if err := r.MayLook(portal, "asha"); !errors.Is(err, ErrLocked) {
		t.Errorf("another name: %v", err)
	}
	if err := r.MayLook(officer, "asha"); err != nil {
		t.Errorf("a token of its own: %v", err)
	}
}
