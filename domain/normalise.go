package domain

import (
	"slices"
	"strings"
	"unicode"
)

// Normalise returns the submission as the ledger compares it, so that what means
// the same gets the same tokens and the same digest: a photo-ID number typed
// with the spaces of the card, a mobile number with the country's prefix, a name
// with two spaces. It comes before [Check] and is idempotent.
func Normalise(s Submission) Submission {
	switch s := s.(type) {
	case Registration:
		s.Person = Reference(strings.TrimSpace(string(s.Person)))
		s.Name = normaliseName(s.Name)
		s.Mobile = normaliseMobile(s.Mobile)
		s.PhotoID.Number = normalisePhotoIDNumber(s.PhotoID.Number)
		return s
	case DoseGiven:
		s.Person = Reference(strings.TrimSpace(string(s.Person)))
		s.Centre = strings.TrimSpace(s.Centre)
		s.Batch = strings.TrimSpace(s.Batch)
		return s
	case RegistrationWithdrawal:
		s.Person = Reference(strings.TrimSpace(string(s.Person)))
		return s
	case DoseWithdrawal:
		s.Person = Reference(strings.TrimSpace(string(s.Person)))
		return s
	case ReversalRequest:
		s.Person = Reference(strings.TrimSpace(string(s.Person)))
		return s
	case ReversalDecision:
		s.By = strings.TrimSpace(s.By)
		return s
	case Freeze:
		if s.Mode == 0 {
			s.Mode = Handover
		}
		for i, r := range s.Persons {
			if trimmed := strings.TrimSpace(string(r)); trimmed != string(r) {
				s.Persons = slices.Clone(s.Persons)
				s.Persons[i] = Reference(trimmed)
			}
		}
		s.Order = strings.TrimSpace(s.Order)
		s.By = strings.TrimSpace(s.By)
		return s
	}
	return s
}

// normaliseName makes every run of white space one space and drops the joiners
// that only shape letters: two spellings that look alike are one name.
func normaliseName(name string) string {
	const nonJoiner, joiner = '\u200c', '\u200d'
	name = strings.Map(func(r rune) rune {
		switch {
		case r == joiner || r == nonJoiner:
			return -1
		case r == '’':
			return '\''
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, name)
	return strings.Join(strings.Fields(name), " ")
}

func normaliseMobile(mobile string) string {
	const prefix, length = "+91", 10
	mobile = without(mobile, " -")
	if len(mobile) == len(prefix)+length {
		mobile = strings.TrimPrefix(mobile, prefix)
	}
	return mobile
}

// normalisePhotoIDNumber writes capitals and drops what cards print between
// groups of digits.
func normalisePhotoIDNumber(number string) string {
	return strings.ToUpper(without(number, " -"))
}

func without(s, dropped string) string {
	if !strings.ContainsAny(s, dropped) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(dropped, r) {
			return -1
		}
		return r
	}, s)
}
