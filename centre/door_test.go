package centre

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"bahi/domain"
	"bahi/formats"
)

// caller speaks to a centre's door as a program on the same machine does.
type caller struct {
	t          testing.TB
	url, token string
}

func callerOf(t testing.TB, c Config) caller {
	t.Helper()
	l, err := Find(c.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return caller{t, l.url, l.token}
}

func (c caller) do(method, path, body string, change ...func(*http.Request)) (status int, kind, answer string) {
	c.t.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+c.token)
	for _, do := range change {
		do(r)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return got.StatusCode, got.Header.Get("Content-Type"), string(b)
}

func native(submissions ...domain.Submission) string {
	var b []byte
	for _, s := range submissions {
		b = append(formats.AppendSubmission(b, s), '\n')
	}
	return string(b)
}

// TestDoor keeps submissions over HTTP while the ledger is out of reach, and gives
// their verdicts once it is there.
func TestDoor(t *testing.T) {
	t.Parallel()
	ledger, link := openUpstream(t), openOutage(t)
	link.setSilent(true)
	c := config(t)
	c.Server, c.NATS, c.Listen = link.url(), ledger.signIn(), "127.0.0.1:0"
	working := run(t, c)
	caller := callerOf(t, c)

	wrong := dose(1, 2)
	wrong.At = dose(1, 1).At.AddDate(0, 0, 3)
	status, kind, answer := caller.do("POST", "/v1/submissions", native(registration(1), dose(1, 1))+"{}\n"+native(wrong))
	var kept []Kept
	for line := range strings.Lines(answer) {
		var k Kept
		if err := json.Unmarshal([]byte(line), &k); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		kept = append(kept, k)
	}
	if status != http.StatusAccepted || kind != typeNDJSON || len(kept) != 4 {
		t.Fatalf("%d %s: %s", status, kind, answer)
	}
	bundle := kept[0].Bundle
	if kept[0].Verdict != "kept" || kept[0].ID != registration(1).ID.String() || kept[2].Verdict != "rejected" || kept[2].Code != "missing_field" || kept[2].Line != 3 || kept[3].Bundle != bundle {
		t.Errorf("%+v", kept)
	}
	if status, _, answer := caller.do("GET", "/v1/verdicts?bundle="+bundle.String(), ""); status != http.StatusAccepted || answer != `{"bundle":"`+bundle.String()+`","verdict":"waiting"}`+"\n" {
		t.Errorf("%d: %s", status, answer)
	}
	var s Status
	if status, _, answer := caller.do("GET", "/v1/status", ""); status != http.StatusOK || json.Unmarshal([]byte(answer), &s) != nil ||
		s.Waiting.Bundles != 1 || s.Waiting.Oldest == nil || s.Running.Link.Up || s.Running.LastSuccess != nil || strings.Contains(answer, "Kanariya") {
		t.Errorf("%d: %s", status, answer)
	}

	link.to(ledger.address())
	link.setSilent(false)
	if got := working.verdict(bundle); !slices.Equal(got, []string{"accepted", "accepted", "missing_field", "interval_too_short"}) {
		t.Errorf("verdicts %v", got)
	}
	status, kind, all := caller.do("GET", "/v1/verdicts", "")
	if status != http.StatusOK || kind != typeNDJSON || strings.Count(all, "\n") != 4 || strings.Count(all, `"bundle":"`+bundle.String()+`"}`) != 4 {
		t.Errorf("%d %s: %s", status, kind, all)
	}
	for line := range strings.Lines(all) {
		if _, err := formats.ParseVerdict([]byte(line)); err != nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	if _, _, answer := caller.do("GET", "/v1/verdicts?bundle="+bundle.String(), ""); answer != all {
		t.Errorf("of the bundle: %s", answer)
	}
	if _, _, answer := caller.do("GET", "/v1/verdicts?rejected=true", ""); strings.Count(answer, "\n") != 2 || strings.Contains(answer, "accepted") {
		t.Errorf("rejected: %s", answer)
	}
	s = Status{}
	eventually(t, patience, "nothing waits", func() bool {
		_, _, answer := caller.do("GET", "/v1/status", "")
		return json.Unmarshal([]byte(answer), &s) == nil && s.Waiting.Bundles == 0 && s.Running.Forwarded == 1
	})
	if want := (Counts{Accepted: 2, Rejected: 2}); s.Running.Verdicts != want || s.Running.LastSuccess == nil {
		t.Errorf("%+v", s.Running)
	}

	working.linked()

	local, err := Find(c.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := local.Verdicts(t.Context(), bundle, true, &out); err != nil || strings.Count(out.String(), "\n") != 2 {
		t.Errorf("%s, %v", &out, err)
	}
	if s, err := local.Status(t.Context()); err != nil || s.Centre != "208001" {
		t.Errorf("%+v, %v", s, err)
	}
	if n, err := local.Retry(t.Context(), domain.UUID{}); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	working.stop()
	if _, err := Find(c.Dir, ""); err == nil {
		t.Error("a process is found that has gone")
	}
}

// TestDoorTurnsAway: who has no token, comes under another name, or asks for what
// there is not.
func TestDoorTurnsAway(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Listen = "127.0.0.1:0"
	working := run(t, c)
	caller := callerOf(t, c)
	port := caller.url[strings.LastIndex(caller.url, ":"):]
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	bearer := func(value string) func(*http.Request) { return header("Authorization", value) }
	none := func(*http.Request) {}
	for _, q := range []struct {
		name, method, path, body string
		change                   func(*http.Request)
		status                   int
		code                     string
	}{
		{"as localhost", "GET", "/v1/status", "", host("localhost" + port), 200, ""},
		{"as [::1]", "GET", "/v1/status", "", host("[::1]" + port), 200, ""},
		{"under another name", "GET", "/v1/status", "", host("evil.example" + port), 421, "bad_host"},
		{"at another port", "GET", "/v1/status", "", host("127.0.0.1:1"), 421, "bad_host"},
		{"under no name", "GET", "/v1/status", "", host("127.0.0.1.evil.example"), 421, "bad_host"},
		{"without a token", "GET", "/v1/status", "", bearer(""), 401, "unauthorised"},
		{"with another token", "POST", "/v1/submissions", native(registration(1)), bearer("Bearer " + strings.ToLower(caller.token)), 401, "unauthorised"},
		{"with a basic token", "GET", "/v1/status", "", bearer("Basic " + caller.token), 401, "unauthorised"},
		{"another route", "GET", "/v1/persons", "", none, 404, "no_such_route"},
		{"another method", "GET", "/v1/submissions", "", none, 405, "method_not_allowed"},
		{"another method than GET", "DELETE", "/v1/status", "", none, 405, "method_not_allowed"},
		{"a packed body", "POST", "/v1/submissions", "\x1f\x8b\x08", header("Content-Encoding", "gzip"), 415, "unsupported_encoding"},
		{"a body that says it is as it is", "POST", "/v1/submissions", "\n", header("Content-Encoding", "identity"), 202, ""},
		{"another format", "POST", "/v1/submissions?format=xlsx", "x", none, 400, "bad_request"},
		{"too much", "POST", "/v1/submissions", strings.Repeat("\n", maxBody+1), none, 413, "too_large"},
		{"no bundle's id", "GET", "/v1/verdicts?bundle=7", "", none, 400, "bad_request"},
		{"no bundle", "GET", "/v1/verdicts?bundle=" + domain.UUID{9}.String(), "", none, 404, "not_found"},
		{"to try no bundle's id again", "POST", "/v1/retry?bundle=7", "", none, 400, "bad_request"},
		{"nothing", "POST", "/v1/submissions", "\n\n", none, 202, ""},
		{"CSV", "POST", "/v1/submissions?format=csv", "type,id\ndose,7\n", none, 202, ""},
	} {
		status, kind, answer := caller.do(q.method, q.path, q.body, q.change)
		var p Problem
		if q.code != "" && (kind != "application/problem+json" || json.Unmarshal([]byte(answer), &p) != nil || p.Status != q.status || p.Detail == "" || p.Title == "") {
			t.Errorf("%s: %s: %s", q.name, kind, answer)
		}
		if status != q.status || p.Code != q.code {
			t.Errorf("%s: %d %s, want %d %s", q.name, status, p.Code, q.status, q.code)
		}
	}
	info, err := os.Stat(filepath.Join(c.Dir+"-keys", fileToken))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info.Mode(), err)
	}
	working.stop()
	for _, address := range []string{"0.0.0.0:0", ":0", "10.0.0.1:80", "example.org:80", "127.0.0.1"} {
		c.Listen = address
		centre := offline(t, c)
		if err := centre.Run(t.Context(), nil); err == nil {
			t.Errorf("it listens on %s", address)
		}
		centre.Close()
	}
}

// TestDoorWhenFull: what does not fit is refused, and said to be.
func TestDoorWhenFull(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.Listen, c.MaxBytes = "127.0.0.1:0", 32<<10
	run(t, c)
	caller := callerOf(t, c)
	status, kind, answer := caller.do("POST", "/v1/submissions", native(people(0, 200)...))
	var p Problem
	if err := json.Unmarshal([]byte(answer), &p); err != nil || status != http.StatusInsufficientStorage || kind != "application/problem+json" ||
		p.Code != "spool_full" || p.Kept == 0 || p.Kept%brisk.bundle != 0 {
		t.Errorf("%d %s: %s", status, kind, answer)
	}
}
