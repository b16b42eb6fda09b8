package formats

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"bahi/domain"
)

// row is one line on its way to a submission. The first thing found wrong with
// it stays.
type row struct {
	values [fieldCount]value
	seen   fieldSet
	id     domain.UUID
	reject *domain.Rejection
}

func rejection(c domain.Code, field, format string, args ...any) *domain.Rejection {
	return &domain.Rejection{Code: c, Field: field, Message: fmt.Sprintf(format, args...)}
}

// parse reads one line, which is neither empty nor longer than [MaxLine]. The
// id is the sender's text for it, if the line has a valid one; given is the id of
// a line that has none at all, or zero when it has to have one. What is wrong is
// looked for in this order: the JSON, the type, what is not collected, unknown
// fields, missing fields, the id, values.
//
// The submission's strings share memory with the line.
func parse(line string, given domain.UUID) (id string, s domain.Submission, reject *domain.Rejection) {
	if !utf8.ValidString(line) {
		return "", nil, rejection(domain.CodeBadJSON, "", "the line is not UTF-8 text; save the file as UTF-8")
	}
	var r row
	unknown, twice := "", fieldCount
	isForeign := false
	scan := scanner{line: line}
	scan.space()
	isJSON := scan.object(0, func(name string, v value) bool {
		f, known := fieldNamed(name)
		switch {
		case !known && !isForeign:
			unknown, isForeign = name, true
		case !known:
		case r.seen.has(f):
			twice = f
		default:
			r.seen |= 1 << f
			r.values[f] = v
		}
		return true
	})
	if isJSON {
		scan.space()
		isJSON = scan.at == len(line)
	}
	if !isJSON {
		return "", nil, rejection(domain.CodeBadJSON, "", "the line is not one JSON object; it stops being one at byte %d", scan.at+1)
	}
	if !r.seen.has(fieldID) && given != (domain.UUID{}) {
		r.seen |= 1 << fieldID
		r.id, id = given, given.String()
	} else if text, ok := r.values[fieldID].unquoted(); ok {
		if parsed, err := domain.ParseUUID(text); err == nil {
			r.id = parsed
			// A copy, so that a verdict does not keep the whole line.
			id = strings.Clone(text)
		}
	}
	if twice != fieldCount {
		// Which of the two was meant nobody can say, be it the id itself.
		if twice == fieldID {
			id = ""
		}
		return id, nil, rejection(domain.CodeBadJSON, twice.String(), "the field stands twice on the line; leave one")
	}
	form, reject := r.form()
	if reject != nil {
		return id, nil, reject
	}
	if scan.notCollected != "" {
		return id, nil, rejection(domain.CodeNotCollected, shownName(scan.notCollected),
			"addresses and test results are not collected; leave the field out")
	}
	if isForeign {
		return id, nil, rejection(domain.CodeUnknownField, shownName(unknown), "this type of submission has no such field; leave it out")
	}
	if foreign := r.seen &^ (form.required | form.optional); foreign != 0 {
		return id, nil, rejection(domain.CodeUnknownField, foreign.first().String(), "this type of submission has no such field; leave it out")
	}
	if missing := form.missing(r.seen); missing != 0 {
		return id, nil, rejection(domain.CodeMissingField, missing.first().String(), "the field is missing")
	}
	if id == "" {
		return "", nil, rejection(domain.CodeBadID, "id", "an id is a UUID, such as 018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001")
	}
	s = form.read(&r)
	if r.reject != nil {
		return id, nil, r.reject
	}
	return id, s, nil
}

func (r *row) form() (*form, *domain.Rejection) {
	if !r.seen.has(fieldType) {
		return nil, rejection(domain.CodeMissingField, "type", "the field is missing; type is %s", knownTypes)
	}
	name, _ := r.values[fieldType].unquoted()
	if f := formNamed(name); f != nil {
		return f, nil
	}
	return nil, rejection(domain.CodeUnknownType, "type", "type is %s", knownTypes)
}

// bad notes that a field's value is not what it should be, which want says in a
// sentence without the value.
func (r *row) bad(f field, want string) { r.refuse(domain.CodeBadValue, f, want) }

func (r *row) refuse(c domain.Code, f field, message string) {
	if r.reject == nil {
		r.reject = &domain.Rejection{Code: c, Field: f.String(), Message: message}
	}
}

func (r *row) text(f field) string {
	s, ok := r.values[f].unquoted()
	if !ok {
		r.bad(f, "the value is text in double quotes")
	}
	return s
}

// coded reads one of a list of codes with the domain's own parser, whose error
// names the list and not the value.
func coded[T any](r *row, f field, parse func(string) (T, error)) T {
	s, ok := r.values[f].unquoted()
	if !ok {
		s = ""
	}
	v, err := parse(s)
	if err != nil {
		r.bad(f, err.Error())
	}
	return v
}

