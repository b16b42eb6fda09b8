package formats

import (
	"bytes"
	"fmt"
	"io"

	"bahi/domain"
)

// csvRecord is one row of a CSV input as it stands there, without its line
// ending.
type csvRecord struct {
	text   []byte // until the next call
	line   int    // where it begins, from 1
	quoted bool   // there is a quotation mark in it
	reject *reason
}

// csvRecords cuts a CSV input into rows. A line ends with LF, CRLF or CR. Inside
// quotation marks a row goes on over line ends, and it is whole when the number
// of its quotation marks is even; that needs no knowledge of the delimiter.
//
// A mark too many must not swallow the rows that follow. A row that is not whole
// after [MaxLine] bytes, or that turns out not to be well formed (see
// [csvRecords.back]), is refused as its first line, and the next line is read as
// if nothing had been. So a row is looked at twice at most: what is read in vain
// ends where the next line has an odd number of marks, or at the limit.
type csvRecords struct {
	in       io.Reader
	buf      []byte
	from, to int   // what is read and not taken yet is buf[from:to]
	err      error // of the reader, once it has come

	line  int // the number of the line at from
	marks csvMarks

	// To go back to the second line of the last row.
	behind      int // bytes after its first line
	behindLines int
	atBegin     csvMarks
}

// csvMarks knows where the next of three bytes stands, so that none is looked
// for twice over the same stretch of input.
type csvMarks struct{ lf, cr, quote csvMark }

// csvMark is where a byte stands next, or up to where it does not.
type csvMark struct {
	at    int // in buf
	found bool
}

const (
	firstBuffer = 64 << 10
	fullBuffer  = 2 * MaxLine
)

func newCSVRecords(r io.Reader) *csvRecords {
	return &csvRecords{in: r, buf: make([]byte, firstBuffer), line: 1}
}

var (
	errLongLine = &reason{domain.CodeTooLong, fmt.Sprintf("a line has at most %d bytes", MaxLine)}
	errOpen     = &reason{domain.CodeBadCSV, "a quotation mark opens in this row and none closes it; a mark within a value is written twice"}
)

// next returns the next row, blank ones too, and io.EOF after the last.
func (r *csvRecords) next() (csvRecord, error) {
	r.atBegin = r.marks
	rec := csvRecord{line: r.line}
	end, next, err := r.lineFrom(0)
	if err != nil {
		return rec, err
	}
	if end > MaxLine {
		return r.skipLine(rec)
	}
	first, lines := next, 1
	quotes := r.countQuotes(0, end)
	rec.quoted = quotes > 0
	for quotes%2 != 0 {
		further, after, err := r.lineFrom(next)
		if err != nil && err != io.EOF {
			return rec, err
		}
		if err == io.EOF || further > MaxLine {
			rec.reject = errOpen
			r.take(first, 1)
			r.marks = r.atBegin
			return rec, nil
		}
		quotes += r.countQuotes(next, further)
		end, next = further, after
		lines++
	}
	rec.text = r.buf[r.from : r.from+end]
	r.behind, r.behindLines = next-first, lines-1
	r.take(next, lines)
	return rec, nil
}

// back puts everything but the first line of the last row back, because the row
// is not well formed.
func (r *csvRecords) back() {
	r.take(-r.behind, -r.behindLines)
	r.behind, r.behindLines = 0, 0
	r.marks = r.atBegin
}

func (r *csvRecords) take(n, lines int) {
	r.from += n
	r.line += lines
}

// lineFrom finds the end of the line that begins at an offset from r.from, and
// where the next one begins, both as offsets. A line that has not ended after
// MaxLine bytes ends where the buffer does. It fails with io.EOF where there is no
// line, and with what the reader said where a line is not whole.
func (r *csvRecords) lineFrom(offset int) (end, next int, err error) {
	for {
		at := r.from + offset
		i := min(r.find(&r.marks.lf, '\n', at), r.find(&r.marks.cr, '\r', at))
		switch {
		case i == r.to && r.err == io.EOF && at < r.to:
			return r.to - r.from, r.to - r.from, nil
		case i == r.to && r.err != nil:
			return 0, 0, r.err
		case i < r.to && r.buf[i] == '\n' || i+1 == r.to && r.err != nil:
			return i - r.from, i + 1 - r.from, nil
		case i+1 < r.to && r.buf[i+1] == '\n': // CRLF
			return i - r.from, i + 2 - r.from, nil
		case i+1 < r.to:
			return i - r.from, i + 1 - r.from, nil
		case r.to-r.from > MaxLine+1:
			return r.to - r.from, r.to - r.from, nil
		}
		r.fill()
	}
}

// find returns where c stands at or after a place in buf, or r.to.
func (r *csvRecords) find(m *csvMark, c byte, from int) int {
	if m.at < from {
		*m = csvMark{at: from}
	}
	if !m.found {
		if i := bytes.IndexByte(r.buf[m.at:r.to], c); i >= 0 {
			*m = csvMark{at: m.at + i, found: true}
		} else {
			m.at = r.to
		}
	}
	return m.at
}

func (r *csvRecords) countQuotes(from, to int) (n int) {
	from, to = from+r.from, to+r.from
	for {
		from = r.find(&r.marks.quote, '"', from) + 1
		if from > to {
			return n
		}
		n++
	}
}

// fill reads more behind r.to. It keeps what is not taken, so it is called only
// where that is less than the buffer can hold.
func (r *csvRecords) fill() {
	if r.to == len(r.buf) {
		if r.from == 0 || r.to-r.from > len(r.buf)/2 && len(r.buf) < fullBuffer {
			r.buf = append(make([]byte, 0, min(2*len(r.buf), fullBuffer)), r.buf...)
			r.buf = r.buf[:cap(r.buf)]
		}
		copy(r.buf, r.buf[r.from:r.to])
		for _, marks := range []*csvMarks{&r.marks, &r.atBegin} {
			for _, m := range []*csvMark{&marks.lf, &marks.cr, &marks.quote} {
				m.at -= r.from
			}
		}
		r.from, r.to = 0, r.to-r.from
	}
	var n int
	for range 100 { // as often as bufio gives a reader that reads nothing
		n, r.err = r.in.Read(r.buf[r.to:])
		r.to += n
		if n > 0 || r.err != nil {
			return
		}
	}
	r.err = io.ErrNoProgress
}

// skipLine passes over a line that is too long, without keeping it.
func (r *csvRecords) skipLine(rec csvRecord) (csvRecord, error) {
	rec.reject = errLongLine
	for {
		end, next, err := r.lineFrom(0)
		if err == io.EOF {
			break
		}
		if err != nil {
			return rec, err
		}
		ended := next > end
		r.from += next
		if ended {
			break
		}
	}
	r.line++
	r.behind, r.behindLines = 0, 0
	return rec, nil
}
