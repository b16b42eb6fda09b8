package export

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"bahi/domain"
	"bahi/ledger"
)

var update = flag.Bool("update", false, "write the golden files anew")

// written returns events in a format.
func written(t testing.TB, f Format, o Options, events []ledger.ReplayEvent) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, f, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := Copy(w, told(events, ledger.ReplayQuery{Exact: o.Exact}), false, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// golden holds what others read by name to a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (go test ./export -update writes it anew) is now:\n%s", file, got)
	}
}

// The columns are what people's programs hold on to: they are added to, never changed.
func TestColumnsAreKept(t *testing.T) {
	t.Parallel()
	for _, exact := range []bool{false, true} {
		name := map[bool]string{false: "columns", true: "columns_exact"}[exact]
		header, _, _ := strings.Cut(string(written(t, CSV, Options{Exact: exact}, nil)), "\n")
		golden(t, name+".csv", header+"\n")
		content := written(t, Parquet, Options{Exact: exact}, made(10))
		f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".parquet.txt", f.Schema().String()+"\n")
		var names []string
		for _, c := range f.Schema().Columns() {
			names = append(names, strings.Join(c, "."))
		}
		if got := strings.Join(names, ","); got != header {
			t.Errorf("Parquet has the columns %s, CSV %s", got, header)
		}
	}
}

// places are the columns that only exact exports have.
type places struct {
	Commit     int64 `parquet:"commit"`
	RecordedAt int64 `parquet:"recorded_at,timestamp(millisecond)"`
}

// All formats tell the same.
func TestFormatsAgree(t *testing.T) {
	t.Parallel()
	events := made(5000)
	for _, exact := range []bool{false, true} {
		o := Options{Exact: exact}
		table, err := csv.NewReader(bytes.NewReader(written(t, CSV, o, events))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		rows := readAs[row](t, written(t, Parquet, o, events))
		placed := readAs[places](t, written(t, Parquet, Options{Exact: true}, events))
		lines := json.NewDecoder(bytes.NewReader(written(t, NDJSON, o, events)))
		if len(table) != 1+len(events) || len(rows) != len(events) {
			t.Fatalf("%d events, %d lines of CSV, %d rows of Parquet", len(events), len(table), len(rows))
		}
		for i := range events {
			var e ledger.ReplayEvent
			if err := lines.Decode(&e); err != nil {
				t.Fatal(err)
			}
			if e.Through != 0 {
				t.Fatal("a line says how far the export is")
			}
			if got := fields(nil, e, exact); !reflect.DeepEqual(got, table[1+i]) {
				t.Fatalf("event %d: NDJSON has %q, CSV %q", i, got, table[1+i])
			}
			if got := rowOf(e); !reflect.DeepEqual(got, rows[i]) {
				t.Fatalf("event %d: NDJSON has %+v, Parquet %+v", i, got, rows[i])
			}
			if got := exactRowOf(e); exact && (got.Commit != placed[i].Commit || got.RecordedAt != placed[i].RecordedAt) {
				t.Fatalf("event %d: NDJSON has %+v, Parquet %+v", i, got, placed[i])
			}
		}
	}
}

// What does not apply is null, not empty and not 0 (the first of January 1970), also
// behind what does: for however many rows, from whichever on.
func TestNullsAreNull(t *testing.T) {
	t.Parallel()
	var events []ledger.ReplayEvent
	for n := range 64 {
		for i := range 64 {
			events = append(events, ledger.ReplayEvent{Type: "registered", Day: 1, Recorded: 1, District: 208})
			if n <= i && i < 2*n {
				e := made(1)[0]
				e.DoseDistrict, e.Dose, e.Vaccine, e.StatusBefore = 208, "1", domain.Covishield, domain.Unvaccinated
				e.Reason, e.Counted, e.TakenBack, e.RequestEnded = domain.ReasonDuplicate, e.Day, []string{"1:208:COVISHIELD"}, true
				events[len(events)-1] = e
			}
		}
	}
	content := written(t, Parquet, Options{}, events)
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	in := parquet.NewReader(f)
	defer in.Close()
	for i, e := range events {
		got := make([]parquet.Row, 1)
		if n, err := in.ReadRows(got); n != 1 {
			t.Fatal(err)
		}
		for column, text := range fields(nil, e, false) {
			if v := got[0][column]; v.IsNull() != (text == "") {
				t.Fatalf("row %d, %s: %#v in Parquet, %q in CSV", i, header[column], v, text)
			}
		}
	}
}

func readAs[T any](t testing.TB, content []byte) []T {
	t.Helper()
	all, err := parquet.Read[T](bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Row groups are bounded, strings of few kinds stand in dictionaries, everything is
// compressed, and nothing encoded as only some readers know.
func TestParquetIsMadeForReaders(t *testing.T) {
	t.Parallel()
	const n = 300_000
	content := written(t, Parquet, Options{}, made(n))
	f, err := parquet.OpenFile(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if f.NumRows() != n || len(f.RowGroups()) != 3 {
		t.Errorf("%d rows in %d groups", f.NumRows(), len(f.RowGroups()))
	}
	for _, g := range f.Metadata().RowGroups {
		if g.NumRows > groupRows {
			t.Errorf("a group of %d rows", g.NumRows)
		}
		for _, c := range g.Columns {
			name := c.MetaData.PathInSchema[0]
			if c.MetaData.Codec.String() != "ZSTD" {
				t.Errorf("%s is compressed by %s", name, c.MetaData.Codec)
			}
			dict := strings.Contains(fmt.Sprint(c.MetaData.Encoding), "DICT")
			if strings.Contains(fmt.Sprint(c.MetaData.Encoding), "DELTA") {
				t.Errorf("%s is encoded by %s, which not everybody reads", name, c.MetaData.Encoding)
			}
			if few := strings.Contains(" type group sex dose vaccine status_before status_after reason mode taken_back ", " "+name+" "); few != dict {
				t.Errorf("%s: a dictionary: %t", name, dict)
			}
		}
	}
	t.Logf("%d rows in %d bytes: %.1f a row", n, len(content), float64(len(content))/n)
}

func BenchmarkWriter(b *testing.B) {
	events := made(100_000)
	for _, f := range Formats {
		b.Run(f, func(b *testing.B) {
			b.ReportAllocs()
			w, err := NewWriter(io.Discard, Format(f), Options{})
			if err != nil {
				b.Fatal(err)
			}
			for i := range b.N {
				if err := w.Write(events[i%len(events)]); err != nil {
					b.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
