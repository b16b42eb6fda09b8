package vault

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestBundle(t *testing.T) {
	t.Parallel()
	v := open(t)
	info := []byte("intake.208.208001")
	for _, bundle := range [][]byte{nil, []byte(`{"type":"dose"}` + "\n"), bytes.Repeat([]byte{'x'}, MaxBundle)} {
		sealed, opener, err := SealBundle(v.IntakePublicKey(), bundle, info)
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed) != len(bundle)+bundleOverhead {
			t.Errorf("%d bytes sealed to %d", len(bundle), len(sealed))
		}
		got, sealer, err := v.OpenBundle(sealed, info)
		if err != nil || !bytes.Equal(got, bundle) {
			t.Fatalf("opened to something else: %v", err)
		}
		for _, verdicts := range []string{"", `{"verdict":"accepted","person":"21679381234566"}`} {
			reply, err := sealer.Seal([]byte(verdicts))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(reply, []byte("person")) {
				t.Error("the reply lies open")
			}
			if got, err := opener.Open(reply); err != nil || string(got) != verdicts {
				t.Errorf("reply: %v", err)
			}
		}
	}
}

func TestBundleDeliveredAgain(t *testing.T) {
	t.Parallel()
	v := open(t)
	sealed, opener, err := SealBundle(v.IntakePublicKey(), []byte("bundle"), nil)
	if err != nil {
		t.Fatal(err)
	}
	v = reopen(t, v)
	for range 2 {
		_, sealer, err := v.OpenBundle(sealed, nil)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := sealer.Seal([]byte("verdicts"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := opener.Open(reply); err != nil {
			t.Error(err)
		}
	}
}

func TestBundleRefused(t *testing.T) {
	t.Parallel()
	v, other := open(t), open(t)
	info := []byte("intake.208.208001")
	sealed, opener, err := SealBundle(v.IntakePublicKey(), []byte("bundle"), info)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := other.OpenBundle(sealed, info); !errors.Is(err, ErrOtherKey) {
		t.Errorf("another ledger: %v", err)
	}
	if _, _, err := v.OpenBundle(sealed, []byte("intake.208.208002")); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another subject: %v", err)
	}
	for i := range sealed {
		if i > 20 && i < len(sealed)-30 && i%64 != 0 {
			continue
		}
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, _, err := v.OpenBundle(bad, info); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrOtherKey) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for _, n := range []int{0, 1, 9, 1000, bundleOverhead - 1, len(sealed) - 1} {
		if _, _, err := v.OpenBundle(sealed[:n], info); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, _, err := v.OpenBundle(make([]byte, 2<<20), info); !errors.Is(err, ErrTooLarge) {
		t.Errorf("two megabytes: %v", err)
	}
	if _, _, err := SealBundle(v.IntakePublicKey(), make([]byte, MaxBundle+1), info); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
	if _, _, err := SealBundle([]byte("key"), nil, info); err == nil {
		t.Error("sealed to no key")
	}

	// A reply opens for who sent this bundle, and for nobody else.
	second, secondOpener, err := SealBundle(v.IntakePublicKey(), []byte("bundle"), info)
	if err != nil {
		t.Fatal(err)
	}
	_, sealer, err := v.OpenBundle(second, info)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := sealer.Seal([]byte("verdicts"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opener.Open(reply); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another's reply: %v", err)
	}
	for i := range reply {
		bad := bytes.Clone(reply)
		bad[i] ^= 1
		if _, err := secondOpener.Open(bad); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d of a reply changed: %v", i, err)
		}
	}
	if _, err := secondOpener.Open(nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("an empty reply: %v", err)
	}
	if _, err := sealer.Seal(make([]byte, MaxBundle+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a large reply: %v", err)
	}
}

// An operator puts a new key above the old one: it is given out from then on,
// and what was sealed to the old one still opens.
func TestRetiredIntakeKey(t *testing.T) {
	t.Parallel()
	v, donor := open(t), open(t)
	sealed, _, err := SealBundle(v.IntakePublicKey(), []byte("bundle"), nil)
	if err != nil {
		t.Fatal(err)
	}
	v.Close()
	path := filepath.Join(v.dir, "intake.key")
	present, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	next, err := os.ReadFile(filepath.Join(donor.dir, "intake.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, slices.Concat([]byte("# new\n"), next, []byte("# retired\n"), present), 0o600); err != nil {
		t.Fatal(err)
	}
	v = open(t, v.dir)
	if !bytes.Equal(v.IntakePublicKey(), donor.IntakePublicKey()) {
		t.Error("the new key is not given out")
	}
	if _, _, err := v.OpenBundle(sealed, nil); err != nil {
		t.Errorf("sealed to the retired key: %v", err)
	}
	v.Close()
	for _, bad := range []string{"", "nonsense", strings.Repeat(string(present), maxIntakeKeys+1), string(present[:40])} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if v, err := Open(v.dir); err == nil {
			v.Close()
			t.Errorf("opened with a bad intake key file of %d bytes", len(bad))
		}
	}
}
