package web

import (
	"encoding/hex"
	"errors"
	"iter"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// auditLine is a recorded reading on the wire. Person is the token that stands
// for a reference number.
type auditLine struct {
	Sequence uint64          `json:"sequence"`
	At       time.Time       `json:"at"`
	Officer  string          `json:"officer"`
	Purpose  string          `json:"purpose"`
	Person   string          `json:"person_token" doc:"The token that stands for a reference number, in hexadecimal; zeros for a row in quarantine that names nobody by number"`
	District domain.District `json:"district"`
	Item     domain.UUID     `json:"item,omitzero" doc:"What was opened in quarantine"`
}

func auditLineOf(r eventstore.AuditRead) auditLine {
	return auditLine{
		Sequence: r.Sequence, At: r.At.In(domain.IndianStandardTime), Officer: r.Officer, Purpose: r.Purpose,
		Person: hex.EncodeToString(r.Person[:]), District: r.District, Item: r.Item,
	}
}

func (l auditLine) read() (eventstore.AuditRead, error) {
	r := eventstore.AuditRead{Sequence: l.Sequence, At: l.At.UTC(), Officer: l.Officer, Purpose: l.Purpose, District: l.District, Item: l.Item}
	token, err := hex.DecodeString(l.Person)
	if err != nil || len(token) != len(r.Person) {
		return eventstore.AuditRead{}, errors.New("a line of the audit has no person's token")
	}
	copy(r.Person[:], token)
	return r, nil
}

// intakeKey is the public key of the intake on the wire, in base64.
type intakeKey struct {
	PublicKey []byte `json:"public_key"`
}

func mapped[A, B any](values iter.Seq2[A, error], to func(A) B) iter.Seq2[B, error] {
	return func(yield func(B, error) bool) {
		for v, err := range values {
			var b B
			if err == nil {
				b = to(v)
			}
			if !yield(b, err) {
				return
			}
		}
	}
}
