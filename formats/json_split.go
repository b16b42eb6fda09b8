package formats

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"bahi/domain"
)

// MaxRecord is the largest record of a foreign JSON format that is read, in
// bytes. An entry of a FHIR Bundle is a record; a Bundle may have any length.
const MaxRecord = 256 << 10

// record is one JSON object of an input, or the reason why there is none where
// one should stand.
type record struct {
	place
	text   string
	reject *domain.Rejection

	// Of the elements of a list that are records themselves: which list it is,
	// from 1. The object around the list follows after them, with the list empty.
	list   int
	closes bool
}

// splitter finds the records of a JSON input: the elements of a list, one
// object, or objects one after another, on a line each or over many.
//
// One broken record must not take others with it. Where one breaks off, the
// nesting that was counted is worth nothing: a brace may be missing, or a quote,
// and everything behind it is turned inside out. So what follows is taken as
// part of the broken record until something stands there that is a record beyond
// doubt: an object that is whole, looks like one (see looks) and stands where no
// part of the broken one can (see [splitter.between]), or anything that begins a
// line no deeper indented than the broken record's own. The broken record is
// reported once, with its line. What stands within it is never given.
//
// An element of a list that is whole and no object is broken by itself: it takes
// nothing with it.
//
// It holds one record in memory. What it looks at in vain is bounded by what it
// has stepped over.
type splitter struct {
	list  string                  // the member of an object that lists records: entry, of a Bundle
	looks func(string, bool) bool // tells a record by its members, and whether it is in such a list

	in    io.Reader
	buf   []byte // what is read and not taken yet is buf[from:]
	from  int
	ended error // of the reader
	usual int   // as much as a record is expected to fill

	line   int  // of what is next
	indent int  // blanks at the beginning of that line
	margin bool // nothing else stood on that line
	fresh  bool // nothing but blanks and brackets stood on that line

	lost       bool   // what is next belongs to a broken record …
	lostIndent int    // … whose first line was indented so far
	lostFlat   bool   // … and which goes on over lines that are not indented further
	anew       bool   // it is over, by what begins a line
	nest       []byte // brackets of it that are open, as far as they can be told
	deeper     int    // brackets beyond those
	before     byte   // the last byte that is no blank
	vain       int    // bytes looked at in vain …
	stepped    int    // … and stepped over

	open   int    // lists of the top level that are open
	lists  int    // lists within objects, so far
	head   string // of the object whose list is open: all before its elements
	headAt place  // of that object

	outer, inner numbering // of the elements of the top level's list, and of that within the object
}

// records splits an input. When reading fails, the last pair carries the error
// and no record; what was read of an unfinished record is not used.
func records(r io.Reader, list string, looks func(string, bool) bool) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		s := splitter{in: decoded(r), list: list, looks: looks, usual: 4 << 10, line: 1, margin: true, fresh: true}
		for {
			rec, ok := s.next()
			if !ok {
				break
			}
			if !yield(rec, nil) {
				return
			}
		}
		if s.ended != io.EOF {
			yield(record{}, fmt.Errorf("reading line %d of the input: %w", s.line, s.ended))
		}
	}
}

// readRecords gives the items that read makes of every record of an input. A
// record that cannot be read is an item, too.
func readRecords(r io.Reader, looks func(string) bool, read func(record) []Item) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		for rec, err := range records(r, "", func(text string, _ bool) bool { return looks(text) }) {
			if err != nil {
				yield(Item{}, err)
				return
			}
			items := []Item{rec.refused(rec.reject)}
			if rec.reject == nil {
				items = read(rec)
			}
			for _, item := range items {
				if !yield(item.placed(), nil) {
					return
				}
			}
		}
	}
}

// refused is the item of a record that is no submission.
func (r record) refused(reject *domain.Rejection) Item {
	item := r.item()
	item.Reject = reject
	return item
}

// next returns the next record, and false at the end of the input.
func (s *splitter) next() (record, bool) {
	for {
		c, ok := s.peek()
		if !ok {
			return s.end()
		}
		if s.lost && s.fresh && s.indent <= s.lostIndent && !(s.lostFlat && (c != '{' || !s.between())) && !strings.ContainsRune(blanks+brackets, rune(c)) {
			s.lost, s.anew = false, true
		}
		if s.lost && c == ']' && s.head != "" && s.innermost() == 0 {
			s.lost = false
		}
		rec, found := record{}, false
		switch {
		case c == '{' && (!s.lost || s.between() && s.vain <= MaxRecord+maxInVain*s.stepped):
			rec, found = s.object()
		case strings.IndexByte(blanks+",", c) >= 0, s.lost:
			s.take(1)
		case c == '[' && s.head == "":
			if s.open++; s.open == 1 {
				s.outer = numbering{}
			}
			s.take(1)
		case c == ']' && s.head != "":
			rec, found = s.tail()
		case c == ']' && s.open > 0:
			s.open--
			s.take(1)
		default:
			rec, found = s.noObject(), true
		}
		if found {
			return rec, true
		}
	}
}

