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
		if item, found := findPacked(in); found {
			yield(item, nil)
			return
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
