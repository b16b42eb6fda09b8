package evidence

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint says what the first so many commits of a ledger are: the root of
// their tree. Signed it is a C2SP tlog-checkpoint:
//
//	bahi/5f0c8e21
//	812
//	mBBPPr3X3YzFLB5TJEoRrSTZfBUhqPT8G1zMwzAZk4A=
//
//	— bahi/5f0c8e21 m1nY3w…
type Checkpoint struct {
	Origin string // the ledger's name for itself, and its key's name
	Size   uint64 // commits
	Root   Hash
}

// maxSize bounds the size of a tree, so that it fits every integer it passes
// through.
const maxSize = 1 << 53

func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// Sign returns the checkpoint as a signed note. About 30 µs.
func (c Checkpoint) Sign(key note.Signer) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return sign(c.text(), key)
}

func (c Checkpoint) check() error {
	if c.Size > maxSize {
		return fmt.Errorf("%w: a tree of %d commits", ErrMalformed, c.Size)
	}
	return checkOrigin(c.Origin)
}

func checkOrigin(origin string) error {
	if origin == "" || len(origin) > 128 || strings.ContainsFunc(origin, func(r rune) bool { return r <= ' ' || r > '~' || r == '+' }) {
		return fmt.Errorf("%w: a ledger's origin has 1 to 128 visible ASCII characters and no +", ErrMalformed)
	}
	return nil
}

// OpenCheckpoint reads a signed checkpoint. Lines that later versions may add
// below the root are passed over, as C2SP has it. Errors: [ErrMalformed],
// [ErrSignature].
func OpenCheckpoint(signed []byte, keys Keys) (Checkpoint, error) {
	n, err := open("a checkpoint", signed, keys)
	if err != nil {
		return Checkpoint{}, err
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, err
	}
	return c, signedBy(n, c.Origin)
}

func parseCheckpoint(text string) (Checkpoint, error) {
	bad := func(what string) (Checkpoint, error) {
		return Checkpoint{}, fmt.Errorf("%w: the %s of a checkpoint", ErrMalformed, what)
	}
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || slices.Contains(lines[3:len(lines)-1], "") {
		return bad("form")
	}
	c := Checkpoint{Origin: lines[0]}
	var ok bool
	if c.Size, ok = parseSize(lines[1]); !ok {
		return bad("size")
	}
	var err error
	if c.Root, err = tlog.ParseHash(lines[2]); err != nil || c.Root.String() != lines[2] {
		return bad("root")
	}
	return c, c.check()
}

// parseSize reads a decimal number in its one form.
func parseSize(s string) (uint64, bool) {
	n, err := strconv.ParseUint(s, 10, 64)
	return n, err == nil && n <= maxSize && s == strconv.FormatUint(n, 10)
}

// Keys are the public keys that a ledger signs with: the present one and, after a
// rotation, those before it.
type Keys struct{ list []note.Verifier }

// maxKeys bounds how many a ledger has had.
const maxKeys = 64

// ParseKeys reads public keys, one a line, in the form of the Go checksum
// database's verifier keys (name+id+base64). Lines that begin with # are passed
// over.
func ParseKeys(text string) (Keys, error) {
	var keys Keys
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		v, err := note.NewVerifier(line)
		if err != nil || len(keys.list) == maxKeys {
			return Keys{}, fmt.Errorf("%w: a line of the public key is not one; it looks like bahi/5f0c8e21+9d59d8df+AbCd…", ErrMalformed)
		}
		keys.list = append(keys.list, v)
	}
	if len(keys.list) == 0 {
		return Keys{}, fmt.Errorf("%w: there is no public key", ErrMalformed)
	}
	return keys, nil
}

// Verifier finds a key, as [note.Verifiers] wants it.
func (k Keys) Verifier(name string, hash uint32) (note.Verifier, error) {
	for _, v := range k.list {
		if v.Name() == name && v.KeyHash() == hash {
			return v, nil
		}
	}
	return nil, &note.UnknownVerifierError{Name: name, KeyHash: hash}
}

// signedBy tells whether one of the keys that signed is the origin's: a key that
// is trusted for one ledger says nothing about another.
func signedBy(n *note.Note, origin string) error {
	if !slices.ContainsFunc(n.Sigs, func(s note.Signature) bool { return s.Name == origin }) {
		return fmt.Errorf("%w: it speaks for %s, whose key did not sign it", ErrSignature, origin)
	}
	return nil
}

// maxNote bounds a signed note.
const maxNote = 64 << 10

// open checks the signatures of a note.
func open(what string, signed []byte, keys Keys) (*note.Note, error) {
	if len(signed) > maxNote {
		return nil, fmt.Errorf("%w: %s of more than %d bytes", ErrMalformed, what, maxNote)
	}
	n, err := note.Open(signed, keys)
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case err == nil:
		return n, nil
	case errors.As(err, &unverified):
		return nil, fmt.Errorf("%w: %s is not signed with the given public key", ErrSignature, what)
	case errors.As(err, &invalid):
		return nil, fmt.Errorf("%w: %s was changed after it was signed", ErrSignature, what)
	}
	return nil, fmt.Errorf("%w: %s is not a signed note", ErrMalformed, what)
}

func sign(text string, key note.Signer) ([]byte, error) {
	signed, err := note.Sign(&note.Note{Text: text}, key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return signed, nil
}
