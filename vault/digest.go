package vault

import (
	"encoding/binary"
	"fmt"
	"time"

	"bahi/domain"
)

// A transcript is the content of a submission as the bytes that its digest
// covers: each text as its length (unsigned varint) and its bytes, each number
// as eight bytes, big endian, in the order of the fields. Codes go by the
// numbers that events in the ledger use. The kind's name comes first, so no two
// different submissions have the same transcript.

func (m *mac) text(s string) {
	m.message = binary.AppendUvarint(m.message, uint64(len(s)))
	m.message = append(m.message, s...)
}

func (m *mac) number(n int64) {
	m.message = binary.BigEndian.AppendUint64(m.message, uint64(n))
}

func (m *mac) flag(b bool) {
	if b {
		m.number(1)
	} else {
		m.number(0)
	}
}

// moment covers the instant, to the nanosecond; the zone it was written in is
// not content.
func (m *mac) moment(t time.Time) {
	m.number(t.Unix())
	m.number(int64(t.Nanosecond()))
}

// instead covers the registration that names a person instead of a number. It
// comes at the end: without one it is as if there were no such field.
func (m *mac) instead(registration domain.UUID) {
	if registration != (domain.UUID{}) {
		m.message = append(m.message, registration[:]...)
	}
}

// withdrawn covers which dose a withdrawal is of beyond its number. It comes at
// the end, and its name keeps it apart from a registration: without a day and a
// vaccine it is as if there were no such fields.
func (m *mac) withdrawn(s domain.DoseWithdrawal) {
	if s.Given != 0 || s.Vaccine != 0 {
		m.text("given")
		m.number(int64(s.Given))
		m.number(int64(s.Vaccine))
	}
}

func (m *mac) heading(kind string, h domain.Heading) {
	m.text(kind)
	m.message = append(m.message, h.ID[:]...)
	m.moment(h.At)
}

func (m *mac) registration(r domain.Registration) {
	m.number(int64(r.District))
	m.number(int64(r.Group))
	m.text(r.Name)
	m.number(int64(r.BirthYear))
	m.number(int64(r.Sex))
	m.text(r.Mobile)
	m.number(int64(r.PhotoID.Type))
	m.text(r.PhotoID.Number)
}

// SubmissionDigest returns the digest of everything that s says, its id and time
// included: the same id with another digest is another submission. That a
// registration is restated is not of its content.
func (v *Vault) SubmissionDigest(s domain.Submission) domain.Digest {
	m := v.pepper.start(labelContent)
	switch s := s.(type) {
	case domain.Registration:
		m.heading("registration", s.Heading)
		m.text(string(s.Person))
		m.registration(s)
	case domain.DoseGiven:
		m.heading("dose", s.Heading)
		m.text(string(s.Person))
		m.number(int64(s.District))
		m.text(s.Centre)
		m.number(int64(s.Vaccine))
		m.text(s.Batch)
		m.number(int64(s.Number))
		m.instead(s.Registration)
	case domain.RegistrationWithdrawal:
		m.heading("registration_withdrawal", s.Heading)
		m.text(string(s.Person))
		m.number(int64(s.Reason))
		m.instead(s.Registration)
	case domain.DoseWithdrawal:
		m.heading("dose_withdrawal", s.Heading)
		m.text(string(s.Person))
		m.number(int64(s.Number))
		m.number(int64(s.Reason))
		m.instead(s.Registration)
		m.withdrawn(s)
	case domain.ReversalRequest:
		m.heading("reversal_request", s.Heading)
		m.text(string(s.Person))
		m.number(int64(s.To))
		m.number(int64(s.Reason))
		m.instead(s.Registration)
	case domain.ReversalDecision:
		m.heading("reversal_decision", s.Heading)
		m.message = append(m.message, s.Request[:]...)
		m.flag(s.Approve)
		m.text(s.By)
	case domain.Freeze:
		m.heading("freeze", s.Heading)
		m.number(int64(s.District))
		m.number(int64(len(s.Groups)))
		for _, g := range s.Groups {
			m.number(int64(g))
		}
		m.flag(s.Standing)
		m.number(int64(s.Mode))
		m.text(s.Order)
		m.text(s.By)
		for _, r := range s.Persons { // at the end: without a list it is as if there were none
			m.text(string(r))
		}
	default:
		panic(fmt.Sprintf("vault: a %T is no kind of submission", s))
	}
	return domain.Digest(v.pepper.finish(m))
}

// RegistrationDigest returns the digest of what r says about the person: all but
// id, time and reference number. It is compared among registrations of one
// person only, and the number may have been left to the ledger the first time.
func (v *Vault) RegistrationDigest(r domain.Registration) domain.Digest {
	m := v.pepper.start(labelRegistration)
	m.registration(r)
	return domain.Digest(v.pepper.finish(m))
}
