package access_test

import (
	"testing"

	"bahi/access"
	"bahi/eventstore"
	"bahi/vault"
)

func openVault(t *testing.T) *vault.Vault {
	t.Helper()
	v, err := vault.Open(t.TempDir() + "/keys")
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

func openRegistry(t *testing.T, store *eventstore.Store, keys *vault.Vault) *access.Registry {
	t.Helper()
	r, err := access.Open(t.Context(), access.Config{Store: store, Vault: keys, Origin: "bahi/test"})
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
