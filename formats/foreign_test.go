package formats

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bahi/domain"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The options of the golden files.
var foreignOptions = Options{District: 208, Centre: "208001", At: domain.Date(2021, time.March, 1).Start()}

// foreignSamples are the inputs under testdata/foreign, by name.
func foreignSamples(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "foreign", "*.*json"))
	if err != nil || len(files) == 0 {
		t.Fatal("no samples", err)
	}
	samples := map[string][]byte{}
	for _, file := range files {
		if samples[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	return samples
}

// readForeign reads an input in the format that its content shows.
func readForeign(t testing.TB, input []byte, o Options) []Item {
	t.Helper()
	items, err := Read(bytes.NewReader(input), o)
	if err != nil {
		t.Fatal(err)
	}
	var all []Item
	for item, err := range items {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, item)
	}
	return all
}

// described writes an item down: its line, and the native submission or the
// rejection, and what was dropped.
func described(i Item) string {
	b := AppendVerdict(nil, i.Verdict(domain.Verdict{Outcome: domain.Rejected, Reject: i.Reject}))
	if i.Reject == nil {
		b = AppendSubmission(nil, i.Submission)
		v := AppendVerdict(nil, domain.Verdict{Line: i.Line, Dropped: i.Dropped})
		b = append(append(b, "\n  "...), bytes.Replace(v, []byte(`"verdict":""`), []byte(`"id":"`+i.ID+`"`), 1)...)
	}
	return string(b)
}

// TestForeignSamples holds what becomes of every sample to its golden file.
func TestForeignSamples(t *testing.T) {
	t.Parallel()
	for file, input := range foreignSamples(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			var got strings.Builder
			for _, item := range readForeign(t, input, foreignOptions) {
				got.WriteString(described(item) + "\n")
			}
			golden := strings.TrimSuffix(file, filepath.Ext(file)) + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != string(want) {
				t.Errorf("got\n%s\nwant\n%s", &got, want)
			}
		})
	}
}

// TestForeignBecomesNative writes what was read as native lines and reads it
// again: nothing is lost on the way of a centre that converts before it seals.
func TestForeignBecomesNative(t *testing.T) {
	t.Parallel()
	for file, input := range foreignSamples(t) {
		for _, item := range readForeign(t, input, foreignOptions) {
			if item.Reject != nil {
				continue
			}
			line := AppendSubmission(nil, item.Submission)
			back := readAll(t, string(line))
			if len(back) != 1 || back[0].Reject != nil || back[0].ID != item.ID || !slices.Equal(AppendSubmission(nil, back[0].Submission), line) {
				t.Errorf("%s: %s\nread back as %+v", file, line, back)
			}
		}
	}
}

// A rejection by the ledger names the field as the record does.
func TestVerdictsNameTheSourcesFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		input, field, want string
	}{
		{nextDIVOC, "registration", "recipient.identity"},
		{nextDIVOC, "at", "vaccination.date"},
		{nextDIVOC, "id", "id"},
		{nextFHIR, "vaccine", "vaccineCode"},
		{nextFHIR, "dose", "protocolApplied"},
		{nextCoWIN, "person", "beneficiary_reference_id"},
		{nextCoWIN, "at", "dose1_date"},
		{samples[1], "at", "at"},
	} {
		items := readForeign(t, []byte(c.input), foreignOptions)
		dose := items[len(items)-1]
		rejected := &domain.Rejection{Code: domain.CodeUnknownPerson, Field: c.field, Message: "no"}
		v := dose.Verdict(domain.Verdict{Outcome: domain.Rejected, Reject: rejected})
		if v.Reject.Field != c.want || v.Reject.Message != "no" || rejected.Field != c.field || v.ID != dose.ID || (v.Line == 1) != dose.Foreign {
			t.Errorf("%s of %.40s is named %q, want %q", c.field, c.input, v.Reject.Field, c.want)
		}
	}
}
