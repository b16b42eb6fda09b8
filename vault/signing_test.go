package vault

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

func verifiers(t *testing.T, v *Vault, origin string) note.Verifiers {
	t.Helper()
	texts, err := v.SigningPublicKeys(origin)
	if err != nil {
		t.Fatal(err)
	}
	var list []note.Verifier
	for _, text := range texts {
		key, err := note.NewVerifier(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, key)
	}
	return note.VerifierList(list...)
}

func signed(t *testing.T, v *Vault, origin, text string) []byte {
	t.Helper()
	key, err := v.Signer(origin)
	if err != nil {
		t.Fatal(err)
	}
	b, err := note.Sign(&note.Note{Text: text}, key)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What was signed is checked after a restart and after rotations, with the public
// keys alone, and only under the name of its ledger.
func TestSigningKeyOutlivesRestartsAndRotations(t *testing.T) {
	t.Parallel()
	const origin = "bahi/5f0c8e21"
	dir := filepath.Join(t.TempDir(), "keys")
	v := open(t, dir)
	var notes [][]byte
	ids := map[string]bool{}
	for range 3 {
		notes = append(notes, signed(t, v, origin, "a\n"))
		ids[v.SigningKeyID()] = true
		if err := v.RotateSigningKey(); err != nil {
			t.Fatal(err)
		}
		v = reopen(t, v)
	}
	notes = append(notes, signed(t, v, origin, "a\n"))
	if ids[v.SigningKeyID()] || len(ids) != 3 {
		t.Errorf("ids are not told apart: %v, %s", ids, v.SigningKeyID())
	}
	for i, n := range notes {
		if _, err := note.Open(n, verifiers(t, v, origin)); err != nil {
			t.Errorf("note %d: %v", i, err)
		}
		if _, err := note.Open(n, verifiers(t, v, "bahi/other")); err == nil {
			t.Errorf("note %d passes as another ledger's", i)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "signing.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v %v", info.Mode(), err)
	}
	content, err := os.ReadFile(filepath.Join(dir, "signing.key"))
	if err != nil || strings.Count(string(content), signingKeyLabel) != 1 || strings.Count(string(content), signingRetiredLabel) != 3 {
		t.Errorf("the key file has not one key and three retired ones")
	}
}

func TestSigningKeyFileIsChecked(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	open(t, dir).Close()
	path := filepath.Join(dir, "signing.key")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"empty":       "",
		"a slip":      strings.Replace(string(good), string(good[40]), string(good[40]^1), 1),
		"a short key": armour(signingKeyLabel, []byte("short")) + "\n",
		"two keys":    string(good) + string(good),
		"bad retired": string(good) + armour(signingRetiredLabel, []byte("short")) + "\n",
		"many":        string(good) + strings.Repeat(armour(signingRetiredLabel, make([]byte, 32))+"\n", maxRetiredKeys+1),
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if v, err := Open(dir); err == nil {
			v.Close()
			t.Errorf("%s: the vault opens", name)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	v := open(t, dir)
	for _, origin := range []string{"", "two words", "a+b", "line\nbreak"} {
		if _, err := v.Signer(origin); err == nil {
			t.Errorf("a ledger called %q can sign", origin)
		}
	}
}

func FuzzParseSigningKeys(f *testing.F) {
	f.Add([]byte(armour(signingKeyLabel, make([]byte, 32)) + "\n" + armour(signingRetiredLabel, make([]byte, 32)) + "\n"))
	f.Add([]byte("# nothing\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		keys, err := parseSigningKeys(content)
		if err == nil && (len(keys.private) != 64 || len(keys.retired) > maxRetiredKeys) {
			t.Errorf("%d retired", len(keys.retired))
		}
	})
}

func BenchmarkSign(b *testing.B) {
	v, err := Open(filepath.Join(b.TempDir(), "keys"))
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	key, err := v.Signer("bahi/5f0c8e21")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := note.Sign(&note.Note{Text: "bahi/5f0c8e21\n812\nmBBPPr3X3YzFLB5TJEoRrSTZfBUhqPT8G1zMwzAZk4A=\n"}, key); err != nil {
			b.Fatal(err)
		}
	}
}
