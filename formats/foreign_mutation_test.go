package formats

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"bahi/domain"
)

// hold checks what holds of every item, whatever was read.
func (i Item) hold(t testing.TB) {
	t.Helper()
	switch {
	case i.Line < 1, !i.Foreign, (i.Submission == nil) == (i.Reject == nil), len(i.Dropped) > maxDropped+1:
		t.Fatalf("an item does not hold together: %+v", i)
	case i.Reject != nil && (i.Reject.Code == "" || i.Reject.Message == ""):
		t.Fatalf("a rejection says nothing: %+v", i.Reject)
	}
	for _, name := range append([]string{}, i.Dropped...) {
		if shownPath(name) != name && name != notShown {
			t.Fatalf("%q is not to be shown", name)
		}
	}
	if i.Submission == nil {
		return
	}
	if err := domain.Check(i.Submission); err != nil || i.Submission.Head().ID.String() != i.ID {
		t.Fatalf("%+v: %v", i, err)
	}
	// It goes through the native format and is the same again.
	line := AppendSubmission(nil, i.Submission)
	for back, err := range ReadNDJSON(bytes.NewReader(line)) {
		if err != nil || back.Reject != nil || !bytes.Equal(AppendSubmission(nil, back.Submission), line) {
			t.Fatalf("%s read back as %+v, %v, %v", line, back.Submission, back.Reject, err)
		}
	}
}

// What stands on the next line, and must be found.
const (
	nextDIVOC = `{"preEnrollmentCode":"n","recipient":{"name":"N N","dob":"1961-04-30","gender":"Female","identity":"did:in.gov.uidai.aadhaar:999988887777","contact":["tel:9999999999"]},"vaccination":{"name":"COVISHIELD","batch":"NEXT","date":"2021-03-02","dose":1,"totalDoses":2}}`
	nextFHIR  = `{"resourceType":"Immunization","id":"n","status":"completed","vaccineCode":{"text":"Covishield"},"patient":{"reference":"Patient/n"},"occurrenceDateTime":"2021-03-06","lotNumber":"NEXT","protocolApplied":[{"doseNumberPositiveInt":1}]}`
	nextCoWIN = `{"beneficiary_reference_id":"21679381234566","center_id":100001,"vaccine":"COVISHIELD","vaccine_batch":"NEXT","dose":1,"dose1_date":"01-03-2021"}`
)

// mutate changes one to three bytes of an input: drops, doubles, replaces or
// inserts them, or cuts the rest off.
func mutate(random *rand.Rand, input []byte) []byte {
	out := bytes.Clone(input)
	for range 1 + random.IntN(3) {
		if len(out) == 0 {
			break
		}
		at := random.IntN(len(out))
		const marks = "{}[]\",:\\ \tx0\x00\xff"
		mark := marks[random.IntN(len(marks))]
		switch random.IntN(5) {
		case 0:
			out = append(out[:at], out[at+1:]...)
		case 1:
			out[at] = mark
		case 2:
			out = append(out[:at], append([]byte{mark}, out[at:]...)...)
		case 3:
			out = append(out[:at], append([]byte{out[at]}, out[at:]...)...)
		case 4:
			if random.IntN(4) == 0 {
				out = out[:at]
			}
		}
	}
	return out
}

// TestMutatedRecordsTakeNoOther changes samples in every way and looks for the
// record on the next line: it is always read, and read as if nothing stood before
// it.
func TestMutatedRecordsTakeNoOther(t *testing.T) {
	t.Parallel()
	readers := []struct {
		prefix, next string
		read         func(io.Reader, Options) iter.Seq2[Item, error]
	}{{"divoc", nextDIVOC, ReadDIVOC}, {"fhir", nextFHIR, ReadFHIR}, {"cowin", nextCoWIN, ReadCoWIN}}
	for file, sample := range foreignSamples(t) {
		for _, r := range readers {
			if !strings.HasPrefix(filepath.Base(file), r.prefix) {
				continue
			}
			t.Run(filepath.Base(file), func(t *testing.T) {
				t.Parallel()
				var flat bytes.Buffer
				if json.Compact(&flat, sample) != nil { // a file of lines is mutated as it is
					flat.Reset()
					flat.Write(bytes.TrimSpace(sample))
				}
				random := rand.New(rand.NewPCG(1, 2))
				for n := range 600 {
					input := mutate(random, flat.Bytes())
					found := false
					for item, err := range r.read(strings.NewReader(string(input)+"\n"+r.next), foreignOptions) {
						if err != nil {
							t.Fatal(err)
						}
						item.hold(t)
						dose, ok := item.Submission.(domain.DoseGiven)
						found = found || ok && dose.Batch == "NEXT"
					}
					if !found {
						t.Fatalf("mutation %d took the next record: %q", n, input)
					}
				}
			})
		}
	}
}

