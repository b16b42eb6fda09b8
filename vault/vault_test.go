package vault

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bahi/domain"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has changed; ledgers in use depend on it\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// open opens a vault in a new directory, or in the given one.
func open(t testing.TB, dir ...string) *Vault {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if len(dir) > 0 {
		path = dir[0]
	}
	v, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// reopen closes v and opens its directory again.
func reopen(t testing.TB, v *Vault) *Vault {
	t.Helper()
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, v.dir)
}

// fixedPepper is the one that the golden files were made under.
func fixedPepper() *Vault {
	return &Vault{pepper: newPepper([]byte("a pepper of thirty-two bytes, ok"))}
}

var (
	hcw = domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1}
	flw = domain.Cohort{District: 208, Group: domain.FrontLineWorker, Generation: 1}
	old = domain.Cohort{District: 208, Group: domain.Age60Plus, Generation: 1}
)

const reference = domain.Reference("21679381234566")

func TestOpenKeepsSecrets(t *testing.T) {
	t.Parallel()
	v := open(t)
	token, public, id := v.PersonToken(reference), v.IntakePublicKey(), v.PepperID()
	officer, err := v.RoleToken(RoleOfficer)
	if err != nil {
		t.Fatal(err)
	}
	v = reopen(t, v)
	if v.PersonToken(reference) != token || v.PepperID() != id {
		t.Error("the pepper changed")
	}
	if !bytes.Equal(v.IntakePublicKey(), public) {
		t.Error("the intake key changed")
	}
	if again, _ := v.RoleToken(RoleOfficer); again != officer {
		t.Error("the officer's token changed")
	}
	if other := open(t); other.PepperID() == id || other.PersonToken(reference) == token {
		t.Error("two vaults share a pepper")
	}
}

func TestOpenModes(t *testing.T) {
	t.Parallel()
	v := open(t)
	if _, err := v.SandboxAuthorityKey(); err != nil {
		t.Fatal(err)
	}
	files := 0
	err := filepath.Walk(v.dir, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		} else {
			files++
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o instead of %o", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := 8 + len(Roles()); files != want {
		t.Errorf("%d files instead of %d", files, want)
	}
}

func TestOpenRefusesWhatOthersCanRead(t *testing.T) {
	t.Parallel()
	for _, name := range []string{".", "tokens", "pepper", "cohorts.keys", "intake.key", "tokens/officer"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := open(t)
			v.Close()
			path := filepath.Join(v.dir, name)
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, info.Mode().Perm()|0o040); err != nil {
				t.Fatal(err)
			}
			var refused *PermissionError
			if _, err = Open(v.dir); !errors.As(err, &refused) {
				t.Fatalf("opened, or said %v", err)
			}
			if !strings.Contains(err.Error(), "chmod") {
				t.Errorf("does not say what to do: %v", err)
			}
			if err := os.Chmod(path, os.FileMode(refused.Want)); err != nil {
				t.Fatal(err)
			}
			open(t, v.dir)
		})
	}
}

func TestOpenLocked(t *testing.T) {
	t.Parallel()
	v := open(t)
	if _, err := Open(v.dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("second Open: %v", err)
	}
	reopen(t, v)
}

func TestOpenWithoutPepper(t *testing.T) {
	t.Parallel()
	v := open(t)
	v.Close()
	path := filepath.Join(v.dir, "pepper")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(v.dir); err == nil || !strings.Contains(err.Error(), "put the ledger's own pepper back") {
		t.Fatalf("without a pepper: %v", err)
	}
	for i := range len(content) - 1 { // each character changed
		bad := bytes.Clone(content)
		bad[i] ^= 1
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if v, err := Open(v.dir); err == nil {
			v.Close()
			t.Fatalf("opened with character %d of the pepper changed", i)
		} else if strings.Contains(err.Error(), string(content[20:40])) {
			t.Fatalf("the error tells the pepper: %v", err)
		}
	}
}

// A first use that was cut off at any of its steps is completed by the next.
func TestOpenAfterCrashInFirstUse(t *testing.T) {
	t.Parallel()
	whole := open(t)
	whole.Close()
	steps := []string{"lock", "pepper", "intake.key", "tokens/officer"}
	for n := range len(steps) + 1 {
		dir := filepath.Join(t.TempDir(), "keys")
		if err := os.MkdirAll(filepath.Join(dir, "tokens"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range steps[:n] {
			content, err := os.ReadFile(filepath.Join(whole.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "pepper.new"), []byte("half a pep"), 0o600); err != nil {
			t.Fatal(err)
		}
		v := open(t, dir)
		if n >= 2 && v.PepperID() != whole.PepperID() {
			t.Errorf("after step %d: another pepper", n)
		}
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw); err != nil {
		t.Fatal(err)
	}
	v.Close()
	if _, err := v.SealDose(hcw, domain.PersonToken{}, domain.DoseParticulars{}); !errors.Is(err, ErrClosed) {
		t.Errorf("SealDose: %v", err)
	}
	if err := v.EnsureKeys(flw); !errors.Is(err, ErrClosed) {
		t.Errorf("EnsureKeys: %v", err)
	}
	if _, err := v.Destroy(hcw); !errors.Is(err, ErrClosed) {
		t.Errorf("Destroy: %v", err)
	}
}

func TestOutside(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	data := filepath.Join(root, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(data, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		data, keys string
		fine       bool
	}{
		{"data", "data-keys", true},
		{"data", "elsewhere/keys", true},
		{"data", "data/../keys", true},
		{"data", "..keys", true},
		{"data", "data", false},
		{"data", "data/", false},
		{"data", "data/keys", false},
		{"data", "data/not/yet/there", false},
		{"data", "link/keys", false},
		{"link/store", "data/keys", true},
		{"link", "data/keys", false},
		{"keys/data", "keys", false},
	} {
		err := Outside(filepath.Join(root, test.data), root+"/"+test.keys)
		if (err == nil) != test.fine {
			t.Errorf("data %s, keys %s: %v", test.data, test.keys, err)
		}
	}
}
