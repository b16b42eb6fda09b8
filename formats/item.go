package formats

import "bahi/domain"

// Item is one submission of the input as a reader found it: either Submission
// or Reject is set.
type Item struct {
	Line       int    // where it stands in the input, from 1
	ID         string // as the sender wrote it, when it is a UUID; empty otherwise
	Submission domain.Submission
	Reject     *domain.Rejection
	Dropped    []string // names of foreign fields that are not collected
	Foreign    bool     // of a foreign format: the id is not the sender's, who knows the line

	columns *columns // of a submission that is not NDJSON
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

// Verdict returns v as the answer to this item: with its id, and its line unless it
// is one of NDJSON that the id names; with what was dropped, and with the source's
// own name of the field that a rejection is about.
func (i Item) Verdict(v domain.Verdict) domain.Verdict {
	v.ID, v.Line, v.Dropped = i.ID, 0, i.Dropped
	if i.ID == "" || i.Foreign || i.columns != nil {
		v.Line = i.Line
	}
	if v.Reject != nil && i.columns != nil {
		v.Reject = i.columns.named(v.Reject, i.element)
	}
	return v
}

// Source is how a foreign record, or a row of CSV, calls what a verdict may name:
// what is to be kept beside a submission whose verdict comes later. Of a native one
// it is empty.
type Source struct {
	Foreign bool              `json:"foreign,omitempty"`
	Element string            `json:"element,omitempty"` // of its list
	Fields  map[string]string `json:"fields,omitempty"`  // paths of the record, by our names
}

// Source returns how the item's record calls things.
func (i Item) Source() Source {
	s := Source{Foreign: i.Foreign, Element: i.element}
	if i.columns == nil {
		return s
	}
	s.Fields = map[string]string{}
	for n, field := range namedFields {
		if own := i.columns[n]; own != "" {
			s.Fields[field] = own
		}
	}
	return s
}

// Of returns the item with the names of a source.
func (i Item) Of(s Source) Item {
	i.Foreign, i.element, i.columns = s.Foreign, s.Element, nil
	if s.Fields != nil {
		i.columns = columnsBy(func(field string) string { return s.Fields[field] })
	}
	return i
}
