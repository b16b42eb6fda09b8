package formats

import (
	"strings"

	"bahi/domain"
)

// The columns of a photo ID, which in NDJSON is an object of two members.
const (
	columnPhotoIDType = fieldCount + iota
	columnPhotoIDNumber
	columnUnknown
	columnNotCollected
	columnCount = columnUnknown
)

// ownColumns are the columns of one's own CSV: the native fields, but for those
// of a freeze.
var ownColumns = []string{
	"type", "id", "at", "person", "registration", "restated", "district", "group", "name", "birth_year", "sex", "mobile",
	"photo_id_type", "photo_id_number", "centre", "vaccine", "batch", "dose", "reason", "to", "request", "decision", "by", "given",
}

// ownRows makes an item of a row of own columns.
type ownRows struct {
	options Options
	given   fieldSet            // what the options say where a row does not
	columns []string            // names by place
	ledgers *columns            // of the columns by what the ledger may name
	fields  []field             // by place
	names   [columnCount]string // of the columns by field
	values  [columnCount]string // of the row
	reject  *domain.Rejection   // the first thing found wrong with the row
	native  []byte              // room to write a submission down
}

func newOwnRows(h header, o Options) rowReader {
	r := &ownRows{options: o, columns: h.names, fields: make([]field, len(h.names))}
	copy(r.names[:], fieldNames[:])
	r.names[columnPhotoIDType], r.names[columnPhotoIDNumber] = "photo_id_type", "photo_id_number"
	for i, name := range h.known {
		f := fieldOfColumn(name)
		if f == columnUnknown && isNotCollected(h.cells[i]) {
			f = columnNotCollected
		}
		if r.fields[i] = f; f < columnCount {
			r.names[f] = h.names[i]
		}
	}
	if o.District != 0 {
		r.given |= setOf(fieldDistrict)
	}
	if o.Group != 0 {
		r.given |= setOf(fieldGroup)
	}
	if o.Centre != "" {
		r.given |= setOf(fieldCentre)
	}
	r.ledgers = columnsBy(r.column)
	return r
}

func fieldOfColumn(name string) field {
	switch name {
	case "photo_id_type":
		return columnPhotoIDType
	case "photo_id_number":
		return columnPhotoIDNumber
	}
	if f, known := fieldNamed(name); known {
		return f
	}
	return columnUnknown
}

var (
	errNotCollected = &reason{domain.CodeNotCollected, "addresses and test results are not collected; leave the column out"}
	errUnknown      = &reason{domain.CodeUnknownField, "no submission has such a column; leave it out"}
	errOfAnother    = &reason{domain.CodeUnknownField, "this type of submission has no such field; leave the cell empty"}
	errUnknownType  = &reason{domain.CodeUnknownType, "type is registration, dose, registration_withdrawal, dose_withdrawal, reversal_request or reversal_decision"}
	errFreeze       = &reason{domain.CodeNotSupported, "a freeze is not read from CSV; order it by itself, or in NDJSON"}
	errMissing      = &reason{domain.CodeMissingField, "the row has no value here"}
	errNeedsID      = &reason{domain.CodeMissingField, "the row has no value here; a reversal request needs an id, by which it is decided"}
)

// read looks for what is wrong in the order of [parse]: the type, what is not
// collected, unknown columns, missing values, the id, values.
func (r *ownRows) read(line int, cells []string, yield func(Item) bool) bool {
	item := Item{Line: line, columns: r.ledgers}
	r.reject = nil
	seen := r.spread(cells)
	id, wrong := readUUID(r.values[fieldID])
	if wrong == nil {
		item.ID = strings.Clone(r.values[fieldID]) // so that a verdict does not keep the whole row
	}
	form := r.form(seen)
	if r.reject == nil && seen.has(fieldID) && wrong != nil {
		r.refuse(fieldID, wrong)
	}
	if r.reject != nil {
		item.Reject = r.reject
		return yield(item)
	}
	s := r.submission(form, seen, id)
	if item.Foreign = !seen.has(fieldID); item.Foreign && r.reject == nil {
		s = domain.Normalise(s)
		s = identified(s, r.makeID(s))
	}
	item.judge(s, r.reject, r.column)
	return yield(item)
}

// spread gives the cells to their fields and returns which have text. A photo ID
// counts as one.
func (r *ownRows) spread(cells []string) (seen fieldSet) {
	var notCollected, unknown *string
	for i, f := range r.fields {
		text := trimmed(cells[i])
		if f < columnCount {
			r.values[f] = text
		}
		switch {
		case text == "":
		case f < columnCount:
			seen |= 1 << f
		case f == columnNotCollected && notCollected == nil:
			notCollected = &r.columns[i]
		case f == columnUnknown && unknown == nil:
			unknown = &r.columns[i]
		}
	}
	if ofPhotoID := setOf(columnPhotoIDType, columnPhotoIDNumber); seen&ofPhotoID != 0 {
		seen = seen&^ofPhotoID | setOf(fieldPhotoID)
	}
	switch {
	case !seen.has(fieldType):
	case notCollected != nil:
		r.reject = errNotCollected.about(*notCollected)
	case unknown != nil:
		r.reject = errUnknown.about(*unknown)
	}
	return seen
}

