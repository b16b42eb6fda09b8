package vault

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// Vault is an open keys directory. Its methods may be called from several
// goroutines at once.
type Vault struct {
	dir    string
	lock   *os.File
	pepper *pepper
	keys   *keyring
	tokens map[string]string

	keyOfTokens ed25519.PrivateKey // signs tokens of access
	quarantine  *quarantineKeys

	rotating sync.Mutex                  // held while the intake keys change
	intake   atomic.Pointer[[]intakeKey] // the current one first; what it points at never changes

	sandbox sync.Mutex // held while the sandbox authority key is made

	signing    sync.Mutex // protects keysToSign
	keysToSign *signingKeys
}

// Open opens the keys directory dir, making it and its secrets at first use.
//
// It returns [ErrLocked] when another process has it open, a [*PermissionError]
// when other users could read it, and an error when the pepper is gone while
// cohort keys are there: a new pepper would make every person a stranger. A
// damaged sector of the key file does not keep the vault closed; [Vault.Damaged]
// lists them.
func Open(dir string) (_ *Vault, err error) {
	if err := os.MkdirAll(dir, privateDir); err != nil {
		return nil, fmt.Errorf("cannot make the keys directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the keys directory: %w", err)
	}
	if err := checkPrivate(info, dir, privateDir); err != nil {
		return nil, err
	}
	v := &Vault{dir: dir}
	defer func() {
		if err != nil {
			v.Close()
		}
	}()
	if v.lock, err = lockFile(filepath.Join(dir, "lock")); err != nil {
		return nil, err
	}
	// The key file is made last: where it is, the first use was completed, and
	// what is missing was lost.
	keyFile := filepath.Join(dir, "cohorts.keys")
	_, err = os.Stat(keyFile)
	fresh := errors.Is(err, os.ErrNotExist)
	if err != nil && !fresh {
		return nil, fmt.Errorf("cannot open the cohort keys: %w", err)
	}
	if v.pepper, err = openPepper(filepath.Join(dir, "pepper"), fresh); err != nil {
		return nil, err
	}
	intake, err := openIntakeKeys(filepath.Join(dir, intakeKeyFile))
	if err != nil {
		return nil, err
	}
	v.intake.Store(&intake)
	if v.keysToSign, err = openSigningKey(filepath.Join(dir, signingKeyFile)); err != nil {
		return nil, err
	}
	if v.keyOfTokens, err = openTokenKey(filepath.Join(dir, tokenKeyFile)); err != nil {
		return nil, err
	}
	if v.tokens, err = openRoleTokens(filepath.Join(dir, "tokens")); err != nil {
		return nil, err
	}
	if v.quarantine, err = openQuarantineKeys(filepath.Join(dir, quarantineKeyFile)); err != nil {
		return nil, err
	}
	if v.keys, err = openKeyring(keyFile); err != nil {
		return nil, err
	}
	if err := syncDir(dir); err != nil {
		return nil, fmt.Errorf("cannot flush the keys directory: %w", err)
	}
	return v, nil
}

// Close wipes the keys of cohorts and quarantines from memory and lets go of the
// directory. Nothing can be sealed or opened afterwards.
func (v *Vault) Close() error {
	var err error
	if v.keys != nil {
		err = v.keys.close()
	}
	if v.quarantine != nil {
		err = errors.Join(err, v.quarantine.close())
	}
	if v.lock != nil {
		err = errors.Join(err, unlock(v.lock))
	}
	return err
}

// String names the directory and nothing that is in it.
func (v *Vault) String() string { return "vault " + v.dir }

func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, privateFile)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the keys directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", filepath.Dir(path), ErrLocked)
		}
		return nil, fmt.Errorf("cannot lock the keys directory: %w", err)
	}
	return f, nil
}

// unlock lets go of the directory at once, whatever process that is just being
// started has a copy of the file.
func unlock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// Outside tells why keys may not lie at the path keys beside data at the path
// data, or returns nil: neither may lie in the other, because whoever copies one
// of them would copy both. Links are followed; neither path needs to exist.
func Outside(data, keys string) error {
	d, err := resolve(data)
	if err != nil {
		return err
	}
	k, err := resolve(keys)
	if err != nil {
		return err
	}
	switch {
	case d == k:
		return fmt.Errorf("the keys directory %s is the data directory; choose another with --keys", keys)
	case within(k, d):
		return fmt.Errorf("the keys directory %s lies in the data directory %s, where a backup would copy both; choose another with --keys", keys, data)
	case within(d, k):
		return fmt.Errorf("the data directory %s lies in the keys directory %s, where a backup would copy both; choose another with --keys", data, keys)
	}
	return nil
}

// within tells whether the resolved path p lies below dir.
func within(p, dir string) bool {
	rel, err := filepath.Rel(dir, p)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// resolve returns the absolute path without links; the part of it that does not
// exist yet is taken as it stands.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for {
		real, err := filepath.EvalSymlinks(abs)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, os.ErrNotExist) || abs == filepath.Dir(abs) {
			return "", fmt.Errorf("cannot tell where %s lies: %w", path, err)
		}
		rest = filepath.Join(filepath.Base(abs), rest)
		abs = filepath.Dir(abs)
	}
}
