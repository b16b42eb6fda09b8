package formats

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// rowsOf reads the rows of a CSV as they stand there, under a header of n
// columns.
func rowsOf(t testing.TB, input io.Reader, n int) (rows [][]string, lines []int) {
	t.Helper()
	in := newCSVRecords(input)
	tab := table{delimiter: ',', columns: make([]string, n), rows: rowsKept{&rows, &lines}}
	for {
		rec, err := in.next()
		if err == io.EOF {
			return rows, lines
		}
		if err != nil {
			t.Fatal(err)
		}
		tab.row(in, rec, func(i Item) bool {
			rows, lines = append(rows, []string{string(i.Reject.Code)}), append(lines, i.Line)
			return true
		})
	}
}

type rowsKept struct {
	rows  *[][]string
	lines *[]int
}

func (k rowsKept) read(line int, cells []string, _ func(Item) bool) bool {
	*k.rows, *k.lines = append(*k.rows, slices.Clone(cells)), append(*k.lines, line)
	return true
}

func TestRows(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", MaxLine-4)
	for _, c := range []struct {
		name, input string
		want        string // line: cells
	}{
		{"plain", "a,b,c\nd,e,f\n", "1:a|b|c 2:d|e|f"},
		{"blank rows", "\n,,\n a,b,c\n\"\",\"\",\n", "3: a|b|c"},
		{"lines within", "a,\"b\n\n\r\nc\",d\ne,f,g", "1:a|b\n\n\nc|d 5:e|f|g"},
		{"marks within", `a,"b ""c"" d",e` + "\n" + `"""a""","",b`, `1:a|b "c" d|e 2:"a"||b`},
		{"too few", "a,b\nc,d,e", "1:bad_csv 2:c|d|e"},
		{"too many", "a,b,c,d\ne,f,g", "1:bad_csv 2:e|f|g"},
		{"too many, but empty", "a,b,c, ,\ne,f,g", "1:a|b|c 2:e|f|g"},
		{"mark never closed", "a,\"b,c\nd,e,f\ng,h,i", "1:bad_csv 2:d|e|f 3:g|h|i"},
		{"mark never closed at the end", "d,e,f\na,\"b,c", "1:d|e|f 2:bad_csv"},
		{"mark in a value", "a,5\" b,c\nd,e,f", "1:bad_csv 2:d|e|f"},
		{"marks in values", "a,5\" b,c\nd,e,f\ng,6\" h,i\nj,k,l", "1:bad_csv 2:d|e|f 3:bad_csv 4:j|k|l"},
		{"text behind a mark", "a,\"b\"c,d\ne,f,g", "1:bad_csv 2:e|f|g"},
		{"mark never closed, and others", "a,\"b,c\nd,\"e\",f\n\"g\",\"h,\nh\",i", "1:bad_csv 2:d|e|f 3:g|h,\nh|i"},
		{"closed rows later", "a,b,\"c\nd,e,f\ng,h,i\"\nj,k,l", "1:bad_csv 2:d|e|f 3:bad_csv 4:j|k|l"},
		{"closed rows later, with room", "a,\"b\nd,e,f\ng\",i\nj,k,l", "1:bad_csv 2:d|e|f 3:bad_csv 4:j|k|l"},
		{"two rows as one", "a,\"b,c\nd,e\",f\ng,h,i", "1:bad_csv 2:bad_csv 3:g|h|i"},
		{"two rows as one, with empty columns behind", "a,b,\"c\nd,e\",f,,\ng,h,i", "1:bad_csv 2:bad_csv 3:g|h|i"},
		{"a value over lines, with separators", "a,\"b,\nc\",d\ng,h,i", "1:a|b,\nc|d 3:g|h|i"},
		{"too few over lines", "a,\"b\nc\"\nd,e,f", "1:bad_csv 2:bad_csv 3:d|e|f"},
		{"not UTF-8", "a,\xe9,c\nd,e,f", "1:bad_value 2:d|e|f"},
		{"CR alone", "a,b,c\rd,\"e\re\",f\rg,h,i", "1:a|b|c 2:d|e\re|f 4:g|h|i"},
		{"longest", long + ",b,c\nd,e,f", "1:" + long + "|b|c 2:d|e|f"},
		{"too long", long + "x,b,c\nd,e,f", "1:too_long 2:d|e|f"},
		{"too long by far", "a,b,c\n" + strings.Repeat(long, 5) + "\r\nd,e,f", "1:a|b|c 2:too_long 3:d|e|f"},
		{"too long at the end", "a,b,c\n" + strings.Repeat(long, 5), "1:a|b|c 2:too_long"},
		{"a mark, and more than fits", "a,\"b,c\n" + strings.Repeat("d,e,f\n", 3), "1:bad_csv 2:d|e|f 3:d|e|f 4:d|e|f"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for name, wrap := range map[string]func(io.Reader) io.Reader{
				"at once": func(r io.Reader) io.Reader { return r }, "in pieces": iotest.HalfReader, "data with EOF": iotest.DataErrReader,
			} {
				rows, lines := rowsOf(t, wrap(strings.NewReader(c.input)), 3)
				var got []string
				for i := range rows {
					got = append(got, fmt.Sprintf("%d:%s", lines[i], strings.Join(rows[i], "|")))
				}
				if strings.Join(got, " ") != c.want {
					t.Errorf("%s: %.200q, want %.200q", name, got, c.want)
				}
			}
		})
	}
}

