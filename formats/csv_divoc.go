package formats

import (
	"math/bits"
	"strings"

	"bahi/domain"
)

// divocRows makes items of DIVOC's certificates or pre-enrolments.
type divocRows struct {
	options  Options
	doses    bool // certificates: each row is about a dose, too
	record   certificate
	previous cell
	columns  []string
	cells    []*cell // of record by place; nil where a column is not collected
	ofDose   columnSet
	dropped  map[columnSet][]string // their names, made once
}

// columnSet is a set of places, a bit each; there are at most [maxColumns].
type columnSet uint64

var errPrevious = &reason{domain.CodeNotSupported, "a certificate that replaces an earlier one cannot be taken in; withdraw the dose and report it anew"}

func newCertificateRows(h header, o Options) rowReader {
	d := &divocRows{options: o, doses: true}
	c := &d.record
	d.bind(h, map[string]*cell{
		"preEnrollmentCode": &c.code, "recipientName": &c.name, "recipientMobileNumber": &c.mobile, "recipientDOB": &c.birthDate,
		"recipientAge": &c.age, "recipientGender": &c.sex, "recipientIdentity": &c.identity, "recipientDistrict": &c.district,
		"recipientState": &c.state, "vaccinationBatch": &c.batch, "vaccinationDate": &c.date, "vaccinationDose": &c.dose,
		"vaccinationTotalDoses": &c.totalDoses, "vaccinationName": &c.vaccine, "facilityName": &c.facility,
		"facilityDistrict": &c.facilityDistrict, "facilityState": &c.facilityState, "previousCertificateId": &d.previous,
		"metaPreviousCertificateId": &d.previous,
	})
	for i, name := range h.known {
		if !strings.HasPrefix(name, "recipient") && name != "preEnrollmentCode" {
			d.ofDose |= 1 << i
		}
	}
	c.totalDoses.unused = true // it only tells a precaution dose
	return d
}

func newPreEnrolmentRows(h header, o Options) rowReader {
	d := &divocRows{options: o}
	r := &d.record.recipient
	d.bind(h, map[string]*cell{
		"phone": &r.mobile, "identity": &r.identity, "dob": &r.birthDate, "gender": &r.sex, "name": &r.name,
		"district": &r.district, "state": &r.state,
	})
	return d
}

// bind gives every cell its column. A column that the header does not have is
// called by its right name.
func (d *divocRows) bind(h header, cells map[string]*cell) {
	for name, c := range cells {
		c.column = name
	}
	d.columns, d.cells = h.names, make([]*cell, len(h.names))
	d.dropped = map[columnSet][]string{}
	for i, name := range h.known {
		if c := cells[name]; c != nil {
			c.column = h.names[i]
			d.cells[i] = c
		}
	}
}

func (d *divocRows) read(line int, cells []string, yield func(Item) bool) bool {
	for i, c := range d.cells {
		if c != nil {
			c.text = cells[i]
		}
	}
	first := Item{Line: line, Foreign: true}
	if !d.previous.isEmpty() {
		first.Reject = errPrevious.about(d.previous.column)
		return yield(first)
	}
	if !d.doses {
		s, reject := d.record.registration(d.options.At, d.options)
		if d.options.At.IsZero() {
			reject = errNoDate.about("")
		}
		first.judge(s, reject, d.record.columnOf)
		first.Dropped = d.names(d.notCollected(cells))
		return yield(first)
	}
	registration, whyNoRegistration, dose, whyNoDose := d.record.submissions(d.options)
	second := first
	first.judge(registration, whyNoRegistration, d.record.columnOf)
	second.judge(dose, whyNoDose, d.record.doseColumnOf)
	dropped := d.notCollected(cells)
	first.Dropped, second.Dropped = d.names(dropped&^d.ofDose), d.names(dropped&d.ofDose)
	return yield(first) && yield(second)
}

// notCollected returns the columns that have a value of which nothing is in a
// submission.
func (d *divocRows) notCollected(cells []string) (s columnSet) {
	for i, c := range d.cells {
		if (c == nil || c.unused) && trimmed(cells[i]) != "" {
			s |= 1 << i
		}
	}
	return s
}

// names returns the names of columns. Items share the list: rows of one file
// have few different ones.
func (d *divocRows) names(s columnSet) []string {
	if s == 0 {
		return nil
	}
	names, made := d.dropped[s]
	if !made {
		if len(d.dropped) >= 1000 {
			clear(d.dropped)
		}
		for rest := uint64(s); rest != 0; rest &= rest - 1 {
			names = append(names, d.columns[bits.TrailingZeros64(rest)])
		}
		d.dropped[s] = names
	}
	return names
}
