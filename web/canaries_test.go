package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"bahi/access"
)

// canary is something personal that may stand nowhere but where it was asked for.
type canary struct{ what, text string }

// canaries are what one person's registration tells, and a token.
func (s *service) canaries(t *testing.T) []canary {
	r := registrationOf(1)
	signed := s.issue(t, access.Grant{Role: officer, District: muzaffarpur, Officer: "dio-208"}).Text
	return []canary{
		{"name", r.Name}, {"mobile number", r.Mobile}, {"reference number", string(r.Person)}, {"birth year", "birth-year-1980"}, {"signed token", signed},
		{"part of a name", "Canary"}, {"photo-ID number", r.PhotoID.Number}, {"role token", s.token(t, operator)},
	}
}

// caught gathers what may not hold a canary: headers of answers, and bodies of those
// that refuse.
type caught struct{ strings.Builder }

func (c *caught) keep(asked string, w *httptest.ResponseRecorder) {
	fmt.Fprintf(c, "%s\n%v\n", asked, w.Header())
	if w.Code >= http.StatusBadRequest {
		fmt.Fprintf(c, "%d %s\n", w.Code, w.Body)
	}
	for line := range strings.Lines(w.Body.String()) {
		var verdict map[string]any
		if strings.Contains(line, `"verdict"`) && json.Unmarshal([]byte(line), &verdict) == nil {
			delete(verdict, "person") // which the contract has repeated
			delete(verdict, "id")
			fmt.Fprintln(c, verdict)
		}
	}
}

// TestNoDoorLetsACanaryOut puts personal data into every place of a request to every
// operation (its path, its parameters, headers, and bodies of every kind), and into
// bundles over NATS, and looks for it in the log, the metrics, the headers of answers
// and the bodies of refusals.
func TestNoDoorLetsACanaryOut(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.submit(t, registrationOf(1), doseOf(1))
	canaries := s.canaries(t)
	var out caught
	ask := func(role, what, method, target, body string, headers ...string) {
		r := httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body))
		u, err := url.Parse("http://127.0.0.1" + target)
		if err != nil {
			t.Fatal(err)
		}
		r.URL, r.RequestURI, r.RemoteAddr = u, target, "127.0.0.1:4711"
		r.Header.Set("Authorization", "Bearer "+s.token(t, role))
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		s.server.ServeHTTP(w, r)
		out.keep(what, w)
	}
	asked := 0
	for id, op := range documentedOperations(t) {
		role := operator
		if !rules[id].open() {
			role = rules[id].roles[0]
		}
		for _, c := range canaries[:5] {
			segment := url.PathEscape(c.text)
			for what, target := range op.with(segment) {
				s.clock.ahead.Add(int64(time.Second))
				asked++
				ask(role, id+" "+what, op.method, target, "")
			}
			path := regexp.MustCompile(`\{[^}]*\}`).ReplaceAllString(op.path, "x")
			for _, header := range []string{
				requestHeader, keyHeader, pseudonymKeyHeader, "Bahi-Officer", "Content-Type", "Content-Encoding", "Accept", "Accept-Encoding",
				"Authorization", "Cookie", "User-Agent", "X-Forwarded-For", "Traceparent", "If-None-Match", "Last-Event-Id",
			} {
				asked++
				ask(role, id+" "+header, op.method, path, "", header, c.text)
			}
			if op.method != http.MethodPost {
				continue
			}
			for _, body := range []string{
				c.text, fmt.Sprintf("%q", c.text), fmt.Sprintf("{%q:%q}", c.text, c.text), fmt.Sprintf("[%q]", c.text), `{"type":` + c.text, "\x1f\x8b" + c.text,
				fmt.Sprintf(`{"type":"dose","id":%[1]q,"at":%[1]q,"person":%[1]q,"district":208,"centre":%[1]q,"vaccine":%[1]q,"batch":%[1]q,"dose":%[1]q}`, c.text),
				fmt.Sprintf(`{"reference":%[1]q,"purpose":%[1]q,"officer":%[1]q,"role":%[1]q,"centre":%[1]q,"public_key":%[1]q,"by":%[1]q,"to":%[1]q,"reason":%[1]q}`, c.text),
				strings.Replace(linesOf(freezeOf(1)), "DL/2021/117", c.text, 1),
			} {
				asked++
				ask(role, id+" body", op.method, path, body, keyHeader, c.text+"12345678")
			}
		}
	}
	s.everyFormat(t, canaries, ask)
	s.bundles(t, canaries)
	out.WriteString(s.ask(t, operator, "GET", "/metrics", "").body)
	out.WriteString(s.log.String())
	t.Logf("%d requests to operations, %d bytes looked through", asked, out.Len())
	if asked < 2_000 {
		t.Errorf("only %d requests were made", asked)
	}
	for _, c := range canaries {
		for line := range strings.Lines(out.String()) {
			if strings.Contains(line, c.text) || strings.Contains(line, url.QueryEscape(c.text)) {
				t.Errorf("a %s is in: %.300s", c.what, line)
				break
			}
		}
	}
}

