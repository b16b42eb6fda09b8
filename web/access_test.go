package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"bahi/access"
	"bahi/domain"
	"bahi/intake"
	"bahi/vault"
)

// route is a row of the table of who may call what. It is written out again here, so
// that a slip in the other table is seen.
type route struct {
	path, body string
	roles      []string
	// other is the same about the district that a bound token is not bound to; empty
	// where a bound token may call the operation without naming a district, and "-"
	// where it may not call it.
	other string
}

var who1 = "/v1/people/" + string(referenceOf(1))

var routes = map[string]route{
	opSubmit:            {"/v1/submissions", "{}\n", []string{centre, authority}, ""},
	opCounts:            {"/v1/districts/208/counts", "", []string{officer, analyst, authority, auditor}, "/v1/districts/209/counts"},
	opStatement:         {"/v1/districts/208/statement", "", []string{officer, analyst, authority, auditor}, "/v1/districts/all/statement"},
	opExplain:           {"/v1/districts/208/counts/explain?day=2021-01-16", "", []string{officer, analyst, operator, authority, auditor}, "/v1/districts/209/counts/explain?day=2021-01-16"},
	opCountsDiff:        {"/v1/districts/208/counts/diff?since=2021-01-16", "", []string{officer, analyst, authority, auditor}, "/v1/districts/209/counts/diff?since=2021-01-16"},
	opMetrics:           {"/metrics", "", []string{operator}, "-"},
	opPerson:            {who1 + "?purpose=medical", "", []string{officer}, ""},
	opLookUp:            {"/v1/people/lookup", `{"reference":"` + string(referenceOf(1)) + `","purpose":"medical"}`, []string{officer}, ""},
	opNextDose:          {who1 + "/next-dose", "", []string{centre, officer}, ""},
	opLookUpNextDose:    {"/v1/people/next-dose", `{"reference":"` + string(referenceOf(1)) + `"}`, []string{centre, officer}, ""},
	opFreeze:            {"/v1/freezes", "{}", []string{authority}, "-"},
	opFreezes:           {"/v1/freezes", "", []string{officer, operator, authority, auditor}, ""},
	opReceipt:           {"/v1/freezes/" + idOf(9, 1).String() + "/receipt", "", []string{officer, operator, authority, auditor}, ""},
	opReversals:         {"/v1/reversals", "", []string{officer, authority}, "/v1/reversals?district=209"},
	opRequestReversal:   {"/v1/reversals", "{}", []string{centre, authority}, ""},
	opDecideReversal:    {"/v1/reversals/" + idOf(3, 1).String() + "/decision", "{}", []string{authority}, "-"},
	opAuthorityKey:      {"/v1/authority-key", `{"public_key":"none"}`, []string{authority}, "-"},
	opEvents:            {"/v1/events", "", []string{analyst, auditor}, "/v1/events?district=209"},
	opAudit:             {"/v1/audit", "", []string{auditor}, "-"},
	opAccessAudit:       {"/v1/audit/access", "", []string{auditor}, "-"},
	opProjections:       {"/v1/projections", "", []string{operator}, "-"},
	opRebuild:           {"/v1/projections/counts/rebuild", "", []string{operator}, "-"},
	opWatchRebuild:      {"/v1/projections/counts/rebuild", "", []string{operator}, "-"},
	opStopRebuild:       {"/v1/projections/counts/rebuild", "", []string{operator}, "-"},
	opVerifyProjections: {"/v1/projections/verify", "", []string{operator}, "-"},
	opLedger:            {"/v1/ledger", "", []string{operator, authority, auditor}, "-"},
	opVerifyLedger:      {"/v1/ledger/verify", "", []string{operator, auditor}, "-"},
	opProof:             {"/v1/ledger/proof?commit=1", "", []string{operator, authority, auditor}, "-"},
	opIntakeKey:         {"/v1/intake-key", "", vault.Roles(), ""},
	opTokens:            {"/v1/tokens", "", []string{operator, authority, auditor}, "-"},
	opIssueToken:        {"/v1/tokens", "{}", []string{operator, authority}, "-"},
	opRevokeToken:       {"/v1/tokens/nobodys", "", []string{operator, authority}, "-"},
	opUnlockToken:       {"/v1/tokens/nobodys/unlock", "", []string{authority}, "-"},
	opCentres:           {"/v1/centres", "", []string{operator, authority, auditor}, "-"},
	opAddCentre:         {"/v1/centres", "{}", []string{operator, authority}, "-"},
	opQuarantine:        {"/v1/quarantine", "", []string{officer, operator, auditor}, "/v1/quarantine?district=209"},
	opOpenQuarantined:   {"/v1/quarantine/" + idOf(7, 1).String() + "/open?purpose=legal", "", []string{officer}, ""},
	opRetryQuarantined:  {"/v1/quarantine/" + idOf(7, 1).String() + "/retry", "", []string{officer, operator}, ""},
	opDropQuarantined:   {"/v1/quarantine/" + idOf(7, 1).String(), "", []string{officer}, ""},
	opRemoveCentre:      {"/v1/centres/208/208001", "", []string{operator, authority}, "-"},
}

