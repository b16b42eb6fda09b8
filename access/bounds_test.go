package access

import (
	"errors"
	"fmt"
	"testing"

	"bahi/vault"
)

func TestLRU(t *testing.T) {
	t.Parallel()
	l := newLRU[int](3)
	has := func(key string, want int) bool {
		v, ok := l.get(key)
		return ok && v == want
	}
	for i, key := range []string{"a", "b", "c"} {
		l.put(key, i)
	}
	if !has("a", 0) {
		t.Error("the first of three is gone")
	}
	l.put("d", 3) // b goes: it was not used for longest
	if _, ok := l.get("b"); ok || !has("a", 0) || !has("c", 2) || !has("d", 3) || len(l.values) != 3 || l.order.Len() != 3 {
		t.Errorf("it keeps %d", len(l.values))
	}
	l.drop("a")
	l.drop("nothing")
	if _, ok := l.get("a"); ok || len(l.values) != 2 || l.order.Len() != 2 {
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
