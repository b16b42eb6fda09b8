package projections

import (
	"encoding/json"
	"io"
)

// TableWriter writes an answer with rows as JSON while the rows are made: the same bytes
// as the encoding of the whole would be. What has rows is no JSON before [TableWriter.End].
type TableWriter struct {
	w     io.Writer
	split bool
	rows  bool
}

// NewTableWriter returns a writer to w. It writes each row by itself: w had better be
// buffered.
func NewTableWriter(w io.Writer) *TableWriter { return &TableWriter{w: w} }

// Head begins the answer with an object that has no rows. Split tells whether there
// is a list of them, perhaps an empty one.
func (t *TableWriter) Head(head any, split bool) error {
	b, err := json.Marshal(head)
	if err != nil {
		return err
	}
	if t.split = split; split {
		b = append(b[:len(b)-1], `,"by":[`...)
	}
	_, err = t.w.Write(b)
	return err
}

// Row writes a row.
func (t *TableWriter) Row(row any) error {
	b, err := json.Marshal(row)
	if err != nil {
		return err
	}
	if t.rows {
		if _, err := io.WriteString(t.w, ","); err != nil {
			return err
		}
	}
	t.rows = true
	_, err = t.w.Write(b)
	return err
}

// End ends the answer.
func (t *TableWriter) End() error {
	end := "\n"
	if t.split {
		end = "]}\n"
	}
	_, err := io.WriteString(t.w, end)
	return err
}
