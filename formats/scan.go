package formats

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep objects and arrays may nest in a line. The formats need
// two; the rest is room for foreign fields, which are named and refused.
const maxDepth = 64

type kind uint8

const (
	kindString kind = iota + 1
	kindNumber
	kindTrue
	kindFalse
	kindNull
	kindObject
	kindArray
)

// value is one JSON value as it stands on the line: no copy, nothing decoded. A
// string's text is without its quotes.
type value struct {
	text    string
	kind    kind
	escaped bool // a string with a backslash in it
}

// scanner reads the JSON of one line strictly by RFC 8259. encoding/json is the
// oracle of its fuzz test; it is written by hand because it is several times
// faster, refuses duplicate keys, and sees the name of every member at any
// depth. Where a line is not JSON, at is where it stopped being so.
type scanner struct {
	line         string
	at           int
	notCollected string // the first name found of something that is not collected
}

func (s *scanner) space() {
	for s.at < len(s.line) {
		switch s.line[s.at] {
		case ' ', '\t', '\r', '\n':
			s.at++
		default:
			return
		}
	}
}

// take steps over c, if it is next.
func (s *scanner) take(c byte) bool {
	if s.at < len(s.line) && s.line[s.at] == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) value(depth int) (value, bool) {
	if s.at >= len(s.line) {
		return value{}, false
	}
	start := s.at
	switch c := s.line[s.at]; c {
	case '"':
		return s.string()
	case '{':
		ok := s.object(depth, func(string, value) bool { return true })
		return value{text: s.line[start:s.at], kind: kindObject}, ok
	case '[':
		ok := s.array(depth, func(value) bool { return true })
		return value{text: s.line[start:s.at], kind: kindArray}, ok
	case 't':
		return s.literal("true", kindTrue)
	case 'f':
		return s.literal("false", kindFalse)
	case 'n':
		return s.literal("null", kindNull)
	default:
		return s.number()
	}
}

func (s *scanner) literal(word string, k kind) (value, bool) {
	if !strings.HasPrefix(s.line[s.at:], word) {
		return value{}, false
	}
	s.at += len(word)
	return value{text: word, kind: k}, true
}

// object reads an object that begins here and gives each member to visit, which
// stops it by returning false.
func (s *scanner) object(depth int, visit func(name string, v value) bool) bool {
	if depth >= maxDepth || !s.take('{') {
		return false
	}
	s.space()
	if s.take('}') {
		return true
	}
	for {
		key, ok := s.string()
		if !ok {
			return false
		}
		name, ok := key.unquoted()
		if !ok {
			// Half a surrogate pair: JSON, but no text. No field is called so.
			name = "\uFFFD"
		}
		if s.notCollected == "" && isNotCollected(name) {
			s.notCollected = name
		}
		s.space()
		if !s.take(':') {
			return false
		}
		s.space()
		v, ok := s.value(depth + 1)
		if !ok || !visit(name, v) {
			return false
		}
		s.space()
		if s.take('}') {
			return true
		}
		if !s.take(',') {
			return false
		}
		s.space()
	}
}

// array reads an array that begins here and gives each element to visit, which
// stops it by returning false.
func (s *scanner) array(depth int, visit func(v value) bool) bool {
	if depth >= maxDepth || !s.take('[') {
		return false
	}
	s.space()
	if s.take(']') {
		return true
	}
	for {
		v, ok := s.value(depth + 1)
		if !ok || !visit(v) {
			return false
		}
		s.space()
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
		s.space()
	}
}

func (s *scanner) string() (value, bool) {
	if !s.take('"') {
		return value{}, false
	}
	start, escaped := s.at, false
	for s.at < len(s.line) {
		switch c := s.line[s.at]; {
		case c == '"':
			v := value{text: s.line[start:s.at], kind: kindString, escaped: escaped}
			s.at++
			return v, true
		case c < ' ':
			return value{}, false
		case c == '\\':
			escaped = true
			if !s.escape() {
				return value{}, false
			}
		default:
			s.at++
		}
	}
	return value{}, false
}

// escape steps over one escape sequence.
func (s *scanner) escape() bool {
	s.at++
	if s.at >= len(s.line) {
		return false
	}
	switch s.line[s.at] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at++
		return true
	case 'u':
		s.at++
		for range 4 {
			if s.at >= len(s.line) || !isHex(s.line[s.at]) {
				return false
			}
			s.at++
		}
		return true
	}
	return false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (s *scanner) number() (value, bool) {
	start := s.at
	s.take('-')
	if !s.take('0') && !s.digits() {
		return value{}, false
	}
	if s.take('.') && !s.digits() {
		return value{}, false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return value{}, false
		}
	}
	return value{text: s.line[start:s.at], kind: kindNumber}, true
}

// digits steps over one digit or more.
func (s *scanner) digits() bool {
	start := s.at
	for s.at < len(s.line) && '0' <= s.line[s.at] && s.line[s.at] <= '9' {
		s.at++
	}
	return s.at > start
}

// unquoted returns the text of a string, and false when it is not one or holds
// half a surrogate pair, which is no text.
func (v value) unquoted() (string, bool) {
	if v.kind != kindString {
		return "", false
	}
	if !v.escaped {
		return v.text, true
	}
	out := make([]byte, 0, len(v.text))
	for i := 0; i < len(v.text); {
		if v.text[i] != '\\' {
			out = append(out, v.text[i])
			i++
			continue
		}
		c := v.text[i+1]
		i += 2
		switch c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hexRune(v.text[i:])
			i += 4
			if utf16.IsSurrogate(r) {
				if !strings.HasPrefix(v.text[i:], `\u`) {
					return "", false
				}
				r = utf16.DecodeRune(r, hexRune(v.text[i+2:]))
				if r == utf8.RuneError {
					return "", false
				}
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default: // a quote, a backslash or a slash
			out = append(out, c)
		}
	}
	return string(out), true
}

// hexRune reads the four hex digits that [scanner.escape] found to be there.
func hexRune(s string) rune {
	n, err := strconv.ParseUint(s[:4], 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}
