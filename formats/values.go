package formats

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"bahi/domain"
)

// The readers of foreign values bear with the ways in which programs and people
// write one thing, and refuse with a reason what has lost something on the way.
// None guesses, and no reason repeats a value.

var (
	errEmpty      = &reason{domain.CodeMissingField, "the value is missing"}
	errScientific = badValue("the number is in scientific notation, its last digits are lost; format the column as text before saving and enter the number anew")
)

// trimmed drops the white space around a value, the no-break space of web pages
// and spreadsheets among it.
func trimmed(s string) string {
	if s == "" || isInk(s[0]) && isInk(s[len(s)-1]) {
		return s
	}
	return strings.Trim(s, " \t\r\n\u00a0\ufeff")
}

// isInk tells a byte that is a character by itself and no white space.
func isInk(c byte) bool { return ' ' < c && c < utf8.RuneSelf }

// westernDigits writes the digits of India's scripts as 0 to 9.
func westernDigits(s string) string {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return strings.Map(westernDigit, s)
		}
	}
	return s
}

// westernDigit relies on how Unicode lays out the nine scripts of India from
// Devanagari to Malayalam: blocks of 128, the digits at the same place in each.
func westernDigit(r rune) rune {
	const first, last, block = '०', '൯', 128
	if r >= first && r <= last && (r-first)%block < 10 {
		return '0' + (r-first)%block
	}
	return r
}

// isScientific tells whether s is a number like 9.88041E+09, which spreadsheets
// make of long numbers.
func isScientific(s string) bool {
	mantissa, exponent, found := strings.Cut(s, "E")
	if !found {
		mantissa, exponent, found = strings.Cut(s, "e")
	}
	if !found || mantissa == "" || exponent == "" {
		return false
	}
	signed := exponent[0] == '+' || exponent[0] == '-'
	if signed {
		exponent = exponent[1:]
	}
	whole, fraction, pointed := strings.Cut(strings.Replace(mantissa, ",", ".", 1), ".")
	// Without a sign and a point it may as well be the number of a document.
	return (signed || pointed) && allDigits(whole) && (!pointed || allDigits(fraction)) && allDigits(exponent)
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// wholeNumber drops the fraction of nothing that programs put behind a number
// which they hold as floating point: 9880414889.0.
func wholeNumber(s string) string {
	if whole, fraction, found := strings.Cut(s, "."); found && strings.Trim(fraction, "0") == "" && allDigits(whole) {
		return whole
	}
	return s
}

// orEmpty returns the reason why s cannot be read: that there is nothing, or
// another.
func orEmpty(s string, wrong *reason) *reason {
	if trimmed(s) == "" {
		return errEmpty
	}
	return wrong
}

var errMobile = badValue("a mobile number has 10 digits, the first of them 6 to 9, with or without +91 or 0 before them")

// readMobile reads a mobile number of ten digits, with what else is written with
// it: tel:, +91, 91 or 0 before it, spaces, dashes, brackets.
func readMobile(s string) (string, *reason) {
	s = westernDigits(trimmed(s))
	switch {
	case s == "":
		return "", errEmpty
	case len(s) == 10 && allDigits(s) && s[0] >= '6':
		return s, nil
	case isScientific(s):
		return "", errScientific
	}
	if len(s) > len("tel:") && strings.EqualFold(s[:len("tel:")], "tel:") {
		s = s[len("tel:"):]
	}
	s = without(wholeNumber(s), " -().\u00a0")
	switch {
	case len(s) == 13 && s[:3] == "+91":
		s = s[3:]
	case len(s) == 14 && s[:4] == "0091":
		s = s[4:]
	case len(s) == 12 && s[:2] == "91":
		s = s[2:]
	case len(s) == 11 && s[0] == '0':
		s = s[1:]
	}
	if len(s) != 10 || !allDigits(s) || s[0] < '6' {
		return "", errMobile
	}
	return s, nil
}

// without drops every character of s that is among those given.
func without(s, dropped string) string {
	clean := true
	for i := 0; i < len(s) && clean; i++ {
		clean = s[i] < utf8.RuneSelf && strings.IndexByte(dropped, s[i]) < 0
	}
	if clean {
		return s
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(dropped, r) {
			return -1
		}
		return r
	}, s)
}