// form finds the form of a row and holds the row to it.
func (r *ownRows) form(seen fieldSet) *form {
	f := formNamed(r.values[fieldType])
	if f == nil {
		f = formNamed(codeCase(r.values[fieldType], strings.ToLower))
	}
	given := seen | r.given | setOf(fieldID)
	if f == &registrationForm && !r.options.At.IsZero() {
		given |= setOf(fieldAt)
	}
	switch {
	case !seen.has(fieldType):
		r.refuse(fieldType, errMissing)
	case f == nil:
		r.reject = errUnknownType.about(r.names[fieldType])
	case f == &freezeForm:
		r.reject = errFreeze.about(r.names[fieldType])
	case seen&^(f.required|f.optional) != 0:
		r.refuse((seen &^ (f.required | f.optional)).first(), errOfAnother)
	case f.missing(given) != 0:
		r.refuse(f.missing(given).first(), errMissing)
	case f == &reversalRequestForm && !seen.has(fieldID):
		// The ledger keeps this id as it is: it may not be made of the content.
		r.refuse(fieldID, errNeedsID)
	}
	return f
}

func (r *ownRows) refuse(f field, why *reason) {
	if r.reject == nil {
		r.reject = why.about(r.column(f.String()))
	}
}

func (r *ownRows) column(name string) string {
	if name == fieldPhotoID.String() {
		return r.names[columnPhotoIDNumber]
	}
	return r.names[fieldOfColumn(name)]
}

// readField gives the text of a field to a reader.
func readField[T any](r *ownRows, f field, reader func(string) (T, *reason)) T {
	v, wrong := reader(r.values[f])
	if wrong != nil {
		r.refuse(f, wrong)
	}
	return v
}

func (r *ownRows) submission(f *form, seen fieldSet, id domain.UUID) domain.Submission {
	h := domain.Heading{ID: id, At: r.options.At}
	if seen.has(fieldAt) {
		h.At = readField(r, fieldAt, readDay)
	}
	switch f {
	case &registrationForm:
		return r.registration(h, seen)
	case &reversalDecisionForm:
		return domain.ReversalDecision{
			Heading: h, Request: readField(r, fieldRequest, readUUID), Approve: readField(r, fieldDecision, readDecision), By: r.values[fieldBy],
		}
	}
	var person domain.Reference
	var registration domain.UUID
	if seen.has(fieldPerson) {
		person = readField(r, fieldPerson, readReference)
	}
	if seen.has(fieldRegistration) {
		registration = readField(r, fieldRegistration, readUUID)
	}
	switch f {
	case &doseForm:
		return domain.DoseGiven{
			Heading: h, Person: person, Registration: registration, District: r.district(seen), Centre: r.centre(seen),
			Vaccine: readField(r, fieldVaccine, readVaccine), Batch: readField(r, fieldBatch, readPlain), Number: readField(r, fieldDose, readDose),
		}
	case &registrationWithdrawalForm:
		return domain.RegistrationWithdrawal{Heading: h, Person: person, Registration: registration, Reason: readField(r, fieldReason, readReason)}
	case &doseWithdrawalForm:
		s := domain.DoseWithdrawal{
			Heading: h, Person: person, Registration: registration, Number: readField(r, fieldDose, readDose), Reason: readField(r, fieldReason, readReason),
		}
		if seen.has(fieldGiven) {
			s.Given = domain.DayOf(readField(r, fieldGiven, readDay))
		}
		if seen.has(fieldVaccine) {
			s.Vaccine = readField(r, fieldVaccine, readVaccine)
		}
		return s
	}
	return domain.ReversalRequest{
		Heading: h, Person: person, Registration: registration, To: readField(r, fieldTo, readStatus), Reason: readField(r, fieldReason, readReason),
	}
}

func (r *ownRows) registration(h domain.Heading, seen fieldSet) domain.Registration {
	s := domain.Registration{
		Heading: h, District: r.district(seen), Group: r.options.Group, Name: r.values[fieldName],
		BirthYear: readField(r, fieldBirthYear, readBirthYear), Sex: readField(r, fieldSex, readSex), Mobile: readField(r, fieldMobile, readMobile),
	}
	if seen.has(fieldPerson) {
		s.Person = readField(r, fieldPerson, readReference)
	}
	if seen.has(fieldGroup) {
		s.Group = readField(r, fieldGroup, readGroup)
	}
	if seen.has(fieldRestated) {
		s.Restated = readField(r, fieldRestated, readFlag)
	}
	var wrong *reason
	s.PhotoID, wrong = readPhotoID(r.values[columnPhotoIDType], r.values[columnPhotoIDNumber])
	switch {
	case wrong == nil || r.reject != nil:
	case wrong == errPhotoIDType || wrong == errRationCard:
		r.reject = wrong.about(r.names[columnPhotoIDType])
	default:
		r.reject = wrong.about(r.names[columnPhotoIDNumber])
	}
	return s
}

func (r *ownRows) district(seen fieldSet) domain.District {
	if !seen.has(fieldDistrict) {
		return r.options.District
	}
	return readField(r, fieldDistrict, readDistrict)
}

func (r *ownRows) centre(seen fieldSet) string {
	if !seen.has(fieldCentre) {
		return r.options.Centre
	}
	return readField(r, fieldCentre, readPlain)
}

// makeID makes an id of a submission's content, which is its native line without
// an id, and without saying whether a registration is stated again.
func (r *ownRows) makeID(s domain.Submission) domain.UUID {
	if registration, is := s.(domain.Registration); is {
		registration.Restated = false
		s = registration
	}
	r.native = AppendSubmission(r.native[:0], s)
	return ForeignID("csv", "row", string(r.native))
}

// identified returns s under an id.
func identified(s domain.Submission, id domain.UUID) domain.Submission {
	switch s := s.(type) {
	case domain.Registration:
		s.ID = id
		return s
	case domain.DoseGiven:
		s.ID = id
		return s
	case domain.RegistrationWithdrawal:
		s.ID = id
		return s
	case domain.DoseWithdrawal:
		s.ID = id
		return s
	case domain.ReversalRequest:
		s.ID = id
		return s
	case domain.ReversalDecision:
		s.ID = id
		return s
	}
	return s
}
