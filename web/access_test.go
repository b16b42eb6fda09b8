package web

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"bahi/vault"
)

// TestWhoMayCallWhat goes through every route with every role. The table is
// written out again here, so that a slip in the other one is seen.
func TestWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	s := start(t)
	const (
		centre, officer, analyst, operator, authority, auditor = vault.RoleCentre, vault.RoleOfficer, vault.RoleAnalyst, vault.RoleOperator, vault.RoleAuthority, vault.RoleAuditor
	)
	routes := []struct {
		operation, method, path, body string
		roles                         []string
	}{
		{opSubmit, "POST", "/v1/submissions", "{}\n", []string{centre, authority}},
		{opCounts, "GET", "/v1/districts/208/counts", "", []string{officer, analyst, auditor, authority}},
		{opPerson, "GET", "/v1/people/" + string(referenceOf(1)) + "?officer=o-1&purpose=medical", "", []string{officer, authority}},
		{opFreeze, "POST", "/v1/freezes", "{}", []string{authority}},
		{opReversals, "GET", "/v1/reversals", "", []string{officer, authority}},
		{opEvents, "GET", "/v1/events", "", []string{analyst, authority}},
		{opProjections, "GET", "/v1/projections", "", []string{operator, authority}},
		{opRebuild, "POST", "/v1/projections/counts/rebuild", "", []string{operator, authority}},
		{opVerifyProjections, "POST", "/v1/projections/verify", "", []string{operator, authority}},
		{opLedger, "GET", "/v1/ledger", "", []string{operator, auditor, authority}},
		{opVerifyLedger, "POST", "/v1/ledger/verify", "", []string{operator, auditor, authority}},
		{opAuthorityKey, "POST", "/v1/authority-key", `{"public_key":"none"}`, []string{authority}},
		{opAudit, "GET", "/v1/audit", "", []string{auditor, authority}},
		{opIntakeKey, "GET", "/v1/intake-key", "", vault.Roles()},
		{opStatement, "GET", "/v1/districts/208/statement", "", []string{officer, analyst, auditor, authority}},
		{opProof, "GET", "/v1/ledger/proof?commit=1", "", []string{operator, auditor, authority}},
		{opReceipt, "GET", "/v1/freezes/" + idOf(9, 1).String() + "/receipt", "", []string{officer, operator, auditor, authority}},
	}
	tested := map[string]bool{opHealth: true}
	for _, route := range routes {
		tested[route.operation] = true
		for _, role := range vault.Roles() {
			got := s.ask(t, role, route.method, route.path, route.body)
			switch may := slices.Contains(route.roles, role); {
			case may && (got.status == http.StatusUnauthorized || got.status == http.StatusForbidden):
				t.Errorf("%s: %s is answered %d", route.operation, role, got.status)
			case !may && (got.status != http.StatusForbidden || got.problem(t).Code != codeForbidden):
				t.Errorf("%s: %s is answered %d %s", route.operation, role, got.status, got.body)
			}
		}
		got := s.ask(t, "", route.method, route.path, route.body)
		if got.status != http.StatusUnauthorized || got.problem(t).Code != codeUnauthorised || got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s without a token is answered %d %s", route.operation, got.status, got.body)
		}
	}
	for operation := range allowed {
		if !tested[operation] {
			t.Errorf("%s is not in this test", operation)
		}
	}
}

func TestWrongTokens(t *testing.T) {
	t.Parallel()
	s := start(t)
	good := s.token(t, vault.RoleOperator)
	password, err := s.ledger.Vault().RoleToken(vault.NATSCentre)
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range []string{
		"", "Bearer", "Bearer ", "Bearer  " + good, "Basic " + good, good,
		"Bearer " + good + "x", "Bearer " + good[1:], "Bearer " + strings.ToUpper(good), "Bearer " + password,
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/v1/ledger", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", header)
		if got := answerTo(t, r); got.status != http.StatusUnauthorized {
			t.Errorf("Authorization %q is answered %d", header, got.status)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+"/v1/ledger", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "bearer "+good) // the scheme is case-insensitive
	if got := answerTo(t, r); got.status != http.StatusOK {
		t.Errorf("a good token is answered %d %s", got.status, got.body)
	}
}

func TestOpenRoutes(t *testing.T) {
	t.Parallel()
	s := start(t)
	if got := s.ask(t, "", "GET", "/healthz", ""); got.status != http.StatusOK || got.body != "{\"status\":\"ok\"}\n" {
		t.Errorf("health is %d %s", got.status, got.body)
	}
	got := s.ask(t, "", "GET", "/openapi.json", "")
	if got.status != http.StatusOK || got.body != string(s.server.openAPI) {
		t.Errorf("the OpenAPI document is %d, %d bytes", got.status, len(got.body))
	}
	for _, path := range []string{"/", "/docs", "/schemas/Problem", "/v1", "/v2/ledger", "/openapi.yaml"} {
		if got := s.ask(t, "", "GET", path, ""); got.status != http.StatusNotFound || got.problem(t).Code != codeNoSuchRoute {
			t.Errorf("%s is answered %d %s", path, got.status, got.body)
		}
	}
	got = s.ask(t, vault.RoleAuthority, "DELETE", "/v1/freezes", "")
	if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "POST" || got.problem(t).Code != codeMethod {
		t.Errorf("DELETE is answered %d %v %s", got.status, got.header, got.body)
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, path := range []string{"/healthz", "/v1/ledger", "/nowhere"} {
		got := s.ask(t, vault.RoleOperator, "GET", path, "")
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got.header.Get(name), want)
			}
		}
		if id := got.header.Get("Request-Id"); len(id) < 20 || !strings.Contains(s.log.String(), id) {
			t.Errorf("%s: request id %q, and the log has %s", path, id, s.log)
		}
	}
}
