package formats

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// mixedRows are rows with everything that a row may have: quotation marks, and
// line ends within them.
func mixedRows(n int) (header string, rows []string) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		cells := []string{
			fmt.Sprintf("9%09d-1", i), "Anita Kumari", fmt.Sprintf("9%09d", i), "1958-04-30", "Female", fmt.Sprintf("did:in.gov.uidai.aadhaar:%012d", i),
			"12 Station Road", "Muzaffarpur", "Bihar", fmt.Sprintf("4120Z%03d", i), "2021-03-02", "1", "2", "COVISHIELD", "208001", "Muzaffarpur", "Bihar",
		}
		switch random.IntN(4) {
		case 0:
			cells[6] = `"12, Station Road"`
		case 1:
			cells[6] = "\"12, Station Road\n" + strings.Repeat("near the \"\"Old Bazaar\"\"\n", random.IntN(3)) + "\""
		case 2:
			for i := range cells {
				cells[i] = `"` + cells[i] + `"`
			}
		}
		rows = append(rows, strings.Join(cells, ",")+"\n")
	}
	return "preEnrollmentCode,recipientName,recipientMobileNumber,recipientDOB,recipientGender,recipientIdentity,recipientAddressLine1,recipientDistrict," +
		"recipientState,vaccinationBatch,vaccinationDate,vaccinationDose,vaccinationTotalDoses,vaccinationName,facilityName,facilityDistrict,facilityState\n", rows
}

// plainRow is the first row without quotation marks.
func plainRow(rows []string) string {
	return rows[slices.IndexFunc(rows, func(r string) bool { return !strings.Contains(r, `"`) })]
}

// whatBecomes describes items without their lines, which a line end too many
// moves.
func whatBecomes(items []Item) (all []string) {
	for _, i := range items {
		i.Line = 0
		all = append(all, described(i))
	}
	return all
}

// TestMutations changes a few neighbouring bytes of a file. Every row before
// keeps what it said, and so does every row after, but for the next, whose
// beginning may be part of the damage. Nothing is passed over in silence.
func TestMutations(t *testing.T) {
	t.Parallel()
	header, rows := mixedRows(40)
	whole := whatBecomes(readCSV(t, header+strings.Join(rows, ""), csvOptions))
	if len(whole) != 2*len(rows) {
		t.Fatalf("%d items of %d rows", len(whole), len(rows))
	}
	for _, w := range whole {
		if strings.Contains(w, "rejected") {
			t.Fatal(w)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		at := rapid.IntRange(0, len(rows)-1).Draw(t, "row")
		row := rows[at]
		from := rapid.IntRange(0, len(row)-1).Draw(t, "from")
		to := min(len(row), from+rapid.IntRange(0, 3).Draw(t, "deleted"))
		put := rapid.SliceOfN(rapid.SampledFrom([]byte("\",\n\r\\;\t'x7 \x00\xff\xe9")), 0, 3).Draw(t, "put")
		mutated := slices.Clone(rows)
		mutated[at] = row[:from] + string(put) + row[to:]
		items := readAllCSV(t, header+strings.Join(mutated, ""))
		got := whatBecomes(items)
		before, after := whole[:2*at], whole[min(len(whole), 2*(at+2)):]
		if len(got) < len(before)+len(after)+1 || !slices.Equal(got[:len(before)], before) || !slices.Equal(got[len(got)-len(after):], after) {
			t.Fatalf("row %d, %q to %q: %d items of %d, first other one %d", at, row, mutated[at], len(got), len(whole), firstOther(got, whole))
		}
		for i := 1; i < len(items); i++ {
			if items[i].Line < items[i-1].Line {
				t.Fatalf("line %d comes after line %d", items[i].Line, items[i-1].Line)
			}
		}
	})
}

// TestMarksInTwoRows puts a quotation mark into each of two rows, which may meet.
// Every other row keeps what it said, and nothing is accepted that no row says:
// nobody gets the dose of somebody else.
func TestMarksInTwoRows(t *testing.T) {
	t.Parallel()
	header, rows := mixedRows(12)
	said := map[string]bool{}
	for _, item := range readCSV(t, header+strings.Join(rows, ""), csvOptions) {
		said[string(AppendSubmission(nil, item.Submission))] = true
	}
	rapid.Check(t, func(t *rapid.T) {
		one := rapid.IntRange(0, len(rows)-2).Draw(t, "one")
		other := rapid.IntRange(one+1, len(rows)-1).Draw(t, "other")
		mutated := slices.Clone(rows)
		column := rapid.SampledFrom([]int{0, 5, 6, 6, 6, 6, 12, 16}).Draw(t, "column")
		for _, at := range []int{one, other} {
			cells := strings.SplitAfter(strings.TrimSuffix(rows[at], "\n"), ",")
			i := min(column+rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "further"), len(cells)-1)
			cell := strings.TrimSuffix(cells[i], ",")
			from := rapid.SampledFrom([]int{0, len(cell)}).Draw(t, "from")
			cells[i] = cells[i][:from] + `"` + cells[i][from:]
			mutated[at] = strings.Join(cells, "") + "\n"
		}
		accepted := map[string]bool{}
		items := readAllCSV(t, header+strings.Join(mutated, ""))
		for _, item := range items {
			if item.Reject == nil {
				line := string(AppendSubmission(nil, item.Submission))
				accepted[line] = true
				if !said[line] {
					t.Fatalf("no row says %s", line)
				}
			}
		}
		if len(items) < 2*len(rows)-2 {
			t.Fatalf("%d items of %d rows", len(items), len(rows))
		}
		for i, row := range rows {
			if i == one || i == other {
				continue
			}
			for _, item := range readAllCSV(t, header+row) {
				if line := string(AppendSubmission(nil, item.Submission)); !accepted[line] {
					t.Fatalf("row %d is lost: %s", i, line)
				}
			}
		}
	})
}

