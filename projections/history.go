package projections

import (
	"encoding/binary"
	"errors"

	"bahi/domain"
)

// A person's row is a history: one record an event, appended with Pebble's
// concatenating merge, so that a fold never reads what it adds to. [domain.Evolve]
// makes the person from it on reading. A history is a few records long: doses,
// what was taken back of them, reversals.
//
// A record holds what its row's key does not tell:
//
//	kind, commit, day recorded, then
//	registered  cohort, sex, closed, day, sealed
//	dose        dose, before, after, sealed
//	withdrawn   dose, before, after, day, reason
//	requested   request, from, to, day, reason
//	moved       cohort
//	wrapped     sealed key
//	decided     request, approved, before, after, day, doses taken back, by
//
// Numbers are varints, codes bytes, sealed parts and names prefixed with their
// length. The register leaves sealed parts out.
const (
	recordRegistered = iota + 1
	recordDose
	recordDoseWithdrawn
	recordRequested
	recordDecided
	recordMoved   // in the register only
	recordWrapped // in the people view only
)

var errHistory = errors.New("a person's row cannot be read")

// appendRecord appends the record of an event about one person. Of other events
// there is none.
func appendRecord(b []byte, e domain.Event, commit uint64, recorded domain.Day, withSealed bool) []byte {
	head := func(kind byte) {
		b = binary.AppendUvarint(append(b, kind), commit)
		b = binary.AppendVarint(b, int64(recorded))
	}
	sealed := func(s []byte) {
		if !withSealed {
			s = nil
		}
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	switch e := e.(type) {
	case domain.PersonRegistered:
		head(recordRegistered)
		b = append(appendCohort(b, e.Cohort), byte(e.Sex), flag(e.Closed))
		b = binary.AppendVarint(b, int64(e.Day))
		sealed(e.Sealed)
	case domain.DoseAdministered:
		head(recordDose)
		b = append(appendDose(b, e.Dose), byte(e.Before), byte(e.After))
		sealed(e.Sealed)
	case domain.DoseWithdrawn:
		head(recordDoseWithdrawn)
		b = append(appendDose(b, e.Dose), byte(e.Before), byte(e.After))
		b = append(binary.AppendVarint(b, int64(e.Day)), byte(e.Reason))
	case domain.ReversalRequested:
		head(recordRequested)
		b = append(append(b, e.Request[:]...), byte(e.From), byte(e.To))
		b = append(binary.AppendVarint(b, int64(e.Day)), byte(e.Reason))
	case domain.ReversalDecided:
		head(recordDecided)
		b = append(append(b, e.Request[:]...), flag(e.Approved), byte(e.Before), byte(e.After))
		b = append(binary.AppendVarint(b, int64(e.Day)), byte(len(e.TakenBack)))
		for _, d := range e.TakenBack {
			b = appendDose(b, d)
		}
		b = append(binary.AppendUvarint(b, uint64(len(e.By))), e.By...)
	case domain.PersonMoved:
		head(recordMoved)
		b = appendCohort(b, e.To)
	}
	return b
}

// appendWrapped appends the record of a person's wrapped key.
func appendWrapped(b []byte, key domain.WrappedKey, commit uint64, recorded domain.Day) []byte {
	b = binary.AppendUvarint(append(b, recordWrapped), commit)
	b = binary.AppendVarint(b, int64(recorded))
	return append(binary.AppendUvarint(b, uint64(len(key.Sealed))), key.Sealed...)
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func appendDose(b []byte, d domain.Dose) []byte {
	b = binary.AppendVarint(append(b, byte(d.Number), byte(d.Vaccine)), int64(d.Day))
	return binary.AppendUvarint(b, uint64(d.District))
}

// evolve applies a history to p.
func evolve(p domain.Person, history []byte) (domain.Person, error) {
	r := recordReader{b: history}
	for r.next() {
		switch r.kind {
		case recordRegistered:
			p = domain.Evolve(p, r.registered(), r.commit, r.recorded)
		case recordDose:
			p = domain.Evolve(p, r.dose(), r.commit, r.recorded)
		case recordDoseWithdrawn:
			p = domain.Evolve(p, r.doseWithdrawn(), r.commit, r.recorded)
		case recordRequested:
			p = domain.Evolve(p, r.requested(), r.commit, r.recorded)
		case recordDecided:
			p = domain.Evolve(p, r.decided(), r.commit, r.recorded)
		case recordMoved:
			p = domain.Evolve(p, domain.PersonMoved{To: r.cohort()}, r.commit, r.recorded)
		default:
			return p, errHistory
		}
	}
	if r.bad {
		return p, errHistory
	}
	return p, nil
}

// recordReader reads a history. After next has returned true, the method of that
// kind of record has to be called once. What the methods return shares the
// history's memory.
type recordReader struct {
	b        []byte
	bad      bool
	kind     byte
	commit   uint64
	recorded domain.Day
}

func (r *recordReader) next() bool {
	if r.bad || len(r.b) == 0 {
		return false
	}
	r.kind, r.commit, r.recorded = r.octet(), r.uvarint(), r.day()
	return !r.bad
}

func (r *recordReader) registered() domain.PersonRegistered {
	return domain.PersonRegistered{
		Cohort: r.cohort(), Sex: domain.Sex(r.octet()), Closed: r.octet() != 0, Day: r.day(), Sealed: r.bytes(),
	}
}

func (r *recordReader) dose() domain.DoseAdministered {
	return domain.DoseAdministered{
		Dose: r.given(), Before: domain.Status(r.octet()), After: domain.Status(r.octet()), Sealed: r.bytes(),
	}
}

func (r *recordReader) doseWithdrawn() domain.DoseWithdrawn {
	return domain.DoseWithdrawn{
		Dose: r.given(), Before: domain.Status(r.octet()), After: domain.Status(r.octet()),
		Day: r.day(), Reason: domain.Reason(r.octet()),
	}
}

func (r *recordReader) requested() domain.ReversalRequested {
	return domain.ReversalRequested{
		Request: r.uuid(), From: domain.Status(r.octet()), To: domain.Status(r.octet()),
		Day: r.day(), Reason: domain.Reason(r.octet()),
	}
}

func (r *recordReader) decided() domain.ReversalDecided {
	e := domain.ReversalDecided{
		Request: r.uuid(), Approved: r.octet() != 0, Before: domain.Status(r.octet()), After: domain.Status(r.octet()),
		Day: r.day(),
	}
	for range r.octet() {
		e.TakenBack = append(e.TakenBack, r.given())
	}
	e.By = string(r.bytes())
	return e
}

func (r *recordReader) given() domain.Dose {
	return domain.Dose{
		Number: domain.DoseNumber(r.octet()), Vaccine: domain.Vaccine(r.octet()),
		Day: r.day(), District: domain.District(r.uvarint()),
	}
}

func (r *recordReader) day() domain.Day { return domain.Day(r.varint()) }

func (r *recordReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if r.bad = r.bad || n <= 0; r.bad {
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *recordReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad = r.bad || n <= 0; r.bad {
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *recordReader) octet() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// sequence reads eight bytes, big end first.
func (r *recordReader) sequence() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *recordReader) cohort() domain.Cohort {
	if b := r.take(cohortSize); b != nil {
		return cohortAt(b)
	}
	return domain.Cohort{}
}

func (r *recordReader) uuid() (u domain.UUID) {
	copy(u[:], r.take(len(u)))
	return u
}

func (r *recordReader) bytes() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	return r.take(int(n))
}

// take consumes n bytes, nil when there are not so many.
func (r *recordReader) take(n int) []byte {
	if r.bad = r.bad || n > len(r.b); r.bad {
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}
