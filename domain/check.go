package domain

import (
	"time"
	"unicode"
	"unicode/utf8"
)

// Check tells whether a submission is well formed: every field there, within its
// length and alphabet. The error is a *[Rejection]. It looks at the submission
// alone, after [Normalise]; whether the ledger can accept it is for [Decide].
func Check(s Submission) error {
	if r := check(s); r != nil {
		return r
	}
	return nil
}

func check(s Submission) *Rejection {
	switch s := s.(type) {
	case Registration:
		return first(checkHeading(s.Heading), checkRegistration(s))
	case DoseGiven:
		return first(checkHeading(s.Heading),
			checkNamed(s),
			checkDistrict(s.District),
			checkText("centre", s.Centre, 32, "-_"),
			checkChoice("vaccine", s.Vaccine, vaccineCodes),
			checkText("batch", s.Batch, 32, "/.-"),
			checkChoice("dose", s.Number, doseNumberCodes))
	case RegistrationWithdrawal:
		return first(checkHeading(s.Heading), checkNamed(s), checkChoice("reason", s.Reason, reasonCodes))
	case DoseWithdrawal:
		return first(checkHeading(s.Heading),
			checkNamed(s),
			checkChoice("dose", s.Number, doseNumberCodes),
			checkChoice("reason", s.Reason, reasonCodes),
			checkWithdrawn(s))
	case ReversalRequest:
		return first(checkHeading(s.Heading),
			checkNamed(s),
			checkChoice("to", s.To, statusCodes),
			checkChoice("reason", s.Reason, reasonCodes))
	case ReversalDecision:
		if s.Request == (UUID{}) {
			return first(checkHeading(s.Heading), missing("request"))
		}
		return first(checkHeading(s.Heading), checkOfficer("by", s.By))
	case Freeze:
		return first(checkHeading(s.Heading), checkFreeze(s))
	}
	return reject(CodeUnknownType, "type", "the ledger knows no submission of this type")
}

// first returns the first objection, or nil.
func first(objections ...*Rejection) *Rejection {
	for _, o := range objections {
		if o != nil {
			return o
		}
	}
	return nil
}

// Nothing that the ledger counts happened before 2020, and nothing happens
// beyond this century: a date out of these bounds is a slip of the pen.
var (
	earliest = Date(2020, time.January, 1).Start()
	latest   = Date(2100, time.January, 1).Start()
)

func checkHeading(h Heading) *Rejection {
	switch {
	case h.ID == UUID{}:
		return missing("id")
	case h.At.IsZero():
		return missing("at")
	case h.At.Before(earliest):
		return reject(CodeBadValue, "at", "the date lies before 2020; check the year")
	case !h.At.Before(latest):
		return reject(CodeInFuture, "at", "the date lies beyond this century; check the year")
	}
	return nil
}

// checkWithdrawn holds what a withdrawal says of the dose, which it need not, to
// what a dose can be.
func checkWithdrawn(s DoseWithdrawal) *Rejection {
	if at := s.Given.Start(); s.Given != 0 && (at.Before(earliest) || !at.Before(latest)) {
		return reject(CodeBadValue, "given", "a dose of this drive was not given on that day; check the year")
	}
	if s.Vaccine != 0 {
		return checkChoice("vaccine", s.Vaccine, vaccineCodes)
	}
	return nil
}

// checkNamed holds what is about one person to naming them once.
func checkNamed(s Submission) *Rejection {
	person, byRegistration := PersonOf(s), RegistrationOf(s) != UUID{}
	switch {
	case person == "" && !byRegistration:
		return missing("person")
	case person != "" && byRegistration:
		return reject(CodeBadValue, "registration", "a person is named by reference number or by registration; leave one of the two out")
	case byRegistration:
		return nil
	}
	return checkReference(person)
}

func checkReference(r Reference) *Rejection {
	if err := r.Check(); err != nil {
		return reject(CodeBadReference, "person", "%s", err)
	}
	return nil
}

func checkDistrict(d District) *Rejection {
	if d == 0 {
		return missing("district")
	}
	return nil
}

func checkRegistration(s Registration) *Rejection {
	if s.Person != "" {
		if r := checkReference(s.Person); r != nil {
			return r
		}
	}
	return first(
		checkDistrict(s.District),
		checkChoice("group", s.Group, groupCodes),
		checkName(s.Name),
		checkBirthYear(s.BirthYear),
		checkChoice("sex", s.Sex, sexCodes),
		checkMobile(s.Mobile),
		checkPhotoID(s.PhotoID))
}

// Years of birth that can belong to somebody alive when the drive began.
const (
	earliestBirth = 1890
	latestBirth   = ageYear
)

func checkBirthYear(year int) *Rejection {
	switch {
	case year == 0:
		return missing("birth_year")
	case year < earliestBirth || year > latestBirth:
		return reject(CodeBadValue, "birth_year", "a year of birth lies between %d and %d", earliestBirth, latestBirth)
	}
	return nil
}

// maxName is the length of the longest name, in characters.
const maxName = 100

func checkName(name string) *Rejection {
	if name == "" {
		return missing("name")
	}
	if !utf8.ValidString(name) {
		return reject(CodeBadValue, "name", "the name is not valid UTF-8")
	}
	if utf8.RuneCountInString(name) > maxName {
		return tooLong("name", maxName)
	}
	letters := 0
	for _, c := range name {
		switch {
		case unicode.IsLetter(c):
			letters++
		case unicode.IsMark(c) || unicode.IsDigit(c):
		case c == ' ' || c == '.' || c == '\'' || c == '-':
		default:
			return reject(CodeBadValue, "name", "a name has letters, digits, spaces and . ' - only")
		}
	}
	if letters == 0 {
		return reject(CodeBadValue, "name", "a name has at least one letter")
	}
	return nil
}

