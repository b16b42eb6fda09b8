package vault

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
)

// The token key file has one line with the seed of the Ed25519 key that signs
// tokens of access. It is not the signing key: who may speak for the ledger and who
// may let people in are ended apart. Whoever deletes the file ends every token that
// was issued; a new key is made at the next start.
const (
	tokenKeyFile  = "token.key"
	tokenKeyLabel = "BAHI-TOKEN-KEY-1"
)

func openTokenKey(path string) (ed25519.PrivateKey, error) {
	content, err := readSecret(path)
	if errors.Is(err, os.ErrNotExist) {
		return newTokenKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the token key: %w", err)
	}
	lines := keyLines(content)
	if len(lines) != 1 {
		return nil, fmt.Errorf("cannot read the token key %s: it has %d keys instead of 1", path, len(lines))
	}
	seed, err := unarmour(tokenKeyLabel, lines[0])
	if err != nil {
		return nil, fmt.Errorf("cannot read the token key %s: %w", path, err)
	}
	defer clear(seed)
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("cannot read the token key %s: it is %d bytes long instead of %d", path, len(seed), ed25519.SeedSize)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func newTokenKey(path string) (ed25519.PrivateKey, error) {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	defer clear(seed)
	content := []byte(armour(tokenKeyLabel, seed) + "\n")
	defer clear(content)
	if err := writeWhole(path, content); err != nil {
		return nil, fmt.Errorf("cannot write the token key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// TokenSigner returns what signs tokens of access, with Ed25519. Its public half
// is an [ed25519.PublicKey].
func (v *Vault) TokenSigner() crypto.Signer { return v.keyOfTokens }
