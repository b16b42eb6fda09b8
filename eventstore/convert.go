package eventstore

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"bahi/domain"
	"bahi/eventstore/wire"
)

// The highest value of each enumeration that this version of the wire format
// has. Their numbers are the domain's; a test holds the two together.
const (
	highestGroup      = wire.Group_GROUP_AGE12_14
	highestSex        = wire.Sex_SEX_TRANSGENDER
	highestVaccine    = wire.Vaccine_VACCINE_ZYCOV_D_2DOSE
	highestDoseNumber = wire.DoseNumber_DOSE_NUMBER_PRECAUTION
	highestStatus     = wire.Status_STATUS_FULL
	highestReason     = wire.Reason_REASON_OTHER
	highestFreezeMode = wire.FreezeMode_FREEZE_MODE_ERASE
	highestAccessKind = wire.AccessKind_ACCESS_KIND_CENTRE_REMOVED
)

// widening takes the domain's values to the wire's. It keeps the first reason
// why one of them has no place there, so that a whole event is converted before
// anybody asks.
type widening struct{ err error }

func (w *widening) group(v domain.Group) wire.Group          { return widen(w, v, highestGroup) }
func (w *widening) sex(v domain.Sex) wire.Sex                { return widen(w, v, highestSex) }
func (w *widening) vaccine(v domain.Vaccine) wire.Vaccine    { return widen(w, v, highestVaccine) }
func (w *widening) status(v domain.Status) wire.Status       { return widen(w, v, highestStatus) }
func (w *widening) reason(v domain.Reason) wire.Reason       { return widen(w, v, highestReason) }
func (w *widening) mode(v domain.FreezeMode) wire.FreezeMode { return widen(w, v, highestFreezeMode) }
func (w *widening) number(v domain.DoseNumber) wire.DoseNumber {
	return widen(w, v, highestDoseNumber)
}

func widen[D ~uint8, W ~int32](w *widening, v D, highest W) W {
	if W(v) > highest {
		w.refuse("the wire format has no value %d of %T", uint8(v), v)
	}
	return W(v)
}

// text refuses what protobuf readers in other languages would.
func (w *widening) text(s string) string {
	if !utf8.ValidString(s) {
		w.refuse("a string of the event is not UTF-8")
	}
	return s
}

// unplaced refuses a dose that names its commit: an event does not, the
// register does.
func (w *widening) unplaced(d domain.Dose) {
	if d.Commit != 0 {
		w.refuse("a dose in an event does not name a commit")
	}
}

func (w *widening) refuse(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// narrowing takes the wire's values to the domain's and notes when one is not
// among them.
type narrowing struct{ newer, malformed bool }

func (n *narrowing) err() error {
	switch {
	case n.newer:
		return ErrNewer
	case n.malformed:
		return ErrMalformed
	}
	return nil
}

func (n *narrowing) group(v wire.Group) domain.Group { return narrow[domain.Group](n, v, highestGroup) }
func (n *narrowing) sex(v wire.Sex) domain.Sex       { return narrow[domain.Sex](n, v, highestSex) }
func (n *narrowing) status(v wire.Status) domain.Status {
	return narrow[domain.Status](n, v, highestStatus)
}
func (n *narrowing) reason(v wire.Reason) domain.Reason {
	return narrow[domain.Reason](n, v, highestReason)
}
func (n *narrowing) mode(v wire.FreezeMode) domain.FreezeMode {
	return narrow[domain.FreezeMode](n, v, highestFreezeMode)
}

func narrow[D ~uint8, W ~int32](n *narrowing, v, highest W) D {
	if v < 0 || v > highest {
		n.newer = true
	}
	return D(v)
}

func (n *narrowing) cohort(district uint32, group wire.Group, generation uint32) domain.Cohort {
	if generation > math.MaxUint16 {
		n.malformed = true
	}
	return domain.Cohort{District: n.district(district), Group: n.group(group), Generation: uint16(generation)}
}

func (n *narrowing) dose(number wire.DoseNumber, vaccine wire.Vaccine, day int32, district uint32) domain.Dose {
	return domain.Dose{
		Number:   narrow[domain.DoseNumber](n, number, highestDoseNumber),
		Vaccine:  narrow[domain.Vaccine](n, vaccine, highestVaccine),
		Day:      domain.Day(day),
		District: n.district(district),
	}
}

func (n *narrowing) epoch(v uint32) uint16 {
	if v > math.MaxUint16 {
		n.malformed = true
	}
	return uint16(v)
}

func (n *narrowing) district(v uint32) domain.District {
	if v > math.MaxUint16 {
		n.malformed = true
	}
	return domain.District(v)
}

// shared returns b without room behind it: an append to what shares a message's
// memory must not write into the message.
func shared(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b[:len(b):len(b)]
}

// text copies s, which shares the message's memory.
func (n *narrowing) text(s string) string {
	if !utf8.ValidString(s) {
		n.malformed = true
	}
	return strings.Clone(s)
}

func (n *narrowing) token(b []byte) (t domain.PersonToken) {
	n.exactly(b, copy(t[:], b), len(t))
	return t
}

func (n *narrowing) uuid(b []byte) (u domain.UUID) {
	n.exactly(b, copy(u[:], b), len(u))
	return u
}

func (n *narrowing) hash(b []byte) (h [32]byte) {
	n.exactly(b, copy(h[:], b), len(h))
	return h
}

// exactly notes when not all of b was copied, or not all of its place filled.
func (n *narrowing) exactly(b []byte, copied, size int) {
	if copied != size || len(b) != size {
		n.malformed = true
	}
}

func (n *narrowing) tokens(b []byte) []domain.PhotoIDToken {
	if len(b)%domain.TokenSize != 0 {
		n.malformed = true
		return nil
	}
	if len(b) == 0 {
		return nil
	}
	tokens := make([]domain.PhotoIDToken, len(b)/domain.TokenSize)
	for i := range tokens {
		tokens[i] = domain.PhotoIDToken(b[i*domain.TokenSize:])
	}
	return tokens
}
