package vault

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bahi/domain"
)

func authority(t testing.TB) *AuthorityKey {
	t.Helper()
	key, err := GenerateAuthorityKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestAuthorityKeyFiles(t *testing.T) {
	t.Parallel()
	key := authority(t)
	file, err := key.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseAuthorityKey(file)
	if err != nil {
		t.Fatal(err)
	}
	if again.Public().ID() != key.Public().ID() {
		t.Error("another key after writing and reading")
	}
	public, err := ParseAuthorityPublicKey(key.Public().Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if public.ID() != sha256.Sum256(key.Public().Bytes()) || !bytes.Equal(public.Bytes(), key.Public().Bytes()) {
		t.Error("another public key after writing and reading")
	}
	if _, err := NewAuthorityPublicKey(public.Bytes()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(string(file), fmt.Sprintf("%x", public.ID())) {
		t.Error("the private key file does not name its id")
	}
	secret := string(bytes.TrimSpace(file[bytes.Index(file, []byte("\nBAHI-"))+1:]))
	for _, shown := range []string{fmt.Sprint(key), fmt.Sprintf("%+v", key), fmt.Sprintf("%#v", key)} {
		if strings.Contains(shown, secret[len(authorityKeyLabel)+1:]) {
			t.Errorf("printing the key tells it: %s", shown)
		}
	}
	for _, bad := range []string{"", "# only a comment\n", secret + "\n" + secret, secret[:len(secret)-1], strings.ToLower(secret), "x" + secret, string(key.Public().Marshal())} {
		if _, err := ParseAuthorityKey([]byte(bad)); err == nil {
			t.Errorf("a bad private key was read")
		} else if strings.Contains(err.Error(), secret[30:50]) {
			t.Errorf("the error tells the key: %v", err)
		}
	}
	if _, err := ParseAuthorityPublicKey(file); err == nil {
		t.Error("a private key passed for a public one")
	}
	if _, err := NewAuthorityPublicKey(make([]byte, 7)); err == nil {
		t.Error("seven bytes passed for a public key")
	}
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	key, other := authority(t), authority(t)
	challenge, expected, err := NewChallenge(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := key.Answer(challenge)
	if err != nil || !bytes.Equal(answer, expected) || len(answer) != 32 {
		t.Errorf("answer: %v", err)
	}
	if _, err := other.Answer(challenge); !errors.Is(err, ErrOtherKey) {
		t.Errorf("another key: %v", err)
	}
	if _, err := key.Answer(challenge[1:]); err == nil {
		t.Error("a cut challenge was answered")
	}
	if _, _, err := NewChallenge(AuthorityPublicKey{}); err == nil {
		t.Error("challenged nobody")
	}
	// Not a way to have bundles opened.
	bundle, _, err := SealBundle(key.Public().Bytes(), make([]byte, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Answer(bundle[bundleHeader:]); err == nil {
		t.Error("a bundle was opened as a challenge")
	}
}

func TestSandboxAuthorityKey(t *testing.T) {
	t.Parallel()
	v := open(t)
	key, err := v.SandboxAuthorityKey()
	if err != nil {
		t.Fatal(err)
	}
	v = reopen(t, v)
	again, err := v.SandboxAuthorityKey()
	if err != nil || again.Public().ID() != key.Public().ID() {
		t.Errorf("another key after a restart: %v", err)
	}
}

func TestHandover(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw, flw, old); err != nil {
		t.Fatal(err)
	}
	registration, err := v.SealRegistration(hcw, somebody, someDetails, someTokens)
	if err != nil {
		t.Fatal(err)
	}
	dose, err := v.SealDose(flw, somebody, someDose)
	if err != nil {
		t.Fatal(err)
	}
	survivor, err := v.SealDose(old, somebody, someDose)
	if err != nil {
		t.Fatal(err)
	}
	keys := [][]byte{keyOf(t, v, hcw), keyOf(t, v, flw)}
	key, freeze := authority(t), domain.UUID{1, 2, 3}
	path := filepath.Join(t.TempDir(), "208.handover")
	hash, err := v.WriteHandover(path, freeze, []domain.Cohort{flw, hcw}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Destroy(hcw, flw); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if sha256.Sum256(file) != hash {
		t.Error("the hash is not the file's")
	}
	for _, k := range keys {
		if filesWith(t, filepath.Dir(path), k) != nil {
			t.Error("a key lies open in the handover")
		}
	}
	for _, want := range []string{freeze.String(), `"group":"HCW"`, fmt.Sprintf("%x", key.Public().ID()), fmt.Sprintf("%x", v.PepperID())} {
		if !strings.Contains(string(file), want) {
			t.Errorf("the header does not say %s", want)
		}
	}

	h, err := OpenHandover(file, key)
	if err != nil {
		t.Fatal(err)
	}
	if h.Freeze != freeze || !slices.Equal(h.Cohorts, []domain.Cohort{hcw, flw}) || h.PepperID != v.PepperID() {
		t.Errorf("opened to %v, %v", h, h.Cohorts)
	}
	if d, tokens, err := h.OpenRegistration(hcw, somebody, registration); err != nil || d != someDetails || tokens != someTokens {
		t.Errorf("the authority opens a registration: %v", err)
	}
	if d, err := h.OpenDose(flw, somebody, dose); err != nil || d != someDose {
		t.Errorf("the authority opens a dose: %v", err)
	}
	if _, err := h.OpenDose(old, somebody, survivor); !errors.Is(err, ErrNotHandedOver) || errors.Is(err, ErrKeyMissing) {
		t.Errorf("a cohort that was not handed over: %v", err)
	}
	if _, _, err := h.OpenRegistration(hcw, domain.PersonToken{}, registration); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another person: %v", err)
	}
	if _, err := OpenHandover(file, authority(t)); !errors.Is(err, ErrOtherKey) {
		t.Errorf("another authority: %v", err)
	}
	for _, i := range []int{5, 60, len(file) / 2, len(file) - 10, len(file) - 1} {
		bad := bytes.Clone(file)
		bad[i] ^= 1
		if _, err := OpenHandover(bad, key); err == nil {
			t.Errorf("byte %d changed unnoticed", i)
		}
	}
	// A new hash does not help who changes the header.
	lines := bytes.SplitAfter(file, []byte("\n"))
	body := slices.Concat(bytes.Replace(lines[0], []byte(`"HCW"`), []byte(`"FLW"`), 1), lines[1])
	if _, err := OpenHandover(fmt.Appendf(body, "%x\n", sha256.Sum256(body)), key); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another header: %v", err)
	}
}

func TestWriteHandoverAgain(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw, flw); err != nil {
		t.Fatal(err)
	}
	key, freeze := authority(t).Public(), domain.UUID{1}
	path := filepath.Join(t.TempDir(), "handover")
	both := []domain.Cohort{hcw, flw}
	hash, err := v.WriteHandover(path, freeze, both, key)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// What a crash may have left is written over as long as the keys live.
	for _, n := range []int{0, 1, len(whole) / 2, len(whole) - 1} {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if hash, err = v.WriteHandover(path, freeze, both, key); err != nil {
			t.Fatalf("over %d bytes: %v", n, err)
		}
	}
	for what, write := range map[string]func() ([32]byte, error){
		"another freeze":    func() ([32]byte, error) { return v.WriteHandover(path, domain.UUID{2}, both, key) },
		"other cohorts":     func() ([32]byte, error) { return v.WriteHandover(path, freeze, both[:1], key) },
		"another authority": func() ([32]byte, error) { return v.WriteHandover(path, freeze, both, authority(t).Public()) },
		"nobody":            func() ([32]byte, error) { return v.WriteHandover(path+"2", freeze, both, AuthorityPublicKey{}) },
	} {
		if _, err := write(); err == nil {
			t.Errorf("%s: written over a whole handover", what)
		}
	}
	if _, err := v.WriteHandover(path+"2", freeze, []domain.Cohort{hcw, old}, key); !errors.Is(err, ErrKeyMissing) {
		t.Errorf("a cohort without a key: %v", err)
	}
	if _, err := v.Destroy(hcw); err != nil {
		t.Fatal(err)
	}
	if again, err := v.WriteHandover(path, freeze, []domain.Cohort{flw, hcw, flw}, key); err != nil || again != hash {
		t.Errorf("after the keys are gone: %v", err)
	}
	if _, err := v.WriteHandover(path+"2", freeze, both, key); !errors.Is(err, ErrKeyDestroyed) {
		t.Errorf("a destroyed key: %v", err)
	}
	if _, err := os.Stat(path + "2"); err == nil {
		t.Error("a handover was written that lacks keys")
	}
}