func (r *row) heading() domain.Heading {
	return domain.Heading{ID: r.id, At: coded(r, fieldAt, domain.ParseTime)}
}

// person is empty where a registration names the person instead.
func (r *row) person() domain.Reference {
	if !r.seen.has(fieldPerson) {
		return ""
	}
	return domain.Reference(r.text(fieldPerson))
}

// namedBy is the registration that names the person.
func (r *row) namedBy() domain.UUID {
	if !r.seen.has(fieldRegistration) {
		return domain.UUID{}
	}
	return r.uuid(fieldRegistration)
}

func (r *row) uuid(f field) domain.UUID {
	s, _ := r.values[f].unquoted()
	u, err := domain.ParseUUID(s)
	if err != nil {
		r.refuse(domain.CodeBadID, f, err.Error())
	}
	return u
}

// integer reads a number without fraction or exponent, and false for anything
// else. What no int holds becomes the largest or smallest.
func (v value) integer() (int, bool) {
	if v.kind != kindNumber || strings.ContainsAny(v.text, ".eE") {
		return 0, false
	}
	n, err := strconv.Atoi(v.text)
	if err != nil {
		n = math.MaxInt
		if v.text[0] == '-' {
			n = math.MinInt
		}
	}
	return n, true
}

func (r *row) district() domain.District {
	n, ok := r.values[fieldDistrict].integer()
	if !ok {
		r.bad(fieldDistrict, "a district is its LGD code, a number without quotes, such as 208")
		return 0
	}
	if n < 1 || n > math.MaxUint16 {
		r.refuse(domain.CodeUnknownDistrict, fieldDistrict, "no district has this LGD code")
		return 0
	}
	return domain.District(n)
}

func (r *row) dose() domain.DoseNumber {
	v := r.values[fieldDose]
	if n, ok := v.integer(); ok && 1 <= n && n <= 3 {
		return domain.DoseNumber(n)
	}
	if s, _ := v.unquoted(); s == domain.Precaution.String() {
		return domain.Precaution
	}
	r.bad(fieldDose, `a dose is 1, 2, 3 or "precaution"`)
	return 0
}

func (r *row) birthYear() int {
	n, ok := r.values[fieldBirthYear].integer()
	if !ok || n < 0 || n > 9999 {
		r.bad(fieldBirthYear, "a birth year is a number of four digits, without quotes")
		return 0
	}
	return n
}

func (r *row) photoID() domain.PhotoID {
	const want = `a photo ID is an object with a type and a number, both text`
	v := r.values[fieldPhotoID]
	if v.kind != kindObject {
		r.bad(fieldPhotoID, want)
		return domain.PhotoID{}
	}
	var members [2]value // type, number
	scan := scanner{line: v.text}
	scan.object(0, func(name string, v value) bool {
		i := 0
		switch name {
		case "type":
		case "number":
			i = 1
		default:
			r.refuse(domain.CodeUnknownField, fieldPhotoID, "a photo ID has a type and a number and no other field")
			return false
		}
		if members[i].kind != 0 {
			r.bad(fieldPhotoID, "a field stands twice in the photo ID; leave one")
			return false
		}
		members[i] = v
		return true
	})
	if r.reject != nil {
		return domain.PhotoID{}
	}
	for i, name := range [2]string{"type", "number"} {
		if members[i].kind == 0 {
			r.refuse(domain.CodeMissingField, fieldPhotoID, "the photo ID has no "+name)
			return domain.PhotoID{}
		}
	}
	code, isText := members[0].unquoted()
	number, isTextToo := members[1].unquoted()
	if !isText || !isTextToo {
		r.bad(fieldPhotoID, want)
		return domain.PhotoID{}
	}
	t, err := domain.ParsePhotoIDType(code)
	if err != nil {
		r.bad(fieldPhotoID, err.Error())
	}
	return domain.PhotoID{Type: t, Number: number}
}

// groups reads the groups of a freeze. An empty list is refused: leaving the
// field out freezes every group, for good, and must not happen by an oversight.
func (r *row) groups() []domain.Group {
	if !r.seen.has(fieldGroups) {
		return nil
	}
	v := r.values[fieldGroups]
	const want = "groups is a list with at least one group, each once; leave it out to freeze every group"
	if v.kind != kindArray {
		r.bad(fieldGroups, want)
		return nil
	}
	var groups []domain.Group
	var named [256]bool
	scan := scanner{line: v.text}
	scan.array(0, func(v value) bool {
		s, _ := v.unquoted()
		g, err := domain.ParseGroup(s)
		if err != nil {
			r.bad(fieldGroups, err.Error())
			return false
		}
		if named[g] {
			r.bad(fieldGroups, want)
			return false
		}
		named[g] = true
		groups = append(groups, g)
		return true
	})
	if len(groups) == 0 {
		r.bad(fieldGroups, want)
	}
	return groups
}

