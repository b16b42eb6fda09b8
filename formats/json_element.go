package formats

import (
	"fmt"
	"strings"

	"bahi/domain"
)

// place is where a record stands, for whoever has to find it.
type place struct {
	line    int    // where it begins, from 1
	element string // of a list, by its number from 0: [2], entry[2]; empty where there is none, or nobody can say
}

// item is an item of what stands there.
func (p place) item() Item { return Item{Line: p.line, Foreign: true, element: p.element} }

// numbering numbers the elements of a list, until one of them is so broken that
// nobody can say how many it was.
type numbering struct {
	next int
	lost bool
}

// here is the place of the element that is next.
func (s *splitter) here() place {
	at := place{line: s.line}
	switch {
	case s.head != "":
		at.element = s.headAt.element
		if !s.inner.lost {
			at.element = joined(at.element, fmt.Sprintf("%s[%d]", s.list, s.inner.next))
		}
	case s.open == 1 && !s.outer.lost:
		at.element = fmt.Sprintf("[%d]", s.outer.next)
	}
	return at
}

// numbers returns the numbering of the list that is open.
func (s *splitter) numbers() *numbering {
	if s.head != "" {
		return &s.inner
	}
	return &s.outer
}

// noObject takes what stands where a record should: a value that is whole, in a
// list, or else its first byte.
func (s *splitter) noObject() record {
	reject := rejection(domain.CodeBadJSON, "", "what stands here is not a JSON object")
	if s.head != "" || s.open > 0 {
		text, end, _ := s.scan((*scanner).element)
		if end != 0 {
			rec := record{place: s.here(), reject: reject}
			if s.head != "" {
				rec.list = s.lists
			}
			s.numbers().next++
			s.take(len(text))
			return rec
		}
	}
	rec := s.broken(reject)
	s.take(min(1, len(s.buf)-s.from))
	return rec
}

// element reads a value that stands in a list by itself, and returns 0 when there is
// none: another follows it, or the list's end.
func (s *scanner) element() scanEnd {
	if _, ok := s.value(1); !ok {
		return 0
	}
	s.space()
	if s.at < len(s.line) && strings.IndexByte(",]", s.line[s.at]) >= 0 {
		return valueEnded
	}
	return 0
}