// inside is how a token gets past the door: whatever the operation itself says.
func inside(r reply) bool {
	return r.status != http.StatusUnauthorized && (r.status != http.StatusForbidden || strings.Contains(r.body, `"code":"forbidden","detail":"this role may not do this`))
}

// TestWhoMayCallWhat goes through every route of the OpenAPI document with every
// kind of token there is.
func TestWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.submit(t, registrationOf(1))
	bound := map[string]string{
		centre:  s.issue(t, access.Grant{Role: centre, District: muzaffarpur, Centre: "208001"}).Text,
		officer: s.issue(t, access.Grant{Role: officer, District: muzaffarpur, Officer: "dio-208"}).Text,
		analyst: s.issue(t, access.Grant{Role: analyst, District: muzaffarpur}).Text,
	}
	dead := s.deadTokens(t)
	for id, op := range documentedOperations(t) {
		if rules[id].open() {
			continue
		}
		route, ok := routes[id]
		if !ok {
			t.Errorf("%s %s has no row in the table of this test", op.method, op.path)
			continue
		}
		ask := func(token, path string) reply {
			s.clock.ahead.Add(int64(time.Second)) // no token is too fast
			return s.with(t, token, op.method, path, route.body)
		}
		for _, role := range vault.Roles() {
			got, may := ask(s.token(t, role), route.path), slices.Contains(route.roles, role)
			if may && !inside(got) || !may && (got.status != http.StatusForbidden || got.problem(t).Code != codeForbidden) {
				t.Errorf("%s: %s is answered %d %s", id, role, got.status, got.body)
			}
		}
		for role, token := range bound {
			may := slices.Contains(route.roles, role)
			want := codeForbidden
			if may && route.other == "-" {
				want = codeOtherDistrict
			}
			if got := ask(token, route.path); (may && route.other != "-") != inside(got) || !inside(got) && got.problem(t).Code != want {
				t.Errorf("%s: a bound %s is answered %d %s", id, role, got.status, got.body)
			}
			if may && route.other != "" && route.other != "-" {
				if got := ask(token, route.other); got.status != http.StatusForbidden && !strings.Contains(got.body, codeOtherDistrict) {
					t.Errorf("%s: %s asks about another district and is answered %d %s", id, role, got.status, got.body)
				}
			}
		}
		for token, want := range dead {
			if got := ask(token, route.path); got.status != want.status || got.problem(t).Code != want.code {
				t.Errorf("%s: a token that is not good is answered %d %s, want %v", id, got.status, got.body, want)
			}
		}
	}
	if len(routes) != len(rules)-2 {
		t.Errorf("%d rows in the table of this test for %d operations", len(routes), len(rules))
	}
}

type refusal struct {
	status int
	code   string
}