// persons reads the reference numbers that a freeze lists. An empty list is
// refused: leaving the field out freezes everybody.
func (r *row) persons() []domain.Reference {
	if !r.seen.has(fieldPersons) {
		return nil
	}
	v := r.values[fieldPersons]
	const want = "persons is a list with at least one reference number, each text; leave it out to freeze everybody"
	if v.kind != kindArray {
		r.bad(fieldPersons, want)
		return nil
	}
	var persons []domain.Reference
	scan := scanner{line: v.text}
	scan.array(0, func(v value) bool {
		s, ok := v.unquoted()
		if !ok {
			r.bad(fieldPersons, want)
			return false
		}
		if len(persons) == domain.MaxListed {
			r.refuse(domain.CodeTooLong, fieldPersons, "a freeze lists at most 10,000 persons; order several")
			return false
		}
		persons = append(persons, domain.Reference(s))
		return true
	})
	if len(persons) == 0 {
		r.bad(fieldPersons, want)
	}
	return persons
}

// flag reads a field that is false when it is left out.
func (r *row) flag(f field) bool {
	kind := r.values[f].kind
	if r.seen.has(f) && kind != kindTrue && kind != kindFalse {
		r.bad(f, f.String()+" is true or false, without quotes")
	}
	return kind == kindTrue
}

func (r *row) mode() domain.FreezeMode {
	if !r.seen.has(fieldMode) {
		return domain.Handover
	}
	return coded(r, fieldMode, domain.ParseFreezeMode)
}

func (r *row) approve() bool {
	s, _ := r.values[fieldDecision].unquoted()
	if s != "approve" && s != "reject" {
		r.bad(fieldDecision, "a decision is approve or reject")
	}
	return s == "approve"
}

func (r *row) registration() domain.Submission {
	s := domain.Registration{
		Heading:   r.heading(),
		District:  r.district(),
		Group:     coded(r, fieldGroup, domain.ParseGroup),
		Name:      r.text(fieldName),
		BirthYear: r.birthYear(),
		Sex:       coded(r, fieldSex, domain.ParseSex),
		Mobile:    r.text(fieldMobile),
		PhotoID:   r.photoID(),
		Restated:  r.flag(fieldRestated),
	}
	if r.seen.has(fieldPerson) {
		s.Person = r.person()
		if strings.TrimSpace(string(s.Person)) == "" {
			// Left out is how to ask for a number; empty is a column without a value.
			r.refuse(domain.CodeBadReference, fieldPerson, "a reference number has 14 digits; leave the field out to be issued one")
		}
	}
	return s
}

func (r *row) doseGiven() domain.Submission {
	return domain.DoseGiven{
		Heading:      r.heading(),
		Person:       r.person(),
		Registration: r.namedBy(),
		District:     r.district(),
		Centre:       r.text(fieldCentre),
		Vaccine:      coded(r, fieldVaccine, domain.ParseVaccine),
		Batch:        r.text(fieldBatch),
		Number:       r.dose(),
	}
}

func (r *row) registrationWithdrawal() domain.Submission {
	return domain.RegistrationWithdrawal{
		Heading:      r.heading(),
		Person:       r.person(),
		Registration: r.namedBy(),
		Reason:       coded(r, fieldReason, domain.ParseReason),
	}
}

func (r *row) doseWithdrawal() domain.Submission {
	s := domain.DoseWithdrawal{
		Heading:      r.heading(),
		Person:       r.person(),
		Registration: r.namedBy(),
		Number:       r.dose(),
		Reason:       coded(r, fieldReason, domain.ParseReason),
	}
	if r.seen.has(fieldGiven) {
		s.Given = domain.DayOf(coded(r, fieldGiven, domain.ParseTime))
	}
	if r.seen.has(fieldVaccine) {
		s.Vaccine = coded(r, fieldVaccine, domain.ParseVaccine)
	}
	return s
}

func (r *row) reversalRequest() domain.Submission {
	return domain.ReversalRequest{
		Heading:      r.heading(),
		Person:       r.person(),
		Registration: r.namedBy(),
		To:           coded(r, fieldTo, domain.ParseStatus),
		Reason:       coded(r, fieldReason, domain.ParseReason),
	}
}

func (r *row) reversalDecision() domain.Submission {
	return domain.ReversalDecision{
		Heading: r.heading(),
		Request: r.uuid(fieldRequest),
		Approve: r.approve(),
		By:      r.text(fieldBy),
	}
}

func (r *row) freeze() domain.Submission {
	return domain.Freeze{
		Heading:  r.heading(),
		District: r.district(),
		Groups:   r.groups(),
		Persons:  r.persons(),
		Standing: r.flag(fieldStanding),
		Mode:     r.mode(),
		Order:    r.text(fieldOrder),
		By:       r.text(fieldBy),
	}
}
