package vault

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"
)

func TestTokenKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	public := func(v *Vault) ed25519.PublicKey { return v.TokenSigner().Public().(ed25519.PublicKey) }
	opened := func(dir string) *Vault {
		t.Helper()
		v, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v := opened(dir)
	first := public(v)
	message := []byte("a token")
	signature, err := v.TokenSigner().Sign(nil, message, crypto.Hash(0))
	if err != nil || !ed25519.Verify(first, message, signature) {
		t.Errorf("it does not sign: %v", err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	v = opened(dir)
	if !bytes.Equal(public(v), first) {
		t.Error("after a restart it is another")
	}
	if bytes.Equal(first, v.keysToSign.public()) {
		t.Error("it is the signing key")
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	// Without its file a new one is made: every token ends.
	path := filepath.Join(dir, "token.key")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	v = opened(dir)
	if bytes.Equal(public(v), first) {
		t.Error("the key came back")
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{"", "hello\n", tokenKeyLabel + ":AAAA\n", armour(tokenKeyLabel, make([]byte, 31)) + "\n", armour(signingKeyLabel, make([]byte, 32)) + "\n"} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if v, err := Open(dir); err == nil {
			v.Close()
			t.Errorf("opened with %q", damaged)
		}
	}
}
