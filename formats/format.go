package formats

import (
	"errors"
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
