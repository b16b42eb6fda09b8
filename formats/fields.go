package formats

import (
	"math/bits"
	"strings"

	"bahi/domain"
)

// field is a member of a native submission.
type field uint8

const (
	fieldType field = iota
	fieldID
	fieldAt
	fieldPerson
	fieldDistrict
	fieldGroup
	fieldName
	fieldBirthYear
	fieldSex
	fieldMobile
	fieldPhotoID
	fieldCentre
	fieldVaccine
	fieldBatch
	fieldDose
	fieldReason
	fieldTo
	fieldRequest
	fieldDecision
	fieldBy
	fieldGroups
	fieldStanding
	fieldMode
	fieldOrder
	fieldPersons
	fieldRegistration
	fieldRestated
	fieldGiven
	fieldCount
)

var fieldNames = [fieldCount]string{
	"type", "id", "at", "person", "district", "group", "name", "birth_year", "sex", "mobile", "photo_id",
	"centre", "vaccine", "batch", "dose", "reason", "to", "request", "decision", "by", "groups", "standing", "mode", "order",
	"persons", "registration", "restated", "given",
}

func (f field) String() string { return fieldNames[f] }

// fieldNamed is the inverse of fieldNames, as a switch because it is asked ten
// times a line.
func fieldNamed(name string) (field, bool) {
	switch name {
	case "type":
		return fieldType, true
	case "id":
		return fieldID, true
	case "at":
		return fieldAt, true
	case "person":
		return fieldPerson, true
	case "district":
		return fieldDistrict, true
	case "group":
		return fieldGroup, true
	case "name":
		return fieldName, true
	case "birth_year":
		return fieldBirthYear, true
	case "sex":
		return fieldSex, true
	case "mobile":
		return fieldMobile, true
	case "photo_id":
		return fieldPhotoID, true
	case "centre":
		return fieldCentre, true
	case "vaccine":
		return fieldVaccine, true
	case "batch":
		return fieldBatch, true
	case "dose":
		return fieldDose, true
	case "reason":
		return fieldReason, true
	case "to":
		return fieldTo, true
	case "request":
		return fieldRequest, true
	case "decision":
		return fieldDecision, true
	case "by":
		return fieldBy, true
	case "groups":
		return fieldGroups, true
	case "standing":
		return fieldStanding, true
	case "mode":
		return fieldMode, true
	case "order":
		return fieldOrder, true
	case "persons":
		return fieldPersons, true
	case "registration":
		return fieldRegistration, true
	case "restated":
		return fieldRestated, true
	case "given":
		return fieldGiven, true
	}
	return 0, false
}

// fieldSet is a set of fields, a bit each.
type fieldSet uint32

func setOf(fields ...field) (s fieldSet) {
	for _, f := range fields {
		s |= 1 << f
	}
	return s
}

func (s fieldSet) has(f field) bool { return s&(1<<f) != 0 }

// missing returns the required fields that are not among those seen.
func (f *form) missing(seen fieldSet) fieldSet {
	if seen.has(fieldRegistration) {
		seen |= 1 << fieldPerson
	}
	return f.required &^ seen
}

// first returns the first field of a set that is not empty.
func (s fieldSet) first() field { return field(bits.TrailingZeros32(uint32(s))) }

// form is what one type of submission looks like. Where a person is required, the
// registration serves instead.
type form struct {
	required, optional fieldSet
	read               func(*row) domain.Submission
}

var everyForm = setOf(fieldType, fieldID, fieldAt)

