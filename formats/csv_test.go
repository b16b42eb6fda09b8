package formats

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"

	"bahi/domain"
)

var csvOptions = Options{District: 208, Centre: "208001", At: domain.Date(2021, time.March, 1).Start()}

func readCSV(t testing.TB, input string, o Options) []Item {
	t.Helper()
	var items []Item
	for item, err := range ReadCSV(strings.NewReader(input), o) {
		if err != nil {
			t.Fatal(err)
		}
		if (item.Submission == nil) == (item.Reject == nil) {
			t.Fatalf("line %d is neither a submission nor refused, or both", item.Line)
		}
		items = append(items, item)
	}
	return items
}

// natives are the submissions of items in the native format, and codes of those
// refused.
func natives(items []Item) (all []string) {
	for _, i := range items {
		if i.Reject != nil {
			all = append(all, strings.TrimRight(fmt.Sprintf("%s %s", i.Reject.Code, i.Reject.Field), " "))
			continue
		}
		all = append(all, string(AppendSubmission(nil, i.Submission)))
	}
	return all
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, header, want string }{ // what the one message says, or "" where the row below is read
		{"any order and case", "Dose, BATCH ,Vaccine,centre_,district,Person,AT,ID,Type", ""},
		{"empty columns behind", "type,id,at,person,district,centre,vaccine,batch,dose,,,", ""},
		{"blank lines before", "\n \n\r\ntype,id,at,person,district,centre,vaccine,batch,dose", ""},
		{"quoted", `"type","id","at","person","district","centre","vaccine","batch","dose"`, ""},
		{"separator told", "sep=;\ntype;id;at;person;district;centre;vaccine;batch;dose", ""},
		{"separator told, tab", "\"sep=\t\"\ntype\tid\tat\tperson\tdistrict\tcentre\tvaccine\tbatch\tdose", ""},
		{"unknown", "a,b,c", "no header that is known"},
		{"only data", "dose," + id1 + ",2021-01-16," + ref + ",208", "no header that is known"},
		{"one known name", "type,colour", "no header that is known"},
		{"one column", "type", "no header that is known"},
		{"twice", "type,id,at,person,Person,district", "the column person twice"},
		{"twice, unknown", "type,id,at,person,district,colour,colour", ""},
		{"no type", "id,at,person,district", "own columns and has no column type"},
		{"certificates without", "preEnrollmentCode,recipientName,recipientDOB,vaccinationName", "DIVOC's certificates and has no column recipientMobileNumber, recipientGender, recipientIdentity"},
		{"pre-enrolments without", "phone,email,pincode,dob", "DIVOC's pre-enrolments and has no column identity, gender, name"},
		{"not UTF-8", "type,id,at,perso\xe9", "not UTF-8"},
		{"open mark", "type,id,\"at\n", "the header cannot be read"},
		{"mark within", "type,id,a\"t,\"", "no header that is known"},
		{"too long", "type,id," + strings.Repeat("x", MaxLine), "the header cannot be read: a line has at most"},
		{"too many columns", "type,id" + strings.Repeat(",x", 63), "65 columns; at most 64"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			items := readCSV(t, c.header+"\n"+ownRowsOfSamples[1]+"\n", Options{})
			if len(items) != 1 {
				t.Fatalf("%d items", len(items))
			}
			got := items[0].Reject
			isHeader := got != nil && strings.HasSuffix(got.Message, "; no row was read")
			if isHeader != (c.want != "") || isHeader && (!strings.Contains(got.Message, c.want) || got.Code != domain.CodeBadCSV) {
				t.Errorf("answered with %v, want %q", got, c.want)
			}
		})
	}
	for _, empty := range []string{"", "\n", " \r\n\r", "\ufeff", ownHeader, ownHeader + "\n\n,,,\n \n"} {
		if items := readCSV(t, empty, Options{}); len(items) != 0 {
			t.Errorf("%q has %v", empty, natives(items))
		}
	}
}

func utf16Of(s string, order func(uint16) []byte) string {
	var b []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + s)) {
		b = append(b, order(u)...)
	}
	return string(b)
}

// The same rows in every dialect and encoding are the same.
func TestDialects(t *testing.T) {
	t.Parallel()
	rows := [][]string{strings.Split(ownHeader, ",")}
	for _, r := range ownRowsOfSamples {
		if r != "" {
			rows = append(rows, strings.Split(r, ","))
		}
	}
	rows[1][8] = "Devi, \"Anita\"\nKumari; a|b\tc" // refused as a name, and a cell all the same
	want := natives(readCSV(t, strings.Join([]string{ownHeader, "registration," + id1 + ",2021-01-16,,,,208,HCW,\"\"\"\",1961,F,9000000001,AADHAAR,234567890123,,,,,,,,,"}, "\n"), Options{}))
	want = append(want, natives(readCSV(t, ownHeader+"\n"+strings.Join(ownRowsOfSamples[1:], "\n"), Options{}))...)
	for _, delimiter := range ",;\t|" {
		for _, all := range []bool{false, true} {
			var b strings.Builder
			for _, row := range rows {
				for i, cell := range row {
					if i > 0 {
						b.WriteRune(delimiter)
					}
					if all || strings.ContainsAny(cell, "\",;\t|\n") {
						cell = `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
					}
					b.WriteString(cell)
				}
				b.WriteString("\n")
			}
			for _, lineEnd := range []string{"\n", "\r\n", "\r"} {
				text := strings.ReplaceAll(b.String(), "\n", lineEnd)
				for name, input := range map[string]string{
					"UTF-8": text, "UTF-8 with mark": "\ufeff" + text,
					"UTF-16 LE": utf16Of(text, func(u uint16) []byte { return []byte{byte(u), byte(u >> 8)} }),
					"UTF-16 BE": utf16Of(text, func(u uint16) []byte { return []byte{byte(u >> 8), byte(u)} }),
					"no end":    strings.TrimSuffix(text, lineEnd),
				} {
					items := readCSV(t, input, Options{})
					if got := natives(items); !slices.Equal(got, want) {
						t.Fatalf("%s, %q, %q, marks around all %t:\n%s\nwant\n%s", name, delimiter, lineEnd, all, strings.Join(got, "\n"), strings.Join(want, "\n"))
					}
					if items[1].Line != 4 || items[11].Line != 14 {
						t.Errorf("%s, %q: lines %d and %d, want 4 and 14", name, lineEnd, items[1].Line, items[11].Line)
					}
				}
			}
		}
	}
}

func TestCSVReadErrorEndsTheInput(t *testing.T) {
	t.Parallel()
	broken := errors.New("the link is down")
	for _, tail := range []string{ownRowsOfSamples[1][:40], "dose,\"", "dose,\"\n\n"} {
		in := io.MultiReader(strings.NewReader(ownHeader+"\n"+ownRowsOfSamples[1]+"\n"+tail), iotest.ErrReader(broken))
		items := 0
		var got error
		for item, err := range ReadCSV(in, Options{}) {
			if err != nil {
				got = err
				continue
			}
			if items++; item.Reject != nil {
				t.Error("half a row was judged")
			}
		}
		if items != 1 || !errors.Is(got, broken) {
			t.Errorf("%q: %d items and %v; want 1 and the reader's error", tail, items, got)
		}
	}
}

func TestReadingCSVStopsWhenAsked(t *testing.T) {
	t.Parallel()
	n := 0
	for range ReadCSV(strings.NewReader(ownHeader+strings.Repeat("\n"+ownRowsOfSamples[1], 10)), Options{}) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("read %d", n)
	}
}
