package formats

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"bahi/domain"
)

const (
	id1 = "018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001"
	id2 = "018F3C1E-7A52-7BB0-9A1C-2F64D1C0A002"
	ref = "21679381234566"

	registered = "018f3c1e-7a52-7bb0-9a1c-2f64d1c0a003" // the id of a registration
)

// One line of each type, and of each that names a person by registration.
var samples = []string{
	`{"type":"registration","id":"` + id1 + `","at":"2021-01-16T10:05:00+05:30","person":"` + ref + `","district":208,"group":"HCW","name":"सुनीता देवी","birth_year":1961,"sex":"F","mobile":"9000000001","photo_id":{"type":"AADHAAR","number":"234567890123"}}`,
	`{"type":"dose","id":"` + id1 + `","at":"2021-01-16","person":"` + ref + `","district":208,"centre":"208001","vaccine":"COVISHIELD","batch":"4120Z001","dose":1}`,
	`{"type":"dose","id":"` + id1 + `","at":"2022-01-16","person":"` + ref + `","district":208,"centre":"208001","vaccine":"COVISHIELD","batch":"4120Z001","dose":"precaution"}`,
	`{"type":"registration_withdrawal","id":"` + id1 + `","at":"2021-02-18","person":"` + ref + `","reason":"duplicate"}`,
	`{"type":"dose_withdrawal","id":"` + id1 + `","at":"2021-04-04","person":"` + ref + `","dose":2,"reason":"entered_in_error"}`,
	`{"type":"reversal_request","id":"` + id1 + `","at":"2022-01-22T09:00:00+05:30","person":"` + ref + `","to":"partial","reason":"issued_by_mistake"}`,
	`{"type":"reversal_decision","id":"` + id1 + `","at":"2022-01-26T09:00:00+05:30","request":"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a009","decision":"approve","by":"officer-7"}`,
	`{"type":"freeze","id":"` + id1 + `","at":"2021-03-04T18:00:00+05:30","district":208,"groups":["HCW","FLW"],"standing":false,"mode":"handover","order":"DL/2021/117","by":"authority"}`,
	`{"type":"registration","id":"` + id1 + `","at":"2021-01-16T10:05:00+05:30","district":208,"group":"HCW","name":"सुनीता देवी","birth_year":1961,"sex":"F","mobile":"9000000001","photo_id":{"type":"AADHAAR","number":"234567890123"},"restated":true}`,
	`{"type":"dose","id":"` + id1 + `","at":"2021-01-16","registration":"` + registered + `","district":208,"centre":"208001","vaccine":"COVISHIELD","batch":"4120Z001","dose":1}`,
	`{"type":"registration_withdrawal","id":"` + id1 + `","at":"2021-02-18","registration":"` + registered + `","reason":"duplicate"}`,
	`{"type":"dose_withdrawal","id":"` + id1 + `","at":"2021-04-04","registration":"` + registered + `","dose":2,"reason":"entered_in_error"}`,
	`{"type":"reversal_request","id":"` + id1 + `","at":"2022-01-22T09:00:00+05:30","registration":"` + registered + `","to":"partial","reason":"issued_by_mistake"}`,
}

func readAll(t *testing.T, input string) []Item {
	t.Helper()
	var items []Item
	for item, err := range ReadNDJSON(strings.NewReader(input)) {
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
	}
	return items
}

