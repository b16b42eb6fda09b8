package vault

import (
	"crypto/hpke"
	"errors"
	"fmt"

	"bahi/domain"
)

// The registration of somebody who is born closed, under a standing freeze in
// the mode handover, is sealed to the authority's key: no node can open it, not
// for a moment.
//
//	0     1  suite, 2: HPKE MLKEM768-X25519, HKDF-SHA256, AES-256-GCM
//	1  1,120  encapsulation
//	          ciphertext of the plaintext (plaintext.go), 16 bytes longer
//
// HPKE's info is "bahi born closed 1" and what binds a sealed record: suite,
// kind, cohort, person token.
const (
	suiteAuthority = 2
	bornClosedInfo = "bahi born closed 1"
)

// SealForAuthority seals what was told about a person at registration to the
// authority. About 150 µs and 1.3 kB.
func SealForAuthority(to AuthorityPublicKey, c domain.Cohort, p domain.PersonToken, d domain.Details, t domain.RegistrationTokens) ([]byte, error) {
	if to.public == nil {
		return nil, errors.New("no authority key to seal to")
	}
	w := workspaces.Get().(*workspace)
	defer w.release()
	var err error
	if w.plain, err = appendRegistration(w.plain[:0], d, t); err != nil {
		return nil, err
	}
	sealed, err := hpke.Seal(to.public, kdf, aead, w.bornClosedInfo(c, p), w.plain)
	if err != nil {
		return nil, fmt.Errorf("cannot seal to the authority: %w", err)
	}
	return append([]byte{suiteAuthority}, sealed...), nil
}

func (w *workspace) bornClosedInfo(c domain.Cohort, p domain.PersonToken) []byte {
	return append([]byte(bornClosedInfo), w.bind([]byte{suiteAuthority}, kindRegistration, c, p)...)
}

// SealedToAuthority tells whether a sealed registration is one that only the
// authority's key opens.
func SealedToAuthority(sealed []byte) bool { return len(sealed) > 0 && sealed[0] == suiteAuthority }

// OpenRegistration opens what [SealForAuthority] sealed. It returns [ErrCorrupt]
// when it is another key's or was changed.
func (k *AuthorityKey) OpenRegistration(c domain.Cohort, p domain.PersonToken, sealed []byte) (domain.Details, domain.RegistrationTokens, error) {
	w := workspaces.Get().(*workspace)
	defer w.release()
	if !SealedToAuthority(sealed) || len(sealed) > maxRecord+encapsulationSize {
		return domain.Details{}, domain.RegistrationTokens{}, fmt.Errorf("cohort %s: %w", c, ErrCorrupt)
	}
	plain, err := hpke.Open(k.private, kdf, aead, w.bornClosedInfo(c, p), sealed[1:])
	if err != nil {
		return domain.Details{}, domain.RegistrationTokens{}, fmt.Errorf("cohort %s: %w", c, ErrCorrupt)
	}
	defer clear(plain)
	d, t, ok := parseRegistration(plain)
	if !ok {
		return domain.Details{}, domain.RegistrationTokens{}, fmt.Errorf("cohort %s: unknown form: %w", c, ErrCorrupt)
	}
	return d, t, nil
}