// fuzzForeign gives anything to a reader: it does not panic, what it gives holds,
// and it ends.
func fuzzForeign(f *testing.F, prefix string, read func(io.Reader, Options) iter.Seq2[Item, error]) {
	for file, sample := range foreignSamples(f) {
		if strings.HasPrefix(filepath.Base(file), prefix) {
			f.Add(sample)
			for line := range bytes.Lines(sample) {
				f.Add(line)
			}
		}
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		for _, o := range []Options{{}, foreignOptions} {
			for item, err := range read(bytes.NewReader(input), o) {
				if err != nil {
					t.Fatal(err)
				}
				if item.Foreign { // a CSV header is none
					item.hold(t)
				}
			}
		}
	})
}

func FuzzReadDIVOC(f *testing.F) { fuzzForeign(f, "divoc", ReadDIVOC) }
func FuzzReadFHIR(f *testing.F)  { fuzzForeign(f, "fhir", ReadFHIR) }
func FuzzReadCoWIN(f *testing.F) { fuzzForeign(f, "cowin", ReadCoWIN) }

// endless gives a text n times between a beginning and an end.
type endless struct {
	begin, text, end string
	n                int
	rest             string
}

func (e *endless) Read(b []byte) (int, error) {
	for e.rest == "" {
		switch {
		case e.begin != "":
			e.rest, e.begin = e.begin, ""
		case e.n > 0:
			e.rest, e.n = e.text, e.n-1
		case e.end != "":
			e.rest, e.end = e.end, ""
		default:
			return 0, io.EOF
		}
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// A list of any length, and Bundles of any number, with broken records among
// them, are read in the same memory.
func TestForeignInConstantMemory(t *testing.T) {
	// Not parallel: it looks at what the whole process holds.
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const n = 15_000
	for _, c := range []struct {
		name  string
		input endless
		items int
	}{
		{"divoc", endless{begin: "[", text: nextDIVOC + ",\n{\"recipient\":tru},\n", end: nextDIVOC + "]", n: n}, 3*n + 2},
		{"fhir", endless{text: inBundle("urn:uuid:1", fhirPatient, "", swap(fhirDose, "Patient/p1", "urn:uuid:1")) + "\n", n: n}, 2 * n},
		{"cowin on one line", endless{begin: "[", text: nextCoWIN + ",", end: nextCoWIN + "]", n: n}, n + 1},
	} {
		items, err := Read(&c.input, foreignOptions)
		if err != nil {
			t.Fatal(err)
		}
		before, most, got := heap(), uint64(0), 0
		for _, err := range items {
			if err != nil {
				t.Fatal(err)
			}
			if got++; got%10_000 == 0 {
				most = max(most, heap())
			}
		}
		if got != c.items {
			t.Errorf("%s: %d items of %d", c.name, got, c.items)
		}
		if most > before+4<<20 {
			t.Errorf("%s: %d kB are held", c.name, (most-before)>>10)
		}
	}
}

// FuzzRead gives anything to whichever reader it looks like.
func FuzzRead(f *testing.F) {
	for _, sample := range foreignSamples(f) {
		f.Add(sample[:min(len(sample), 400)])
	}
	for _, s := range append(samples, "type,id\ndose,1\n", "\xFF\xFE[\x00", "{", "\n\n[\n") {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		for _, item := range readForeign(t, input, foreignOptions) {
			if (item.Submission == nil) == (item.Reject == nil) || item.Line < 1 {
				t.Fatalf("an item does not hold together: %+v", item)
			}
		}
	})
}