var (
	registrationForm = form{
		required: everyForm | setOf(fieldDistrict, fieldGroup, fieldName, fieldBirthYear, fieldSex, fieldMobile, fieldPhotoID),
		optional: setOf(fieldPerson, fieldRestated),
		read:     (*row).registration,
	}
	doseForm = form{
		required: everyForm | setOf(fieldPerson, fieldDistrict, fieldCentre, fieldVaccine, fieldBatch, fieldDose),
		optional: setOf(fieldRegistration),
		read:     (*row).doseGiven,
	}
	registrationWithdrawalForm = form{
		required: everyForm | setOf(fieldPerson, fieldReason),
		optional: setOf(fieldRegistration),
		read:     (*row).registrationWithdrawal,
	}
	doseWithdrawalForm = form{
		required: everyForm | setOf(fieldPerson, fieldDose, fieldReason),
		optional: setOf(fieldRegistration, fieldGiven, fieldVaccine),
		read:     (*row).doseWithdrawal,
	}
	reversalRequestForm = form{
		required: everyForm | setOf(fieldPerson, fieldTo, fieldReason),
		optional: setOf(fieldRegistration),
		read:     (*row).reversalRequest,
	}
	reversalDecisionForm = form{
		required: everyForm | setOf(fieldRequest, fieldDecision, fieldBy),
		read:     (*row).reversalDecision,
	}
	freezeForm = form{
		required: everyForm | setOf(fieldDistrict, fieldOrder, fieldBy),
		optional: setOf(fieldGroups, fieldPersons, fieldStanding, fieldMode),
		read:     (*row).freeze,
	}
)

// formNamed returns the form of a type, or nil.
func formNamed(name string) *form {
	switch name {
	case "registration":
		return &registrationForm
	case "dose":
		return &doseForm
	case "registration_withdrawal":
		return &registrationWithdrawalForm
	case "dose_withdrawal":
		return &doseWithdrawalForm
	case "reversal_request":
		return &reversalRequestForm
	case "reversal_decision":
		return &reversalDecisionForm
	case "freeze":
		return &freezeForm
	}
	return nil
}

const knownTypes = "registration, dose, registration_withdrawal, dose_withdrawal, reversal_request, reversal_decision or freeze"

// notCollectedWords are what names of addresses and test results are made of,
// in lower case and without separators. None is part of a native field's name.
var notCollectedWords = []string{
	"address", "addrline", "pincode", "postcode", "postal", "zipcode", "village", "street", "house", "locality", "landmark",
	"residence", "latitude", "longitude", "geolocation", "panchayat", "tehsil", "taluk",
	"rtpcr", "pcr", "antigen", "testresult", "testreport", "testdate", "covidtest", "covidresult", "covidstatus", "covidpositive",
	"labresult", "labreport", "swab", "ctvalue", "icmr", "srfid",
}

// isNotCollected tells whether a member of that name holds an address or a test
// result, however it is spelled: address, addressLine1, PIN-Code, rt_pcr.
func isNotCollected(name string) bool {
	if _, native := fieldNamed(name); native || name == "number" || len(name) > 256 {
		return false
	}
	var folded [256]byte
	n := 0
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			folded[n] = c
			n++
		case 'A' <= c && c <= 'Z':
			folded[n] = c + 'a' - 'A'
			n++
		}
	}
	plain := string(folded[:n])
	if plain == "pin" || plain == "zip" || plain == "addr" {
		return true
	}
	for _, word := range notCollectedWords {
		if strings.Contains(plain, word) {
			return true
		}
	}
	return false
}

// shownName returns the name of a foreign field if a verdict may repeat it, or
// "". What looks like a field's name is repeated: short, ASCII, with too few
// digits to be anybody's number. Anything else may be data in the wrong place.
func shownName(name string) string {
	if len(name) == 0 || len(name) > 32 {
		return ""
	}
	digits := 0
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
		case '0' <= c && c <= '9' && i > 0 && digits < 3:
			digits++
		default:
			return ""
		}
	}
	return name
}

// shownPath is shownName for the names that lead to a value, with dots between
// them. One of several that may not be shown leaves a mark.
func shownPath(path string) string {
	if !strings.ContainsRune(path, '.') {
		return shownName(path)
	}
	names := strings.Split(path, ".")
	for i, name := range names {
		if names[i] = shownName(name); names[i] == "" {
			names[i] = notShown
		}
	}
	return strings.Join(names, ".")
}

// notShown stands for names that a verdict does not repeat.
const notShown = "…"
