package web

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"bahi/access"
	"bahi/domain"
)

func zipped(t testing.TB, body string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestCompressedSubmissions(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.token(t, centre)
	many := make([]domain.Submission, 600)
	for n := range many {
		many[n] = registrationOf(n + 1)
	}
	body := linesOf(many...)
	for name, send := range map[string]func() reply{
		"whole": func() reply {
			return s.with(t, token, "POST", "/v1/submissions", zipped(t, body), "Content-Encoding", "gzip")
		},
		"streams": func() reply { return s.stream(t, token, strings.NewReader(zipped(t, body)), "gzip") },
	} {
		got := send()
		if verdicts, problem := verdictsIn(t, got.body); got.status != http.StatusOK || len(verdicts) != len(many) || problem != nil {
			t.Errorf("%s: answered %d with %d verdicts, %v", name, got.status, len(verdicts), problem)
		}
	}
	bomb := zipped(t, strings.Repeat(" ", 64<<20))
	for name, test := range map[string]struct {
		encoding, body string
		status         int
		code           string
	}{
		"another encoding": {"br", "", http.StatusUnsupportedMediaType, codeEncoding},
		"no gzip":          {"gzip", "{}{}{}{}{}{}{}{}{}{}", http.StatusBadRequest, codeBadRequest},
		"half a gzip":      {"gzip", zipped(t, "\n")[:20], http.StatusBadRequest, codeBadRequest},
		"a bomb":           {"gzip", bomb, http.StatusRequestEntityTooLarge, codeTooLarge},
	} {
		got := s.with(t, token, "POST", "/v1/submissions", test.body, "Content-Encoding", test.encoding)
		if got.status != test.status || got.problem(t).Code != test.code {
			t.Errorf("%s is answered %d %s", name, got.status, got.body)
		}
	}
	if got := s.stream(t, token, strings.NewReader(bomb), "gzip"); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a bomb that streams is answered %d %s", got.status, got.body)
	}
}

// stream sends a body whose length is not told.
func (s *service) stream(t testing.TB, token string, body io.Reader, encoding string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/v1/submissions", struct{ io.Reader }{body})
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if encoding != "" {
		r.Header.Set("Content-Encoding", encoding)
	}
	return answerTo(t, r)
}

const certificate = `[{"preEnrollmentCode":"9000000077-1","recipient":{"name":"Canary Devi","dob":"1961-02-03","gender":"Female","nationality":"Indian","identity":"did:in.gov.uidai.aadhaar:999941057058","contact":["tel:9000000077"],"address":{"addressLine1":"Mithanpura","district":"Muzaffarpur","state":"Bihar","pincode":842002}},
 "vaccination":{"batch":"4120Z001","date":"2021-03-02T10:00:00Z","dose":1,"totalDoses":2,"effectiveStart":"2021-03-02","effectiveUntil":"2021-04-02","manufacturer":"Serum Institute of India","name":"Covishield"},"vaccinator":{"name":"Nobody"},"facility":{"name":"208001","address":{"district":"Muzaffarpur","state":"Bihar","pincode":842001}}}]`

// TestFormats sends one and the same in different clothes.
func TestFormats(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.issue(t, access.Grant{Role: centre, District: muzaffarpur, Centre: "208001"}).Text
	line := linesOf(registrationOf(1))
	for _, test := range []struct {
		name, kind, query, body string
		want                    int // verdicts
		status                  int
	}{
		{"nothing said", "", "", line, 1, 200},
		{"ndjson", "application/x-ndjson", "", line, 1, 200},
		{"curl", "application/x-www-form-urlencoded", "", line, 1, 200},
		{"text", "text/plain; charset=utf-8", "", line, 1, 200},
		{"native as json", "application/json", "", line, 1, 200},
		{"divoc as json", "application/json", "", certificate, 2, 200},
		{"divoc by name", "", "?format=divoc", certificate, 2, 200},
		{"the name has the last word", "text/csv", "?format=divoc&district=208&centre=208001&group=AGE60_PLUS", certificate, 2, 200},
		{"csv without rows", "text/csv; charset=iso-8859-1", "", "type,id\n", 0, 200},
		{"xml", "text/xml", "", line, 0, 415},
		{"a strange charset", "text/csv; charset=koi8-r", "", line, 0, 415},
		{"broken", "text/csv; charset", "", line, 0, 415},
		{"no format", "", "?format=xml", line, 0, 400},
		{"no district", "", "?district=9999", line, 0, 400},
		{"no centre", "", "?centre=a%20b", line, 0, 400},
		{"no group", "", "?group=NURSES", line, 0, 400},
		{"no day", "", "?at=01/03/2021", line, 0, 400},
	} {
		got := s.with(t, token, "POST", "/v1/submissions"+test.query, test.body, "Content-Type", test.kind)
		if got.status != test.status {
			t.Errorf("%s: answered %d %s", test.name, got.status, got.body)
			continue
		}
		if got.status != http.StatusOK {
			got.problem(t)
			continue
		}
		verdicts, problem := verdictsIn(t, got.body)
		if len(verdicts) != test.want || problem != nil {
			t.Errorf("%s: answered %s", test.name, got.body)
		}
		for _, v := range verdicts {
			if v.Outcome == domain.Rejected {
				t.Errorf("%s: %+v", test.name, v.Reject)
			}
			if test.want == 2 && (!strings.Contains(fmt.Sprint(v.Dropped), "address") || v.Line != 1 || strings.Contains(got.body, "Mithanpura")) {
				t.Errorf("%s: dropped %v, line %d", test.name, v.Dropped, v.Line)
			}
		}
	}
}

// TestDayOfRegistrations: enrolments say no date; who sends them says it for all.
func TestDayOfRegistrations(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.issue(t, access.Grant{Role: centre, District: muzaffarpur, Centre: "208001"}).Text
	const enrolments = "phone,identity,dob,gender,name,district\n" +
		"9000000078,did:in.gov.uidai.aadhaar:999941057058,1961-02-03,Female,Canary Devi,Muzaffarpur\n"
	got := s.with(t, token, "POST", "/v1/submissions?at=2021-03-01", enrolments, "Content-Type", "text/csv")
	if !strings.Contains(got.body, `"verdict":"accepted"`) {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
	for day, registered := range map[string]string{"2021-02-28": `"registered":0,`, "2021-03-01": `"registered":1,`} {
		if got := s.with(t, s.token(t, analyst), "GET", "/v1/districts/208/counts?as_of="+day, ""); !strings.Contains(got.body, registered) {
			t.Errorf("as of %s: %s", day, got.body)
		}
	}
}
