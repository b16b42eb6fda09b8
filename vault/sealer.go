package vault

import (
	"crypto/cipher"

	"bahi/domain"
)

// Sealer seals records one after another, for one goroutine. It makes a person's
// record key once for the records of theirs that follow each other, as a
// registration and its doses do: that is most of the cost. Let go of it soon: it
// keeps the last key.
type Sealer struct {
	keys   *keyring
	cohort domain.Cohort
	person domain.PersonToken
	epoch  uint16
	under  cipher.AEAD
}

// Sealer returns a sealer under the vault's cohort keys.
func (v *Vault) Sealer() *Sealer { return &Sealer{keys: v.keys} }

// Registration seals what was told about a person at registration: 159 bytes
// with nearly any name, 31 more than a multiple of 64 in general. It returns
// [ErrKeyDestroyed], [ErrKeyMissing] when [Vault.EnsureKeys] was not called
// before, or [ErrTooLarge] when a text exceeds 1,024 bytes.
func (s *Sealer) Registration(c domain.Cohort, p domain.PersonToken, d domain.Details, t domain.RegistrationTokens) ([]byte, error) {
	return s.seal(c, p, kindRegistration, func(b []byte) ([]byte, error) { return appendRegistration(b, d, t) })
}

// Dose seals the particulars of a dose: 63 bytes with the usual codes, 31 more
// than a multiple of 32 in general. Errors are those of [Sealer.Registration].
func (s *Sealer) Dose(c domain.Cohort, p domain.PersonToken, d domain.DoseParticulars) ([]byte, error) {
	return s.seal(c, p, kindDose, func(b []byte) ([]byte, error) { return appendDose(b, d) })
}

func (s *Sealer) seal(c domain.Cohort, p domain.PersonToken, kind recordKind, write func([]byte) ([]byte, error)) ([]byte, error) {
	key, err := s.keys.borrow(c) // every time: it may have ended
	if err != nil {
		return nil, err
	}
	defer s.keys.mu.RUnlock()
	w := workspaces.Get().(*workspace)
	defer w.release()
	if w.plain, err = write(w.plain); err != nil {
		return nil, err
	}
	if s.under == nil || s.cohort != c || s.person != p || s.epoch != key.epoch {
		raw := recordKey(key.key[:], p)
		s.under, s.cohort, s.person, s.epoch = aesGCM(raw), c, p, key.epoch
		clear(raw)
	}
	return w.sealWith(s.under, &key.sector, kind, p), nil
}

// SealRegistration seals one registration; see [Sealer.Registration].
func (v *Vault) SealRegistration(c domain.Cohort, p domain.PersonToken, d domain.Details, t domain.RegistrationTokens) ([]byte, error) {
	return v.Sealer().Registration(c, p, d, t)
}

// SealDose seals one dose; see [Sealer.Dose].
func (v *Vault) SealDose(c domain.Cohort, p domain.PersonToken, d domain.DoseParticulars) ([]byte, error) {
	return v.Sealer().Dose(c, p, d)
}
