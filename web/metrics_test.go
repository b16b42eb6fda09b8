package web

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"bahi/access"
)

// TestMetrics: who has an operator's token is told, and at the address that the operator
// gave whoever reaches it.
func TestMetrics(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.submit(t, registrationOf(1))
	s.ask(t, analyst, "GET", "/v1/districts/208/counts", "")
	s.ask(t, analyst, "GET", "/v1/ledger", "")
	s.ask(t, "", "GET", "/nowhere", "")
	got := s.ask(t, operator, "GET", "/metrics", "")
	if got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
		t.Fatalf("answered %d %v", got.status, got.header)
	}
	for _, line := range []string{
		`bahi_submissions_total{code="",outcome="accepted"} 1`,
		`bahi_http_requests_total{operation="counts",status="2xx"} 1`,
		`bahi_http_requests_total{operation="ledger",status="4xx"} 1`,
		`bahi_http_requests_total{operation="none",status="4xx"} 1`,
		`bahi_http_request_seconds_count{operation="counts"} 1`,
		`bahi_http_requests_in_flight 1`,
		`bahi_ledger_up 1`,
		`bahi_view_lag_commits{view="people"} `,
		`bahi_intake_bundles_waiting 0`,
		`bahi_quarantine_items 0`,
		`bahi_build_info{go="go`,
		"go_goroutines ",
		"process_resident_memory_bytes ",
	} {
		if !strings.Contains(got.body, "\n"+line) {
			t.Errorf("there is no line %s", line)
		}
	}
	if got := s.ask(t, auditor, "GET", "/metrics", ""); got.status != http.StatusForbidden {
		t.Errorf("an auditor is answered %d", got.status)
	}

	listener, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.server.ServeMetrics(ctx, listener) }()
	for path, want := range map[string]int{"/metrics": http.StatusOK, "/v1/ledger": http.StatusNotFound, "/": http.StatusNotFound} {
		answer, err := http.Get("http://" + listener.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != want || strings.Contains(string(body), "bahi_ledger_up 1") != (want == http.StatusOK) {
			t.Errorf("%s is answered %d, %v", path, answer.StatusCode, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestRefusedReads counts why somebody's details were not shown.
func TestRefusedReads(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.submit(t, registrationOf(1))
	one, nobody := who1+"?purpose=medical&officer=o", "/v1/people/"+string(referenceOf(7))+"/next-dose?officer=o"
	s.ask(t, officer, "GET", one, "")
	s.ask(t, officer, "GET", nobody, "")
	s.ask(t, analyst, "GET", one, "")
	s.ask(t, "", "GET", one, "")
	s.ask(t, officer, "GET", "/v1/freezes/"+idOf(9, 1).String()+"/receipt", "") // not found, and no read
	s.submit(t, freezeOf(1))
	s.ask(t, officer, "GET", one, "")
	s.ask(t, officer, "POST", "/v1/people/lookup", `{"reference":"`+string(referenceOf(1))+`","purpose":"medical","officer":"o"}`)
	prober := s.issue(t, access.Grant{Role: officer, District: muzaffarpur, Officer: "prober"}).Text
	for range 21 {
		s.with(t, prober, "GET", who1+"?purpose=medical", "")
	}
	got := s.ask(t, operator, "GET", "/metrics", "").body
	for reason, least := range map[string]int{"frozen": 2, "unknown": 1, "forbidden": 2, "rate": 0, "locked": 1} {
		var n int
		_, after, _ := strings.Cut(got, fmt.Sprintf("\nbahi_reads_refused_total{reason=%q} ", reason))
		if _, err := fmt.Sscan(after, &n); err != nil || n < least || reason == "unknown" && n != 1 {
			t.Errorf("%s: %d, %v", reason, n, err)
		}
	}
}

// TestMetricsAreDocumented holds the table in docs/OPERATIONS.md to what a service tells.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	const page, begin, end = "../docs/OPERATIONS.md", "<!-- metrics, written by: go test ./web -run MetricsAreDocumented -update -->\n", "<!-- end of metrics -->\n"
	s := start(t)
	s.submit(t, registrationOf(1))
	s.ask(t, analyst, "GET", "/v1/districts/208/counts", "")
	families, err := s.server.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{"| name | kind | labels | what it says |", "|---|---|---|---|"}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "bahi_") {
			continue // of Go and of the process
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		slices.Sort(labels)
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, " "), f.GetHelp()))
	}
	if len(rows) < 35 {
		t.Errorf("only %d metrics are told", len(rows)-2)
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	documented, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no place for the table", page)
	}
	want := strings.Join(rows, "\n") + "\n"
	if *update && documented != want {
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		documented = want
	}
	if documented != want {
		t.Errorf("the table of metrics in %s is not what the service tells; go test ./web -run MetricsAreDocumented -update writes it anew", page)
	}
	told := regexp.MustCompile(`bahi_\w+`)
	for _, name := range told.FindAllString(before+after, -1) {
		if bare := regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, ""); !strings.Contains(want, "`"+bare+"`") {
			t.Errorf("%s names %s, which is no metric", page, name)
		}
	}
	for _, f := range families { // bounded, and about nobody
		if n := len(f.GetMetric()); n > 64 {
			t.Errorf("%s has %d series", f.GetName(), n)
		}
	}
}
