package vault

import (
	"bytes"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Whatever is sealed to a public key is sealed with HPKE (RFC 9180) in this
// suite: it withstands today's attackers, and tomorrow's with quantum computers
// who recorded it today.
var (
	kem  = hpke.MLKEM768X25519()
	kdf  = hpke.HKDFSHA256()
	aead = hpke.AES256GCM()
)

const (
	encapsulationSize = 1120 // of kem
	publicKeySize     = 1216
	privateKeySize    = 32

	authorityKeyLabel    = "BAHI-AUTHORITY-KEY-1"
	authorityPublicLabel = "BAHI-AUTHORITY-PUBLIC-1"

	challengeInfo = "bahi challenge 1"
)

// AuthorityKey is the national authority's private key, kept offline. Handovers
// are sealed to it: with a handover and the ledger its holder, and only its
// holder, can still answer a frozen person.
type AuthorityKey struct {
	private hpke.PrivateKey
	public  AuthorityPublicKey
}

// AuthorityPublicKey is what a ledger adopts: to whom it hands keys over.
type AuthorityPublicKey struct {
	public hpke.PublicKey
	raw    string // as the ledger keeps it
}

// GenerateAuthorityKey makes a key.
func GenerateAuthorityKey() (*AuthorityKey, error) {
	private, err := kem.GenerateKey()
	if err != nil {
		return nil, fmt.Errorf("cannot make an authority key: %w", err)
	}
	return newAuthorityKey(private), nil
}

func newAuthorityKey(private hpke.PrivateKey) *AuthorityKey {
	public := private.PublicKey()
	return &AuthorityKey{private, AuthorityPublicKey{public, string(public.Bytes())}}
}

// Public returns the public key.
func (k *AuthorityKey) Public() AuthorityPublicKey { return k.public }

// String names the key by its id. It does not tell the key.
func (k *AuthorityKey) String() string { return "authority key " + k.public.idText() }

// Marshal returns the content of a private key file: comments and one line that
// begins with BAHI-AUTHORITY-KEY-1. Whoever has it can open every handover.
func (k *AuthorityKey) Marshal() ([]byte, error) {
	b, err := k.private.Bytes()
	if err != nil {
		return nil, fmt.Errorf("cannot write the authority key: %w", err)
	}
	defer clear(b)
	return fmt.Appendf(nil, "# private key of the national authority; keep it offline\n# id: %s\n%s\n",
		k.public.idText(), armour(authorityKeyLabel, b)), nil
}

// ParseAuthorityKey reads the content of a private key file.
func ParseAuthorityKey(file []byte) (*AuthorityKey, error) {
	lines := keyLines(file)
	if len(lines) != 1 {
		return nil, fmt.Errorf("an authority's private key file has one line that begins with %s", authorityKeyLabel)
	}
	b, err := unarmour(authorityKeyLabel, lines[0])
	if err != nil {
		return nil, fmt.Errorf("cannot read the authority's private key: %w", err)
	}
	defer clear(b)
	private, err := parsePrivate(b)
	if err != nil {
		return nil, fmt.Errorf("cannot read the authority's private key: %w", err)
	}
	return newAuthorityKey(private), nil
}

func parsePrivate(b []byte) (hpke.PrivateKey, error) {
	if len(b) != privateKeySize {
		return nil, fmt.Errorf("it is %d bytes long instead of %d", len(b), privateKeySize)
	}
	return kem.NewPrivateKey(b)
}

// NewAuthorityPublicKey reads a public key as the ledger keeps it.
func NewAuthorityPublicKey(raw []byte) (AuthorityPublicKey, error) {
	public, err := parsePublic(raw)
	if err != nil {
		return AuthorityPublicKey{}, fmt.Errorf("this is no authority's public key: %w", err)
	}
	return AuthorityPublicKey{public, string(raw)}, nil
}

func parsePublic(raw []byte) (hpke.PublicKey, error) {
	if len(raw) != publicKeySize {
		return nil, fmt.Errorf("it is %d bytes long instead of %d", len(raw), publicKeySize)
	}
	return kem.NewPublicKey(raw)
}

// ParseAuthorityPublicKey reads the content of a public key file.
func ParseAuthorityPublicKey(file []byte) (AuthorityPublicKey, error) {
	lines := keyLines(file)
	if len(lines) != 1 {
		return AuthorityPublicKey{}, fmt.Errorf("an authority's public key file has one line that begins with %s", authorityPublicLabel)
	}
	raw, err := unarmour(authorityPublicLabel, lines[0])
	if err != nil {
		return AuthorityPublicKey{}, fmt.Errorf("cannot read the authority's public key: %w", err)
	}
	return NewAuthorityPublicKey(raw)
}

// Bytes returns the key as the ledger keeps it, 1,216 bytes.
func (p AuthorityPublicKey) Bytes() []byte { return []byte(p.raw) }

// ID returns SHA-256 of the key.
func (p AuthorityPublicKey) ID() [32]byte { return sha256.Sum256([]byte(p.raw)) }

func (p AuthorityPublicKey) idText() string {
	id := p.ID()
	return hex.EncodeToString(id[:])
}

// Marshal returns the content of a public key file: comments and one line that
// begins with BAHI-AUTHORITY-PUBLIC-1.
func (p AuthorityPublicKey) Marshal() []byte {
	return fmt.Appendf(nil, "# public key of the national authority\n# id: %s\n%s\n",
		p.idText(), armour(authorityPublicLabel, []byte(p.raw)))
}

// NewChallenge returns something that only the holder of the private key can
// open, and what it holds. A ledger adopts a key whose holder has answered one:
// keys handed over to a key that nobody has would be lost.
func NewChallenge(p AuthorityPublicKey) (challenge, expected []byte, err error) {
	if p.public == nil {
		return nil, nil, errors.New("no authority key to challenge")
	}
	expected = make([]byte, 32)
	rand.Read(expected)
	challenge, err = hpke.Seal(p.public, kdf, aead, []byte(challengeInfo), expected)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a challenge: %w", err)
	}
	return challenge, expected, nil
}

// Answer opens a challenge. It returns [ErrOtherKey] when it is another key's. A
// handover or bundle passed off as a challenge does not open.
func (k *AuthorityKey) Answer(challenge []byte) ([]byte, error) {
	if len(challenge) != encapsulationSize+32+16 {
		return nil, errors.New("this is not a challenge")
	}
	answer, err := hpke.Open(k.private, kdf, aead, []byte(challengeInfo), challenge)
	if err != nil {
		return nil, fmt.Errorf("cannot answer the challenge: %w", ErrOtherKey)
	}
	return answer, nil
}

// SandboxAuthorityKey returns the key that stands in for an authority's in a
// sandbox ledger, making it at first use. It lies beside the cohort keys, which
// a real authority's private key never may.
func (v *Vault) SandboxAuthorityKey() (*AuthorityKey, error) {
	v.sandbox.Lock()
	defer v.sandbox.Unlock()
	path := filepath.Join(v.dir, "sandbox-authority.key")
	content, err := readSecret(path)
	if err == nil {
		return ParseAuthorityKey(content)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the sandbox authority key: %w", err)
	}
	key, err := GenerateAuthorityKey()
	if err != nil {
		return nil, err
	}
	if content, err = key.Marshal(); err != nil {
		return nil, err
	}
	content = bytes.Replace(content, []byte("keep it offline"), []byte("for a sandbox ledger only"), 1)
	if err := writeWhole(path, content); err != nil {
		return nil, fmt.Errorf("cannot write the sandbox authority key: %w", err)
	}
	return key, nil
}
