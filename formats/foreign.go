package formats

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"time"

	"bahi/domain"
)

// ForeignID makes the id of a submission out of what another system calls the
// record: the same record again is the same submission. System and kind (of
// submission) keep ids of different origin apart, and each part counts with its
// length, so that "1","23" is not "12","3". It is a UUID of version 8, from
// SHA-256.
//
// A part may be a photo-ID number, and whoever knows how the id is made can try
// all numbers: such an id is as personal as the record. The ledger keeps ids as
// HMACs only.
func ForeignID(system, kind string, parts ...string) domain.UUID {
	var space [512]byte
	b := append(space[:0], "bahi foreign id 1"...)
	b = appendPart(b, system)
	b = appendPart(b, kind)
	for _, part := range parts {
		b = appendPart(b, part)
	}
	sum := sha256.Sum256(b)
	id := domain.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x80 // version 8
	id[8] = id[8]&0x3f | 0x80 // the variant of RFC 9562
	return id
}

func appendPart(b []byte, part string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(part))), part...)
}

// registrationID is the id of the registration that a foreign record states, of
// whichever system. It goes by the photo ID, of which each belongs to one person,
// so that a certificate of DIVOC, a Patient of FHIR and a call of CoWIN mean the
// same one. The number is to be as [domain.Normalise] leaves it.
func registrationID(id domain.PhotoID) domain.UUID {
	return ForeignID("person", "registration", id.Type.String(), id.Number)
}

// doseID is the id of the dose of a foreign record: all that it says, and what
// else the system calls the record by. The same record again is so the same
// submission, also after the dose was withdrawn; a corrected one is another, which
// the ledger takes once the first is withdrawn.
func doseID(system string, s domain.DoseGiven, own ...string) domain.UUID {
	whose := string(s.Person)
	if whose == "" {
		whose = s.Registration.String()
	}
	content := []string{whose, s.Number.String(), s.At.UTC().Format(time.RFC3339Nano), s.Vaccine.String(), s.Batch, s.Centre, strconv.Itoa(int(s.District))}
	return ForeignID(system, "dose", append(content, own...)...)
}

// reason is why a foreign value cannot be read. Its sentence never repeats the
// value.
type reason struct {
	code    domain.Code
	message string
}

// about makes a rejection of r. Column is the source's own name of where the
// value stands.
func (r *reason) about(column string) *domain.Rejection {
	return &domain.Rejection{Code: r.code, Field: shownPath(column), Message: r.message}
}

func badValue(message string) *reason { return &reason{domain.CodeBadValue, message} }
