package formats

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"bahi/domain"
)

const (
	fhirPatient = `{"resourceType":"Patient","id":"p1","identifier":[{"type":{"text":"Passport"},"value":"K1234567"},{"system":"https://example.org/mrn","value":"17"}],"name":[{"text":"Mohan Lal"}],"telecom":[{"value":"9000000005"}],"gender":"male","birthDate":"1950-05-01"}`
	fhirDose    = `{"resourceType":"Immunization","status":"completed","vaccineCode":{"text":"Covishield"},"patient":{"reference":"Patient/p1"},"occurrenceDateTime":"2021-03-06","lotNumber":"4120Z001","protocolApplied":[{"doseNumberPositiveInt":1}]}`
)

// inBundle makes a Bundle of resources, each with the name it has there.
func inBundle(entries ...string) string {
	var b strings.Builder
	for i := 0; i < len(entries); i += 2 {
		fmt.Fprintf(&b, `{"fullUrl":%q,"resource":%s},`, entries[i], entries[i+1])
	}
	return `{"resourceType":"Bundle","type":"collection","entry":[` + strings.TrimSuffix(b.String(), ",") + `]}`
}

// whoOf reads an input and returns the id of its registration, if it has one, and
// the registration that its last dose names.
func whoOf(t *testing.T, input string, o Options) (registered, named domain.UUID) {
	t.Helper()
	for _, item := range readForeign(t, []byte(input), o) {
		switch s := item.Submission.(type) {
		case domain.Registration:
			registered = s.ID
		case domain.DoseGiven:
			named = s.Registration
		default:
			t.Fatalf("%s: %+v", input, item.Reject)
		}
	}
	return registered, named
}

// TestPatientAndDoseMeet: however they name each other, a dose in the Bundle of its
// Patient names the registration, and that goes by the photo ID, so that records
// of other formats name it, too.
func TestPatientAndDoseMeet(t *testing.T) {
	t.Parallel()
	ref := func(patient string) string { return swap(fhirDose, `{"reference":"Patient/p1"}`, patient) }
	want := registrationID(domain.PhotoID{Type: domain.Passport, Number: "K1234567"})
	for _, c := range []struct{ name, input string }{
		{"alone", fhirPatient},
		{"type and id", inBundle("", fhirPatient, "", fhirDose)},
		{"the dose first", inBundle("", fhirDose, "", fhirPatient)},
		{"a version", inBundle("", fhirPatient, "", ref(`{"reference":"Patient/p1/_history/3"}`))},
		{"an address", inBundle("https://a.example/fhir/Patient/p1", fhirPatient, "", ref(`{"reference":"https://a.example/fhir/Patient/p1"}`))},
		{"an identifier", inBundle("", fhirPatient, "", ref(`{"identifier":{"system":"https://example.org/mrn","value":"17"}}`))},
		{"a photo ID", inBundle("", fhirPatient, "", ref(`{"identifier":{"type":{"text":"Passport"},"value":"K1234567"}}`))},
		{"a photo ID alone", ref(`{"identifier":{"type":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v2-0203","code":"PPN"}]},"value":"k 1234567"}}`)},
		{"a name of the Bundle's own", inBundle("urn:uuid:1", fhirPatient, "urn:uuid:2", ref(`{"reference":"urn:uuid:1"}`))},
		{"within", swap(ref(`{"reference":"#p1"}`), `"status"`, `"contained":[`+fhirPatient+`],"status"`)},
		{"CoWIN", `{"register":{"name":"Mohan Lal","birth_year":"1950","gender_id":1,"mobile_number":"9000000005","photo_id_type":8,"photo_id_number":"K1234567"},` +
			`"vaccinate":{"center_id":208001,"vaccine":"COVISHIELD","vaccine_batch":"4120Z001","dose":1,"dose1_date":"06-03-2021"}}`},
	} {
		registered, named := whoOf(t, c.input, foreignOptions)
		if registered != want && registered != (domain.UUID{}) || named != want && named != (domain.UUID{}) || registered == named && named == (domain.UUID{}) {
			t.Errorf("%s: registered as %s, and the dose is of %s", c.name, registered, named)
		}
	}
}

