package formats

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"reflect"
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

const ownHeader = "type,id,at,person,registration,restated,district,group,name,birth_year,sex,mobile,photo_id_type,photo_id_number,centre,vaccine,batch,dose,reason,to,request,decision,by"

// The samples of NDJSON, but for the freeze, as rows of own columns.
var ownRowsOfSamples = []string{
	"registration," + id1 + ",2021-01-16T10:05:00+05:30," + ref + ",,,208,HCW,सुनीता देवी,1961,F,9000000001,AADHAAR,234567890123,,,,,,,,,",
	"dose," + id1 + ",2021-01-16," + ref + ",,,208,,,,,,,,208001,COVISHIELD,4120Z001,1,,,,,",
	"dose," + id1 + ",2022-01-16," + ref + ",,,208,,,,,,,,208001,COVISHIELD,4120Z001,precaution,,,,,",
	"registration_withdrawal," + id1 + ",2021-02-18," + ref + ",,,,,,,,,,,,,,,duplicate,,,,",
	"dose_withdrawal," + id1 + ",2021-04-04," + ref + ",,,,,,,,,,,,,,2,entered_in_error,,,,",
	"reversal_request," + id1 + ",2022-01-22T09:00:00+05:30," + ref + ",,,,,,,,,,,,,,,issued_by_mistake,partial,,,",
	"reversal_decision," + id1 + ",2022-01-26T09:00:00+05:30,,,,,,,,,,,,,,,,,,018f3c1e-7a52-7bb0-9a1c-2f64d1c0a009,approve,officer-7",
	"",
	"registration," + id1 + ",2021-01-16T10:05:00+05:30,,,TRUE,208,HCW,सुनीता देवी,1961,F,9000000001,AADHAAR,234567890123,,,,,,,,,",
	"dose," + id1 + ",2021-01-16,," + registered + ",,208,,,,,,,,208001,COVISHIELD,4120Z001,1,,,,,",
	"registration_withdrawal," + id1 + ",2021-02-18,," + registered + ",,,,,,,,,,,,,,duplicate,,,,",
	"dose_withdrawal," + id1 + ",2021-04-04,," + registered + ",,,,,,,,,,,,,2,entered_in_error,,,,",
	"reversal_request," + id1 + ",2022-01-22T09:00:00+05:30,," + registered + ",,,,,,,,,,,,,,issued_by_mistake,partial,,,",
}