// deadTokens are tokens that let nobody in, of a role that may do the most.
func (s *service) deadTokens(t *testing.T) map[string]refusal {
	t.Helper()
	ctx, authority := t.Context(), access.Installation(vault.RoleAuthority)
	expired := s.issue(t, access.Grant{Role: vault.RoleAuthority, For: time.Minute})
	s.clock.ahead.Add(int64(time.Hour))
	revoked := s.issue(t, access.Grant{Role: vault.RoleAuthority})
	if err := s.access.Revoke(ctx, authority, revoked.ID); err != nil {
		t.Fatal(err)
	}
	locked := s.issue(t, access.Grant{Role: vault.RoleOfficer, District: muzaffarpur, Officer: "prober"})
	principal := access.Principal{Token: locked.ID, Role: vault.RoleOfficer, District: muzaffarpur, Officer: "prober"}
	for range 20 {
		_ = s.access.Looked(ctx, principal, "prober", false)
	}
	if err := s.access.MayLook(principal, "prober"); err == nil {
		t.Fatal("the token is not locked")
	}
	return map[string]refusal{
		"":                        {http.StatusUnauthorized, codeUnauthorised},
		"nobodys":                 {http.StatusUnauthorized, codeUnauthorised},
		expired.Text:              {http.StatusUnauthorized, "token_expired"},
		revoked.Text:              {http.StatusUnauthorized, "token_revoked"},
		locked.Text:               {http.StatusForbidden, "token_locked"},
		locked.Text + "x":         {http.StatusUnauthorized, codeUnauthorised},
		revoked.Text[:90]:         {http.StatusUnauthorized, codeUnauthorised},
		strings.Repeat("x", 9000): {http.StatusUnauthorized, codeUnauthorised},
	}
}

func TestWrongTokens(t *testing.T) {
	t.Parallel()
	s := start(t)
	good := s.token(t, vault.RoleOperator)
	for _, header := range []string{
		"", "Bearer", "Bearer ", "Bearer  " + good, "Basic " + good, good,
		"Bearer " + good + "x", "Bearer " + good[1:], "Bearer " + strings.ToUpper(good),
	} {
		if got := s.with(t, "", "GET", "/v1/ledger", "", "Authorization", header); got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") == "" {
			t.Errorf("Authorization %q is answered %d", header, got.status)
		}
	}
	if got := s.with(t, "", "GET", "/v1/ledger", "", "Authorization", "bearer "+good); got.status != http.StatusOK { // the scheme is case-insensitive
		t.Errorf("a good token is answered %d %s", got.status, got.body)
	}
}

// TestRoleTokensAreForThisMachine: the installation's tokens do not work from
// elsewhere, nor through a proxy, whoever it says it speaks for.
func TestRoleTokensAreForThisMachine(t *testing.T) {
	t.Parallel()
	s := start(t)
	good, signed := s.token(t, vault.RoleOperator), s.issue(t, access.Grant{Role: vault.RoleOperator}).Text
	for _, test := range []struct {
		peer    string
		headers []string
		local   bool
	}{
		{"127.0.0.1:4711", nil, true},
		{"[::1]:4711", nil, true},
		{"127.9.9.9:4711", nil, true},
		{"10.0.0.7:4711", nil, false},
		{"[2001:db8::1]:4711", nil, false},
		{"10.0.0.7:4711", []string{"X-Forwarded-For", "127.0.0.1"}, false},
		{"127.0.0.1:4711", []string{"X-Forwarded-For", "127.0.0.1"}, false},
		{"127.0.0.1:4711", []string{"Forwarded", "for=10.0.0.7"}, false},
		{"127.0.0.1:4711", []string{"X-Real-IP", ""}, false},
		{"127.0.0.1:4711", []string{"CF-Connecting-IP", "10.0.0.7"}, false},
		{"127.0.0.1:4711", []string{"True-Client-IP", "10.0.0.7"}, false},
		{"127.0.0.1:4711", []string{"X-Cluster-Client-IP", "10.0.0.7"}, false},
		{"127.0.0.1:4711", []string{"X-Original-Forwarded-For", "10.0.0.7"}, false},
		{"127.0.0.1:4711", []string{"Fly-Client-IP", "10.0.0.7"}, false},
		{"@", nil, false},
	} {
		for token, want := range map[string]int{good: http.StatusForbidden, signed: http.StatusOK} {
			if test.local {
				want = http.StatusOK
			}
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/ledger", nil)
			r.RemoteAddr = test.peer
			r.Header.Set("Authorization", "Bearer "+token)
			for i := 0; i < len(test.headers); i += 2 {
				r.Header.Set(test.headers[i], test.headers[i+1])
			}
			w := httptest.NewRecorder()
			s.server.ServeHTTP(w, r)
			if w.Code != want || want != http.StatusOK && !strings.Contains(w.Body.String(), "not_from_here") {
				t.Errorf("from %s with %v: %d %s", test.peer, test.headers, w.Code, w.Body)
			}
		}
	}
}

