package formats

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"bahi/domain"
)

// ReadCSV reads CSV with a header, which tells what the rows are:
//
//   - own columns: one submission a row, its fields under their native names;
//     photo_id is two columns, photo_id_type and photo_id_number. A cell without
//     text is a field left out. The id may be left out as well, but of a reversal
//     request: it is then made of the row's content, and the same row again is a
//     duplicate, wherever it stands. Freezes are not read from CSV.
//   - DIVOC's certificates: a row is a restated registration and a dose.
//   - DIVOC's pre-enrolments: a row is a restated registration.
//
// The header may come in any order, case and spacing. Values are separated by
// comma, semicolon, tab or bar, whichever the header has; they may stand in
// quotation marks, and then hold separators, marks (twice) and line ends. Text is
// UTF-8, or UTF-16 as spreadsheets write it; a row in anything else is refused,
// not guessed at. Dates, numbers and names are read in the ways that
// spreadsheets and people write them, see docs/FORMATS.md.
//
// A row that is refused says why in its item, by column, and the next row goes
// on: no row affects another, and a quotation mark that is never closed costs
// its own line. So does one that is closed in another row: a value over several
// lines that has the separators of a whole row in it is refused. Blank rows are skipped. A header that cannot be used is one item,
// and no row is read.
//
// One row is held in memory, at most [MaxLine] bytes. When reading fails, the
// last pair carries the error and no item; what was read of an unfinished row is
// not used.
func ReadCSV(r io.Reader, o Options) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		in := newCSVRecords(decoded(r))
		t, header, err := readHeader(in, o)
		for err == nil && header.Reject == nil {
			var row csvRecord
			if row, err = in.next(); err == nil && !t.row(in, row, func(i Item) bool { return yield(i, nil) }) {
				return
			}
		}
		switch {
		case err == nil:
			yield(header, nil)
		case err != io.EOF:
			yield(Item{}, fmt.Errorf("reading line %d of the input: %w", in.line, err))
		}
	}
}

// table is a CSV input whose header is known.
type table struct {
	delimiter byte
	columns   []string // names by place, as they may be shown
	rows      rowReader

	cells  []string // of the row
	quoted *csv.Reader
	feed   bytes.Reader
}

// rowReader makes items of the cells of a row.
type rowReader interface {
	read(line int, cells []string, yield func(Item) bool) bool
}

var (
	errNotUTF8 = badValue("the row is not UTF-8 text; save the file as CSV UTF-8")
	errQuotes  = &reason{domain.CodeBadCSV, "the row's quotation marks do not come out; a value with marks stands in marks, and those within it are written twice"}
)

// row reads one row. It returns false when yield does.
func (t *table) row(in *csvRecords, row csvRecord, yield func(Item) bool) bool {
	refuse := func(r *domain.Rejection) bool { return yield(Item{Line: row.line, Reject: r, Foreign: true}) }
	if row.reject != nil {
		return refuse(row.reject.about(""))
	}
	if !t.split(row) || row.quoted && t.holdsTwo() {
		in.back()
		return refuse(errQuotes.about(""))
	}
	if isBlankRow(t.cells) {
		return true
	}
	if n := len(t.cells); n < len(t.columns) || !isBlankRow(t.cells[len(t.columns):]) {
		in.back()
		return refuse(rejection(domain.CodeBadCSV, "", "the row has %d columns and the header %d", n, len(t.columns)))
	}
	if !utf8.Valid(row.text) {
		i := slices.IndexFunc(t.cells, func(cell string) bool { return !utf8.ValidString(cell) })
		return refuse(errNotUTF8.about(t.columns[i]))
	}
	return t.rows.read(row.line, t.cells[:len(t.columns)], yield)
}

// holdsTwo tells whether the cells hold delimiters enough for two rows, those in
// values over several lines counted: then a quotation mark too many in one row met
// one in another, and what lies between is not one value. Taken as one, the row
// could give a person of the first line the dose of the last.
func (t *table) holdsTwo() bool {
	n, lines := len(t.cells)-1, false
	for _, cell := range t.cells {
		if strings.ContainsAny(cell, "\r\n") {
			n += strings.Count(cell, string(t.delimiter))
			lines = true
		}
	}
	return lines && n >= 2*(len(t.columns)-1)
}

// split cuts a row into cells, which share one string. It returns false for a
// row whose quotation marks are not as RFC 4180 has them.
func (t *table) split(row csvRecord) bool {
	if !row.quoted {
		t.cells = cut(t.cells[:0], string(row.text), t.delimiter)
		return true
	}
	if t.quoted == nil {
		t.quoted = csv.NewReader(&t.feed)
		t.quoted.Comma = rune(t.delimiter)
		t.quoted.FieldsPerRecord = -1
		t.quoted.ReuseRecord = true
	}
	t.feed.Reset(row.text)
	cells, err := t.quoted.Read()
	if err != nil {
		t.quoted = nil // it may hold a rest of the row
		return false
	}
	t.cells = append(t.cells[:0], cells...)
	return true
}

// cut splits a row without quotation marks.
func cut(cells []string, row string, delimiter byte) []string {
	for {
		i := strings.IndexByte(row, delimiter)
		if i < 0 {
			return append(cells, row)
		}
		cells = append(cells, row[:i])
		row = row[i+1:]
	}
}

func isBlankRow(cells []string) bool {
	for _, c := range cells {
		if trimmed(c) != "" {
			return false
		}
	}
	return true
}