func TestOwnColumnsSayWhatNDJSONSays(t *testing.T) {
	t.Parallel()
	var want []string
	for i, s := range samples {
		if ownRowsOfSamples[i] != "" {
			want = append(want, s)
		}
	}
	items := readCSV(t, ownHeader+"\n"+strings.Join(ownRowsOfSamples, "\n"), Options{})
	if got := natives(items); !slices.Equal(got, want) {
		t.Errorf("read as\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, i := range items {
		if i.ID != id1 || i.Foreign {
			t.Errorf("line %d has id %q, foreign %t", i.Line, i.ID, i.Foreign)
		}
	}
}

// rowOf writes a row of own columns with these values.
func rowOf(values map[string]string) string {
	var cells []string
	for _, c := range ownColumns {
		cells = append(cells, values[c])
	}
	return strings.Join(cells, ",")
}

func TestOwnRowsRefused(t *testing.T) {
	t.Parallel()
	dose := map[string]string{
		"type": "dose", "id": id1, "at": "2021-01-16", "person": ref, "district": "208", "centre": "208001", "vaccine": "COVISHIELD", "batch": "4120Z001", "dose": "1",
	}
	registration := map[string]string{
		"type": "registration", "id": id1, "at": "2021-01-16", "district": "208", "group": "HCW", "name": "Anita Kumari", "birth_year": "1961", "sex": "F",
		"mobile": "9000000001", "photo_id_type": "AADHAAR", "photo_id_number": "234567890123",
	}
	for _, c := range []struct {
		of            map[string]string
		column, value string
		want          string // code and column
	}{
		{dose, "type", "", "missing_field type"},
		{dose, "type", "jab", "unknown_type type"},
		{dose, "type", "freeze", "not_supported type"},
		{dose, "id", "17", "bad_id id"},
		{dose, "at", "", "missing_field at"},
		{dose, "at", "01/16/2021", "bad_value at"},
		{dose, "at", "16-01-21", "bad_value at"},
		{dose, "at", "2019-01-16", "bad_value at"},
		{dose, "at", "2101-01-16", "in_future at"},
		{dose, "person", "", "missing_field person"},
		{dose, "person", "2.16794E+13", "bad_reference person"},
		{dose, "person", "21679381234567", "bad_reference person"},
		{dose, "registration", registered, "bad_value registration"},
		{dose, "registration", "17", "bad_id registration"},
		{dose, "mobile", "9000000001", "unknown_field mobile"},
		{dose, "restated", "true", "unknown_field restated"},
		{dose, "district", "", "missing_field district"},
		{dose, "district", "Nowhere", "unknown_district district"},
		{dose, "district", "0", "unknown_district district"},
		{dose, "district", "99999999999999999999", "unknown_district district"},
		{dose, "centre", "", "missing_field centre"},
		{dose, "centre", "Sadar Hospital", "bad_value centre"},
		{dose, "centre", "2.08E+05", "bad_value centre"},
		{dose, "vaccine", "COVISHEILD", "bad_value vaccine"},
		{dose, "batch", "4.12E+10", "bad_value batch"},
		{dose, "batch", strings.Repeat("4", 33), "too_long batch"},
		{dose, "dose", "4", "bad_value dose"},
		{registration, "group", "VIP", "bad_value group"},
		{registration, "group", "", "missing_field group"},
		{registration, "name", "Anita; 9000000001", "bad_value name"},
		{registration, "birth_year", "61", "bad_value birth_year"},
		{registration, "birth_year", "1861", "bad_value birth_year"},
		{registration, "sex", "X", "bad_value sex"},
		{registration, "mobile", "9.00000E+09", "bad_value mobile"},
		{registration, "photo_id_type", "Library card", "bad_value photo_id_type"},
		{registration, "photo_id_number", "", "missing_field photo_id_number"},
		{registration, "photo_id_number", "2.34568E+11", "bad_value photo_id_number"},
		{registration, "photo_id_number", "XXXXXXXX0123", "bad_value photo_id_number"},
		{registration, "photo_id_number", "2345", "bad_value photo_id_number"},
		{registration, "restated", "maybe", "bad_value restated"},
		{map[string]string{"type": "reversal_request", "at": "2022-01-22", "person": ref, "to": "partial", "reason": "other"}, "id", "", "missing_field id"},
		{map[string]string{"type": "reversal_decision", "id": id1, "at": "2022-01-22", "request": id2, "by": "officer-7"}, "decision", "maybe", "bad_value decision"},
		{map[string]string{"type": "reversal_decision", "id": id1, "at": "2022-01-22", "decision": "approve", "by": "officer-7"}, "request", "1", "bad_id request"},
		{map[string]string{"type": "dose_withdrawal", "id": id1, "at": "2022-01-22", "person": ref, "dose": "1"}, "reason", "he moved", "bad_value reason"},
	} {
		t.Run(c.want+" "+c.value, func(t *testing.T) {
			t.Parallel()
			values := map[string]string{}
			for k, v := range c.of {
				values[k] = v
			}
			values[c.column] = c.value
			// The neighbours must not notice.
			items := readCSV(t, strings.Join([]string{ownHeader, ownRowsOfSamples[1], rowOf(values), ownRowsOfSamples[2]}, "\n"), Options{})
			if len(items) != 3 || items[0].Reject != nil || items[2].Reject != nil {
				t.Fatalf("the neighbours of a bad row suffered: %v", natives(items))
			}
			got := items[1]
			if natives(items)[1] != c.want || got.Line != 3 || got.Reject == nil || got.Reject.Message == "" {
				t.Errorf("line %d is %s, want %s", got.Line, natives(items)[1], c.want)
			}
			if want := values["id"]; got.ID != want && want != "17" {
				t.Errorf("the verdict would name %q and not %q", got.ID, want)
			}
		})
	}
}

func TestForeignColumnsAmongOwn(t *testing.T) {
	t.Parallel()
	dose := "dose," + id1 + ",2021-01-16," + ref + ",208,208001,COVISHIELD,4120Z001,1"
	const header = "type,id,at,person,district,centre,vaccine,batch,dose"
	for _, c := range []struct{ name, value, want string }{
		{"address", "Mithanpura", "not_collected address"},
		{"Address Line 1", "Mithanpura", "not_collected column10"},
		{"rt_pcr", "negative", "not_collected rt_pcr"},
		{"colour", "red", "unknown_field colour"},
		{"9000000001", "red", "unknown_field column10"},
		{"रंग", "red", "unknown_field column10"},
		{"groups", "HCW", "unknown_field groups"},
		{"address", " ", samples[1]}, // nothing in it
		{"colour", "", samples[1]},
	} {
		items := readCSV(t, header+","+c.name+",\n"+dose+","+c.value+",\n", Options{})
		if got := natives(items); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s with %q: %s, want %s", c.name, c.value, got, c.want)
		}
	}
	items := readCSV(t, header+",colour,address\n"+dose+",red,Mithanpura\n", Options{})
	if got := natives(items); got[0] != "not_collected address" {
		t.Errorf("an address and an unknown column: %s", got)
	}
}

