package web

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"bahi/ledger"
)

// An analyst gets days: neither what rows tell, nor what bounds select, nor when a
// row comes, nor pseudonyms that last are finer.
func TestAnalystsGetDays(t *testing.T) {
	t.Parallel()
	s := start(t)
	settle(t, s)
	key := strings.Repeat("ab", ledger.PseudonymKeySize)
	for query, header := range map[string]string{"exact=true": "", "follow=true": "", "type=dose": key} {
		path := "/v1/events?" + query
		headers := []string{}
		if header != "" {
			headers = append(headers, pseudonymKeyHeader, header)
		}
		if got := s.with(t, s.token(t, analyst), "GET", path, "", headers...); got.status != http.StatusForbidden || got.problem(t).Code != codeForbidden {
			t.Errorf("%s is answered %d %s", path, got.status, got.body)
		}
	}
	got := s.ask(t, analyst, "GET", "/v1/events", "")
	for _, field := range []string{`"commit"`, `"recorded_at"`, `"through"`} {
		if got.status != http.StatusOK || strings.Contains(got.body, field) {
			t.Errorf("an analyst gets %d with %s: %s", got.status, field, got.body)
		}
	}
	all := strings.Count(got.body, "\n")
	for _, query := range []string{"from=3&to=3", "from=2021-01-16T12:00:00%2B05:30&to=2021-01-19T00:00:00%2B05:30"} {
		if got := s.ask(t, analyst, "GET", "/v1/events?"+query, ""); strings.Count(got.body, "\n") < 2 {
			t.Errorf("of %d events %s picks %s", all, query, got.body)
		}
	}
	exact := s.ask(t, auditor, "GET", "/v1/events?exact=true", "")
	if n := strings.Count(exact.body, `"recorded_at"`); exact.status != http.StatusOK || n != all || strings.Count(exact.body, `"commit"`) != all {
		t.Errorf("an auditor gets %d %s", exact.status, exact.body)
	}
	if got := s.with(t, s.token(t, auditor), "GET", "/v1/events", "", pseudonymKeyHeader, "abc"); got.status != http.StatusUnprocessableEntity && got.status != http.StatusBadRequest {
		t.Errorf("half a key is answered %d %s", got.status, got.body)
	}
}

// Who follows gets what comes, commit by commit, with pseudonyms that a key makes.
func TestFollow(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.submit(t, registrationOf(1))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	key := make([]byte, ledger.PseudonymKeySize)
	var came []string
	for e, err := range s.client(t, auditor).Replay(ctx, ledger.ReplayQuery{Follow: true, Key: key}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Through == 0 {
			t.Errorf("%s, alone in its commit, does not say so", e.Type)
		}
		came = append(came, fmt.Sprint(e.Type, " ", e.Person))
		switch len(came) {
		case 1:
			s.submit(t, registrationOf(2))
			continue
		case 2:
			s.submit(t, doseOf(1))
			continue
		}
		break
	}
	person := strings.Fields(came[0])[1]
	if came[0] != "registered "+person || came[2] != "dose "+person || came[1] == came[0] {
		t.Errorf("came: %q", came)
	}
	for e, err := range s.client(t, auditor).Replay(ctx, ledger.ReplayQuery{Key: key}) {
		if err != nil || e.Person == "" || !strings.Contains(strings.Join(came, " "), e.Person) {
			t.Errorf("with the same key: %+v, %v", e, err)
		}
	}
}