// with yields the targets of an operation that have something in each place of path and
// query in turn.
func (op operation) with(text string) map[string]string {
	targets := map[string]string{"unknown parameter": op.path + "?" + text + "=" + text}
	parameter := regexp.MustCompile(`\{[^}]*\}`)
	if parameter.MatchString(op.path) {
		targets["path"] = parameter.ReplaceAllString(op.path, text)
	}
	for _, p := range op.Parameters {
		if p.In == "query" {
			targets["parameter "+p.Name] = op.path + "?" + p.Name + "=" + text
		}
	}
	for what, target := range targets {
		targets[what] = parameter.ReplaceAllString(target, "208")
	}
	return targets
}

// everyFormat submits, in every format, the formats' own examples with a canary in the
// place of each of their values.
func (s *service) everyFormat(t *testing.T, canaries []canary, ask func(role, what, method, target, body string, headers ...string)) {
	t.Helper()
	examples, err := filepath.Glob("../formats/testdata/*/*")
	if err != nil || len(examples) < 5 {
		t.Fatal(examples, err)
	}
	value := regexp.MustCompile(`(Test Person|Anita Kumari|Another Person|9000000001|234567890123|21679381234566|COVISHIELD|Covishield|2021-03-02)`)
	for _, example := range examples {
		content, err := os.ReadFile(example)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(example, ".golden") {
			continue
		}
		for _, c := range canaries {
			for _, format := range []string{"", "?format=ndjson", "?format=csv", "?format=divoc", "?format=fhir", "?format=cowin"} {
				body := value.ReplaceAllLiteral(content, []byte(c.text))
				ask(authority, "a body of "+format, "POST", "/v1/submissions"+format, string(body), "Content-Type", "application/octet-stream")
			}
		}
	}
}

// bundles publishes canaries over NATS: in bundles that are refused in part, in bundles
// that are none, in names and headers.
func (s *service) bundles(t *testing.T, canaries []canary) {
	t.Helper()
	conn, client, stop := s.overNATS(t)
	var lines bytes.Buffer
	for _, c := range canaries {
		fmt.Fprintf(&lines, "{%q:%q}\n%s\n{\"type\":%q}\n", c.text, c.text, c.text, c.text)
		message := nats.NewMsg("intake.208.208001")
		message.Data = []byte(c.text)
		message.Header.Set("Bahi-Bundle", c.text)
		message.Header.Set("Bahi-Message", c.text)
		if err := conn.PublishMsg(message); err != nil {
			t.Fatal(err)
		}
	}
	verdicts, err := client.PublishNDJSON(t.Context(), muzaffarpur, "208001", lines.Bytes())
	if err != nil || len(verdicts) < len(canaries) {
		t.Fatalf("%d verdicts, %v", len(verdicts), err)
	}
	stop()
	for _, of := range []string{"quarantine", "rejected"} {
		if !strings.Contains(s.ask(t, operator, "GET", "/metrics", "").body, of) {
			t.Errorf("the metrics do not tell of anything %s", of)
		}
	}
}
