package formats

import (
	"strings"

	"errors"
	"slices"
	"time"

	"bahi/domain"
)

// cell is one value of a foreign record: the source's own name for it, and its
// text. No text is no value.
type cell struct {
	column, text string
	unused       bool // read, but nothing of it is in a submission
}

func (c *cell) isEmpty() bool { return trimmed(c.text) == "" }

// read gives the text of a cell to a reader. The first thing found wrong with a
// record stays.
func read[T any](c *cell, reject **domain.Rejection, reader func(string) (T, *reason)) T {
	v, wrong := reader(c.text)
	if wrong != nil && *reject == nil {
		*reject = wrong.about(c.column)
	}
	return v
}

// recipient is whom a record of DIVOC is about.
type recipient struct {
	code, name, birthDate, age, sex, mobile, identity, district, state cell
}

// certificate is a record of DIVOC about one dose.
type certificate struct {
	recipient
	date, dose, totalDoses, vaccine, batch    cell
	facility, facilityDistrict, facilityState cell
}

var (
	errDistrictName = &reason{domain.CodeUnknownDistrict, "the Local Government Directory has no district of this name, or several; name the district by its code for the whole file"}
	errNoBirth      = &reason{domain.CodeMissingField, "the date of birth is missing, and the age as well"}
	errNoCentre     = &reason{domain.CodeMissingField, "this is no code of a centre (Latin letters, digits, - and _); name the centre for the whole file"}
	errNoDate       = &reason{domain.CodeMissingField, "the record says no date; give one for the whole file"}
	errWhose        = badValue("whose dose this is cannot be told: the identity cannot be read")
)

// person is the reference number, where the code of the enrolment is one and the
// identity cannot be read. Otherwise the identity tells who it is, by which other
// records know the person, too.
func (r *recipient) person(id domain.PhotoID) domain.Reference {
	person, wrong := readReference(r.code.text)
	if r.code.unused = wrong != nil || id.Type != 0; r.code.unused {
		return ""
	}
	return person
}

// registration reads the recipient. Its id, which goes by the identity, is also
// there when the rest cannot be read, and nil when that cannot.
func (r *recipient) registration(at time.Time, o Options) (s domain.Registration, reject *domain.Rejection) {
	id := read(&r.identity, &reject, func(did string) (domain.PhotoID, *reason) { return readPhotoID("", did) })
	s = domain.Registration{
		PhotoID:  id,
		Person:   r.person(id),
		District: placeOf(&r.district, &r.state, o, &reject),
		Name:     r.name.text,
		Mobile:   read(&r.mobile, &reject, readMobile),
		Sex:      read(&r.sex, &reject, readSex),
		Restated: true,
	}
	s.At = at
	if s.PhotoID.Type != 0 {
		s.ID = registrationID(s.PhotoID)
	}
	r.age.unused = !r.birthDate.isEmpty()
	switch {
	case r.age.unused:
		s.BirthYear = read(&r.birthDate, &reject, readBirthYear)
	case !r.age.isEmpty():
		s.BirthYear = read(&r.age, &reject, func(age string) (int, *reason) { return birthYearOfAge(age, at) })
	case reject == nil:
		reject = errNoBirth.about(r.birthDate.column)
	}
	if s.Group = o.Group; s.Group == 0 && reject == nil {
		var wrong *reason
		if s.Group, wrong = ageGroup(s.BirthYear); wrong != nil {
			reject = wrong.about(r.columnOf("birth_year"))
		}
	}
	return s, reject
}

// placeOf finds the district that a record names.
func placeOf(name, state *cell, o Options, reject **domain.Rejection) domain.District {
	d, ok := readDistrictName(name.text, state.text)
	name.unused, state.unused = !ok, !ok
	if !ok {
		d = o.District
	}
	if d == 0 && *reject == nil {
		*reject = errDistrictName.about(name.column)
	}
	return d
}