// end tells once of a list that is still open when the input ends.
func (s *splitter) end() (record, bool) {
	if s.ended != io.EOF || s.lost || s.open == 0 && s.head == "" {
		return record{}, false
	}
	rec := s.broken(rejection(domain.CodeBadJSON, "", "the input ends within a list; it was cut off: send the whole of it"))
	rec.element = s.headAt.element
	return rec, true
}

// object takes the object that begins here or, if it is broken, its first brace.
func (s *splitter) object() (record, bool) {
	list := s.list
	if s.head != "" && !s.anew { // a list within a list is none of ours
		list = ""
	}
	s.anew = false
	text, end, reject := s.scan(func(o *scanner) scanEnd { return o.members("{", list) })
	rec := record{place: s.here(), text: text}
	if s.head != "" {
		rec.list = s.lists
	}
	switch wasLost := s.lost; {
	case reject != nil:
		s.usual = 512 // what is broken is seldom broken once
		rec = s.broken(reject)
		s.take(1)
		return rec, !wasLost
	case end == objectClosed:
		s.take(len(text))
		s.numbers().next++
		s.lost = wasLost && !s.looks(text, s.head != "")
		return rec.checked(), !s.lost
	case end == listOpened:
		s.numbers().next++
		s.head, s.headAt, s.inner = text, rec.place, numbering{}
		s.lists++
		s.lost = false
	}
	s.take(len(text))
	return record{}, false
}

// tail takes the rest of the object whose list ends here.
func (s *splitter) tail() (record, bool) {
	text, end, reject := s.scan(func(o *scanner) scanEnd { return o.members("]", "") })
	rec := record{place: s.headAt, text: s.head + text, list: s.lists, closes: true}
	switch {
	case reject != nil:
		rec = s.broken(reject)
		rec.element = s.headAt.element
		s.take(1)
	case end == objectClosed:
		s.take(len(text))
	}
	s.head = ""
	return rec.checked(), end != 0 || reject != nil
}

func (r record) checked() record {
	if !utf8.ValidString(r.text) {
		r.reject = rejection(domain.CodeBadJSON, "", "the record is not UTF-8 text; save the file as UTF-8")
	}
	if r.reject != nil {
		r.text = ""
	}
	return r
}

// broken stands for the record that begins here and cannot be read. What follows
// is lost until another begins.
func (s *splitter) broken(reject *domain.Rejection) record {
	if !s.lost {
		s.lost, s.lostIndent = true, s.indent
		first, second, _ := strings.Cut(string(s.buf[s.from:min(s.from+256, len(s.buf))]), "\n")
		indent := len(second) - len(strings.TrimLeft(second, " \t"))
		s.lostFlat = strings.Trim(first, blanks) == "{" && indent <= s.indent
		s.nest, s.deeper = s.nest[:0], 0
	}
	rec := record{place: s.here(), reject: reject}
	if s.head != "" {
		rec.list = s.lists
	}
	s.numbers().lost = true
	return rec
}

// Where a scan came to its end.
type scanEnd uint8

const (
	objectClosed scanEnd = iota + 1
	listOpened           // after the bracket of the list that was looked for
	valueEnded           // before what follows a value that is no object
)

// scan reads what begins here to its end. It takes nothing. Text is looked at in pieces that double, so
// that neither a small record costs a copy of all that is read, nor a large one
// is looked at often. When the reader fails within it, there is neither an end nor a
// rejection, and nothing left to take.
func (s *splitter) scan(read func(*scanner) scanEnd) (string, scanEnd, *domain.Rejection) {
	n := s.usual
	if s.lost { // most of what is tried now is no record, and shows it soon
		n = 128
	}
	for ; ; n *= 2 {
		rest := s.buf[s.from:]
		text := string(rest[:min(n, MaxRecord, len(rest))])
		scan := foreignScanner(text)
		if end := read(&scan); end != 0 {
			s.usual = min(max(2*scan.at, 512), 16<<10)
			return text[:scan.at], end, nil
		}
		// A literal that is cut off fails at its first letter.
		cutOff := scan.at+len("false") > len(text)
		switch {
		case cutOff && len(text) == MaxRecord:
			s.vain += scan.at
			return "", 0, rejection(domain.CodeTooLong, "", "a record has at most %d bytes", MaxRecord)
		case cutOff && len(text) < len(rest):
		case cutOff && s.fill():
			n = len(text)
		case cutOff && s.ended != io.EOF:
			s.from = len(s.buf)
			return "", 0, nil
		default:
			s.vain += scan.at
			return "", 0, rejection(domain.CodeBadJSON, "", "the record is not one JSON object; it stops being one on line %d",
				s.line+strings.Count(text[:scan.at], "\n"))
		}
	}
}

