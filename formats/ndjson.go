package formats

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"

	"bahi/domain"
)

// MaxLine is the longest line of NDJSON that is read, in bytes without its
// ending. A native submission takes about 300; a freeze that lists 10,000 persons
// 170,000.
const MaxLine = 256 << 10

// Item is one submission of the input as a reader found it: either Submission
// or Reject is set.
type Item struct {
	Line       int    // where it stands in the input, from 1
	ID         string // as the sender wrote it, when it is a UUID; empty otherwise
	Submission domain.Submission
	Reject     *domain.Rejection
	Dropped    []string // names of foreign fields that are not collected
	Foreign    bool     // of a foreign format: the id is not the sender's, who knows the line

	columns *columns // of a foreign submission
	element string   // of the source's list, when it stands in one
}

// placed names in the rejection of an item the element that it is about.
func (i Item) placed() Item {
	if i.Reject != nil && i.element != "" {
		r := *i.Reject
		r.Field = joined(i.element, r.Field)
		i.Reject = &r
	}
	return i
}

// joined joins two parts of a path, of which one may be empty.
func joined(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "." + b
}

// Verdict returns v as the answer to this item: with its id or, when the sender
// knows it by none, its line, with what was dropped, and with the source's own
// name of the field that a rejection is about.
func (i Item) Verdict(v domain.Verdict) domain.Verdict {
	v.ID, v.Line, v.Dropped = i.ID, 0, i.Dropped
	if i.ID == "" || i.Foreign {
		v.Line = i.Line
	}
	if v.Reject != nil && i.columns != nil {
		v.Reject = i.columns.named(v.Reject, i.element)
	}
	return v
}

var byteOrderMark = []byte("\xEF\xBB\xBF")

// ReadNDJSON reads native submissions, one a line, and checks their form. A line
// that is refused says why in its item, and the next line goes on: no line
// affects another. Blank lines are skipped; a byte order mark and CRLF endings
// are borne with.
//
// It holds one line in memory. When reading fails, the last pair carries the
// error and no item; what was read of an unfinished line is not used.
func ReadNDJSON(r io.Reader) iter.Seq2[Item, error] { return ReadNDJSONNaming(r, nil) }

// ReadNDJSONNaming is [ReadNDJSON] for a sender whose lines need not have ids: a
// line without the field gets the one that name makes for its number, counted from
// 1. When name is nil such a line is refused.
func ReadNDJSONNaming(r io.Reader, name func(line int) domain.UUID) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		// A line may fill the buffer to the last byte of its CRLF.
		size := MaxLine + len("\r\n")
		if whole, ok := r.(interface{ Len() int }); ok { // in memory already: often one line
			size = min(size, whole.Len()+1)
		}
		in := bufio.NewReaderSize(r, size)
		if start, _ := in.Peek(len(byteOrderMark)); bytes.Equal(start, byteOrderMark) {
			_, _ = in.Discard(len(byteOrderMark)) // what was peeked is there
		}
		for n := 1; ; n++ {
			line, err := in.ReadSlice('\n')
			tooLong := errors.Is(err, bufio.ErrBufferFull)
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = in.ReadSlice('\n')
			}
			if err != nil && err != io.EOF {
				yield(Item{}, fmt.Errorf("reading line %d of the input: %w", n, err))
				return
			}
			atEnd := err == io.EOF
			if atEnd && len(line) == 0 {
				return
			}
			line = bytes.TrimSuffix(line, []byte("\n"))
			line = bytes.TrimSuffix(line, []byte("\r"))
			item, any := Item{Line: n}, true
			switch {
			case tooLong || len(line) > MaxLine:
				item.Reject = rejection(domain.CodeTooLong, "", "a line has at most %d bytes", MaxLine)
			case isBlank(line):
				any = false
			default:
				var given domain.UUID
				if name != nil {
					given = name(n)
				}
				item.read(string(line), given)
			}
			if any && !yield(item, nil) || atEnd {
				return
			}
		}
	}
}

func (i *Item) read(line string, given domain.UUID) {
	i.ID, i.Submission, i.Reject = parse(line, given)
	if i.Reject != nil {
		return
	}
	i.Submission = domain.Normalise(i.Submission)
	if err := domain.Check(i.Submission); err != nil {
		i.Submission = nil
		if !errors.As(err, &i.Reject) {
			i.Reject = rejection(domain.CodeBadValue, "", "the submission does not hold together")
		}
	}
}

func isBlank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}
