package formats

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"bahi/domain"
)

// layout is a kind of rows, known by the columns of the header.
type layout struct {
	what     string
	columns  []string          // all that it is known by
	byName   map[string]string // the columns by folded name
	required []string
	rows     func(h header, o Options) rowReader
}

func newLayout(what string, columns, required []string, rows func(header, Options) rowReader) *layout {
	byName := make(map[string]string, len(columns))
	for _, c := range columns {
		byName[folded(c)] = c
	}
	return &layout{what, columns, byName, required, rows}
}

var layouts = []*layout{
	newLayout("own columns", ownColumns, []string{"type"}, newOwnRows),
	newLayout("DIVOC's certificates",
		[]string{
			"preEnrollmentCode", "recipientName", "recipientMobileNumber", "recipientDOB", "recipientAge", "recipientGender",
			"recipientNationality", "recipientIdentity", "recipientAddressLine1", "recipientAddressLine2", "recipientDistrict",
			"recipientState", "recipientPincode", "vaccinationBatch", "vaccinationDate", "vaccinationDose", "vaccinationTotalDoses",
			"vaccinationEffectiveStart", "vaccinationEffectiveEnd", "vaccinationManufacturer", "vaccinationName", "vaccinatorName",
			"facilityName", "facilityAddressLine1", "facilityAddressLine2", "facilityDistrict", "facilityState", "facilityPincode",
			"previousCertificateId", "metaPreviousCertificateId",
		},
		[]string{
			"recipientName", "recipientMobileNumber", "recipientGender", "recipientIdentity",
			"vaccinationBatch", "vaccinationDate", "vaccinationDose", "vaccinationName",
		},
		newCertificateRows),
	newLayout("DIVOC's pre-enrolments",
		[]string{
			"phone", "identity", "dob", "gender", "name", "email", "addressLine1", "addressLine2", "district", "state", "pincode",
			"nationality", "doseNumber", "enrollmentScopeId",
		},
		[]string{"phone", "identity", "dob", "gender", "name"},
		newPreEnrolmentRows),
}

// header is the first row, by place.
type header struct {
	cells []string // as they stand there
	known []string // what the layout calls them; "" of those that it does not know
	names []string // by which a verdict may call them
}

// maxColumns is how many columns a header has at most. Spreadsheets put empty
// ones behind the last; those do not count.
const maxColumns = 64

// readHeader reads up to the header and tells what the rows are. What is wrong
// with the header is in the item.
func readHeader(in *csvRecords, o Options) (*table, Item, error) {
	separators := []byte(",;\t|")
	for {
		rec, err := in.next()
		if err != nil {
			return nil, Item{}, err
		}
		item := Item{Line: rec.line, Foreign: true}
		switch c, isSeparator := separatorLine(rec.text); {
		case rec.reject != nil:
			item.Reject = badHeader("the header cannot be read: %s", rec.reject.message)
			return nil, item, nil
		case isSeparator:
			separators = []byte{c}
			continue
		case isBlank(rec.text):
			continue
		}
		t, reject := findHeader(rec.text, separators, o)
		item.Reject = reject
		return t, item, nil
	}
}

func badHeader(format string, args ...any) *domain.Rejection {
	return rejection(domain.CodeBadCSV, "", format+"; no row was read", args...)
}

// separatorLine reads the line sep=; that spreadsheets take a separator from.
func separatorLine(line []byte) (byte, bool) {
	line = bytes.Trim(line, " \t\"")
	if len(line) == 5 && bytes.EqualFold(line[:4], []byte("sep=")) {
		return line[4], strings.IndexByte(",;|", line[4]) >= 0
	}
	return '\t', bytes.EqualFold(line, []byte("sep="))
}

// findHeader finds the separator and the layout under which most columns of a
// header are known.
func findHeader(line []byte, separators []byte, o Options) (*table, *domain.Rejection) {
	if !utf8.Valid(line) {
		return nil, badHeader("the header is not UTF-8 text; save the file as CSV UTF-8")
	}
	var names []string
	var found *layout
	var separator byte
	best := 1 // one name alone is chance
	for _, c := range separators {
		cells := headerCells(line, c)
		for _, l := range layouts {
			if n := l.count(cells); n > best {
				names, found, separator, best = cells, l, c, n
			}
		}
	}
	if found == nil {
		return nil, badHeader("the first row is no header that is known; expected own columns (%s, …), DIVOC's certificates (%s, …) or DIVOC's pre-enrolments (%s, …)",
			strings.Join(layouts[0].columns[:6], ", "), strings.Join(layouts[1].columns[:4], ", "), strings.Join(layouts[2].columns[:4], ", "))
	}
	return found.table(names, separator, o)
}

// headerCells splits a header and drops the empty cells behind the last. A header
// that is no CSV has no cells.
func headerCells(line []byte, separator byte) []string {
	r := csv.NewReader(bytes.NewReader(line))
	r.Comma = rune(separator)
	cells, err := r.Read()
	if err != nil && err != io.EOF {
		return nil
	}
	for i := range cells {
		cells[i] = trimmed(cells[i])
	}
	for len(cells) > 0 && cells[len(cells)-1] == "" {
		cells = cells[:len(cells)-1]
	}
	return cells
}

// count tells how many cells of a header the layout knows, as far as one goes.
func (l *layout) count(cells []string) (n int) {
	for _, cell := range cells[:min(len(cells), maxColumns)] {
		if l.byName[folded(cell)] != "" {
			n++
		}
	}
	return n
}

// table is the input under a header that the layout is best known by.
func (l *layout) table(cells []string, separator byte, o Options) (*table, *domain.Rejection) {
	if len(cells) > maxColumns {
		return nil, badHeader("the header has %d columns; at most %d can be read", len(cells), maxColumns)
	}
	h := header{cells: cells, known: make([]string, len(cells)), names: make([]string, len(cells))}
	for i, cell := range cells {
		name := l.byName[folded(cell)]
		if name != "" && slices.Contains(h.known, name) {
			return nil, badHeader("the header has the column %s twice; rename or remove one", name)
		}
		h.known[i], h.names[i] = name, cmp.Or(shownName(cell), name, fmt.Sprintf("column%d", i+1))
	}
	var missing []string
	for _, name := range l.required {
		if !slices.Contains(h.known, name) {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return nil, badHeader("the header is one of %s and has no column %s", l.what, strings.Join(missing, ", "))
	}
	return &table{delimiter: separator, columns: h.names, rows: l.rows(h, o)}, nil
}