// readReference reads a reference number.
func readReference(s string) (domain.Reference, *reason) {
	s = westernDigits(trimmed(s))
	switch {
	case s == "":
		return "", errEmpty
	case domain.Reference(s).Check() == nil:
		return domain.Reference(s), nil
	case isScientific(s):
		return "", &reason{domain.CodeBadReference, errScientific.message}
	}
	r := domain.Reference(without(wholeNumber(s), " -\u00a0"))
	if err := r.Check(); err != nil {
		return "", &reason{domain.CodeBadReference, err.Error()}
	}
	return r, nil
}

var errSex = badValue("sex is F, M or T, or female, male, transgender or other")

// readSex reads a sex by code, by word, or by gender_id of CoWIN: 1 male,
// 2 female, 3 transgender.
func readSex(s string) (domain.Sex, *reason) {
	var space [foldedLength]byte
	switch string(appendFolded(space[:0], westernDigits(s))) {
	case "":
		return 0, orEmpty(s, errSex)
	case "f", "female", "woman", "2", "महिला", "स्त्री":
		return domain.Female, nil
	case "m", "male", "man", "1", "पुरुष":
		return domain.Male, nil
	case "t", "transgender", "other", "others", "3", "अन्य":
		return domain.Transgender, nil
	}
	return 0, errSex
}

var errVaccine = func() *reason {
	_, err := domain.ParseVaccine("")
	return badValue(err.Error())
}()

// readVaccine reads a vaccine by the name on its vial. What follows in brackets
// or behind a comma, such as the maker or the strain, is passed over.
func readVaccine(s string) (domain.Vaccine, *reason) {
	name := s
	if i := strings.IndexAny(s, "([,"); i >= 0 {
		name = s[:i]
	}
	var space [foldedLength]byte
	switch string(appendFolded(space[:0], name)) {
	case "covishield":
		return domain.Covishield, nil
	case "covaxin":
		return domain.Covaxin, nil
	case "sputnikv":
		return domain.SputnikV, nil
	case "corbevax":
		return domain.Corbevax, nil
	case "zycovd":
		// A schedule of its own is a vaccine of its own; brackets may say which.
		if name == s {
			return domain.ZyCoVD, nil
		}
	case "zycovd2dose":
		return domain.ZyCoVDTwoDose, nil
	}
	return 0, orEmpty(s, errVaccine)
}

var errDose = badValue("a dose is 1, 2, 3 or precaution")

// readDose reads the number of a dose: 1, "Dose 1", "1st", "first", "precaution
// dose".
func readDose(s string) (domain.DoseNumber, *reason) {
	var space [foldedLength]byte
	folded := string(appendFolded(space[:0], wholeNumber(westernDigits(trimmed(s)))))
	if folded == "" || strings.HasPrefix(trimmed(s), "-") {
		return 0, orEmpty(s, errDose)
	}
	switch strings.TrimSuffix(strings.TrimPrefix(folded, "dose"), "dose") {
	case "1", "1st", "first":
		return 1, nil
	case "2", "2nd", "second":
		return 2, nil
	case "3", "3rd", "third":
		return 3, nil
	case "precaution", "precautionary", "booster":
		return domain.Precaution, nil
	}
	return 0, errDose
}

// readDoseOf reads the number of a dose beside the number of doses of its
// series, as certificates of DIVOC have it: the one beyond the series is the
// precaution dose. The total may be missing.
func readDoseOf(dose, total string) (domain.DoseNumber, *reason) {
	n, errN := strconv.Atoi(wholeNumber(westernDigits(trimmed(dose))))
	of, errOf := strconv.Atoi(wholeNumber(westernDigits(trimmed(total))))
	switch {
	case errN != nil || errOf != nil || of < 1 || n <= of:
		return readDose(dose)
	case n == of+1:
		return domain.Precaution, nil
	}
	return 0, badValue("a series is followed by one precaution dose; this would be another")
}

var errTooYoung = &reason{domain.CodeAgeOutsideGroup, "nobody under 12, as on 1 January 2022, is vaccinated; check the year of birth"}

// ageGroup returns the priority group that goes by age, as on 1 January 2022.
func ageGroup(birthYear int) (domain.Group, *reason) {
	age := domain.AgeFromBirthYear(birthYear)
	for _, g := range [...]domain.Group{domain.Age60Plus, domain.Age45To60, domain.Age18To44, domain.Age15To17, domain.Age12To14} {
		if least, _ := g.Ages(); age >= least {
			return g, nil
		}
	}
	return 0, errTooYoung
}
