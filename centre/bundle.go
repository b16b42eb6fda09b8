package centre

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"bahi/domain"
	"bahi/formats"
)

// maxLines bounds the native lines of a bundle in bytes: sealed, and with its
// verdicts, it stays far below what a NATS message holds.
const maxLines = 512 << 10

// bundle is what the spool keeps and answers together: submissions that came one
// after another in a request or a file, and, in their places, those that the
// reader refused. It is written as JSON, and read by later versions.
type bundle struct {
	File  string `json:"file,omitempty"`  // the id of the file that it comes from
	First int    `json:"first,omitempty"` // how many submissions of the file stand before it
	Items []item `json:"items"`
}

// item is one submission of a bundle: as a native line, or the reason why there
// is none.
type item struct {
	Line       int             `json:"line"`
	ID         string          `json:"id,omitempty"`
	Dropped    []string        `json:"dropped,omitempty"`
	Source     formats.Source  `json:"source,omitzero"`
	Submission json.RawMessage `json:"submission,omitempty"`
	Code       domain.Code     `json:"code,omitempty"`
	Field      string          `json:"field,omitempty"`
	Message    string          `json:"message,omitempty"`
}

func itemOf(i formats.Item) item {
	it := item{Line: i.Line, ID: i.ID, Dropped: i.Dropped, Source: i.Source()}
	if r := i.Reject; r != nil {
		it.Code, it.Field, it.Message = r.Code, r.Field, r.Message
	} else {
		it.Submission = formats.AppendSubmission(nil, i.Submission)
	}
	return it
}

// reject returns why the reader refused it, or nil.
func (i item) reject() *domain.Rejection {
	if i.Code == "" {
		return nil
	}
	return &domain.Rejection{Code: i.Code, Field: i.Field, Message: i.Message}
}

// verdict completes a verdict of the ledger with what only the bundle knows.
func (i item) verdict(v domain.Verdict) domain.Verdict {
	return formats.Item{Line: i.Line, ID: i.ID, Dropped: i.Dropped}.Of(i.Source).Verdict(v)
}

// bundles cuts a reader's items into bundles of so many. An error of the reader
// comes after the bundle of what was read before it.
func bundles(items iter.Seq2[formats.Item, error], most int) iter.Seq2[bundle, error] {
	return func(yield func(bundle, error) bool) {
		var b bundle
		size := 0
		for next, err := range items {
			if err != nil {
				if len(b.Items) == 0 || yield(b, nil) {
					yield(bundle{}, err)
				}
				return
			}
			it := itemOf(next)
			if len(b.Items) == most || size+len(it.Submission) > maxLines && len(b.Items) > 0 {
				if !yield(b, nil) {
					return
				}
				b, size = bundle{}, 0
			}
			b.Items = append(b.Items, it)
			size += len(it.Submission) + 1
		}
		if len(b.Items) > 0 {
			yield(b, nil)
		}
	}
}

func (b bundle) encode() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(b)
	return out.Bytes(), err
}

func decodeBundle(plain []byte) (b bundle, err error) {
	if json.Unmarshal(plain, &b) != nil || len(b.Items) == 0 {
		return bundle{}, errDamaged // the decoder's own error may quote what it read
	}
	return b, nil
}

// appendLines appends what of the bundle is for the ledger, and says how many
// lines that are.
func (b bundle) appendLines(lines []byte) ([]byte, int) {
	n := 0
	for _, it := range b.Items {
		if it.Code == "" {
			lines = append(append(lines, it.Submission...), '\n')
			n++
		}
	}
	return lines, n
}

var errMiscounted = errors.New("the ledger answered with another number of verdicts than it was sent submissions")

// answer joins the ledger's verdicts with those of the reader, as NDJSON in the
// order of the bundle, and returns the verdicts that are left for others.
func (b bundle) answer(from []domain.Verdict) (lines []byte, counts Counts, left []domain.Verdict, err error) {
	for _, it := range b.Items {
		v := domain.Verdict{Outcome: domain.Rejected, Reject: it.reject()}
		if v.Reject == nil {
			if len(from) == 0 {
				return nil, Counts{}, nil, errMiscounted
			}
			v, from = from[0], from[1:]
		}
		v = it.verdict(v)
		counts.add(v.Outcome)
		lines = append(formats.AppendVerdict(lines, v), '\n')
	}
	return lines, counts, from, nil
}

// refused says of every submission of the bundle that the ledger refused the
// bundle as a whole: what stands in the file's verdicts in their place.
func (b bundle) refused(id domain.UUID, code string) (lines []byte) {
	for _, it := range b.Items {
		line, err := json.Marshal(Kept{Line: it.Line, ID: it.ID, Verdict: "refused", Bundle: id, Code: code})
		if err != nil {
			panic(err) // strings and numbers
		}
		lines = append(append(lines, line...), '\n')
	}
	return lines
}

// Kept tells a caller what became of one line, as JSON: "kept" with the bundle
// under which its verdict will be found, "rejected" with a code when it was
// refused at once, and, in a file's verdicts, "refused" when the ledger could not
// take in its bundle.
type Kept struct {
	ID      string      `json:"id,omitempty"`
	Line    int         `json:"line"`
	Verdict string      `json:"verdict"`
	Bundle  domain.UUID `json:"bundle"`
	Code    string      `json:"code,omitempty"`
	Field   string      `json:"field,omitempty"`
	Message string      `json:"message,omitempty"`
	Dropped []string    `json:"dropped,omitempty"`
}

func (i item) kept(in domain.UUID) Kept {
	k := Kept{ID: i.ID, Line: i.Line, Verdict: "kept", Bundle: in, Dropped: i.Dropped}
	if i.Code != "" {
		k.Verdict, k.Code, k.Field, k.Message = domain.Rejected.String(), string(i.Code), i.Field, i.Message
	}
	return k
}

// Counts are verdicts by their outcome.
type Counts struct {
	Accepted  int64 `json:"accepted"`
	Duplicate int64 `json:"duplicate"`
	Rejected  int64 `json:"rejected"`
}

func (c *Counts) add(o domain.Outcome) {
	switch o {
	case domain.Accepted:
		c.Accepted++
	case domain.Duplicate:
		c.Duplicate++
	case domain.Rejected:
		c.Rejected++
	}
}

func (c *Counts) plus(other Counts) {
	c.Accepted += other.Accepted
	c.Duplicate += other.Duplicate
	c.Rejected += other.Rejected
}

// FullError says that nothing more can be kept until the link is back. What was
// kept before stays.
type FullError struct {
	Bundles uint64
	Bytes   uint64
	Limit   int64 // bytes
	Disk    bool  // it is the disk that is full, not the spool
}

func (e *FullError) Error() string {
	if e.Disk {
		return "the disk is nearly full; make space, nothing more is kept until then"
	}
	return fmt.Sprintf("the spool is full: %d bundles of %d bytes wait for the link (at most %d bytes); send this again when some have gone", e.Bundles, e.Bytes, e.Limit)
}
