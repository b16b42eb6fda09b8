package vault

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"hash"

	"bahi/domain"
)

// Sealer seals records one after another, for one goroutine. It makes a person's
// record key once for the records of theirs that follow each other, as a
// registration and its doses do: that is most of the cost. Let go of it soon: it
// keeps the last keys, the cohort's too.
type Sealer struct {
	keys   *keyring
	cohort domain.Cohort
	person domain.PersonToken
	epoch  uint16
	expand hash.Hash // HMAC under the cohort's key
	record [sha256.Size]byte
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
	if s.expand == nil || s.cohort != c || s.epoch != key.epoch {
		s.expand, s.under = hmac.New(sha256.New, key.key[:]), nil
	}
	if s.under == nil || s.person != p {
		s.under = aesGCM(s.recordKey(p))
		clear(s.record[:])
	}
	s.cohort, s.person, s.epoch = c, p, key.epoch
	return w.sealWith(s.under, &key.sector, kind, p), nil
}

// recordKey is what [recordKey] makes: HKDF-Expand of 32 bytes is one HMAC, whose
// state is made once a cohort here.
func (s *Sealer) recordKey(p domain.PersonToken) []byte {
	s.expand.Reset()
	_, _ = s.expand.Write(recordLabel)
	_, _ = s.expand.Write(p[:])
	_, _ = s.expand.Write([]byte{1}) // of HKDF's first block
	return s.expand.Sum(s.record[:0])
}

// SealRegistration seals one registration; see [Sealer.Registration].
func (v *Vault) SealRegistration(c domain.Cohort, p domain.PersonToken, d domain.Details, t domain.RegistrationTokens) ([]byte, error) {
	return v.Sealer().Registration(c, p, d, t)
}

// SealDose seals one dose; see [Sealer.Dose].
func (v *Vault) SealDose(c domain.Cohort, p domain.PersonToken, d domain.DoseParticulars) ([]byte, error) {
	return v.Sealer().Dose(c, p, d)
}
