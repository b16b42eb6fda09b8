package vault

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func sealTo(t *testing.T, v *Vault, bundle string) []byte {
	t.Helper()
	sealed, _, err := SealBundle(v.IntakePublicKey(), []byte(bundle), []byte("intake.208.208001"))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func opensBundle(v *Vault, sealed []byte) error {
	_, _, err := v.OpenBundle(sealed, []byte("intake.208.208001"))
	return err
}

// heldKeys returns the base64 of the private keys in an intake key file.
func heldKeys(t *testing.T, dir string) [][]byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, intakeKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	var keys [][]byte
	for _, line := range keyLines(content) {
		keys = append(keys, []byte(line[len(intakeKeyLabel)+1:]))
	}
	return keys
}

// findIn names the files of the keys directory that hold any of the secrets.
func findIn(t *testing.T, dir string, secrets ...[]byte) (hits []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // a directory
		}
		for _, s := range secrets {
			if bytes.Contains(content, s) {
				hits = append(hits, e.Name())
			}
		}
	}
	return hits
}

func TestRotateIntakeKey(t *testing.T) {
	t.Parallel()
	v := open(t)
	first, firstKeys := sealTo(t, v, "first"), heldKeys(t, v.dir)
	if err := v.RotateIntakeKey(); err != nil {
		t.Fatal(err)
	}
	second := sealTo(t, v, "second")
	if bytes.Equal(first[1:bundleHeader], second[1:bundleHeader]) || v.RetiredIntakeKeys() != 1 {
		t.Error("the key did not change")
	}
	// Whoever has the old file open sees what became of its bytes.
	old, err := os.Open(filepath.Join(v.dir, intakeKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	v.Close()
	v = open(t, v.dir)
	for _, sealed := range [][]byte{first, second} {
		if err := opensBundle(v, sealed); err != nil {
			t.Errorf("after a rotation: %v", err)
		}
	}

	if n, err := v.DestroyRetiredIntakeKeys(); n != 1 || err != nil {
		t.Fatalf("destroyed %d, %v", n, err)
	}
	if n, err := v.DestroyRetiredIntakeKeys(); n != 0 || err != nil {
		t.Fatalf("destroyed %d again, %v", n, err)
	}
	was := make([]byte, 4096)
	if n, _ := old.ReadAt(was, 0); n == 0 || !bytes.Equal(was, make([]byte, len(was))) {
		t.Error("the old file's bytes were not overwritten in their place")
	}
	check := func(when string) {
		t.Helper()
		if err := opensBundle(v, first); !errors.Is(err, ErrOtherKey) {
			t.Errorf("%s: sealed to the destroyed key: %v", when, err)
		}
		if err := opensBundle(v, second); err != nil {
			t.Errorf("%s: sealed to the present key: %v", when, err)
		}
		if hits := findIn(t, v.dir, firstKeys...); len(hits) > 0 {
			t.Errorf("%s: the destroyed key is in %v", when, hits)
		}
	}
	check("destroyed")
	v.Close()
	v = open(t, v.dir)
	check("started again")
}

func TestRotateIntakeKeyTooOften(t *testing.T) {
	t.Parallel()
	v := open(t)
	for range maxIntakeKeys - 1 {
		if err := v.RotateIntakeKey(); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.RotateIntakeKey(); !errors.Is(err, ErrTooManyKeys) {
		t.Errorf("once more: %v", err)
	}
	if n, err := v.DestroyRetiredIntakeKeys(); n != maxIntakeKeys-1 || err != nil {
		t.Errorf("destroyed %d, %v", n, err)
	}
	if err := v.RotateIntakeKey(); err != nil {
		t.Error(err)
	}
}

// A change of the intake keys is cut off between any two of its steps. At the
// next start either the keys before it or the ones after it are there, and
// nothing is left beside them.
func TestIntakeKeyChangeCutOff(t *testing.T) {
	t.Parallel()
	const none = ""
	for _, c := range []struct {
		step               string
		file, before, next string // what is in intake.key, .old and .new: "old", "new", "half" or nothing
		want               string
	}{
		{"the new file is half written", "old", none, "half", "old"},
		{"the new file is written", "old", none, "new", "old"},
		{"the old file is renamed", none, "old", "new", "old"},
		{"the new file is renamed", "new", "old", none, "new"},
		{"the old file is half overwritten", "new", "half", none, "new"},
	} {
		t.Run(c.step, func(t *testing.T) {
			t.Parallel()
			v := open(t)
			sealed := sealTo(t, v, "bundle")
			read := func() []byte {
				b, err := os.ReadFile(filepath.Join(v.dir, intakeKeyFile))
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			old, oldKeys := read(), heldKeys(t, v.dir)
			if err := v.RotateIntakeKey(); err != nil {
				t.Fatal(err)
			}
			if _, err := v.DestroyRetiredIntakeKeys(); err != nil {
				t.Fatal(err)
			}
			next, nextKeys := read(), heldKeys(t, v.dir)
			v.Close()

			content := map[string][]byte{"old": old, "new": next, "half": old[:len(old)/2]}
			path := filepath.Join(v.dir, intakeKeyFile)
			for name, what := range map[string]string{path: c.file, path + ".old": c.before, path + ".new": c.next} {
				err := os.Remove(name)
				if what != none {
					err = os.WriteFile(name, content[what], 0o600)
				}
				if err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
			}
			v = open(t, v.dir)
			err, gone := opensBundle(v, sealed), nextKeys
			if c.want == "old" && err != nil {
				t.Errorf("the old key is lost: %v", err)
			}
			if c.want == "new" {
				gone = oldKeys
				if !errors.Is(err, ErrOtherKey) {
					t.Errorf("the old key is back: %v", err)
				}
			}
			if hits := findIn(t, v.dir, gone...); len(hits) > 0 {
				t.Errorf("a key that is not the ledger's is in %v", hits)
			}
			for _, suffix := range []string{".old", ".new"} {
				if _, err := os.Stat(path + suffix); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("intake.key%s is left: %v", suffix, err)
				}
			}
		})
	}
}
