package formats

import (
	"bufio"
	"errors"
	"io"
	"iter"
	"strings"
	"time"

	"bahi/domain"
)

// Format is a way of writing submissions down.
type Format uint8

// The formats. The zero value is none: [Read] finds out which one it is.
const (
	NDJSON Format = iota + 1 // ndjson, the native one
	CSV                      // csv: own columns, or DIVOC's
	DIVOC                    // divoc: bodies of its certify calls
	FHIR                     // fhir: Immunization and Patient of R4, alone or in a Bundle
	CoWIN                    // cowin: bodies of the vaccinator's calls
)

var formatNames = []string{"", "ndjson", "csv", "divoc", "fhir", "cowin"}

// String returns ndjson, csv, divoc, fhir or cowin, or "" for none.
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return ""
}

var errFormat = errors.New("a format is ndjson, csv, divoc, fhir or cowin")

// ParseFormat reads a format's name.
func ParseFormat(s string) (Format, error) {
	for i, name := range formatNames {
		if i > 0 && name == s {
			return Format(i), nil
		}
	}
	return 0, errFormat
}

// Options are what foreign records leave unsaid. Native submissions say
// everything themselves.
type Options struct {
	// District stands in where a record names none, or one that the Local
	// Government Directory does not know by that name. With 0 such a record is
	// refused.
	District domain.District

	// Centre stands in where a record names none that can be a centre's code.
	Centre string

	// Group is everybody's; 0 is the group of the person's age as on 1 January
	// 2022.
	Group domain.Group

	// At is when it was, for a registration that says no date.
	At time.Time

	// Format is the input's; 0 is found by content.
	Format Format
}

// check holds the options to what a submission may say.
func (o Options) check() error {
	if o.District != 0 && !domain.KnownDistrict(o.District) {
		return errors.New("the Local Government Directory has no such district")
	}
	if o.Centre == "" {
		return nil
	}
	return domain.CheckCentre(o.Centre)
}

// groupOf returns the group of somebody born in a year, which stands in column.
func (o Options) groupOf(birthYear int, column string, reject **domain.Rejection) domain.Group {
	if o.Group != 0 || *reject != nil {
		return o.Group
	}
	group, wrong := ageGroup(birthYear)
	if wrong != nil {
		*reject = wrong.about(column)
	}
	return group
}

// Read reads submissions in the format that the options name, or that the
// beginning of the input shows. The error is of the options, or of reading that
// beginning; a format that does not show itself is read as NDJSON, whose
// rejections tell what is expected. A workbook of a spreadsheet, an archive or a
// compressed file is one item that says so.
//
// Every reader holds one record in memory, of a FHIR Bundle up to [MaxBundle]. A
// bad record never affects another. When reading fails, the last pair carries the
// error and no item.
func Read(r io.Reader, o Options) (iter.Seq2[Item, error], error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	in := bufio.NewReaderSize(decoded(r), 64<<10)
	if item, found := findPacked(in); found {
		return func(yield func(Item, error) bool) { yield(item, nil) }, nil
	}
	format := o.Format
	if format == 0 {
		var err error
		if format, err = findFormat(in); err != nil {
			return nil, err
		}
	}
	switch format {
	case NDJSON:
		return ReadNDJSON(in), nil
	case CSV:
		return ReadCSV(in, o), nil
	case DIVOC:
		return ReadDIVOC(in, o), nil
	case FHIR:
		return ReadFHIR(in, o), nil
	case CoWIN:
		return ReadCoWIN(in, o), nil
	}
	return nil, errFormat
}

// findFormat looks at the beginning of an input, as much as it takes to see the
// first line or object, and takes nothing.
func findFormat(in *bufio.Reader) (Format, error) {
	for n := 1; ; n = in.Buffered() + 1 {
		text, err := peekMore(in, n)
		isList := strings.HasPrefix(strings.TrimLeft(text, blanks), "[")
		isEmpty := isList && strings.Trim(text, blanks+brackets) == ""
		if isEmpty && err == io.EOF {
			return DIVOC, nil // a list of nothing, of whichever of them
		}
		text = strings.TrimLeft(text, blanks+"[")
		found, sure := formatOfLine(text)
		if line, _, _ := strings.Cut(text, "\n"); strings.Contains(line, "{") {
			found, sure = formatOfObjects(text[strings.Index(text, "{"):])
		}
		if sure && !isEmpty || err == io.EOF || err == bufio.ErrBufferFull {
			return found, nil
		} else if err != nil {
			return 0, err
		}
	}
}

// peekMore looks at n bytes and what comes with them.
func peekMore(in *bufio.Reader, n int) (string, error) {
	_, err := in.Peek(n)
	text, _ := in.Peek(in.Buffered())
	return string(text), err
}

// formatOfObjects tells a format by the first object that can be read, of those
// that are no member's value: what is broken tells nothing.
func formatOfObjects(text string) (found Format, sure bool) {
	const most = 100 // objects that are tried
	for range most {
		if found, sure = formatOfObject(text); found != NDJSON || !sure {
			return found, sure
		}
		if scan := foreignScanner(text); scan.members("{", "") != 0 {
			return NDJSON, true
		}
		for {
			next := strings.IndexByte(text[1:], '{') + 1
			if next == 0 {
				return NDJSON, false
			}
			before := strings.TrimRight(text[:next], blanks)
			isMember := strings.HasSuffix(before, ":") && !strings.HasSuffix(text[:next], "\n")
			if text = text[next:]; !isMember {
				break
			}
		}
	}
	return NDJSON, true
}

// beginsSortedBundle tells a Bundle whose entries come before all else, and which
// may go on for long, by the first resource in it.
func beginsSortedBundle(text string) bool {
	rest := strings.TrimLeft(strings.TrimPrefix(text, "{"), blanks)
	rest, isEntry := strings.CutPrefix(rest, `"entry"`)
	rest, isMember := strings.CutPrefix(strings.TrimLeft(rest, blanks), ":")
	return isEntry && isMember && strings.HasPrefix(strings.TrimLeft(rest, blanks), "[") && strings.Contains(rest, `"resourceType"`)
}

// formatOfObject tells a format by the members of the first object, of which
// there may be a part. It is sure when more of it would tell no more.
func formatOfObject(text string) (found Format, sure bool) {
	for _, foreign := range []struct {
		format Format
		looks  func(string) bool
	}{{FHIR, looksLikeFHIR}, {DIVOC, looksLikeDIVOC}, {CoWIN, looksLikeCoWIN}} {
		if foreign.looks(text) {
			return foreign.format, true
		}
	}
	if beginsSortedBundle(text) {
		return FHIR, true
	}
	scan := foreignScanner(text)
	return NDJSON, scan.members("{", "") != 0 || scan.at+len("false") <= len(text)
}

// formatOfLine tells CSV by the separators of its header.
func formatOfLine(text string) (found Format, sure bool) {
	line, _, whole := strings.Cut(text, "\n")
	if strings.ContainsAny(line, ",;\t|") {
		return CSV, whole
	}
	return NDJSON, whole
}

// beginsJSON tells whether the first line of an input can be of JSON: a header of
// CSV has no braces.
func beginsJSON(in *bufio.Reader) bool {
	for n := 1; ; n = in.Buffered() + 1 {
		text, err := peekMore(in, n) // a failure comes again, from the reader
		line, _, whole := strings.Cut(strings.TrimLeft(text, blanks), "\n")
		if isJSON := strings.ContainsAny(line, "{["); isJSON || whole || err != nil {
			return isJSON
		}
	}
}