// A reference within a server names nobody, unless it is said whose server.
func TestReferenceOfNoServer(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{District: 208}, {Centre: "208001"}} {
		items := readForeign(t, []byte(fhirDose), o)
		if len(items) != 1 || items[0].Reject == nil || items[0].Reject.Field != "patient" || items[0].Reject.Code != domain.CodeMissingField {
			t.Errorf("%+v: %+v", o, items)
		}
	}
}

// A corrected record of a dose is another submission, whichever part of it was
// corrected; the same one written in another zone is the same.
func TestCorrectedDoseIsAnother(t *testing.T) {
	t.Parallel()
	id := func(input string) string {
		items := readForeign(t, []byte(input), foreignOptions)
		return items[len(items)-1].ID
	}
	dated := swap(fhirDose, "2021-03-06", "2021-03-06T10:00:00+05:30")
	if id(dated) != id(swap(fhirDose, "2021-03-06", "2021-03-06T04:30:00Z")) {
		t.Error("another zone makes another dose")
	}
	for _, c := range [][3]string{
		{dated, "T10:00", "T11:00"}, {fhirDose, "4120Z001", "4120Z002"}, {fhirDose, "Covishield", "Covaxin"}, {fhirDose, "Int\":1", "Int\":2"},
		{nextDIVOC, "NEXT", "OTHER"}, {nextDIVOC, `"2021-03-02"`, `"2021-03-02T10:00:00Z"`}, {nextCoWIN, "100001", "100002"}, {nextCoWIN, "NEXT", "OTHER"},
	} {
		if id(c[0]) == id(swap(c[0], c[1], c[2])) {
			t.Errorf("%s for %s is the same dose", c[2], c[1])
		}
	}
}

// Another server has other patients of the same id.
func TestIdsOfAnotherCentreAreOthers(t *testing.T) {
	t.Parallel()
	_, here := whoOf(t, fhirDose, foreignOptions)
	_, there := whoOf(t, fhirDose, Options{District: 208, Centre: "208002"})
	if here == there {
		t.Error("Patient/p1 of two centres is one person")
	}
	_, one := whoOf(t, swap(fhirDose, "Patient/p1", "https://a.example/Patient/p1"), foreignOptions)
	_, two := whoOf(t, swap(fhirDose, "Patient/p1", "https://b.example/Patient/p1"), foreignOptions)
	if one == two {
		t.Error("Patient/p1 of two servers is one person")
	}
}

func TestImmunizationRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, input string
		code        domain.Code
		field       string
	}{
		{"unknown status", swap(fhirDose, "completed", "done"), domain.CodeBadValue, "status"},
		{"no status", swap(fhirDose, `"status":"completed",`, ""), domain.CodeMissingField, "status"},
		{"not given", swap(fhirDose, "completed", "not-done"), domain.CodeNotGiven, "status"},
		{"no vaccine", swap(fhirDose, `"vaccineCode":{"text":"Covishield"},`, ""), domain.CodeBadValue, "vaccineCode"},
		{"a kind of vaccine", swap(fhirDose, `{"text":"Covishield"}`, `{"coding":[{"system":"http://id.who.int/icd11/mms","code":"XM1NL1"}]}`), domain.CodeBadValue, "vaccineCode"},
		{"a code of another system", swap(fhirDose, `{"text":"Covishield"}`, `{"coding":[{"system":"http://snomed.info/sct","code":"502"}]}`), domain.CodeBadValue, "vaccineCode"},
		{"no date", swap(fhirDose, `"occurrenceDateTime":"2021-03-06",`, ""), domain.CodeMissingField, "occurrenceDateTime"},
		{"half a date", swap(fhirDose, "2021-03-06", "2021-03"), domain.CodeBadValue, "occurrenceDateTime"},
		{"a date in words", swap(fhirDose, `occurrenceDateTime":"2021-03-06`, `occurrenceString":"last spring`), domain.CodeBadValue, "occurrenceString"},
		{"no number", swap(fhirDose, `[{"doseNumberPositiveInt":1}]`, "[]"), domain.CodeMissingField, "protocolApplied.doseNumberPositiveInt"},
		{"a number of no dose", swap(fhirDose, `:1}`, `:9}`), domain.CodeBadValue, "protocolApplied.doseNumberPositiveInt"},
		{"no batch", swap(fhirDose, `"lotNumber":"4120Z001",`, ""), domain.CodeMissingField, "lotNumber"},
		{"a batch with more in it", swap(fhirDose, "4120Z001", "4120Z001 (spare)"), domain.CodeBadValue, "lotNumber"},
		{"nobody", swap(fhirDose, `{"reference":"Patient/p1"}`, "{}"), domain.CodeMissingField, "patient"},
		{"nobody within", swap(fhirDose, "Patient/p1", "#p1"), domain.CodeMissingField, "patient"},
		{"a wrong reference number", swap(fhirDose, `"reference":"Patient/p1"`, `"identifier":{"type":{"text":"Beneficiary reference ID"},"value":"21679381234567"}`), domain.CodeBadReference, "patient.identifier.value"},
		{"a member twice", swap(fhirDose, `"status"`, `"lotNumber":"X","status"`), domain.CodeBadJSON, "lotNumber"},
		{"a Patient without a date", fhirPatient, domain.CodeMissingField, ""},
		{"a Patient without a phone", swap(fhirPatient, `[{"value":"9000000005"}]`, `[{"system":"email","value":"x@example.org"}]`), domain.CodeMissingField, "telecom"},
		{"a Patient with a fixed line", swap(fhirPatient, "9000000005", "+91 273 2139 3632"), domain.CodeBadValue, "telecom.value"},
		{"a Patient of unknown sex", swap(fhirPatient, `"male"`, `"unknown"`), domain.CodeBadValue, "gender"},
		{"a Patient without a year of birth", swap(fhirPatient, `"1950-05-01"`, `"05"`), domain.CodeBadValue, "birthDate"},
		{"a masked photo ID", swap(fhirPatient, "K1234567", "XXXXX567"), domain.CodeBadValue, "identifier.value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := foreignOptions
			if c.field == "" {
				o = Options{District: 208, Centre: "208001"}
			}
			items := readForeign(t, []byte(c.input), o)
			if len(items) != 1 || items[0].Reject == nil || items[0].Reject.Code != c.code || items[0].Reject.Field != c.field {
				t.Fatalf("got %+v, %+v; want %s of %q", items, items[0].Reject, c.code, c.field)
			}
		})
	}
}

func TestVaccinesByCode(t *testing.T) {
	t.Parallel()
	for code, want := range vaccineProducts {
		concept := fmt.Sprintf(`{"coding":[{"system":"https://example.org/own","code":"1"},{"system":%q,"code":%q}]}`, code.system, code.code)
		items := readForeign(t, []byte(swap(fhirDose, `{"text":"Covishield"}`, concept)), foreignOptions)
		if dose, ok := items[0].Submission.(domain.DoseGiven); !ok || dose.Vaccine != want {
			t.Errorf("%v is read as %+v", code, items[0])
		}
	}
}

// A Bundle beyond what is read together is refused, each of its resources with
// its line, and holds up nothing: not memory, nor what comes after it.
func TestBundleTooLarge(t *testing.T) {
	t.Parallel()
	const entries = 50_000
	in, out := io.Pipe()
	go func() {
		fmt.Fprint(out, `{"resourceType":"Bundle","type":"searchset","entry":[`)
		for range entries {
			fmt.Fprintf(out, "{\"resource\":%s},\n", fhirDose)
		}
		fmt.Fprintf(out, "{\"resource\":%s}]}\n%s", fhirDose, nextFHIR)
		out.Close()
	}()
	refused, last := 0, Item{}
	for item, err := range ReadFHIR(in, foreignOptions) {
		if err != nil {
			t.Fatal(err)
		}
		if item.Reject != nil && item.Reject.Code == domain.CodeTooLong {
			if refused++; item.Line != refused {
				t.Fatalf("line %d after %d others", item.Line, refused-1)
			}
		}
		last = item
	}
	if refused != entries+1 || last.Reject != nil || last.Line != entries+2 {
		t.Errorf("%d of %d are refused, the last is %+v", refused, entries+1, last)
	}
}

