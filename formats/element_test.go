package formats

import (
	"slices"
	"strings"
	"testing"

	"bahi/domain"
)

// TestElementsAreNamed: where a list, or a Bundle, stands on one line, a rejection
// tells which of its elements it is about, as long as anybody can tell.
func TestElementsAreNamed(t *testing.T) {
	t.Parallel()
	patient, dose := inEntry(fhirPatient), inEntry(fhirDose)
	wrongDose := inEntry(swap(fhirDose, "Covishield", "Aspirin"))
	wrongDIVOC, wrongCoWIN := swap(nextDIVOC, "COVISHIELD", "Aspirin"), swap(nextCoWIN, "COVISHIELD", "Aspirin")
	for _, c := range []struct {
		name, input string
		want        []string // fields of what is refused
	}{
		{"divoc", "[" + nextDIVOC + "," + wrongDIVOC + "]", []string{"[1].vaccination.name"}},
		{"divoc, alone", wrongDIVOC, []string{"vaccination.name"}},
		{"divoc, one after another", nextDIVOC + wrongDIVOC, []string{"vaccination.name"}},
		{"divoc, values", "[1," + nextDIVOC + `,null,"a",` + wrongDIVOC + "]", []string{"[0]", "[2]", "[3]", "[4].vaccination.name"}},
		{"divoc, two lists", "[" + nextDIVOC + "][" + wrongDIVOC + "]", []string{"[0].vaccination.name"}},
		{"divoc, behind what is broken", "[" + nextDIVOC + `,{"recipient":tru},` + wrongDIVOC + "]", []string{"[1]", "vaccination.name"}},
		{"cowin", "[" + nextCoWIN + "," + nextCoWIN + "," + wrongCoWIN + "]", []string{"[2].vaccine"}},
		{"cowin, none", "[" + nextCoWIN + `,{"x":1}]`, []string{"[1]"}},
		{"fhir", fhirBundle(patient, dose, wrongDose), []string{"entry[2].vaccineCode"}},
		{"fhir, values", fhirBundle(patient, "7", "[]", wrongDose), []string{"entry[1]", "entry[2]", "entry[3].vaccineCode"}},
		{"fhir, what is passed over", fhirBundle(inEntry(`{"resourceType":"Device"}`), wrongDose), []string{"entry[1].vaccineCode"}},
		{"fhir, a list of Bundles", "[" + fhirBundle(patient, dose) + "," + fhirBundle(wrongDose) + "]", []string{"[1].entry[0].vaccineCode"}},
		{"fhir, of the Bundle itself", swap(fhirBundle(dose), "collection", "history"), []string{"type"}},
		{"fhir, broken", fhirBundle(patient, `{"resource":tru}`, wrongDose), []string{"entry[1]", "vaccineCode"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, item := range readForeign(t, []byte(c.input), foreignOptions) {
				if item.Reject != nil {
					got = append(got, item.Reject.Field)
				}
			}
			slices.Sort(got) // of a Bundle, what can be told at once comes first
			if want := slices.Sorted(slices.Values(c.want)); !slices.Equal(got, want) {
				t.Errorf("refused: %q, want %q", got, want)
			}
		})
	}
}

// What the ledger refuses of a list is named likewise.
func TestVerdictsNameElements(t *testing.T) {
	t.Parallel()
	for input, want := range map[string]string{
		"[" + nextDIVOC + "," + nextDIVOC + "]": "[1].vaccination.date",
		nextDIVOC:                               "vaccination.date",
		fhirBundle(inEntry(fhirPatient), inEntry(fhirDose)):      "entry[1].occurrenceDateTime",
		`{"register":{},"vaccinate":` + nextCoWIN + "}":          "vaccinate.dose1_date",
		`[` + strings.Repeat(nextCoWIN+",", 3) + nextCoWIN + "]": "[3].dose1_date",
	} {
		items := readForeign(t, []byte(input), foreignOptions)
		v := items[len(items)-1].Verdict(domain.Verdict{Outcome: domain.Rejected, Reject: &domain.Rejection{Code: domain.CodeInFuture, Field: "at", Message: "x"}})
		if v.Reject.Field != want {
			t.Errorf("%s: the verdict names %q, want %q", input, v.Reject.Field, want)
		}
	}
}

func inEntry(resource string) string { return `{"resource":` + resource + `}` }

func fhirBundle(entries ...string) string {
	return `{"resourceType":"Bundle","type":"collection","entry":[` + strings.Join(entries, ",") + `]}`
}