func firstOther(a, b []string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

func readAllCSV(t interface{ Fatal(...any) }, input string) (items []Item) {
	for item, err := range ReadCSV(strings.NewReader(input), csvOptions) {
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	return items
}

// FuzzReadCSV puts anything between good rows: nothing panics, the good rows stay
// good, and what is accepted is a native submission.
func FuzzReadCSV(f *testing.F) {
	_, certificates := mixedRows(8)
	for _, s := range append(slices.Clone(ownRowsOfSamples), certificates...) {
		f.Add([]byte(s))
	}
	f.Add([]byte("dose,\"\n\"\"\r\r\n,\"x"))
	f.Add([]byte("\xff\xfe,\x00,\"\n"))
	header, rows := mixedRows(10)
	f.Fuzz(func(t *testing.T, middle []byte) {
		for _, c := range []struct {
			header, row string
			items       int
		}{{ownHeader + "\n", ownRowsOfSamples[1] + "\n", 1}, {header, plainRow(rows), 2}} {
			input := c.header + c.row + string(middle) + "\n" + c.row
			items := readCSV(t, input, csvOptions)
			if len(items) < 2*c.items || items[0].Reject != nil || items[len(items)-1].Reject != nil {
				t.Fatalf("good rows suffered from %q: %q", middle, natives(items))
			}
			lines := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(input)
			if last := strings.Count(lines, "\n"); items[len(items)-1].Line != last {
				t.Fatalf("the last row is line %d, want %d", items[len(items)-1].Line, last)
			}
			for _, item := range items {
				if item.Reject != nil {
					if item.Reject.Code == "" || item.Reject.Message == "" {
						t.Fatalf("%+v", item)
					}
					continue
				}
				once := AppendSubmission(nil, item.Submission)
				again := readAll(t, string(once))
				if len(again) != 1 || again[0].Reject != nil || !bytes.Equal(AppendSubmission(nil, again[0].Submission), once) {
					t.Fatalf("%s\nis as a native line %+v", once, again)
				}
			}
		}
	})
}

// FuzzCSVHeader reads anything from its first byte on.
func FuzzCSVHeader(f *testing.F) {
	header, rows := mixedRows(3)
	for _, s := range []string{
		"", ownHeader, header + strings.Join(rows, ""), "\ufeff" + ownHeader + "\r\n" + ownRowsOfSamples[0], "sep=;\ntype;id", "phone,identity,dob,gender,name\n1,2,3,4,5",
		utf16Of(ownHeader+"\n"+ownRowsOfSamples[0], func(u uint16) []byte { return []byte{byte(u), byte(u >> 8)} }),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		readCSV(t, string(input), csvOptions)
	})
}

// manyRows gives rows without holding them.
type manyRows struct {
	rows, head string
	n          int
	rest       string
}

func (m *manyRows) Read(b []byte) (int, error) {
	if m.rest == "" {
		switch {
		case m.head != "":
			m.rest, m.head = m.head, ""
		case m.n == 0:
			return 0, io.EOF
		default:
			m.rest = m.rows
			m.n--
		}
	}
	n := copy(b, m.rest)
	m.rest = m.rest[n:]
	return n, nil
}

func TestCSVInConstantMemory(t *testing.T) {
	// Not parallel: it looks at what the whole process holds.
	header, rows := mixedRows(100)
	rows[50] = "\"never closed,\n"
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	items, most := 0, uint64(0)
	for _, err := range ReadCSV(&manyRows{rows: strings.Join(rows, ""), head: header, n: 1000}, csvOptions) {
		if err != nil {
			t.Fatal(err)
		}
		if items++; items%50_000 == 0 {
			most = max(most, heap())
		}
	}
	if items != 1000*(2*99+1) {
		t.Errorf("%d items", items)
	}
	if most > before+4<<20 {
		t.Errorf("%d kB are held while %d rows are read", (most-before)>>10, items/2)
	}
}

func BenchmarkReadCSV(b *testing.B) {
	own := ownHeader + "\n" + strings.Repeat(ownRowsOfSamples[0]+"\n"+ownRowsOfSamples[1]+"\n", 500)
	certificatesHeader, certificates := mixedRows(1000)
	plain := certificatesHeader + strings.Repeat(plainRow(certificates), 1000)
	for _, c := range []struct{ name, input string }{
		{"own", own}, {"own without ids", strings.ReplaceAll(own, id1, "")}, {"certificates", plain}, {"certificates with marks", certificatesHeader + strings.Join(certificates, "")},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.input)))
			b.ReportAllocs()
			for b.Loop() {
				for item, err := range ReadCSV(strings.NewReader(c.input), csvOptions) {
					if err != nil || item.Reject != nil {
						b.Fatal(err, item.Reject)
					}
				}
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
