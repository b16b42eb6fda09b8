package export

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"bahi/ledger"
)

// Format is how events are written down.
type Format string

// The formats.
const (
	NDJSON  Format = "ndjson"
	CSV     Format = "csv"
	Parquet Format = "parquet"
)

// Formats are all formats.
var Formats = []string{string(NDJSON), string(CSV), string(Parquet)}

// ParseFormat reads a format's name.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case NDJSON, CSV, Parquet:
		return f, nil
	}
	return "", fmt.Errorf("the format is ndjson, csv or parquet")
}

// Writer writes events in one format. Flush hands on all that is written so far,
// except of Parquet, where it ends a group of rows. Close writes what ends the file,
// and leaves the file open.
type Writer interface {
	Write(ledger.ReplayEvent) error
	Flush() error
	Close() error
}

// Options say how to write.
type Options struct {
	Exact bool // with the columns of exact replays
	Bare  bool // CSV without its header: what goes on
}

// NewWriter returns a writer to w.
func NewWriter(w io.Writer, f Format, o Options) (Writer, error) {
	switch f {
	case NDJSON:
		return newLines(w), nil
	case CSV:
		return newTable(w, o)
	case Parquet:
		if o.Exact {
			return newParquet(w, exactRowOf), nil
		}
		return newParquet(w, rowOf), nil
	}
	return nil, fmt.Errorf("there is no format %q", f)
}

const buffered = 256 << 10

type lines struct {
	*bufio.Writer
	encode *json.Encoder
}

func newLines(w io.Writer) lines {
	out := bufio.NewWriterSize(w, buffered)
	return lines{out, json.NewEncoder(out)}
}

func (l lines) Write(e ledger.ReplayEvent) error {
	e.Through = 0 // between the ledger and us
	return l.encode.Encode(e)
}

func (l lines) Close() error { return l.Flush() }

type table struct {
	out     *csv.Writer
	exact   bool
	scratch []string
}

func newTable(w io.Writer, o Options) (*table, error) {
	t := &table{out: csv.NewWriter(bufio.NewWriterSize(w, buffered)), exact: o.Exact}
	if o.Bare {
		return t, nil
	}
	columns := header
	if o.Exact {
		columns = append(columns[:len(columns):len(columns)], exactHeader...)
	}
	return t, t.out.Write(columns)
}

func (t *table) Write(e ledger.ReplayEvent) error {
	t.scratch = fields(t.scratch[:0], e, t.exact)
	return t.out.Write(t.scratch)
}

func (t *table) Flush() error {
	t.out.Flush()
	return t.out.Error()
}

func (t *table) Close() error { return t.Flush() }

// groupRows is how many rows a row group has: what a writer holds in memory, about
// 20 MB, and what a reader decodes at a time.
const groupRows = 128 << 10

// batchRows is how many rows are handed to the columns at once.
const batchRows = 1 << 10

// rows writes Parquet: T is row or exactRow.
type rows[T any] struct {
	of    func(ledger.ReplayEvent) T
	out   *parquet.GenericWriter[T]
	batch []T
}

func newParquet[T any](w io.Writer, of func(ledger.ReplayEvent) T) *rows[T] {
	return &rows[T]{
		of: of,
		out: parquet.NewGenericWriter[T](w,
			parquet.NewSchema("event", parquet.SchemaOf(new(T))),
			parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
			parquet.MaxRowsPerRowGroup(groupRows),
			parquet.CreatedBy("bahi", "1", ""),
		),
		batch: make([]T, 0, batchRows),
	}
}

func (r *rows[T]) Write(e ledger.ReplayEvent) error {
	r.batch = append(r.batch, r.of(e))
	if len(r.batch) < batchRows {
		return nil
	}
	return r.hand()
}

func (r *rows[T]) hand() error {
	_, err := r.out.Write(r.batch)
	r.batch = r.batch[:0]
	return err
}

func (r *rows[T]) Flush() error {
	if err := r.hand(); err != nil {
		return err
	}
	return r.out.Flush()
}

func (r *rows[T]) Close() error {
	if err := r.hand(); err != nil {
		return err
	}
	return r.out.Close()
}
