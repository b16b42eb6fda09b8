package vault

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	privateDir  = 0o700
	privateFile = 0o600

	// maxSecretFile bounds what is read of any file but the cohort keys and
	// handovers. The longest is an intake key file with a few retired keys.
	maxSecretFile = 64 << 10
)

// checkPrivate refuses what other users may read, write or enter.
func checkPrivate(info os.FileInfo, path string, want os.FileMode) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return &PermissionError{Path: path, Mode: uint32(mode), Want: uint32(want)}
	}
	return nil
}

// readSecret returns the content of a private file.
func readSecret(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkPrivate(info, path, privateFile); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	if err != nil {
		return nil, err
	}
	if len(content) > maxSecretFile {
		return nil, fmt.Errorf("%s is larger than %d bytes: not a key file", path, maxSecretFile)
	}
	return content, nil
}

// writeWhole puts content at path so that after a crash the file is there whole
// or not at all: written beside it, flushed, renamed, and the directory flushed.
// It is for what is never overwritten later. Cohort keys are, and go another
// way: a rename leaves the old bytes on the disk.
func writeWhole(path string, content []byte) error {
	beside := path + ".new"
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, privateFile)
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
	if err := os.Rename(beside, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// replaceSecret puts content in the place of a secret file and leaves nothing of
// what was there: a rename alone would leave the old bytes on the disk. The old
// file keeps a name until it is overwritten, so that a crash at any step leaves
// either the old secret or the new one, and [finishReplacing] finds the rest.
func replaceSecret(path string, content []byte) error {
	if err := finishReplacing(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, privateFile)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, wipe(path+".new"))
	}
	if err := os.Rename(path, path+".old"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return wipe(path + ".old")
}

// finishReplacing ends what a crash left of [replaceSecret]: the old secret is
// put back if the new one is not in its place yet, and what is left over is
// overwritten.
func finishReplacing(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		if err := os.Rename(path+".old", path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return errors.Join(wipe(path+".new"), wipe(path+".old"))
}

// wipe overwrites a file in its place, flushes it and removes it. That the file
// is not there is no error.
func wipe(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.Write(make([]byte, info.Size()))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// armour writes a key as one line of text: a label that says what it is, and
// base64 of the key and four bytes of its SHA-256, so that a slip of a hand that
// copies it is noticed.
func armour(label string, key []byte) string {
	sum := sha256.Sum256(key)
	return label + ":" + base64.RawURLEncoding.EncodeToString(append(append([]byte(nil), key...), sum[:4]...))
}

// unarmour reads what armour wrote. Space around the line does not matter.
func unarmour(label, line string) ([]byte, error) {
	text, ok := strings.CutPrefix(strings.TrimSpace(line), label+":")
	if !ok {
		return nil, fmt.Errorf("the line does not begin with %s", label)
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 4 {
		return nil, fmt.Errorf("what follows %s is not base64; a character is missing or wrong", label)
	}
	key, sum := b[:len(b)-4], sha256.Sum256(b[:len(b)-4])
	if [4]byte(b[len(b)-4:]) != [4]byte(sum[:4]) {
		return nil, fmt.Errorf("the checksum of %s does not fit; a character is missing or wrong", label)
	}
	return key, nil
}

// keyLines returns the lines of a key file without comments (#) and empty lines.
func keyLines(content []byte) []string {
	var lines []string
	for line := range strings.Lines(string(content)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}