func TestOptionsFillIn(t *testing.T) {
	t.Parallel()
	input := "type,name,birth_year,sex,mobile,photo_id_type,photo_id_number\nregistration,Anita,1961,F,9000000001,AADHAAR,234567890123\n"
	o := csvOptions
	o.Group = domain.FrontLineWorker
	s, ok := readCSV(t, input, o)[0].Submission.(domain.Registration)
	if !ok || s.District != 208 || s.Group != domain.FrontLineWorker || !s.At.Equal(o.At) {
		t.Errorf("read as %+v", s)
	}
	if got := natives(readCSV(t, input, Options{})); got[0] != "missing_field at" {
		t.Errorf("without options: %s", got)
	}
	d, ok := readCSV(t, "type,at,person,vaccine,batch,dose\ndose,16/01/2021,"+ref+",Covishield,B1,1\n", o)[0].Submission.(domain.DoseGiven)
	if !ok || d.District != 208 || d.Centre != "208001" {
		t.Errorf("read as %+v", d)
	}
}

// The id that is made of a row does not depend on how the row is written, and
// lasts.
func TestIDsOfRows(t *testing.T) {
	t.Parallel()
	id := func(input string) string {
		i := readCSV(t, input, Options{})
		if i[0].Reject != nil {
			t.Fatal(i[0].Reject)
		}
		if i[0].ID != i[0].Submission.Head().ID.String() || !i[0].Foreign {
			t.Errorf("the item has id %q, foreign %t", i[0].ID, i[0].Foreign)
		}
		return i[0].ID
	}
	const columns = "type,at,person,district,centre,vaccine,batch,dose\n"
	dose := id(columns + "dose,2021-01-16," + ref + ",208,208001,COVISHIELD,4120Z001,1")
	if dose != "ce78b87c-234a-8dcb-972a-e530415f2679" {
		t.Errorf("the id of a row has become %s", dose)
	}
	if again := id("Dose;Batch;vaccine;centre;District;person;at;TYPE;id\nDose 1; 4120Z001;Covishield (SII);208001;Muzaffarpur;" + ref + ".0;16/01/2021;DOSE;\n"); again != dose {
		t.Errorf("written otherwise it is %s", again)
	}
	if other := id(columns + "dose,2021-01-16," + ref + ",208,208001,COVISHIELD,4120Z001,2"); other == dose {
		t.Error("another dose has the same id")
	}
	const people = "type,at,district,group,name,birth_year,sex,mobile,photo_id_type,photo_id_number,restated\nregistration,2021-01-16,208,HCW,Anita,1961,F,9000000001,AADHAAR,234567890123,"
	if id(people+"true") != id(people) {
		t.Error("stated again a registration has another id")
	}
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
