package formats

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"bahi/domain"
)

// foldedLength is as much of a name as is compared; longer ones are no names.
const foldedLength = 96

// appendFolded appends the letters and digits of s in lower case: what is left
// when spelling, spaces and punctuation do not count. Of Latin letters the
// accents go; marks of other scripts, which are vowels, stay.
func appendFolded(b []byte, s string) []byte {
	for i := 0; i < len(s) && len(b) < foldedLength; {
		c := s[i]
		if c >= utf8.RuneSelf {
			return appendFoldedRunes(b, s[i:])
		}
		switch {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
			b = append(b, c)
		case 'A' <= c && c <= 'Z':
			b = append(b, c+'a'-'A')
		}
		i++
	}
	return b
}

func appendFoldedRunes(b []byte, s string) []byte {
	for _, r := range norm.NFD.String(s[:min(len(s), 4*foldedLength)]) {
		switch {
		case len(b) >= foldedLength:
			return b
		case unicode.Is(unicode.Inherited, r): // an accent
		case unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r):
			b = utf8.AppendRune(b, unicode.ToLower(r))
		}
	}
	return b
}

func folded(s string) string { return string(appendFolded(nil, s)) }

// inAnyOrder folds the words of a name and sorts them: "24 PARAGANAS NORTH" and
// "North 24 Paraganas" are one name.
func inAnyOrder(name string) string {
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.M, unicode.Nd) })
	for i := range words {
		words[i] = folded(words[i])
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// districtsByName holds the directory's districts by folded name, by the name's
// words in any order, and by the name without what stands in brackets.
var districtsByName = sync.OnceValue(func() map[string][]domain.District {
	byName := map[string][]domain.District{}
	add := func(key string, d domain.District) {
		if key != "" && !slices.Contains(byName[key], d) {
			byName[key] = append(byName[key], d)
		}
	}
	enter := func(name string, d domain.District) {
		add(folded(name), d)
		add(inAnyOrder(name), d)
	}
	for _, d := range domain.Districts() {
		name := domain.DistrictName(d)
		enter(name, d)
		if before, _, bracketed := strings.Cut(name, "("); bracketed {
			enter(before, d)
		}
	}
	for name, d := range otherDistrictNames {
		enter(name, d)
	}
	return byName
})

// otherDistrictNames are names by which records of the drive call districts that
// the directory calls otherwise: CoWIN's own names of districts of Bihar; names
// before the Government of Karnataka's notification of 1 November 2014 (Indian
// Express and The Hindu of that day), the Cabinet of Uttar Pradesh's decision of
// 13 November 2018 (Zee News) and Haryana's of 2016. The city that was Bangalore
// is in Bengaluru Urban.
var otherDistrictNames = map[string]domain.District{
	"East Champaran":  213,
	"West Champaran":  211,
	"Bangalore":       525,
	"Bengaluru":       525,
	"Bangalore Urban": 525,
	"Bangalore Rural": 526,
	"Belgaum":         527,
	"Bellary":         528,
	"Bijapur":         530, // another one is in Chhattisgarh
	"Chikmagalur":     532,
	"Gulbarga":        538,
	"Mysore":          545,
	"Shimoga":         547,
	"Tumkur":          548,
	"Allahabad":       120,
	"Faizabad":        140,
	"Gurgaon":         62,
}

// states holds the folded names of the directory's states.
var states = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	for _, d := range domain.Districts() {
		names[folded(domain.StateName(d))] = true
	}
	return names
})

// readDistrictName finds the one district of that name in the Local Government
// Directory, in any case and spacing. The state tells apart what is called alike;
// it may be missing, or be one that the directory does not know by that name.
func readDistrictName(name, state string) (domain.District, bool) {
	byName := districtsByName()
	var space [foldedLength]byte
	found := byName[string(appendFolded(space[:0], name))]
	if len(found) == 0 {
		found = byName[inAnyOrder(name)]
	}
	if len(found) == 0 {
		name = strings.TrimSuffix(folded(name), "district")
		found = byName[name]
	}
	wanted := string(appendFolded(space[:0], state))
	stateKnown := states()[wanted]
	for _, d := range found {
		if stateKnown && folded(domain.StateName(d)) == wanted || !stateKnown && len(found) == 1 {
			return d, true
		}
	}
	return 0, false
}
