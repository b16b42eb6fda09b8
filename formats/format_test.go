package formats

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"bahi/domain"
)

func TestFormatIsFoundByContent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		input string
		want  Format
	}{
		{"", NDJSON},
		{"\n \n", NDJSON},
		{"hello", NDJSON},
		{samples[0], NDJSON},
		{"\xEF\xBB\xBF\n" + samples[0] + "\n" + nextFHIR, NDJSON},
		{`{"type":"dose",`, NDJSON},
		{`{"type":tru,"resourceType":"Immunization"}`, NDJSON},
		{nextDIVOC, DIVOC},
		{"[" + nextDIVOC + "]", DIVOC},
		{"[\n\n  " + nextDIVOC, DIVOC},
		{`[{"vaccination":{"dose":1},"programId":`, DIVOC},
		{nextFHIR, FHIR},
		{`{"resourceType":"Bundle","type":"collection","entry":[` + strings.Repeat(nextFHIR+",", 1000), FHIR},
		{`{"type":"collection","entry":[],"resourceType":"Bundle"}`, FHIR},
		{nextCoWIN, CoWIN},
		{`{"_note":"x","register":{"name":"y"}}`, CoWIN},
		{`{"name":"x","gender_id":2}`, CoWIN},
		{"type,id,at\n", CSV},
		{"type;id;at", CSV},
		{"\"type\"\t\"id\"\n{\"type\":\"dose\"}\n", CSV},
		{"name,note\nAnita,\"{\"\"resourceType\"\":1}\"\n", CSV},
		{"\xFF\xFEt\x00y\x00p\x00e\x00,\x00i\x00d\x00\n\x00", CSV},
		{"}" + nextCoWIN, CoWIN},
		{`{"x":"` + strings.Repeat("x", 200_000) + `","resourceType":"Patient"}`, NDJSON}, // it does not show itself early
	} {
		for _, r := range []io.Reader{strings.NewReader(c.input), iotest.OneByteReader(strings.NewReader(c.input))} {
			if len(c.input) > 10_000 {
				r = strings.NewReader(c.input)
			}
			in := bufio.NewReader(decoded(r))
			got, err := findFormat(in)
			if err != nil || got != c.want {
				t.Errorf("%.60q is %s, %v; want %s", c.input, got, err, c.want)
			}
			if rest, err := io.ReadAll(in); err != nil || len(rest) < len(c.input)/2-2 {
				t.Errorf("%.60q: looking took something: %d bytes are left, %v", c.input, len(rest), err)
			}
		}
	}
}

func TestReadTellsOfOptionsAndReaders(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{District: 9999}, {Centre: "Sadar Hospital"}, {Format: 99}} {
		if _, err := Read(strings.NewReader(nextDIVOC), o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
	if _, err := Read(iotest.ErrReader(io.ErrUnexpectedEOF), Options{}); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v", err)
	}
	for f := NDJSON; f <= CoWIN; f++ {
		if back, err := ParseFormat(f.String()); err != nil || back != f {
			t.Errorf("%s is parsed as %s, %v", f, back, err)
		}
		// A reader that fails later ends every format with its error.
		beginning := "{\"a\":1}\n"
		if f == CSV {
			beginning = "type,id,at,person,reason\n"
		}
		items, err := Read(io.MultiReader(strings.NewReader(beginning), iotest.ErrReader(io.ErrUnexpectedEOF)), Options{Format: f})
		if err != nil {
			t.Fatal(err)
		}
		var last error
		for _, last = range items {
		}
		if last == nil || !strings.HasPrefix(last.Error(), "reading line ") {
			t.Errorf("%s ends with %v", f, last)
		}
	}
	if _, err := ParseFormat(""); err == nil {
		t.Error("no name is a format")
	}
}

// Without options a record has to say everything itself.
func TestWhatARecordLeavesUnsaid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		input string
		code  domain.Code
		field string
	}{
		{nextDIVOC, domain.CodeUnknownDistrict, "recipient.address.district"},
		{nextFHIR, domain.CodeMissingField, "patient"},
		{nextCoWIN, domain.CodeMissingField, ""},
	} {
		items := readForeign(t, []byte(c.input), Options{})
		if len(items) == 0 || items[0].Reject == nil || items[0].Reject.Code != c.code || items[0].Reject.Field != c.field {
			t.Errorf("%.40s: %+v", c.input, items)
		}
	}
}

// A format is found although the first record is broken, or shows itself late.
func TestFormatBehindWhatIsBroken(t *testing.T) {
	t.Parallel()
	large := strings.Repeat(`{"resource":`+fhirDose+`},`, 1000)
	for _, c := range []struct {
		input string
		want  Format
	}{
		{`[{"recipient":{"name":tru},},` + nextDIVOC + `]`, DIVOC},
		{"{\"x\":{,\n" + nextFHIR, FHIR},
		{swap(samples[0], `"photo_id":{`, `"photo_id":,{`) + "\n" + samples[1], NDJSON},
		{`{"entry":[` + large + `{"resource":` + fhirDose + `}],"resourceType":"Bundle"}`, FHIR},
		{"[]", DIVOC}, {" [ ]\n", DIVOC}, {"{", NDJSON},
	} {
		if got, err := findFormat(bufio.NewReaderSize(strings.NewReader(c.input), 64<<10)); got != c.want || err != nil {
			t.Errorf("%.60s is %s, %v; want %s", c.input, got, err, c.want)
		}
	}
	if items := readForeign(t, []byte("[]"), Options{}); len(items) != 0 {
		t.Errorf("a list of nothing has %+v", items)
	}
}
