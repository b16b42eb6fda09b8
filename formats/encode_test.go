package formats

import (
	"encoding/json"
	"testing"

	"bahi/domain"
)

func TestAppendVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verdict domain.Verdict
		want    string
	}{
		{domain.Verdict{ID: id1, Outcome: domain.Accepted, Person: ref, Commit: 812},
			`{"id":"` + id1 + `","verdict":"accepted","person":"` + ref + `","commit":812}`},
		{domain.Verdict{ID: id1, Line: 3, Outcome: domain.Accepted, Commit: 812},
			`{"id":"` + id1 + `","line":3,"verdict":"accepted","commit":812}`},
		{domain.Verdict{ID: id1, Outcome: domain.Accepted},
			`{"id":"` + id1 + `","verdict":"accepted"}`},
		{domain.Verdict{ID: id1, Outcome: domain.Duplicate, Person: ref, Commit: 812},
			`{"id":"` + id1 + `","verdict":"duplicate","person":"` + ref + `","commit":812}`},
		{domain.Verdict{ID: id1, Outcome: domain.Rejected, Reject: &domain.Rejection{Code: domain.CodeIntervalTooShort, Field: "at", Message: `it "comes" too soon`}},
			`{"id":"` + id1 + `","verdict":"rejected","code":"interval_too_short","field":"at","message":"it \"comes\" too soon"}`},
		{domain.Verdict{ID: id1, Outcome: domain.Rejected, Reject: &domain.Rejection{Code: domain.CodeDoseExists}},
			`{"id":"` + id1 + `","verdict":"rejected","code":"dose_exists"}`},
		{domain.Verdict{Line: 7, Outcome: domain.Rejected, Reject: &domain.Rejection{Code: domain.CodeBadJSON, Message: "no"}},
			`{"line":7,"verdict":"rejected","code":"bad_json","message":"no"}`},
		{domain.Verdict{ID: id1, Outcome: domain.Accepted, Commit: 1, Dropped: []string{"addressLine1", "pincode"}},
			`{"id":"` + id1 + `","verdict":"accepted","commit":1,"dropped":["addressLine1","pincode"]}`},
	} {
		if got := string(AppendVerdict(nil, c.verdict)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		// What a centre reads is what was written.
		want := c.verdict
		got, err := ParseVerdict([]byte(c.want))
		if err != nil {
			t.Fatal(err)
		}
		if string(AppendVerdict(nil, got)) != c.want || got.Line != want.Line || got.Outcome != want.Outcome {
			t.Errorf("read as %+v, want %+v", got, want)
		}
	}
}

func TestParseVerdictRefuses(t *testing.T) {
	t.Parallel()
	for _, line := range []string{``, `[]`, `{"id":"x"}`, `{"id":"x","verdict":"maybe"}`, `{"verdict":"accepted"}`, `{"id":"x","verdict":"rejected"}`,
		`{"id":"x","verdict":"accepted"}{}`, `{"line":-1,"verdict":"accepted"}`} {
		if v, err := ParseVerdict([]byte(line)); err == nil {
			t.Errorf("%s read as %+v", line, v)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "सुनीता", "a\"b\\c", "\x00\x1f\n", "\xff", "\u2028", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got, want string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &want); err != nil || got != want {
			t.Fatalf("%q written as %q, encoding/json has %q", s, got, want)
		}
	})
}