// TestScope: what a bound token may call keeps to what it is bound to.
func TestScope(t *testing.T) {
	t.Parallel()
	s := start(t)
	stranger := registrationOf(2)
	stranger.District = 209
	s.submit(t, registrationOf(1), stranger, doseOf(1), reversalOf(1))

	t.Run("a centre submits its own doses", func(t *testing.T) {
		token := s.issue(t, access.Grant{Role: centre, District: muzaffarpur, Centre: "208002"}).Text
		own, others, elsewhere := doseOf(2), doseOf(2), doseOf(2)
		own.Centre, elsewhere.Centre, elsewhere.District = "208002", "208002", 209
		elsewhere.ID, others.ID = idOf(2, 20), idOf(2, 21)
		got := s.with(t, token, "POST", "/v1/submissions", linesOf(others, elsewhere, own, freezeOf(5)))
		verdicts, _ := verdictsIn(t, got.body)
		if len(verdicts) != 4 || verdicts[0].Reject == nil || verdicts[0].Reject.Field != "centre" || verdicts[1].Reject.Field != "district" ||
			verdicts[2].Outcome != domain.Accepted || verdicts[3].Reject.Code != domain.CodeNotAllowed {
			t.Errorf("verdicts: %s", got.body)
		}
	})
	t.Run("an officer sees the people of one district", func(t *testing.T) {
		token := s.issue(t, access.Grant{Role: officer, District: muzaffarpur, Officer: "dio-208"}).Text
		for path, status := range map[string]int{
			who1 + "?purpose=medical":                                   http.StatusOK,
			who1 + "?purpose=medical&officer=dio-208":                   http.StatusOK,
			who1 + "?purpose=medical&officer=dio-209":                   http.StatusForbidden,
			"/v1/people/" + string(referenceOf(2)) + "?purpose=medical": http.StatusNotFound,
			"/v1/people/" + string(referenceOf(2)) + "/next-dose":       http.StatusNotFound,
			who1 + "/next-dose":                                         http.StatusOK,
			"/v1/districts/all/counts":                                  http.StatusForbidden,
			"/v1/districts/209/counts":                                  http.StatusForbidden,
			"/v1/reversals?district=209":                                http.StatusForbidden,
			"/v1/reversals?district=208":                                http.StatusOK,
			"/v1/freezes/018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001/receipt":  http.StatusNotFound,
		} {
			if got := s.with(t, token, "GET", path, ""); got.status != status {
				t.Errorf("%s is answered %d %s", path, got.status, got.body)
			}
		}
		got := s.with(t, token, "POST", "/v1/people/lookup", `{"reference":"`+string(referenceOf(1))+`","purpose":"medical","officer":"dio-209"}`)
		if got.status != http.StatusForbidden || got.problem(t).Code != codeOtherOfficer {
			t.Errorf("in another's name: %d %s", got.status, got.body)
		}
		if got := s.with(t, token, "GET", "/v1/reversals", ""); !strings.Contains(got.body, `"district":208`) {
			t.Errorf("reversals: %s", got.body)
		}
	})
	t.Run("an analyst replays one district", func(t *testing.T) {
		token := s.issue(t, access.Grant{Role: analyst, District: muzaffarpur}).Text
		got := s.with(t, token, "GET", "/v1/events?type=registered", "")
		if got.status != http.StatusOK || strings.Count(got.body, "\n") != 1 || !strings.Contains(got.body, `"district":208`) {
			t.Errorf("answered %d %s", got.status, got.body)
		}
	})
	t.Run("a centre asks for next doses in its own name", func(t *testing.T) {
		token := s.issue(t, access.Grant{Role: centre, District: muzaffarpur, Centre: "208001"}).Text
		if got := s.with(t, token, "GET", "/v1/people/"+string(referenceOf(2))+"/next-dose", ""); got.status != http.StatusOK {
			t.Errorf("answered %d %s", got.status, got.body)
		}
		for read, err := range s.ledger.AuditList(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if read.Officer == "centre-208-208001" {
				return
			}
		}
		t.Error("it is not in the audit")
	})
	t.Run("an authority's officer orders in its own name", func(t *testing.T) {
		token := s.issue(t, access.Grant{Role: authority, Officer: "dg-1"}).Text
		got := s.with(t, token, "POST", "/v1/freezes", linesOf(freezeOf(1)))
		if got.status != http.StatusForbidden || got.problem(t).Code != codeOtherOfficer {
			t.Errorf("a freeze by another is answered %d %s", got.status, got.body)
		}
		got = s.with(t, token, "POST", "/v1/submissions", linesOf(freezeOf(1)))
		if verdicts, _ := verdictsIn(t, got.body); len(verdicts) != 1 || verdicts[0].Reject == nil || verdicts[0].Reject.Field != "by" {
			t.Errorf("a freeze by another in a file is answered %s", got.body)
		}
	})
}