func checkMobile(mobile string) *Rejection {
	switch {
	case mobile == "":
		return missing("mobile")
	case len(mobile) != 10 || !all(mobile, digit) || mobile[0] < '6':
		return reject(CodeBadValue, "mobile", "a mobile number has 10 digits, the first of them 6 to 9")
	}
	return nil
}

// photoIDForms are the lengths and alphabets of the documents' numbers, wide
// enough for old series: a number refused at the desk is a person sent home.
// There is no check of check digits.
var photoIDForms = [...]struct {
	least, most int
	alphabet    func(byte) bool
	words       string
}{
	Aadhaar:         {12, 12, digit, "12 digits"},
	VoterID:         {8, 20, capitalDigitSlash, "8 to 20 capitals, digits and /"},
	Passport:        {6, 9, capitalDigit, "6 to 9 capitals and digits"},
	DrivingLicence:  {8, 20, capitalDigitSlash, "8 to 20 capitals, digits and /"},
	PANCard:         {10, 10, capitalDigit, "10 capitals and digits"},
	NPRSmartCard:    {8, 20, capitalDigit, "8 to 20 capitals and digits"},
	PensionDocument: {4, 24, capitalDigitSlash, "4 to 24 capitals, digits and /"},
	DisabilityID:    {16, 18, capitalDigit, "16 to 18 capitals and digits"},
	StudentID:       {3, 24, capitalDigitSlash, "3 to 24 capitals, digits and /"},
}

func checkPhotoID(id PhotoID) *Rejection {
	if r := checkChoice("photo_id", id.Type, photoIDCodes); r != nil {
		return r
	}
	form := photoIDForms[id.Type]
	switch {
	case id.Number == "":
		return missing("photo_id")
	case len(id.Number) < form.least || len(id.Number) > form.most || !all(id.Number, form.alphabet):
		return reject(CodeBadValue, "photo_id", "the number of %s has %s", id.Type, form.words)
	}
	return nil
}

func checkFreeze(s Freeze) *Rejection {
	if r := first(checkDistrict(s.District), checkListed(s)); r != nil {
		return r
	}
	if len(s.Groups) > len(groupCodes)-1 {
		return tooLong("groups", len(groupCodes)-1)
	}
	for _, g := range s.Groups {
		if r := checkChoice("groups", g, groupCodes); r != nil {
			return r
		}
	}
	if int(s.Mode) >= len(freezeModeCodes) { // none means handover
		return reject(CodeBadValue, "mode", "mode is one of %s", list(freezeModeCodes[1:]))
	}
	return first(checkText("order", s.Order, 64, "/._ -"), checkOfficer("by", s.By))
}

// checkListed holds the list of a freeze to its form. Numbers are named by their
// place in the list, from 1.
func checkListed(s Freeze) *Rejection {
	switch {
	case len(s.Persons) == 0:
		return nil
	case len(s.Persons) > MaxListed:
		return tooLong("persons", MaxListed)
	case len(s.Groups) > 0:
		return reject(CodeBadValue, "groups", "a freeze lists persons or names groups, not both; leave one of them out")
	case s.Standing:
		return reject(CodeBadValue, "standing", "a freeze of listed persons cannot stand for later registrations; order that with a freeze of its own")
	}
	places := make(map[Reference]int, len(s.Persons))
	for i, r := range s.Persons {
		if err := r.Check(); err != nil {
			return reject(CodeBadReference, "persons", "number %d of the list: %s", i+1, err)
		}
		if twin := places[r]; twin > 0 {
			return reject(CodeBadValue, "persons", "number %d of the list stands there already, as number %d; leave one", i+1, twin)
		}
		places[r] = i + 1
	}
	return nil
}

// checkChoice holds a value to its list of codes; 0 means that it is missing.
func checkChoice[T ~uint8](field string, v T, codes []string) *Rejection {
	switch {
	case v == 0:
		return missing(field)
	case int(v) >= len(codes):
		return reject(CodeBadValue, field, "%s is one of %s", field, list(codes[1:]))
	}
	return nil
}

// checkText holds a required text to a length in bytes and to Latin letters,
// digits and the punctuation given.
func checkText(field, text string, most int, punctuation string) *Rejection {
	switch {
	case text == "":
		return missing(field)
	case len(text) > most:
		return tooLong(field, most)
	}
	for i := range len(text) {
		c := text[i]
		if !capitalDigit(c) && (c < 'a' || c > 'z') && !contains(punctuation, c) {
			return reject(CodeBadValue, field, "%s has Latin letters, digits and %q only", field, punctuation)
		}
	}
	return nil
}

func contains(s string, c byte) bool {
	for i := range len(s) {
		if s[i] == c {
			return true
		}
	}
	return false
}

func all(s string, alphabet func(byte) bool) bool {
	for i := range len(s) {
		if !alphabet(s[i]) {
			return false
		}
	}
	return true
}

func digit(c byte) bool             { return '0' <= c && c <= '9' }
func capitalDigit(c byte) bool      { return digit(c) || 'A' <= c && c <= 'Z' }
func capitalDigitSlash(c byte) bool { return capitalDigit(c) || c == '/' }

func missing(field string) *Rejection {
	return reject(CodeMissingField, field, "%s is missing", field)
}

func tooLong(field string, most int) *Rejection {
	return reject(CodeTooLong, field, "%s is longer than %d", field, most)
}
