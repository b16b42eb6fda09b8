package centre

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The files of the keys directory.
const (
	fileBundleKey  = "bundles.key"
	fileVerdictKey = "verdicts.key"
	fileToken      = "local.token"
)

// A key file is one line, always of the same length: the label, and in base64 the
// key with the first bytes of its SHA-256, by which a torn file is noticed.
const (
	keyLabel = "BAHI-CENTRE-KEY-1 "
	keySum   = 8
)

// ErrKeysMissing is the error when a spool is there and its keys are not.
var ErrKeysMissing = errors.New("the keys of the centre's spool are missing; put the directory back as it was")

// errDamaged is the error for what was not written by the key at hand, or not
// to its end.
var errDamaged = errors.New("damaged, or sealed under another key")

// key seals what lies in the spool. A sealed record:
//
//	0  1  suite, 1: AES-256-GCM
//	1     nonce (12), ciphertext, tag (16)
//
// with "bahi centre 1" ‖ suite ‖ subject as additional data: what was sealed for
// one subject opens for no other.
type key struct {
	path string
	aead cipher.AEAD
}

const suiteRecord = 1

// openKey reads a key file. Only a spool that does not exist yet may have none:
// then it is made.
func openKey(path string, fresh bool) (*key, error) {
	k := &key{path: path}
	content, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !fresh {
			return nil, fmt.Errorf("%s: %w", path, ErrKeysMissing)
		}
		return k, k.replace(func(content []byte) error { return writeWhole(path, content) })
	}
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(string(content)), keyLabel)
	b, err := base64.StdEncoding.DecodeString(text)
	defer clear(b)
	if !ok || err != nil || len(b) != 32+keySum || [keySum]byte(b[32:]) != sumOf(b[:32]) {
		return k, fmt.Errorf("the key file %s: %w", path, errDamaged)
	}
	k.use(b[:32])
	return k, nil
}

// renew makes a new key and writes it over the old one, in its place: what was
// sealed under that opens nowhere afterwards. So nothing may wait that is sealed
// under it, and then it does no harm either when a crash tears the file.
func (k *key) renew() error {
	return k.replace(func(content []byte) error {
		f, err := os.OpenFile(k.path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(content, 0)
		if err == nil {
			err = f.Sync()
		}
		return errors.Join(err, f.Close())
	})
}

// replace makes a key, has its file written, and uses it from then on.
func (k *key) replace(write func(content []byte) error) error {
	b := make([]byte, 32, 32+keySum)
	rand.Read(b)
	defer clear(b[:cap(b)])
	sum := sumOf(b)
	content := []byte(keyLabel + base64.StdEncoding.EncodeToString(append(b, sum[:]...)) + "\n")
	defer clear(content)
	if err := write(content); err != nil {
		return fmt.Errorf("write a key: %w", err)
	}
	k.use(b)
	return nil
}

func (k *key) use(b []byte) {
	block, err := aes.NewCipher(b)
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	if k.aead, err = cipher.NewGCMWithRandomNonce(block); err != nil {
		panic(err) // AES has blocks of 128 bits
	}
}

func sumOf(b []byte) [keySum]byte {
	sum := sha256.Sum256(b)
	return [keySum]byte(sum[:])
}

func (k *key) seal(plain []byte, subject string) []byte {
	sealed := append(make([]byte, 0, 1+k.aead.Overhead()+len(plain)), suiteRecord)
	return k.aead.Seal(sealed, nil, plain, bound(subject))
}

// open opens what seal sealed. It returns errDamaged.
func (k *key) open(sealed []byte, subject string) ([]byte, error) {
	if len(sealed) < 1+k.aead.Overhead() || sealed[0] != suiteRecord {
		return nil, errDamaged
	}
	plain, err := k.aead.Open(nil, nil, sealed[1:], bound(subject))
	if err != nil {
		return nil, errDamaged
	}
	return plain, nil
}

func bound(subject string) []byte {
	return append([]byte("bahi centre 1\x01"), subject...)
}

// openToken reads the token for callers of this machine, or makes it.
func openToken(path string) (string, error) {
	content, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) {
		token := rand.Text()
		return token, writeWhole(path, []byte(token+"\n"))
	}
	token := strings.TrimSpace(string(content))
	if err == nil && len(token) < 20 {
		err = fmt.Errorf("the token in %s is too short; delete the file to have a new one made", path)
	}
	return token, err
}

// maxPrivate bounds what is read of a file of the keys directory, in bytes.
const maxPrivate = 4096

// readPrivate returns the content of a small file that nobody else may read.
func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read or written by other users (%o); set it to 600", path, mode)
	}
	if info.Size() > maxPrivate {
		return nil, fmt.Errorf("%s is larger than %d bytes: not a file of a centre", path, maxPrivate)
	}
	return os.ReadFile(path)
}

// writeWhole puts a file at path, for this user alone, so that after a crash it
// is there whole or not at all.
func writeWhole(path string, content []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir flushes the names in a directory.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