// TestProbing locks who asks for numbers that are not there.
func TestProbing(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.submit(t, registrationOf(1))
	issued := s.issue(t, access.Grant{Role: officer, District: muzaffarpur, Officer: "dio-208"})
	var last reply
	for n := range 20 {
		last = s.with(t, issued.Text, "GET", "/v1/people/"+string(referenceOf(100+n))+"?purpose=medical", "")
	}
	if last.status != http.StatusForbidden || last.problem(t).Code != "token_locked" {
		t.Errorf("the twentieth probe is answered %d %s", last.status, last.body)
	}
	if got := s.with(t, issued.Text, "GET", "/v1/districts/208/counts", ""); got.status != http.StatusForbidden {
		t.Errorf("a locked token is answered %d %s", got.status, got.body)
	}
	if got := s.with(t, s.token(t, auditor), "GET", "/v1/audit/access", ""); !strings.Contains(got.body, "token_locked") {
		t.Errorf("the audit has %s", got.body)
	}
	if got := s.ask(t, authority, "POST", "/v1/tokens/"+issued.ID+"/unlock", ""); got.status != http.StatusOK || got.body != "{}\n" {
		t.Errorf("unlocking is answered %d %s", got.status, got.body)
	}
	s.clock.ahead.Add(int64(time.Minute))
	if got := s.with(t, issued.Text, "GET", who1+"?purpose=medical", ""); got.status != http.StatusOK {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
}

// TestProbingByBothDoors: what a centre is told over HTTP and over NATS counts
// together, and its lock holds at both.
func TestProbingByBothDoors(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.issue(t, access.Grant{Role: centre, District: muzaffarpur, Centre: "208001"}).Text
	_, client, stop := s.overNATS(t)
	defer stop()
	next := 0
	tries := func(n int) (doses []domain.Submission) {
		for range n {
			next++
			doses = append(doses, doseOf(next))
		}
		return doses
	}
	overHTTP := func(n int) reply { return s.with(t, token, "POST", "/v1/submissions", linesOf(tries(n)...)) }
	overNATS := func(n int) error {
		_, err := client.Publish(t.Context(), muzaffarpur, "208001", tries(n))
		return err
	}

	if got := overHTTP(250); got.status != http.StatusOK {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
	one := `{"person":"` + string(referenceOf(9999)) + `","to":"unvaccinated","reason":"other"}`
	if got := s.with(t, token, "POST", "/v1/reversals", one); got.status != http.StatusUnprocessableEntity || got.problem(t).Code != "unknown_person" {
		t.Fatalf("answered %d %s", got.status, got.body)
	}
	if err := overNATS(248); err != nil {
		t.Fatal(err)
	}
	if got := overHTTP(1); got.status != http.StatusOK || !strings.Contains(got.body, "unknown_person") {
		t.Fatalf("the 500th is answered %d %s", got.status, got.body)
	}
	var refused *intake.BundleError
	if err := overNATS(1); !errors.As(err, &refused) || refused.Code != intake.BundleLocked {
		t.Errorf("over NATS the next is answered %v", err)
	}
	if got := overHTTP(1); got.status != http.StatusForbidden || got.problem(t).Code != "token_locked" {
		t.Errorf("over HTTP the next is answered %d %s", got.status, got.body)
	}

	for _, is := range s.access.Tokens() {
		if is.State != access.Locked {
			continue
		}
		if got := s.ask(t, authority, "POST", "/v1/tokens/"+is.ID+"/unlock", ""); got.status != http.StatusOK {
			t.Errorf("unlocking is answered %d %s", got.status, got.body)
		}
	}
	if err := overNATS(499); err != nil {
		t.Errorf("unlocked it is answered %v", err)
	}
	if err := overNATS(1); err != nil {
		t.Errorf("the 500th is answered %v", err)
	}
	if got := overHTTP(1); got.status != http.StatusForbidden || got.problem(t).Code != "token_locked" {
		t.Errorf("locked over NATS, it is answered over HTTP %d %s", got.status, got.body)
	}
	if got := s.ask(t, authority, "POST", "/v1/tokens/nats:208:208001/unlock", ""); got.status != http.StatusOK {
		t.Errorf("unlocking is answered %d %s", got.status, got.body)
	}
}

func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.issue(t, access.Grant{Role: officer, District: muzaffarpur, Officer: "dio-208"}).Text
	for range 100 {
		got := s.with(t, token, "GET", "/v1/intake-key", "")
		if got.status == http.StatusOK {
			continue
		}
		if got.status != http.StatusTooManyRequests || got.problem(t).Code != codeTooMany || got.header.Get("Retry-After") != "1" || got.header.Get("RateLimit") != `"token";r=0;t=1` {
			t.Errorf("answered %d %v %s", got.status, got.header, got.body)
		}
		return
	}
	t.Error("a hundred requests at once are answered")
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
	if got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != "GET, POST" || got.problem(t).Code != codeMethod {
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
		if id := got.header.Get(requestHeader); len(id) < 20 || !strings.Contains(s.log.String(), id) {
			t.Errorf("%s: request id %q, and the log has %s", path, id, s.log)
		}
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	for id, taken := range map[string]bool{
		"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001": true,
		"01234567-8901-4234-8901-234567890123": true,
		"4bf92f3577b34da6a3ce929d0e0e4736":     true,
		"portal-7.clerk_3":                     false,
		"Sita-Devi":                            false,
		"9000-0000-01-1980":                    false,
		"21679381234566ABCDEFGHJKMN":           false,
		"01ARZ3NDEKTSV4RRFFQ69G5FAV":           true,
		"short":                                false,
		"":                                     false,
		"ref-21679381234566":                   false,
		"mobile.9000000001":                    false,
		"21679381234566":                       false,
		"two words here":                       false,
		"line\nbreak-in-it":                    false,
		"नमस्ते-नमस्ते":                        false,
		"portal-of-district-208-number-21679381234566": false,
		strings.Repeat("x", 65):                        false,
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Header[requestHeader] = []string{id}
		if got := requestID(r); (got == id) != taken || len(got) < 8 {
			t.Errorf("%q becomes %q", id, got)
		}
	}
}