// Entries that break do not cost their Bundle: the others are read, and meet.
func TestBrokenEntryInABundle(t *testing.T) {
	t.Parallel()
	input := inBundle("", fhirDose, "", "{\"resourceType\":\"Immunization\",\"status\":completed}", "", fhirPatient)
	var codes []string
	for _, item := range readForeign(t, []byte(strings.ReplaceAll(input, "},{", "},\n{")), foreignOptions) {
		item.hold(t)
		codes = append(codes, fmt.Sprintf("%d %T %v", item.Line, item.Submission, item.Reject != nil))
	}
	want := "2 <nil> true, 3 domain.Registration false, 1 domain.DoseGiven false"
	if got := strings.Join(codes, ", "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func BenchmarkReadFHIR(b *testing.B) {
	benchmarkForeign(b, bytes.Repeat([]byte(inBundle("urn:uuid:1", fhirPatient, "", swap(fhirDose, "Patient/p1", "urn:uuid:1"))+"\n"), 2000))
}
func BenchmarkReadDIVOC(b *testing.B) {
	benchmarkForeign(b, bytes.Repeat([]byte(nextDIVOC+"\n"), 2000))
}
func BenchmarkReadCoWIN(b *testing.B) {
	benchmarkForeign(b, bytes.Repeat([]byte(nextCoWIN+"\n"), 2000))
}

func benchmarkForeign(b *testing.B, input []byte) {
	b.SetBytes(int64(len(input)))
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for _, item := range readForeign(b, input, foreignOptions) {
			if item.Reject != nil {
				b.Fatal(item.Reject)
			}
			n++
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "submissions/s")
}

// What a Bundle says twice, or holds within it, is refused and not passed over;
// and nothing within a broken record is taken for one.
func TestNothingFromWithin(t *testing.T) {
	t.Parallel()
	whole := inBundle("", fhirPatient, "", fhirDose)
	within := swap(fhirDose, `"status"`, `"contained":[`+fhirPatient+`,`+fhirPatient+`],"status"`)
	pair := `{"register":{"name":"Mohan Lal","birth_year":"1950","gender_id":1,"mobile_number":"9000000005","photo_id_type":8,"photo_id_number":"K1234567"},"vaccinate":{"dose":1},,}`
	for _, c := range []struct {
		name, input string
		code        domain.Code
	}{
		{"type twice", swap(whole, `"type":"collection"`, `"type":"collection","type":"history"`), domain.CodeBadJSON},
		{"entry twice", strings.TrimSuffix(whole, "]}") + `],"entry":[{"resource":` + fhirDose + `}]}`, domain.CodeBadJSON},
		{"resource twice", inBundle("", fhirDose+`,"resource":`+fhirDose), domain.CodeBadJSON},
		{"a Bundle as a resource", inBundle("", whole), domain.CodeNotSupported},
		{"a Bundle as an entry", `{"resourceType":"Bundle","entry":[` + whole + `]}`, domain.CodeNotSupported},
		{"a broken record", strings.TrimSuffix(within, "}") + ",,}", domain.CodeBadJSON},
		{"a broken entry", inBundle("", strings.TrimSuffix(within, "}")+",,}"), domain.CodeBadJSON},
		{"a broken request", inBundle("", fhirPatient+`,"request":{"method":"PUT",}`), domain.CodeBadJSON},
		{"a broken record over lines", "{\n\"resourceType\":\"Immunization\",\n\"contained\":[\n" + fhirPatient + ",\n" + fhirPatient + "\n],,\n}", domain.CodeBadJSON},
		{"a broken pair", pair, domain.CodeBadJSON},
	} {
		items := readForeign(t, []byte(c.input), foreignOptions)
		found := false
		for _, item := range items {
			item.hold(t)
			if item.Submission != nil {
				t.Errorf("%s: accepted %s", c.name, AppendSubmission(nil, item.Submission))
			}
			found = found || item.Reject != nil && item.Reject.Code == c.code
		}
		if !found {
			t.Errorf("%s: not %s: %+v", c.name, c.code, items)
		}
	}
}

// Nesting without end is stepped over once.
func TestDeepNestingIsCheap(t *testing.T) {
	t.Parallel()
	for _, junk := range []string{`{"a":`, `{"a":[`, `[{`, `,{"a":`, `{"a":{},`, "\n{\"a\":"} {
		s := splitter{in: strings.NewReader(`[{"recipient":` + strings.Repeat(junk, 100_000)), looks: isRecordOfFHIR, usual: 4 << 10, line: 1}
		for ok := true; ok; {
			_, ok = s.next()
		}
		if s.vain > MaxRecord+2*maxInVain*s.stepped {
			t.Errorf("%q: %d bytes are looked at for %d", junk, s.vain, s.stepped)
		}
	}
}
