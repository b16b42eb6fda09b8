package synth

import (
	"strconv"

	"bahi/domain"
)

// The hours of a centre, in seconds of the day.
const (
	opens  = 9 * 3600
	closes = 17 * 3600
)

// writer makes the submission of an op, as a line or as a value. Both come from
// the same fields, and a test holds them together.
type writer struct {
	people *people
	day    domain.Day
	date   []byte // of the day, quoted and left open: "2021-01-16T
	buf    []byte // scratch
}

func (w *writer) begin(day domain.Day) {
	w.day = day
	w.date = append(append(append(w.date[:0], '"'), day.String()...), 'T')
}

// centre returns the code of where the op was done: the district's and a number.
func (w *writer) appendCentre(b []byte, o op, district domain.District) []byte {
	b = strconv.AppendUint(b, uint64(district), 10)
	return appendDigits(b, 1+w.people.hash(forCentre, o.person)%40, 3)
}

// appendBatch appends the vaccine's batch, which changes every week.
func (w *writer) appendBatch(b []byte, o op) []byte {
	week := uint64(w.day-driveBegins) / 7
	if o.vaccine == covaxin {
		return append(appendDigits(append(b, "37F21"...), week+1, 3), 'A')
	}
	return appendDigits(append(b, "4121Z"...), 1+week, 3)
}

// placeOf returns the district of an op: of a registration the home, of a dose
// where it is given.
func (w *writer) placeOf(o op) domain.District {
	if o.kind == opSecond {
		return w.people.place.district
	}
	return w.people.home(o.person)
}

var types = [...]string{
	opRegister:             "registration",
	opFirst:                "dose",
	opSecond:               "dose",
	opWithdrawRegistration: "registration_withdrawal",
	opWithdrawFirst:        "dose_withdrawal",
	opWithdrawSecond:       "dose_withdrawal",
}

// appendLine appends the submission as a line of NDJSON. Nothing in it needs
// escaping: names are letters, marks, spaces and full stops.
func (w *writer) appendLine(b []byte, o op, second int) []byte {
	p := w.people
	b = append(b, `{"type":"`...)
	b = append(b, types[o.kind]...)
	b = append(b, `","id":"`...)
	b = appendUUID(b, p.uuid(o, w.day, second))
	b = append(b, `","at":`...)
	b = append(b, w.date...)
	b = appendDigits(b, uint64(second/3600), 2)
	b = appendDigits(append(b, ':'), uint64(second/60%60), 2)
	b = appendDigits(append(b, ':'), uint64(second%60), 2)
	b = append(b, `+05:30","person":"`...)
	b = append(b, p.reference(o.person)...)
	switch o.kind {
	case opRegister:
		group := p.groupOn(w.day, o.person)
		b = append(b, `","district":`...)
		b = strconv.AppendUint(b, uint64(w.placeOf(o)), 10)
		b = append(b, `,"group":"`...)
		b = append(b, group.String()...)
		b = append(b, `","name":"`...)
		b = p.appendName(b, o.person)
		b = append(b, `","birth_year":`...)
		b = strconv.AppendInt(b, int64(p.birthYear(group, o.person)), 10)
		b = append(b, `,"sex":"`...)
		b = append(b, p.sex(o.person).String()...)
		b = append(b, `","mobile":"`...)
		b = strconv.AppendUint(b, p.mobile(o.person), 10)
		document, number := p.appendPhotoID(w.buf[:0], o.person)
		w.buf = number
		b = append(b, `","photo_id":{"type":"`...)
		b = append(b, document.String()...)
		b = append(b, `","number":"`...)
		b = append(b, number...)
		return append(b, "\"}}\n"...)
	case opFirst, opSecond:
		b = append(b, `","district":`...)
		b = strconv.AppendUint(b, uint64(w.placeOf(o)), 10)
		b = append(b, `,"centre":"`...)
		b = w.appendCentre(b, o, w.placeOf(o))
		b = append(b, `","vaccine":"`...)
		b = append(b, vaccines[o.vaccine].String()...)
		b = append(b, `","batch":"`...)
		b = w.appendBatch(b, o)
		b = append(b, `","dose":`...)
		return append(b, byte('0'+o.number()), '}', '\n')
	case opWithdrawRegistration:
		return append(b, "\",\"reason\":\"duplicate\"}\n"...)
	}
	b = append(b, `","dose":`...)
	b = append(b, byte('0'+o.number()))
	return append(b, ",\"reason\":\"entered_in_error\"}\n"...)
}

// number returns the number of the dose that the op is about.
func (o op) number() domain.DoseNumber {
	if o.kind == opSecond || o.kind == opWithdrawSecond {
		return 2
	}
	return 1
}

// submission returns what appendLine writes.
func (w *writer) submission(o op, second int) domain.Submission {
	p := w.people
	head := domain.Heading{
		ID: p.uuid(o, w.day, second),
		At: w.day.Start().Add(secondsOf(second)),
	}
	person := p.reference(o.person)
	switch o.kind {
	case opRegister:
		group := p.groupOn(w.day, o.person)
		document, number := p.appendPhotoID(nil, o.person)
		return domain.Registration{
			Heading: head, Person: person, District: w.placeOf(o), Group: group,
			Name:      string(p.appendName(nil, o.person)),
			BirthYear: p.birthYear(group, o.person),
			Sex:       p.sex(o.person),
			Mobile:    strconv.FormatUint(p.mobile(o.person), 10),
			PhotoID:   domain.PhotoID{Type: document, Number: string(number)},
		}
	case opFirst, opSecond:
		return domain.DoseGiven{
			Heading: head, Person: person, District: w.placeOf(o),
			Centre:  string(w.appendCentre(nil, o, w.placeOf(o))),
			Vaccine: vaccines[o.vaccine],
			Batch:   string(w.appendBatch(nil, o)),
			Number:  o.number(),
		}
	case opWithdrawRegistration:
		return domain.RegistrationWithdrawal{Heading: head, Person: person, Reason: domain.ReasonDuplicate}
	}
	return domain.DoseWithdrawal{Heading: head, Person: person, Number: o.number(), Reason: domain.ReasonEnteredInError}
}

func appendUUID(b []byte, id domain.UUID) []byte {
	const digits = "0123456789abcdef"
	for i, x := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, digits[x>>4], digits[x&15])
	}
	return b
}