// members reads members of an object from its opening brace or, after the end of
// its list, from that bracket, up to its closing brace or the opening bracket of
// the member list. It returns 0 when there is none.
func (s *scanner) members(from, list string) scanEnd {
	if !s.take(from[0]) {
		return 0
	}
	resource := ""
	for first := from == "{"; ; first = false {
		s.space()
		if s.take('}') {
			return objectClosed
		}
		if !first && !s.take(',') {
			return 0
		}
		s.space()
		key, ok := s.string()
		if !ok {
			return 0
		}
		s.space()
		if !s.take(':') {
			return 0
		}
		s.space()
		isBundle := resource == "" || resource == "Bundle"
		if list != "" && key.text == list && isBundle && s.take('[') {
			return listOpened
		}
		v, ok := s.value(1)
		if !ok {
			return 0
		}
		if key.text == "resourceType" {
			resource = v.text
		}
	}
}

// peek returns the next byte, and false when there is none.
func (s *splitter) peek() (byte, bool) {
	for s.from == len(s.buf) {
		if !s.fill() {
			return 0, false
		}
	}
	return s.buf[s.from], true
}

// fill reads once more, and returns false when there is nothing more to come.
// A reader that gives something is not asked again before that is looked at: a
// record gets its verdict when it is there, not when the next one is.
func (s *splitter) fill() bool {
	const piece = 64 << 10
	if s.buf == nil {
		s.buf = make([]byte, 0, MaxRecord+piece)
	}
	if cap(s.buf)-len(s.buf) < piece/2 {
		s.buf = s.buf[:copy(s.buf, s.buf[s.from:])]
		s.from = 0
	}
	for range 100 {
		if s.ended != nil {
			return false
		}
		n, err := s.in.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		s.ended = err
		if n > 0 {
			return true
		}
	}
	s.ended = io.ErrNoProgress
	return false
}

// take steps over n bytes that are there, and counts lines.
func (s *splitter) take(n int) {
	s.stepped += n
	for _, c := range s.buf[s.from : s.from+n] {
		if s.lost {
			s.track(c)
		}
		switch {
		case c == '\n':
			s.line++
			s.indent, s.margin, s.fresh = 0, true, true
		case !s.fresh:
		case strings.IndexByte(blanks, c) < 0:
			s.margin = false
			s.fresh = strings.IndexByte(brackets, c) >= 0
		case s.margin:
			s.indent++
		}
	}
	s.from += n
}

// maxInVain is how many bytes may be looked at in vain for one that is stepped
// over.
const maxInVain = maxDepth

// track follows the brackets of a broken record, those in its texts as well, for
// where a text ends nobody knows. One that does not fit closes what it finds.
func (s *splitter) track(c byte) {
	switch c {
	case ' ', '\t', '\r', '\n':
		return
	case '{', '[':
		if len(s.nest) < 4*maxDepth {
			s.nest = append(s.nest, c)
		} else {
			s.deeper++
		}
	case '}', ']':
		if s.deeper > 0 {
			s.deeper--
		} else if i := bytes.LastIndexByte(s.nest, c-2); i >= 0 { // { and } are two apart, and so are [ and ]
			s.nest = s.nest[:i]
		}
	}
	s.before = c
}

// innermost is the bracket of a broken record that was opened last, and 0 when
// none is open.
func (s *splitter) innermost() byte {
	if len(s.nest) == 0 {
		return 0
	}
	return s.nest[len(s.nest)-1]
}

// between tells whether an object that begins here can be no part of the broken
// record before it: it is no member's value, and stands in no list of that record.
// Entries of a list are known by their members, so they may follow what has left a
// list open.
func (s *splitter) between() bool {
	return s.before != ':' && (s.head != "" || s.innermost() != '[')
}

// What may stand between two records: blanks, and what ends the one before.
const (
	blanks   = " \t\r\n"
	brackets = ",[]}"
)
