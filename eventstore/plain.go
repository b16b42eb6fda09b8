package eventstore

import (
	"encoding/binary"
	"math"
	"time"

	"bahi/domain"
	"bahi/eventstore/wire"
)

// What [Encode] writes can be read without the generated messages, which would be
// filled and copied from: in a fifth of the time. decodePlain reads registrations and
// doses so; decodeAny is asked for what it does not understand, mostly to say why. Both
// understand the same (FuzzDecode).

// Tags of wire/ledger.proto: a field's number and how it is written, in one byte.
const (
	tagNumber = 0 // in as few bytes as it needs
	tagBytes  = 2 // with their length before

	tagRegistered = 8<<3 | tagBytes
	tagDose       = 9<<3 | tagBytes
)

// decodePlain reads a commit that is written as [Encode] writes it. Where it is not, or
// is not valid, it is not ok.
func decodePlain(data []byte) (c Commit, ok bool) {
	p := plain{b: data}
	id, district, recorded := p.bytes(1), p.uint32(2), int64(p.number(3))
	entries := p.count(4)
	if len(id) != len(c.ID) || district > math.MaxUint16 || recorded < minRecordedMs || recorded > maxRecordedMs || entries == 0 {
		return Commit{}, false
	}
	c = Commit{ID: [16]byte(id), District: domain.District(district), Entries: make([]Entry, entries)}
	for i := range c.Entries {
		entry := plain{b: p.bytes(4)}
		delta, ok := entry.entry(&c.Entries[i])
		if !ok || delta > uint64(maxRecordedMs-recorded) || i == 0 && delta != 0 {
			return Commit{}, false
		}
		recorded += int64(delta)
		c.Entries[i].Recorded = time.UnixMilli(recorded).UTC()
	}
	return c, p.over()
}

// entry reads an entry, and returns how much later than the one before it was recorded.
func (p *plain) entry(to *Entry) (delta uint64, ok bool) {
	whole := p.b
	submission, digest, issued := p.bytes(1), p.bytes(2), p.number(3)
	if !optionalToken(to.Submission[:], submission) || !optionalToken(to.Digest[:], digest) || issued > math.MaxUint8 {
		return 0, false
	}
	to.Issued = uint8(issued)
	delta = p.number(4)
	switch {
	case p.at(tagRegistered):
		of := plain{b: p.bytes(8)}
		to.Event, ok = of.registered()
	case p.at(tagDose):
		of := plain{b: p.bytes(9)}
		to.Event, ok = of.dose()
	default:
		to.Event, ok = rare(whole)
		return delta, ok && !p.bad
	}
	return delta, ok && p.over()
}

func (p *plain) registered() (domain.PersonRegistered, bool) {
	var n narrowing
	event := domain.PersonRegistered{
		Person: n.token(p.bytes(1)),
		Cohort: n.cohort(p.uint32(2), wire.Group(p.code(3)), p.uint32(4)),
		Sex:    n.sex(wire.Sex(p.code(5))),
		Day:    p.day(6), Closed: p.flag(7), Sealed: shared(p.bytes(8)),
	}
	return event, p.over() && n.err() == nil
}

func (p *plain) dose() (domain.DoseAdministered, bool) {
	var n narrowing
	event := domain.DoseAdministered{
		Person: n.token(p.bytes(1)),
		Cohort: n.cohort(p.uint32(2), wire.Group(p.code(3)), p.uint32(4)),
		Sex:    n.sex(wire.Sex(p.code(5))),
		Dose:   n.dose(wire.DoseNumber(p.code(6)), wire.Vaccine(p.code(7)), int32(p.day(8)), p.uint32(9)),
		Before: n.status(wire.Status(p.code(10))), After: n.status(wire.Status(p.code(11))),
		Sealed: shared(p.bytes(12)),
	}
	return event, p.over() && n.err() == nil
}

// rare reads the event of an entry by the generated code, which vouches for the whole
// entry: that the fields stand in order, so that none was passed over.
func rare(entry []byte) (domain.Event, bool) {
	var message wire.Entry
	if unmarshal(entry, &message) != nil {
		return nil, false
	}
	event, err := fromWire(&message)
	return event, err == nil
}

// plain reads protobuf as [Encode] writes it: fields by rising number, each once, and
// none with its zero value, which is written as nothing. Fields are asked for in that
// order; whatever does not fit turns it bad, and is seen at the end.
type plain struct {
	b   []byte
	i   int // read so far; to cut b instead would be a pointer written for each field
	bad bool
}

// over tells whether everything was read, and was good.
func (p *plain) over() bool { return !p.bad && p.i == len(p.b) }

// at tells whether a field comes next.
func (p *plain) at(tag byte) bool { return p.i < len(p.b) && p.b[p.i] == tag }

// number reads a field, or 0 when it is not there.
func (p *plain) number(field byte) uint64 {
	if !p.at(field<<3 | tagNumber) {
		return 0
	}
	return p.value()
}

// bytes reads a field, or nothing when it is not there.
func (p *plain) bytes(field byte) []byte {
	if !p.at(field<<3 | tagBytes) {
		return nil
	}
	n := p.value()
	if n > uint64(len(p.b)-p.i) {
		p.bad = true
		return nil
	}
	p.i += int(n)
	return p.b[p.i-int(n) : p.i]
}

// value reads the number behind a tag, which is a field's value or its length. Neither
// is ever 0.
func (p *plain) value() uint64 {
	p.i++
	if p.i < len(p.b) && p.b[p.i] < 0x80 {
		n := p.b[p.i]
		p.i++
		p.bad = p.bad || n == 0
		return uint64(n)
	}
	n, size := binary.Uvarint(p.b[p.i:])
	if size <= 0 || n>>(7*(size-1)) == 0 { // cut off, or longer than it need be
		p.bad = true
		return 0
	}
	p.i += size
	return n
}

func (p *plain) uint32(field byte) uint32 {
	n := p.number(field)
	p.bad = p.bad || n > math.MaxUint32
	return uint32(n)
}

// code reads an enumerated value; all that there are fit into seven bits.
func (p *plain) code(field byte) int32 {
	n := p.number(field)
	p.bad = p.bad || n > math.MaxInt8
	return int32(n & math.MaxInt8)
}

// day reads a number that may be negative, written as 0, -1, 1, -2 and so on.
func (p *plain) day(field byte) domain.Day {
	n := p.uint32(field)
	return domain.Day(n>>1) ^ -domain.Day(n&1)
}

func (p *plain) flag(field byte) bool {
	n := p.number(field)
	p.bad = p.bad || n > 1
	return n == 1
}

// count returns how often a field of bytes comes next.
func (p *plain) count(field byte) (n int) {
	ahead := *p
	for ahead.bytes(field) != nil && !ahead.bad {
		n++
	}
	return n
}
