package web

import (
	"context"
	"encoding/json"
	"io"
)

// tell makes a request that is answered with a table, and calls head with what is no
// row, and then row with each.
func tell[H, R any](ctx context.Context, c *Client, r request, head func(H) error, row func(R) error) error {
	return c.listen(ctx, r, func(answer io.Reader) error {
		t := tableReader{d: json.NewDecoder(io.LimitReader(answer, maxAnswer))}
		return t.read(func(members []byte) error {
			var h H
			if json.Unmarshal(members, &h) != nil {
				return errUnreadable
			}
			return head(h)
		}, func() error {
			var v R
			if err := t.value(&v); err != nil {
				return err
			}
			return row(v)
		})
	})
}

// tableReader reads a [table] from its JSON, of which one row at a time is in memory.
type tableReader struct{ d *json.Decoder }

// read calls head with an object of all members but the list, and each for every row of
// that. The list is the last member; the table may have none.
func (t tableReader) read(head func([]byte) error, each func() error) error {
	if err := t.expect(json.Delim('{')); err != nil {
		return err
	}
	members := []byte{'{'}
	for t.d.More() {
		name, err := t.d.Token()
		if err != nil {
			return brokenAnswer{errUnreadable}
		}
		if name == "by" {
			return t.list(append(members, '}'), head, each)
		}
		var value json.RawMessage
		if err := t.value(&value); err != nil {
			return err
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return err
		}
		if len(members) > 1 {
			members = append(members, ',')
		}
		members = append(append(append(members, quoted...), ':'), value...)
	}
	if err := t.expect(json.Delim('}')); err != nil {
		return err
	}
	return head(append(members, '}'))
}

func (t tableReader) list(members []byte, head func([]byte) error, each func() error) error {
	if err := t.expect(json.Delim('[')); err != nil {
		return err
	}
	if err := head(members); err != nil {
		return err
	}
	for t.d.More() {
		if err := each(); err != nil {
			return err
		}
	}
	if err := t.expect(json.Delim(']')); err != nil {
		return err
	}
	return t.expect(json.Delim('}'))
}

func (t tableReader) expect(want json.Delim) error {
	if got, err := t.d.Token(); err != nil || got != want {
		return brokenAnswer{errUnreadable} // the decoder's own error may quote what it read
	}
	return nil
}

func (t tableReader) value(v any) error {
	if err := t.d.Decode(v); err != nil {
		return brokenAnswer{errUnreadable}
	}
	return nil
}