// submissions reads a certificate: the registration that it states again, and
// the dose. Each has its rejection; the dose may stand where the registration
// does not, for the ledger may hold that already. An id is zero where the
// identity cannot be read.
func (c *certificate) submissions(o Options) (
	registration domain.Registration, whyNoRegistration *domain.Rejection, dose domain.DoseGiven, whyNoDose *domain.Rejection,
) {
	at, wrongDate := readDay(c.date.text)
	registration, whyNoRegistration = c.registration(at, o)
	dose = domain.DoseGiven{
		Person:  registration.Person,
		Vaccine: read(&c.vaccine, &whyNoDose, readVaccine),
		Number: read(&c.dose, &whyNoDose, func(n string) (domain.DoseNumber, *reason) {
			return readDoseOf(n, c.totalDoses.text)
		}),
		District: placeOf(&c.facilityDistrict, &c.facilityState, o, &whyNoDose),
		Centre:   c.centre(o, &whyNoDose),
		Batch:    read(&c.batch, &whyNoDose, readPlain),
	}
	dose.At = at
	if wrongDate != nil {
		// Who is registered by a certificate is registered on its day.
		whyNoRegistration, whyNoDose = wrongDate.about(c.date.column), wrongDate.about(c.date.column)
	}
	switch {
	case dose.Person != "":
	case registration.ID != domain.UUID{}:
		dose.Registration = registration.ID
	default:
		whyNoDose = errWhose.about(c.identity.column)
		return registration, whyNoRegistration, dose, whyNoDose
	}
	dose.ID = doseID("divoc", dose)
	return registration, whyNoRegistration, dose, whyNoDose
}

// centre is the facility's name, where that can be a centre's code.
func (c *certificate) centre(o Options, reject **domain.Rejection) string {
	name := trimmed(c.facility.text)
	c.facility.unused = !isCentreCode(name)
	switch {
	case !c.facility.unused:
		return name
	case o.Centre == "" && *reject == nil:
		*reject = errNoCentre.about(c.facility.column)
	}
	return o.Centre
}

// isCentreCode tells a facility's code from its name: codes have a digit, and
// "AIIMS" or "PHC" is no centre's.
func isCentreCode(s string) bool {
	return domain.CheckCentre(s) == nil && strings.ContainsAny(s, "0123456789")
}

// columnOf names where a record has what a native submission calls by another
// name.
func (r *recipient) columnOf(field string) string {
	switch field {
	case "person":
		return r.code.column
	case "district":
		return r.district.column
	case "name":
		return r.name.column
	case "birth_year", "group":
		if r.birthDate.isEmpty() && !r.age.isEmpty() {
			return r.age.column
		}
		return r.birthDate.column
	case "sex":
		return r.sex.column
	case "mobile":
		return r.mobile.column
	case "photo_id":
		return r.identity.column
	}
	return ""
}

// doseColumnOf is columnOf for the dose of a certificate.
func (c *certificate) doseColumnOf(field string) string {
	switch field {
	case "person", "registration":
		return c.identity.column
	case "at":
		return c.date.column
	case "district":
		return c.facilityDistrict.column
	case "centre":
		return c.facility.column
	case "vaccine":
		return c.vaccine.column
	case "batch":
		return c.batch.column
	case "dose":
		return c.dose.column
	}
	return ""
}

// judge brings a foreign submission into the form that the ledger compares, and
// holds it to it. Column names where the source has a field.
func (i *Item) judge(s domain.Submission, reject *domain.Rejection, column func(field string) string) {
	if id := s.Head().ID; i.ID == "" && id != (domain.UUID{}) {
		i.ID = id.String()
	}
	if reject == nil {
		s = domain.Normalise(s)
		if err := domain.Check(s); errors.As(err, &reject) {
			reject.Field = shownPath(column(reject.Field))
		}
	}
	if i.Reject = reject; reject == nil {
		i.Submission = s
		if i.columns == nil {
			i.columns = columnsBy(column)
		}
	}
}

// namedFields are what a rejection by the ledger may name of a submission from a
// foreign record.
var namedFields = [...]string{"at", "person", "registration", "district", "birth_year", "mobile", "photo_id", "centre", "vaccine", "dose", "given"}

// columns are where a record has those fields, and empty where it has not.
type columns [len(namedFields)]string

func columnsBy(column func(field string) string) *columns {
	c := new(columns)
	for n, field := range namedFields {
		c[n] = column(field)
	}
	return c
}

// named returns a rejection by the ledger with the record's own name of the field,
// and the element of its list that the record is.
func (c *columns) named(r *domain.Rejection, element string) *domain.Rejection {
	own := *r
	if n := slices.Index(namedFields[:], r.Field); n >= 0 && shownPath(c[n]) != "" {
		own.Field = shownPath(c[n])
	}
	own.Field = joined(element, own.Field)
	return &own
}