// A mark that never closes among more rows than a buffer holds costs its row.
func TestOpenMarkIsBounded(t *testing.T) {
	t.Parallel()
	const before, after = 5000, 200_000
	input := strings.Repeat("a,b,c\n", before) + "a,\"b,c\n" + strings.Repeat("d,e,f\r\n", after)
	in := newCSVRecords(strings.NewReader(input))
	n, refused := 0, 0
	tab := table{delimiter: ',', columns: make([]string, 3)}
	tab.rows = rowsCounted{&n}
	for {
		rec, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		tab.row(in, rec, func(i Item) bool {
			if refused++; i.Line != before+1 {
				t.Errorf("line %d is refused", i.Line)
			}
			return true
		})
	}
	if n != before+after || refused != 1 || in.line != before+after+2 {
		t.Errorf("%d rows read and %d refused, at line %d", n, refused, in.line)
	}
	if len(in.buf) > fullBuffer {
		t.Errorf("%d bytes are held", len(in.buf))
	}
}

type rowsCounted struct{ n *int }

func (c rowsCounted) read(int, []string, func(Item) bool) bool { *c.n++; return true }

// FuzzRows holds the reader of rows against encoding/csv, which reads what is
// well formed.
func FuzzRows(f *testing.F) {
	for _, s := range []string{"a|b|c", "a,\"|\n|\r\n", "\"|\"\"|\"\n\"", " |,|;", "\r|x|y", "a|b|c\x00"} {
		f.Add(s, uint8(3))
	}
	f.Fuzz(func(t *testing.T, text string, n uint8) {
		cells := strings.Split(strings.ToValidUTF8(text, ""), "|")
		columns := max(3, int(n%8))
		var want [][]string
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		for row := range slices.Chunk(cells, columns) {
			for len(row) < columns {
				row = append(row, "x")
			}
			// Values over several lines may not hold what could be a row: see holdsTwo.
			for i := range row {
				if strings.ContainsAny(row[i], "\r\n") {
					row[i] = strings.ReplaceAll(row[i], ",", "y")
				}
			}
			if isBlankRow(row) {
				row[0] = "z"
			}
			if err := w.Write(row); err != nil {
				t.Fatal(err)
			}
		}
		w.Flush()
		r := csv.NewReader(bytes.NewReader(b.Bytes()))
		want, err := r.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		got, _ := rowsOf(t, &b, columns)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}
