package vault

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"os"
	"strconv"
	"sync"

	"bahi/domain"
)

// The labels keep the uses of the pepper apart: a token is the first 16 bytes of
//
//	HMAC-SHA-256(pepper, label ‖ 0x00 ‖ value)
//
// They are part of every ledger's identity and never change.
const (
	labelPerson       = "person"       // value: the 14 digits
	labelMobile       = "mobile"       // value: the number as text
	labelPhotoID      = "photo-id"     // value: the type's code, 0x00, the number as text
	labelSubmission   = "submission"   // value: the 16 bytes of the id
	labelContent      = "content"      // value: a transcript, see digest.go
	labelRegistration = "registration" // value: a transcript
	labelReference    = "reference"    // value: the 16 bytes of the submission's id, the counter
	labelPepperID     = "pepper-id"    // value: nothing
)

const pepperLabel = "BAHI-PEPPER-1"

// pepper computes HMACs under the ledger's pepper. The states are pooled: making
// one costs more than using it.
type pepper struct {
	pool sync.Pool // of *mac
	id   [16]byte
}

// mac is a keyed HMAC state and the message that is being put together for it.
type mac struct {
	hash    hash.Hash
	message []byte
	sum     [sha256.Size]byte
}

func newPepper(key []byte) *pepper {
	p := &pepper{}
	p.pool.New = func() any { return &mac{hash: hmac.New(sha256.New, key)} }
	p.id = p.finish(p.start(labelPepperID))
	return p
}

// openPepper reads the pepper file. Where the directory is fresh it makes one.
func openPepper(path string, fresh bool) (*pepper, error) {
	content, err := readSecret(path)
	if errors.Is(err, os.ErrNotExist) {
		if !fresh {
			return nil, fmt.Errorf("%s is missing though cohort keys are there; put the ledger's own pepper back: under a new one every person would be a stranger", path)
		}
		key := make([]byte, 32)
		rand.Read(key)
		if err := writeWhole(path, []byte(armour(pepperLabel, key)+"\n")); err != nil {
			return nil, fmt.Errorf("cannot write the pepper: %w", err)
		}
		return newPepper(key), nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the pepper: %w", err)
	}
	key, err := unarmour(pepperLabel, string(content))
	if err != nil {
		return nil, fmt.Errorf("cannot read the pepper %s: %w", path, err)
	}
	if len(key) != 32 {
		return nil, fmt.Errorf("cannot read the pepper %s: it is not 32 bytes long", path)
	}
	return newPepper(key), nil
}

func (p *pepper) start(label string) *mac {
	m := p.pool.Get().(*mac)
	m.message = append(append(m.message[:0], label...), 0)
	return m
}

// finish returns the token of the message and gives m back. The message, which
// may hold personal data, is wiped first.
func (p *pepper) finish(m *mac) [domain.TokenSize]byte {
	m.hash.Reset()
	m.hash.Write(m.message)
	m.hash.Sum(m.sum[:0])
	token := [domain.TokenSize]byte(m.sum[:])
	clear(m.message)
	p.pool.Put(m)
	return token
}

// PepperID names the pepper without telling anything of it. A ledger that
// remembers it can notice another ledger's keys directory.
func (v *Vault) PepperID() [16]byte { return v.pepper.id }

// PersonToken returns the token that stands for a reference number.
func (v *Vault) PersonToken(r domain.Reference) domain.PersonToken {
	m := v.pepper.start(labelPerson)
	m.message = append(m.message, r...)
	return domain.PersonToken(v.pepper.finish(m))
}

// MobileToken returns the token that stands for a mobile number. Two ways of
// writing a number give two tokens: the caller has brought it to one.
func (v *Vault) MobileToken(number string) domain.MobileToken {
	m := v.pepper.start(labelMobile)
	m.message = append(m.message, number...)
	return domain.MobileToken(v.pepper.finish(m))
}

// PhotoIDToken returns the token that stands for a photo ID, type and number.
// Two ways of writing a number give two tokens: the caller has brought it to one.
func (v *Vault) PhotoIDToken(p domain.PhotoID) domain.PhotoIDToken {
	m := v.pepper.start(labelPhotoID)
	m.message = append(append(m.message, p.Type.String()...), 0)
	m.message = append(m.message, p.Number...)
	return domain.PhotoIDToken(v.pepper.finish(m))
}

// SubmissionToken returns the token that stands for the id of a submission.
func (v *Vault) SubmissionToken(id domain.UUID) domain.SubmissionToken {
	m := v.pepper.start(labelSubmission)
	m.message = append(m.message, id[:]...)
	return domain.SubmissionToken(v.pepper.finish(m))
}

// IssueReference returns the reference number that the ledger issues for the
// registration with this submission id, so that a retry gets the same one. The
// caller counts up from 0 while the number is taken. It never begins with 0.
func (v *Vault) IssueReference(id domain.UUID, counter uint8) domain.Reference {
	m := v.pepper.start(labelReference)
	m.message = append(append(m.message, id[:]...), counter)
	token := v.pepper.finish(m)
	const lowest, numbers = 1_000_000_000_000, 9_000_000_000_000 // of 13 digits
	n := lowest + binary.BigEndian.Uint64(token[:])%numbers
	return domain.MakeReference(strconv.FormatUint(n, 10))
}
