package vault

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
)

// The signing key file has one line with the seed of the present Ed25519 key, and
// below it one with the public key of each that was rotated away: what they signed
// is still checked. A retired private key is not kept.
const (
	signingKeyLabel     = "BAHI-SIGNING-KEY-1"
	signingRetiredLabel = "BAHI-SIGNING-RETIRED-1"
	maxRetiredKeys      = 32
)

// signingKeys are what is in the signing key file.
type signingKeys struct {
	private ed25519.PrivateKey
	retired []ed25519.PublicKey // the last one first
}

// openSigningKey reads the signing key file, or makes it.
func openSigningKey(path string) (*signingKeys, error) {
	content, err := readSecret(path)
	if errors.Is(err, os.ErrNotExist) {
		return newSigningKey(path, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the signing key: %w", err)
	}
	keys, err := parseSigningKeys(content)
	if err != nil {
		return nil, fmt.Errorf("cannot read the signing key %s: %w", path, err)
	}
	return keys, nil
}

// newSigningKey makes a key and writes the file, in which the retired keys follow.
func newSigningKey(path string, retired []ed25519.PublicKey) (*signingKeys, error) {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	defer clear(seed)
	content := []byte(armour(signingKeyLabel, seed) + "\n")
	for _, public := range retired {
		content = append(content, armour(signingRetiredLabel, public)+"\n"...)
	}
	defer clear(content)
	if err := writeWhole(path, content); err != nil {
		return nil, fmt.Errorf("cannot write the signing key: %w", err)
	}
	return &signingKeys{ed25519.NewKeyFromSeed(seed), retired}, nil
}

func parseSigningKeys(content []byte) (*signingKeys, error) {
	lines := keyLines(content)
	if len(lines) == 0 || len(lines) > 1+maxRetiredKeys {
		return nil, fmt.Errorf("it has %d keys instead of 1 to %d", len(lines), 1+maxRetiredKeys)
	}
	seed, err := unarmour(signingKeyLabel, lines[0])
	if err != nil {
		return nil, err
	}
	defer clear(seed)
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("the key is %d bytes long instead of %d", len(seed), ed25519.SeedSize)
	}
	keys := &signingKeys{private: ed25519.NewKeyFromSeed(seed)}
	for _, line := range lines[1:] {
		public, err := unarmour(signingRetiredLabel, line)
		if err != nil {
			return nil, err
		}
		if len(public) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("a retired key is %d bytes long instead of %d", len(public), ed25519.PublicKeySize)
		}
		keys.retired = append(keys.retired, public)
	}
	return keys, nil
}

func (k *signingKeys) public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

// signer signs notes.
type signer struct {
	name string
	hash uint32
	key  ed25519.PrivateKey
}

func (s *signer) Name() string                     { return s.name }
func (s *signer) KeyHash() uint32                  { return s.hash }
func (s *signer) Sign(text []byte) ([]byte, error) { return ed25519.Sign(s.key, text), nil }

// Signer returns what signs notes as the ledger of that origin: checkpoints, counts
// and receipts. A signature takes some 30 µs.
func (v *Vault) Signer(origin string) (note.Signer, error) {
	v.signing.Lock()
	defer v.signing.Unlock()
	text, err := verifierKey(origin, v.keysToSign.public())
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("a ledger called %q cannot sign: its name has spaces or a plus in it", origin)
	}
	return &signer{origin, verifier.KeyHash(), v.keysToSign.private}, nil
}

func verifierKey(origin string, public ed25519.PublicKey) (string, error) {
	text, err := note.NewEd25519VerifierKey(origin, public)
	if err != nil {
		return "", fmt.Errorf("cannot name the signing key: %w", err)
	}
	return text, nil
}

// SigningPublicKeys returns the public keys of the ledger of that origin, the
// present one first, in the form of the Go checksum database's verifier keys
// (name+id+base64). They are no secret; that they are this ledger's is what
// somebody has to be told by another way.
func (v *Vault) SigningPublicKeys(origin string) ([]string, error) {
	v.signing.Lock()
	defer v.signing.Unlock()
	var texts []string
	for _, public := range append([]ed25519.PublicKey{v.keysToSign.public()}, v.keysToSign.retired...) {
		text, err := verifierKey(origin, public)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// SigningKeyID returns the rotation id of the present signing key: the first bytes
// of SHA-256 of its public key, in hexadecimal.
func (v *Vault) SigningKeyID() string {
	v.signing.Lock()
	defer v.signing.Unlock()
	sum := sha256.Sum256(v.keysToSign.public())
	return hex.EncodeToString(sum[:8])
}

// RotateSigningKey makes a new signing key and retires the present one, whose
// private part is forgotten. What it signed is checked with its public part as
// before.
func (v *Vault) RotateSigningKey() error {
	v.signing.Lock()
	defer v.signing.Unlock()
	retired := append([]ed25519.PublicKey{v.keysToSign.public()}, v.keysToSign.retired...)
	if len(retired) > maxRetiredKeys {
		return fmt.Errorf("the signing key was rotated %d times already; take the oldest retired key out of %s", maxRetiredKeys, filepath.Join(v.dir, signingKeyFile))
	}
	keys, err := newSigningKey(filepath.Join(v.dir, signingKeyFile), retired)
	if err != nil {
		return err
	}
	v.keysToSign = keys
	return nil
}

const signingKeyFile = "signing.key"
