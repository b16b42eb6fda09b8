package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"bahi/domain"
)

// A sealed record:
//
//	 0   1  suite, 1: HKDF-SHA-256, AES-256-GCM
//	 1   2  key epoch, big endian
//	 3  12  nonce
//	15      ciphertext of the plaintext (plaintext.go)
//	    16  tag
//
// It is sealed under the record key, HKDF-Expand-SHA-256(cohort key, "bahi
// record" ‖ person token, 32 bytes), of which nothing is stored until a freeze of
// listed persons begins a new epoch of the cohort's key (epoch.go). The additional
// data is "bahi sealed" ‖ suite ‖ key epoch ‖ kind ‖ district (2) ‖ group (1) ‖
// generation (2) ‖ person token: what was sealed for one person, cohort, kind or
// epoch opens for no other.
const (
	suiteRecord = 1

	recordHeader   = 3
	recordOverhead = recordHeader + 12 + 16

	// maxRecord bounds a sealed record: three texts of the greatest length.
	maxRecord = recordOverhead + 4096
)

// recordKind is what a sealed record is of.
type recordKind byte

const (
	kindRegistration recordKind = 1
	kindDose         recordKind = 2
	kindKey          recordKind = 3 // the person's record key of the epoch before
)

// workspace is scratch memory for one record: plaintext and additional data.
// Pooled and wiped after use.
type workspace struct {
	plain []byte
	bound []byte
}

var workspaces = sync.Pool{New: func() any {
	return &workspace{plain: make([]byte, 0, 256), bound: make([]byte, 0, 64)}
}}

func (w *workspace) release() {
	clear(w.plain[:cap(w.plain)])
	w.plain = w.plain[:0]
	workspaces.Put(w)
}

func (w *workspace) bind(header []byte, kind recordKind, c domain.Cohort, p domain.PersonToken) []byte {
	b := append(w.bound[:0], "bahi sealed"...)
	b = append(b, header...)
	b = append(b, byte(kind))
	b = binary.BigEndian.AppendUint16(b, uint16(c.District))
	b = append(b, byte(c.Group))
	b = binary.BigEndian.AppendUint16(b, c.Generation)
	w.bound = append(b, p[:]...)
	return w.bound
}

var recordLabel = []byte("bahi record")

// recordKey derives a person's record key from the cohort's. The caller wipes it.
func recordKey(cohortKey []byte, p domain.PersonToken) []byte {
	key, err := hkdf.Expand(sha256.New, cohortKey, string(recordLabel)+string(p[:]), 32)
	if err != nil {
		panic(err) // lengths are constants
	}
	return key
}

func aesGCM(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // 32 bytes are a key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // AES has blocks of 128 bits
	}
	return aead
}

// seal seals w.plain.
func (w *workspace) seal(key *sector, kind recordKind, p domain.PersonToken) []byte {
	under := recordKey(key.key[:], p)
	defer clear(under)
	return w.sealWith(aesGCM(under), key, kind, p)
}

func (w *workspace) sealWith(under cipher.AEAD, key *sector, kind recordKind, p domain.PersonToken) []byte {
	sealed := make([]byte, recordHeader, recordOverhead+len(w.plain))
	sealed[0] = suiteRecord
	binary.BigEndian.PutUint16(sealed[1:], key.epoch)
	return under.Seal(sealed, nil, w.plain, w.bind(sealed, kind, key.cohort, p))
}

// sealedEpoch returns the key epoch of a sealed record, 0 of what is none.
func sealedEpoch(sealed []byte) uint16 {
	if len(sealed) < recordOverhead || len(sealed) > maxRecord || sealed[0] != suiteRecord {
		return 0
	}
	return binary.BigEndian.Uint16(sealed[1:])
}

// open opens sealed into w.plain.
func (w *workspace) open(keys *recordKeys, kind recordKind, sealed []byte) error {
	epoch := sealedEpoch(sealed)
	if epoch == 0 {
		return fmt.Errorf("cohort %s: %w", keys.cohort, ErrCorrupt)
	}
	under, err := keys.of(epoch)
	if err != nil {
		return err
	}
	defer clear(under)
	bound := w.bind(sealed[:recordHeader], kind, keys.cohort, keys.person)
	plain, err := aesGCM(under).Open(w.plain[:0], nil, sealed[recordHeader:], bound)
	if err != nil {
		return fmt.Errorf("cohort %s: %w", keys.cohort, ErrCorrupt)
	}
	w.plain = plain
	return nil
}

func openRegistration(keys *recordKeys, sealed []byte) (d domain.Details, t domain.RegistrationTokens, err error) {
	w := workspaces.Get().(*workspace)
	defer w.release()
	if err := w.open(keys, kindRegistration, sealed); err != nil {
		return d, t, err
	}
	d, t, ok := parseRegistration(w.plain)
	if !ok {
		return domain.Details{}, domain.RegistrationTokens{}, fmt.Errorf("cohort %s: unknown form: %w", keys.cohort, ErrCorrupt)
	}
	return d, t, nil
}

func openDose(keys *recordKeys, sealed []byte) (d domain.DoseParticulars, err error) {
	w := workspaces.Get().(*workspace)
	defer w.release()
	if err := w.open(keys, kindDose, sealed); err != nil {
		return d, err
	}
	d, ok := parseDose(w.plain)
	if !ok {
		return domain.DoseParticulars{}, fmt.Errorf("cohort %s: unknown form: %w", keys.cohort, ErrCorrupt)
	}
	return d, nil
}

// OpenRegistration opens what [Vault.SealRegistration] sealed. Wrapped are the
// person's wrapped keys, in any order: what was sealed in an earlier epoch of the
// cohort's key opens with them alone. It returns [ErrKeyDestroyed],
// [ErrKeyMissing] or [ErrCorrupt].
func (v *Vault) OpenRegistration(c domain.Cohort, p domain.PersonToken, sealed []byte, wrapped ...[]byte) (domain.Details, domain.RegistrationTokens, error) {
	keys, err := v.keys.recordKeys(c, p, wrapped)
	if err != nil {
		return domain.Details{}, domain.RegistrationTokens{}, err
	}
	defer v.keys.mu.RUnlock()
	return openRegistration(keys, sealed)
}

// OpenTokens opens a sealed registration as far as the register needs it: the
// details are not looked at. Wrapped and errors are those of
// [Vault.OpenRegistration].
func (v *Vault) OpenTokens(c domain.Cohort, p domain.PersonToken, sealed []byte, wrapped ...[]byte) (domain.RegistrationTokens, error) {
	keys, err := v.keys.recordKeys(c, p, wrapped)
	if err != nil {
		return domain.RegistrationTokens{}, err
	}
	defer v.keys.mu.RUnlock()
	w := workspaces.Get().(*workspace)
	defer w.release()
	if err := w.open(keys, kindRegistration, sealed); err != nil {
		return domain.RegistrationTokens{}, err
	}
	t, _, ok := parseTokens(w.plain)
	if !ok {
		return domain.RegistrationTokens{}, fmt.Errorf("cohort %s: unknown form: %w", c, ErrCorrupt)
	}
	return t, nil
}

// OpenDose opens what [Vault.SealDose] sealed. Wrapped and errors are those of
// [Vault.OpenRegistration].
func (v *Vault) OpenDose(c domain.Cohort, p domain.PersonToken, sealed []byte, wrapped ...[]byte) (domain.DoseParticulars, error) {
	keys, err := v.keys.recordKeys(c, p, wrapped)
	if err != nil {
		return domain.DoseParticulars{}, err
	}
	defer v.keys.mu.RUnlock()
	return openDose(keys, sealed)
}