func TestEveryTypeIsRead(t *testing.T) {
	t.Parallel()
	items := readAll(t, strings.Join(samples, "\n"))
	if len(items) != len(samples) {
		t.Fatalf("%d items of %d lines", len(items), len(samples))
	}
	var back []string
	for i, item := range items {
		if item.Reject != nil {
			t.Fatalf("line %d: %v", i+1, item.Reject)
		}
		if item.ID != id1 || item.Line != i+1 {
			t.Errorf("line %d: got id %q, line %d", i+1, item.ID, item.Line)
		}
		back = append(back, string(AppendSubmission(nil, item.Submission)))
	}
	for i := range samples {
		if back[i] != samples[i] {
			t.Errorf("written back:\n%s\nwant\n%s", back[i], samples[i])
		}
	}
	r := items[0].Submission.(domain.Registration)
	if r.Name != "सुनीता देवी" || r.PhotoID.Type != domain.Aadhaar || r.PhotoID.Number != "234567890123" || r.District != 208 ||
		r.Group != domain.HealthCareWorker || r.BirthYear != 1961 || r.Sex != domain.Female || r.Mobile != "9000000001" {
		t.Errorf("read as %+v", r)
	}
}

// swap replaces a part of a sample that must be there.
func swap(sample, old, new string) string {
	if !strings.Contains(sample, old) {
		panic("the sample has no " + old)
	}
	return strings.Replace(sample, old, new, 1)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	reg, dose, freeze := samples[0], samples[1], samples[7]
	for _, c := range []struct {
		name, line string
		id         string
		code       domain.Code
		field      string
	}{
		{"not JSON", `{"type":"dose",`, "", domain.CodeBadJSON, ""},
		{"text", `hello`, "", domain.CodeBadJSON, ""},
		{"a list", `[` + dose + `]`, "", domain.CodeBadJSON, ""},
		{"a number", `12`, "", domain.CodeBadJSON, ""},
		{"something after", dose + `{}`, "", domain.CodeBadJSON, ""},
		{"comma after", dose + `,`, "", domain.CodeBadJSON, ""},
		{"not UTF-8", swap(reg, "सुनीता", "\xff\xfe"), "", domain.CodeBadJSON, ""},
		{"byte order mark inside", "\n\xEF\xBB\xBF" + dose, "", domain.CodeBadJSON, ""},
		{"control character", swap(reg, "सुनीता", "a\x01b"), "", domain.CodeBadJSON, ""},
		{"leading zero", swap(reg, ":208", ":0208"), "", domain.CodeBadJSON, ""},
		{"nested too deep", `{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "", domain.CodeBadJSON, ""},
		{"field twice", swap(dose, `"dose":1`, `"dose":1,"dose":2`), id1, domain.CodeBadJSON, "dose"},
		{"field twice, escaped", swap(dose, `"dose":1`, `"dose":1,"d\u006fse":2`), id1, domain.CodeBadJSON, "dose"},
		{"id twice", swap(dose, `"id"`, `"id":"`+id2+`","id"`), "", domain.CodeBadJSON, "id"},
		{"photo-ID type twice", swap(reg, `"number"`, `"type":"EPIC","number"`), id1, domain.CodeBadValue, "photo_id"},

		{"address", swap(reg, `"sex"`, `"address":"Mithanpura","sex"`), id1, domain.CodeNotCollected, "address"},
		{"address line", swap(reg, `"sex"`, `"addressLine1":"Mithanpura","sex"`), id1, domain.CodeNotCollected, "addressLine1"},
		{"address, escaped", swap(reg, `"sex"`, `"\u0061ddress":"Mithanpura","sex"`), id1, domain.CodeNotCollected, "address"},
		{"address, an object", swap(reg, `"sex"`, `"home":{"village":"Mithanpura"},"sex"`), id1, domain.CodeNotCollected, "village"},
		{"address in the photo ID", swap(reg, `"number"`, `"pin_code":"842001","number"`), id1, domain.CodeNotCollected, "pin_code"},
		{"test result", swap(dose, `"batch"`, `"rt_pcr":"negative","batch"`), id1, domain.CodeNotCollected, "rt_pcr"},
		{"test result, other spelling", swap(dose, `"batch"`, `"RT-PCR":"negative","batch"`), id1, domain.CodeNotCollected, ""},
		{"address before an unknown field", swap(dose, `"batch"`, `"colour":1,"street":1,"batch"`), id1, domain.CodeNotCollected, "street"},

		{"unknown field", swap(dose, `"batch"`, `"colour":"red","batch"`), id1, domain.CodeUnknownField, "colour"},
		{"unknown field in other case", swap(dose, `"batch"`, `"Batch"`), id1, domain.CodeUnknownField, "Batch"},
		{"unknown field that is data", swap(dose, `"batch"`, `"9000000001":"x","batch"`), id1, domain.CodeUnknownField, ""},
		{"unknown field that is a name", swap(dose, `"batch"`, `"सुनीता":"x","batch"`), id1, domain.CodeUnknownField, ""},
		{"unknown field, mobile in it", swap(dose, `"batch"`, `"m9000000001":"x","batch"`), id1, domain.CodeUnknownField, ""},
		{"field of another type", swap(dose, `"dose":1`, `"dose":1,"mobile":"9000000001"`), id1, domain.CodeUnknownField, "mobile"},
		{"unknown field in the photo ID", swap(reg, `"number"`, `"issuer":"x","number"`), id1, domain.CodeUnknownField, "photo_id"},

		{"no type", swap(dose, `"type":"dose",`, ``), id1, domain.CodeMissingField, "type"},
		{"unknown type", swap(dose, `"type":"dose"`, `"type":"jab"`), id1, domain.CodeUnknownType, "type"},
		{"type is a number", swap(dose, `"type":"dose"`, `"type":7`), id1, domain.CodeUnknownType, "type"},
		{"no id", swap(dose, `"id":"`+id1+`",`, ``), "", domain.CodeMissingField, "id"},
		{"bad id", swap(dose, id1, "17"), "", domain.CodeBadID, "id"},
		{"id is a number", swap(dose, `"`+id1+`"`, "17"), "", domain.CodeBadID, "id"},
		{"id with more", swap(dose, id1, id1+"0"), "", domain.CodeBadID, "id"},
		{"upper-case id stays so", swap(swap(dose, id1, id2), `"dose":1`, `"dose":9`), id2, domain.CodeBadValue, "dose"},

		{"missing field", swap(dose, `"batch":"4120Z001",`, ``), id1, domain.CodeMissingField, "batch"},
		{"missing person", swap(dose, `"person":"`+ref+`",`, ``), id1, domain.CodeMissingField, "person"},
		{"no number and no registration", swap(samples[9], `"registration":"`+registered+`",`, ``), id1, domain.CodeMissingField, "person"},
		{"number and registration", swap(dose, `"person"`, `"registration":"`+registered+`","person"`), id1, domain.CodeBadValue, "registration"},
		{"a registration of no id", swap(samples[9], registered, `00000000-0000-0000-0000-000000000000`), id1, domain.CodeMissingField, "person"},
		{"a registration that is no id", swap(samples[9], registered, `17`), id1, domain.CodeBadID, "registration"},
		{"a registration that is a number", swap(samples[9], `"`+registered+`"`, `17`), id1, domain.CodeBadID, "registration"},
		{"a registration by registration", swap(samples[8], `"district"`, `"registration":"`+registered+`","district"`), id1, domain.CodeUnknownField, "registration"},
		{"a decision by registration", swap(samples[6], `"request"`, `"registration":"`+registered+`","request"`), id1, domain.CodeUnknownField, "registration"},
		{"a restated dose", swap(samples[9], `"dose":1`, `"dose":1,"restated":true`), id1, domain.CodeUnknownField, "restated"},
		{"restated as text", swap(samples[8], `"restated":true`, `"restated":"yes"`), id1, domain.CodeBadValue, "restated"},

		{"photo ID without number", swap(reg, `,"number":"234567890123"`, ``), id1, domain.CodeMissingField, "photo_id"},

		{"null", swap(dose, `"4120Z001"`, `null`), id1, domain.CodeBadValue, "batch"},
		{"half a surrogate pair", swap(dose, `"4120Z001"`, `"\ud800"`), id1, domain.CodeBadValue, "batch"},
		{"bad time", swap(dose, "2021-01-16", "16-01-2021"), id1, domain.CodeBadValue, "at"},
		{"no such day", swap(dose, "2021-01-16", "2021-02-30"), id1, domain.CodeBadValue, "at"},
		{"district as text", swap(dose, "208", `"208"`), id1, domain.CodeBadValue, "district"},
		{"district with a fraction", swap(dose, "208", `208.0`), id1, domain.CodeBadValue, "district"},
		{"district out of range", swap(dose, "208", `99999999999999999999999999`), id1, domain.CodeUnknownDistrict, "district"},
		{"district 0", swap(dose, "208", `0`), id1, domain.CodeUnknownDistrict, "district"},
		{"district below 0", swap(dose, "208", `-208`), id1, domain.CodeUnknownDistrict, "district"},
		{"unknown group", swap(reg, `"HCW"`, `"VIP"`), id1, domain.CodeBadValue, "group"},
		{"unknown sex", swap(reg, `"F"`, `"X"`), id1, domain.CodeBadValue, "sex"},
		{"unknown vaccine", swap(dose, `COVISHIELD`, `COVISHEILD`), id1, domain.CodeBadValue, "vaccine"},
		{"dose 4", swap(dose, `"dose":1`, `"dose":4`), id1, domain.CodeBadValue, "dose"},
		{"dose as text", swap(dose, `"dose":1`, `"dose":"1"`), id1, domain.CodeBadValue, "dose"},
		{"birth year as text", swap(reg, `1961`, `"1961"`), id1, domain.CodeBadValue, "birth_year"},
		{"mobile as a number", swap(reg, `"9000000001"`, `9000000001`), id1, domain.CodeBadValue, "mobile"},
		{"photo ID as text", swap(reg, `{"type":"AADHAAR","number":"234567890123"}`, `"234567890123"`), id1, domain.CodeBadValue, "photo_id"},
		{"unknown photo ID", swap(reg, `AADHAAR`, `LIBRARY_CARD`), id1, domain.CodeBadValue, "photo_id"},
		{"empty person", swap(reg, ref, ``), id1, domain.CodeBadReference, "person"},
		{"wrong check digit", swap(dose, ref, `21679381234567`), id1, domain.CodeBadReference, "person"},
		{"unknown reason", swap(samples[3], `"duplicate"`, `"he moved away"`), id1, domain.CodeBadValue, "reason"},
		{"unknown status", swap(samples[5], `"partial"`, `"half"`), id1, domain.CodeBadValue, "to"},
		{"unknown decision", swap(samples[6], `"approve"`, `"maybe"`), id1, domain.CodeBadValue, "decision"},
		{"bad request id", swap(samples[6], `a009"`, `"`), id1, domain.CodeBadID, "request"},
		{"no group at all", swap(freeze, `["HCW","FLW"]`, `[]`), id1, domain.CodeBadValue, "groups"},
		{"a group twice", swap(freeze, `["HCW","FLW"]`, `["HCW","HCW"]`), id1, domain.CodeBadValue, "groups"},
		{"groups as text", swap(freeze, `["HCW","FLW"]`, `"HCW"`), id1, domain.CodeBadValue, "groups"},
		{"no person at all", swap(freeze, `"groups":["HCW","FLW"]`, `"persons":[]`), id1, domain.CodeBadValue, "persons"},
		{"persons as numbers", swap(freeze, `"groups":["HCW","FLW"]`, `"persons":[21679381234566]`), id1, domain.CodeBadValue, "persons"},
		{"one person, not a list", swap(freeze, `"groups":["HCW","FLW"]`, `"persons":"`+ref+`"`), id1, domain.CodeBadValue, "persons"},
		{"persons and groups", swap(freeze, `"groups"`, `"persons":["`+ref+`"],"groups"`), id1, domain.CodeBadValue, "groups"},
		{"a person twice", swap(freeze, `"groups":["HCW","FLW"]`, `"persons":["`+ref+`","`+ref+`"]`), id1, domain.CodeBadValue, "persons"},
		{"a wrong number in a list", swap(freeze, `"groups":["HCW","FLW"]`, `"persons":["`+ref+`","21679381234567"]`), id1, domain.CodeBadReference, "persons"},
		{"persons, standing", swap(swap(freeze, `"groups":["HCW","FLW"]`, `"persons":["`+ref+`"]`), `false`, `true`), id1, domain.CodeBadValue, "standing"},
		{"too many persons", swap(freeze, `"groups":["HCW","FLW"]`, `"persons":["`+strings.Repeat(ref+`","`, domain.MaxListed)+ref+`"]`), id1, domain.CodeTooLong, "persons"},
		{"unknown mode", swap(freeze, `"handover"`, `"burn"`), id1, domain.CodeBadValue, "mode"},
		{"standing as text", swap(freeze, `false`, `"no"`), id1, domain.CodeBadValue, "standing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// The neighbours must not notice.
			items := readAll(t, samples[1]+"\n"+c.line+"\r\n"+samples[2])
			if len(items) != 3 || items[0].Reject != nil || items[2].Reject != nil {
				t.Fatalf("the neighbours of a bad line suffered: %+v", items)
			}
			got := items[1]
			if got.Reject == nil {
				t.Fatal("accepted")
			}
			if got.ID != c.id || got.Reject.Code != c.code || got.Reject.Field != c.field || got.Submission != nil {
				t.Errorf("got id %q, %s, field %q; want %q, %s, %q", got.ID, got.Reject.Code, got.Reject.Field, c.id, c.code, c.field)
			}
			for _, secret := range []string{"सुनीता", "9000000001", "234567890123", ref, "1961", "Mithanpura", "842001", "negative", "he moved"} {
				if strings.Contains(got.Reject.Message, secret) {
					t.Errorf("the message repeats a value: %s", got.Reject.Message)
				}
			}
			if got.Reject.Message == "" {
				t.Error("no message")
			}
		})
	}
}

// The longest list that there can be fits in a line, and comes back as it was.
func TestFreezeOfListedPersons(t *testing.T) {
	t.Parallel()
	f := domain.Freeze{
		Heading: domain.Heading{ID: domain.UUID{1, 15: 2}, At: domain.Date(2021, 3, 4).Start()}, District: 208,
		Mode: domain.Erase, Order: "DL/2021/119", By: "authority",
	}
	for n := range domain.MaxListed {
		f.Persons = append(f.Persons, domain.MakeReference(fmt.Sprintf("2%012d", n)))
	}
	items := readAll(t, string(AppendSubmission(nil, f)))
	back, ok := items[0].Submission.(domain.Freeze)
	if !ok {
		t.Fatal(items[0].Reject)
	}
	if !reflect.DeepEqual(back.Persons, f.Persons) || back.Mode != domain.Erase {
		t.Error("the list came back differently")
	}
}

func TestWhatAFreezeMayLeaveOut(t *testing.T) {
	t.Parallel()
	items := readAll(t, `{"type":"freeze","id":"`+id1+`","at":"2021-03-04","district":208,"order":"DL/2021/117","by":"authority"}`)
	f, ok := items[0].Submission.(domain.Freeze)
	if !ok {
		t.Fatal(items[0].Reject)
	}
	if len(f.Groups) != 0 || f.Standing || f.Mode != domain.Handover {
		t.Errorf("read as %+v", f)
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	dose := samples[1]
	// Spaces that bring a line to exactly n bytes.
	padded := func(n int) string { return dose + strings.Repeat(" ", n-len(dose)) }
	for _, c := range []struct {
		name, input string
		lines       []int // of the items
		codes       []domain.Code
	}{
		{"empty", "", nil, nil},
		{"blank lines", "\n \n\r\n\t\n" + dose + "\n\n", []int{5}, []domain.Code{""}},
		{"byte order mark and CRLF", "\xEF\xBB\xBF" + dose + "\r\n" + dose + "\r\n", []int{1, 2}, []domain.Code{"", ""}},
		{"only a byte order mark", "\xEF\xBB\xBF", nil, nil},
		{"no line end at the end", dose + "\n" + dose, []int{1, 2}, []domain.Code{"", ""}},
		{"longest", padded(MaxLine) + "\n" + dose, []int{1, 2}, []domain.Code{"", ""}},
		{"longest, CRLF", padded(MaxLine) + "\r\n" + dose, []int{1, 2}, []domain.Code{"", ""}},
		{"longest, at the end", padded(MaxLine), []int{1}, []domain.Code{""}},
		{"too long by one", padded(MaxLine+1) + "\n" + dose, []int{1, 2}, []domain.Code{domain.CodeTooLong, ""}},
		{"too long by far", dose + "\n" + padded(1<<20) + "\n" + dose, []int{1, 2, 3}, []domain.Code{"", domain.CodeTooLong, ""}},
		{"too long at the end", dose + "\n" + padded(1<<20), []int{1, 2}, []domain.Code{"", domain.CodeTooLong}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for name, wrap := range map[string]func(io.Reader) io.Reader{
				"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader, "data with EOF": iotest.DataErrReader,
			} {
				var lines []int
				var codes []domain.Code
				for item, err := range ReadNDJSON(wrap(strings.NewReader(c.input))) {
					if err != nil {
						t.Fatal(err)
					}
					lines = append(lines, item.Line)
					code := domain.Code("")
					if item.Reject != nil {
						code = item.Reject.Code
					}
					codes = append(codes, code)
				}
				if fmt.Sprint(lines, codes) != fmt.Sprint(c.lines, c.codes) {
					t.Errorf("%s: lines %v %v, want %v %v", name, lines, codes, c.lines, c.codes)
				}
			}
		})
	}
}

func TestReadErrorEndsTheInput(t *testing.T) {
	t.Parallel()
	broken := errors.New("the link is down")
	in := io.MultiReader(strings.NewReader(samples[1]+"\n"+samples[1][:40]), iotest.ErrReader(broken))
	items := 0
	var got error
	for item, err := range ReadNDJSON(in) {
		if err != nil {
			got = err
			continue
		}
		if item.Reject != nil {
			t.Error("half a line was judged")
		}
		items++
	}
	if items != 1 || !errors.Is(got, broken) {
		t.Errorf("%d items and %v; want 1 and the reader's error", items, got)
	}
}

func TestReadingStopsWhenAsked(t *testing.T) {
	t.Parallel()
	n := 0
	for range ReadNDJSON(strings.NewReader(strings.Repeat(samples[1]+"\n", 10))) {
		n++
		if n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("read %d", n)
	}
}

// FuzzReadNDJSON puts anything between good lines: nothing panics, the good
// lines stay good, and what is accepted survives being written and read again.
func FuzzReadNDJSON(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s))
	}
	f.Add([]byte("\xEF\xBB\xBF\n{\"type\":\"dose\"}\r\n\xff"))
	f.Add([]byte(swap(samples[0], `"sex"`, `"address":{"pin":842001},"sex"`)))
	f.Add([]byte(swap(samples[0], "सुनीता", `Sun\u012bt\u0101 \ud83d\ude00`)))
	f.Fuzz(func(t *testing.T, middle []byte) {
		input := samples[1] + "\n" + string(middle) + "\n" + samples[7]
		var items []Item
		for item, err := range ReadNDJSON(strings.NewReader(input)) {
			if err != nil {
				t.Fatal(err)
			}
			items = append(items, item)
		}
		if len(items) < 2 || items[0].Reject != nil || items[len(items)-1].Reject != nil {
			t.Fatalf("good lines suffered from %q", middle)
		}
		if lines := 2 + len(bytes.Split(middle, []byte("\n"))); items[len(items)-1].Line != lines {
			t.Fatalf("the last line is %d, want %d", items[len(items)-1].Line, lines)
		}
		for _, item := range items {
			if item.Reject != nil {
				if item.Submission != nil || item.Reject.Code == "" || item.Reject.Message == "" {
					t.Fatalf("%+v", item)
				}
				continue
			}
			once := AppendSubmission(nil, item.Submission)
			_, again, reject := parse(string(once), domain.UUID{})
			if reject != nil {
				t.Fatalf("what was written is refused: %v\n%s", reject, once)
			}
			if twice := AppendSubmission(nil, again); !bytes.Equal(once, twice) {
				t.Fatalf("%s\nread again is\n%s", once, twice)
			}
		}
	})
}

func TestConstantMemory(t *testing.T) {
	// Not parallel: it counts what the whole process allocates.
	line := samples[1] + "\n"
	per := testing.AllocsPerRun(5, func() {
		for _, err := range ReadNDJSON(strings.NewReader(strings.Repeat(line, 1000))) {
			if err != nil {
				t.Fatal(err)
			}
		}
	})
	// The line, its id, the submission; what a line costs must not grow.
	if per > 1000*8 {
		t.Errorf("%.1f allocations a line", per/1000)
	}
}

func BenchmarkReadNDJSON(b *testing.B) {
	for i, name := range []string{"registration", "dose"} {
		b.Run(name, func(b *testing.B) {
			chunk := strings.Repeat(samples[i]+"\n", 1000)
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			for b.Loop() {
				for item, err := range ReadNDJSON(strings.NewReader(chunk)) {
					if err != nil || item.Reject != nil {
						b.Fatal(err, item.Reject)
					}
				}
			}
			b.ReportMetric(float64(b.N)*1000/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

// Lines without ids get theirs by their number; those that have one, however
// wrong, keep what they have.
func TestReadNDJSONNaming(t *testing.T) {
	t.Parallel()
	const rest = `"type":"dose_withdrawal","at":"2021-04-04","person":"21679381234566","dose":2,"reason":"entered_in_error"}`
	in := "{" + rest + "\n\n" + `{"id":"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001",` + rest + "\n" + `{"id":"x",` + rest + "\n" + `{"id":null,` + rest
	name := func(line int) domain.UUID { return domain.UUID{15: byte(line)} }
	var got []string
	for item, err := range ReadNDJSONNaming(strings.NewReader(in), name) {
		switch {
		case err != nil:
			t.Fatal(err)
		case item.Reject != nil:
			got = append(got, string(item.Reject.Code))
		case item.Submission.Head().ID.String() != item.ID:
			t.Errorf("the item is %s, its submission %s", item.ID, item.Submission.Head().ID)
		default:
			got = append(got, item.ID)
		}
	}
	want := []string{name(1).String(), "018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001", "bad_id", "bad_id"}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A withdrawal may say which dose it means beyond the number.
func TestWithdrawalOfOneDose(t *testing.T) {
	t.Parallel()
	line := strings.TrimSuffix(samples[4], "}") + `,"given":"2021-03-06","vaccine":"COVAXIN"}`
	items := readAll(t, line+"\n"+swap(line, "2021-03-06", "March")+"\n"+swap(line, "2021-03-06", "1921-03-06"))
	if got := string(AppendSubmission(nil, items[0].Submission)); got != line {
		t.Errorf("read as %s", got)
	}
	for _, item := range items[1:] {
		if item.Reject == nil || item.Reject.Code != domain.CodeBadValue || item.Reject.Field != "given" {
			t.Errorf("%+v", item)
		}
	}
	row := "type,id,at,person,dose,reason,given,vaccine\ndose_withdrawal," + id1 + ",2021-04-04," + ref + ",2,entered_in_error,06/03/2021,Covaxin"
	if got := natives(readCSV(t, row, Options{})); len(got) != 1 || got[0] != line {
		t.Errorf("read from CSV as %s", got)
	}
}
