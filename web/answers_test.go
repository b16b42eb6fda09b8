package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"bahi/access"
	"bahi/domain"
	"bahi/eventstore"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
)

// settle makes history: three people, two doses, a request that waits.
func settle(t testing.TB, s *service) {
	t.Helper()
	s.submit(t, registrationOf(1), registrationOf(2), registrationOf(3), doseOf(1), doseOf(2), reversalOf(2))
}

// same tells whether two values are the same to whoever reads them as JSON, which
// is how a time's zone and a nil list are compared.
func same(t *testing.T, what string, got, want any) {
	t.Helper()
	g, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	w, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(g) != string(w) {
		t.Errorf("%s over HTTP:\n%s\nfrom the ledger:\n%s", what, g, w)
	}
}

// must returns a value that came without an error.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestClientAnswersAsTheLedgerDoes asks both doors the same.
func TestClientAnswersAsTheLedgerDoes(t *testing.T) {
	t.Parallel()
	s := start(t)
	settle(t, s)
	l, ctx := s.ledger, t.Context()
	c, officer, auditor, operator := s.client(t, vault.RoleAuthority), s.client(t, vault.RoleOfficer), s.client(t, vault.RoleAuditor), s.client(t, vault.RoleOperator)

	for _, q := range []projections.CountsQuery{
		{District: muzaffarpur, AsOf: domain.DayOf(at("2021-02-01")), AsKnown: at("2021-03-01")},
		{District: muzaffarpur, By: []projections.Dimension{projections.ByGroup, projections.BySex}, AsOf: domain.DayOf(at("2021-02-01")), AsKnown: at("2021-03-01")},
		{District: muzaffarpur, By: []projections.Dimension{projections.ByDayKnown}, AsOf: domain.DayOf(at("2021-01-20")), AsKnown: at("2021-03-01")},
		{By: []projections.Dimension{projections.ByDistrict, projections.ByVaccine}, AsOf: domain.DayOf(at("2021-02-01")), AsKnown: at("2021-01-18T12:00:00+05:30")},
	} {
		same(t, "counts", must(c.Counts(ctx, q))(t), must(l.Counts(ctx, q))(t))
	}
	today := domain.DayOf(time.Now())
	if got := must(c.Counts(ctx, projections.CountsQuery{District: muzaffarpur}))(t); got.Registered != 3 || got.Dose1 != 2 || got.AsOf < today || got.AsOf > domain.DayOf(time.Now()) {
		t.Errorf("counts of today: %+v", got)
	}

	person := must(officer.Person(ctx, referenceOf(2), ledger.Reader{Officer: "officer-7", Purpose: "grievance"}))(t)
	if want := must(l.Person(ctx, referenceOf(2), ledger.Reader{Officer: "officer-7", Purpose: "grievance"}))(t); !reflect.DeepEqual(person, want) {
		t.Errorf("person over HTTP %+v, from the ledger %+v", person, want)
	}
	if len(person.Doses) != 1 || person.Doses[0].Batch != "4120Z001" || len(person.Reversals) != 1 {
		t.Errorf("person: %+v", person)
	}

	for _, on := range []domain.Day{0, domain.DayOf(at("2021-01-29"))} {
		for _, d := range []domain.District{0, muzaffarpur, 209} {
			same(t, "reversals", must(c.PendingReversals(ctx, d, on))(t), must(l.PendingReversals(ctx, d, on))(t))
		}
	}
	same(t, "info", must(c.Info(ctx))(t), must(l.Info(ctx))(t))
	same(t, "projections", must(operator.Projections(ctx))(t), must(l.Projections(ctx))(t))

	var told int
	if err := operator.Rebuild(ctx, ledger.Views(), func(string, uint64, uint64) { told++ }); err != nil {
		t.Error(err)
	}
	same(t, "verify projections",
		must(operator.VerifyProjections(ctx, ledger.Views(), nil))(t), must(l.VerifyProjections(ctx, ledger.Views(), nil))(t))
	same(t, "verify", must(auditor.Verify(ctx, nil))(t), must(l.Verify(ctx, nil))(t))

	reads := readAll(t, auditor.AuditList(ctx))
	if want := readAll(t, l.AuditList(ctx)); !reflect.DeepEqual(reads, want) || len(reads) != 2 {
		t.Errorf("audit over HTTP %+v, from the ledger %+v", reads, want)
	}
	if key := must(c.IntakeKey(ctx))(t); !slices.Equal(key, l.Vault().IntakePublicKey()) {
		t.Errorf("intake key %x", key)
	}
}

func readAll(t *testing.T, reads func(func(eventstore.AuditRead, error) bool)) (all []eventstore.AuditRead) {
	t.Helper()
	for r, err := range reads {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestReplay(t *testing.T) {
	t.Parallel()
	s := start(t)
	settle(t, s)
	c, ctx := s.client(t, vault.RoleAnalyst), t.Context()
	replay := func(q ledger.ReplayQuery) (here, there []ledger.ReplayEvent) {
		for e, err := range c.Replay(ctx, q) {
			if err != nil {
				t.Fatal(err)
			}
			e.Person = ""
			there = append(there, e)
		}
		for e, err := range s.ledger.Replay(ctx, q) {
			if err != nil {
				t.Fatal(err)
			}
			e.Person = "" // another in every export
			here = append(here, e)
		}
		for _, events := range [][]ledger.ReplayEvent{here, there} { // chance orders a day's
			slices.SortFunc(events, func(a, b ledger.ReplayEvent) int {
				return strings.Compare(fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b))
			})
		}
		return here, there
	}
	for _, q := range []ledger.ReplayQuery{
		{},
		{Type: "dose"},
		{District: muzaffarpur, Type: "registered"},
		{District: 209},
		{FromSequence: 2, ToSequence: 3},
		{FromTime: at("2021-01-17"), ToTime: domain.DayOf(at("2021-01-18")).End()},
	} {
		if here, there := replay(q); !reflect.DeepEqual(here, there) {
			t.Errorf("%+v: over HTTP %+v, from the ledger %+v", q, there, here)
		}
	}
	first := 0
	for range c.Replay(ctx, ledger.ReplayQuery{}) {
		first++
		break // leaving early ends the request
	}
	if first != 1 {
		t.Errorf("%d events before the break", first)
	}
}

func TestAdoptAuthorityKey(t *testing.T) {
	t.Parallel()
	s := start(t)
	key, err := vault.GenerateAuthorityKey()
	if err != nil {
		t.Fatal(err)
	}
	c := s.client(t, vault.RoleAuthority)
	if err := c.AdoptAuthorityKey(t.Context(), key.Public(), at("2021-01-10")); err != nil {
		t.Fatal(err)
	}
	if got, want := must(c.Info(t.Context()))(t).AuthorityKey, fmt.Sprintf("%x", key.Public().ID()); got != want {
		t.Errorf("the ledger adopted %s, want %s", got, want)
	}
	for body, code := range map[string]int{
		`{"public_key":"BAHI-AUTHORITY-PUBLIC-1 AAAA"}`: http.StatusBadRequest,
		`{"public_key":""}`:                             http.StatusBadRequest,
		`{}`:                                            http.StatusBadRequest,
		`{"public_key":"x","mobile":"9"}`:               http.StatusBadRequest,
		`[]`:                                            http.StatusBadRequest,
		``:                                              http.StatusBadRequest,
		strings.Repeat(" ", 70<<10):                     http.StatusRequestEntityTooLarge,
	} {
		if got := s.ask(t, vault.RoleAuthority, "POST", "/v1/authority-key", body); got.status != code || got.problem(t).Code == "" {
			t.Errorf("%.40q is answered %d %s", body, got.status, got.body)
		}
	}
}

// TestFreeze sees a person's details before a freeze and not after.
func TestFreeze(t *testing.T) {
	t.Parallel()
	s := start(t)
	settle(t, s)
	ctx := t.Context()
	officer, authority := s.client(t, vault.RoleOfficer), s.client(t, vault.RoleAuthority)

	unknown := "/v1/people/" + string(referenceOf(77)) + "?officer=o-1&purpose=medical"
	if got := s.ask(t, vault.RoleOfficer, "GET", unknown, ""); got.status != http.StatusNotFound || got.problem(t).Code != "not_found" {
		t.Errorf("an unknown person is answered %d %s", got.status, got.body)
	}
	if _, err := officer.Person(ctx, referenceOf(77), ledger.Reader{Officer: "o-1", Purpose: "medical"}); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("an unknown person: %v", err)
	}
	must(officer.Person(ctx, referenceOf(1), ledger.Reader{Officer: "o-1", Purpose: "medical"}))(t)

	receipt := must(authority.Freeze(ctx, freezeOf(1)))(t)
	if receipt.People != 3 || receipt.KeysDestroyed == 0 || len(receipt.Purged) == 0 || receipt.Freeze != idOf(9, 1) || len(receipt.Groups) != len(domain.Groups()) {
		t.Errorf("receipt: %+v", receipt)
	}
	same(t, "the same order again", must(authority.Freeze(ctx, freezeOf(1)))(t), receipt)

	for _, n := range []int{1, 77} { // from now on an unknown person is answered alike
		path := "/v1/people/" + string(referenceOf(n)) + "?officer=o-1&purpose=medical"
		got := s.ask(t, vault.RoleOfficer, "GET", path, "")
		if got.status != http.StatusUnavailableForLegalReasons || got.body != "{\"code\":\"frozen\"}\n" || got.header.Get("Content-Type") != problemType {
			t.Errorf("person %d is answered %d %v %s", n, got.status, got.header, got.body)
		}
		if _, err := officer.Person(ctx, referenceOf(n), ledger.Reader{Officer: "o-1", Purpose: "medical"}); !errors.Is(err, ledger.ErrFrozen) {
			t.Errorf("person %d: %v", n, err)
		}
	}
}

func TestFreezesRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	order := freezeOf(1)
	for name, test := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"nothing":       {"", http.StatusBadRequest, codeBadRequest},
		"no JSON":       {"district 208", http.StatusUnprocessableEntity, "bad_json"},
		"two":           {linesOf(order, order), http.StatusUnprocessableEntity, "bad_json"},
		"another type":  {linesOf(doseOf(1)), http.StatusUnprocessableEntity, "unknown_type"},
		"unknown field": {strings.Replace(linesOf(order), `"order"`, `"note":"x","order"`, 1), http.StatusUnprocessableEntity, "unknown_field"},
		"no district":   {strings.Replace(linesOf(order), `208`, `9999`, 1), http.StatusUnprocessableEntity, "unknown_district"},
		"too long":      {strings.Repeat(" ", 300<<10), http.StatusRequestEntityTooLarge, codeTooLarge},
	} {
		got := s.ask(t, vault.RoleAuthority, "POST", "/v1/freezes", test.body)
		if got.status != test.status || got.problem(t).Code != test.code {
			t.Errorf("%s is answered %d %s", name, got.status, got.body)
		}
	}
	order.District = 9999
	var rejection *domain.Rejection
	if _, err := s.client(t, vault.RoleAuthority).Freeze(t.Context(), order); !errors.As(err, &rejection) || rejection.Code != domain.CodeUnknownDistrict || rejection.Message == "" {
		t.Errorf("over the client: %v", err)
	}
	if _, err := s.client(t, vault.RoleOperator).Freeze(t.Context(), freezeOf(1)); err == nil || errors.As(err, &rejection) && rejection.Code == codeForbidden {
		t.Errorf("by an operator: %v", err)
	}
	// A body on several lines, and a receipt as the contract has it.
	pretty := strings.ReplaceAll(linesOf(freezeOf(2)), ",", ",\n  ")
	got := s.ask(t, vault.RoleAuthority, "POST", "/v1/freezes", pretty)
	var receipt map[string]any
	if err := json.Unmarshal([]byte(got.body), &receipt); err != nil || got.status != http.StatusOK {
		t.Fatalf("%d %s %v", got.status, got.body, err)
	}
	for _, member := range []string{"freeze", "commit", "district", "groups", "people", "mode", "keys_destroyed", "purged", "completed_at"} {
		if _, ok := receipt[member]; !ok {
			t.Errorf("the receipt has no %s: %s", member, got.body)
		}
	}
}

// TestQuestionsRefused asks what cannot be understood.
func TestQuestionsRefused(t *testing.T) {
	t.Parallel()
	s := start(t)
	person := "/v1/people/" + string(referenceOf(1))
	for path, field := range map[string]string{
		"/v1/districts/Muzaffarpur/counts":              "code",
		"/v1/districts/65000/counts":                    "code",
		"/v1/districts/208/counts?by=name":              "by",
		"/v1/districts/208/counts?by=day,day-known":     "by",
		"/v1/districts/208/counts?as_of=4.3.2021":       "as_of",
		"/v1/districts/208/counts?as_known=yesterday":   "as_known",
		"/v1/districts/208/counts?as_of=1970-01-01":     "as_of",
		"/v1/districts/208/counts?as_known=0001-01-01":  "as_known",
		"/v1/districts/208/counts?as-of=2021-03-04":     "",
		"/v1/people/123?officer=o&purpose=medical":      "",
		person + "?officer=o":                           "",
		person + "?officer=o&purpose=curiosity":         "purpose",
		person + "?purpose=medical":                     "officer",
		person + "?officer=two%20words&purpose=medical": "officer",
		"/v1/reversals?district=x":                      "district",
		"/v1/reversals?on=x":                            "on",
		"/v1/events?from=x":                             "from",
		"/v1/events?to=2021-13-01":                      "to",
		"/v1/events?district=x":                         "district",
		"/v1/events?type=everything":                    "type",
	} {
		got := s.ask(t, roleFor(path), "GET", path, "")
		if p := got.problem(t); got.status != http.StatusBadRequest || p.Code != codeBadRequest || p.Field != field || p.Detail == "" || p.Request != got.header.Get(requestHeader) {
			t.Errorf("%s is answered %d %s", path, got.status, got.body)
		}
	}
	for _, path := range []string{"/v1/projections/everything/rebuild", "/v1/projections/verify?names=everything"} {
		got := s.ask(t, vault.RoleOperator, "POST", path, "")
		if got.status != http.StatusNotFound || got.problem(t).Code != "unknown_view" {
			t.Errorf("%s is answered %d %s", path, got.status, got.body)
		}
	}
	c := s.client(t, vault.RoleOperator)
	if err := c.Rebuild(t.Context(), []string{"everything"}, nil); !errors.Is(err, projections.ErrUnknownView) {
		t.Errorf("rebuild of an unknown view: %v", err)
	}
	if _, err := c.VerifyProjections(t.Context(), []string{"everything"}, nil); !errors.Is(err, projections.ErrUnknownView) {
		t.Errorf("verification of an unknown view: %v", err)
	}
	for officer, purpose := range map[string]string{"o": "curiosity", "two words": "medical"} {
		if _, err := s.client(t, vault.RoleOfficer).Person(t.Context(), referenceOf(1), ledger.Reader{Officer: officer, Purpose: purpose}); !errors.Is(err, ledger.ErrBadRequest) {
			t.Errorf("a person by %q for %q: %v", officer, purpose, err)
		}
	}
	if _, err := c.Person(t.Context(), "../../ledger", ledger.Reader{Officer: "o", Purpose: "medical"}); !errors.Is(err, ledger.ErrBadRequest) {
		t.Errorf("a person who is a path: %v", err)
	}
}

// roleFor is the role that may ask about what is below a path.
func roleFor(path string) string {
	switch {
	case strings.HasPrefix(path, "/v1/events"):
		return vault.RoleAnalyst
	case strings.HasPrefix(path, "/v1/people"), strings.HasPrefix(path, "/v1/districts"), strings.HasPrefix(path, "/v1/reversals"):
		return vault.RoleOfficer
	case strings.HasPrefix(path, "/v1/projections"):
		return vault.RoleOperator
	}
	return vault.RoleAuthority
}

func TestFewReadTheWholeLedgerAtATime(t *testing.T) {
	t.Parallel()
	s := start(t, func(l *limits) { l.readings = 1 })
	if !s.server.readings.take(t.Context(), 0) {
		t.Fatal("no place")
	}
	got := s.ask(t, vault.RoleAnalyst, "GET", "/v1/events", "")
	if got.status != http.StatusServiceUnavailable || got.problem(t).Code != codeBusy || got.header.Get("Retry-After") == "" {
		t.Errorf("answered %d %v %s", got.status, got.header, got.body)
	}
	s.server.readings.leave()
	if got := s.ask(t, vault.RoleAnalyst, "GET", "/v1/events", ""); got.status != http.StatusOK || got.body != "" || got.header.Get("Content-Type") != ndjsonType {
		t.Errorf("an empty ledger's history is answered %d %v %s", got.status, got.header, got.body)
	}
}

// TestReadersLeavePlaces: one token does not take all of them, and whoever looks after
// the views needs none.
func TestReadersLeavePlaces(t *testing.T) {
	t.Parallel()
	s := start(t, func(l *limits) { l.readings, l.perReader = 2, 1 })
	settle(t, s)
	issued := func() access.Issued {
		return s.issue(t, access.Grant{Role: officer, District: muzaffarpur, Officer: "o"})
	}
	one, other := issued(), issued()
	const path = "/v1/districts/208/counts/explain?day=2021-01-16"
	reader := s.issue(t, access.Grant{Role: analyst})
	s.server.readers.take(reader.ID, 1)
	if got := s.with(t, reader.Text, "GET", "/v1/events", ""); got.status != http.StatusTooManyRequests {
		t.Errorf("a second replay by the same token is answered %d %s", got.status, got.body)
	}
	if !s.server.readers.take(one.ID, s.server.limits.perReader) {
		t.Fatal("no place")
	}
	if got := s.with(t, one.Text, "GET", path, ""); got.status != http.StatusTooManyRequests || got.problem(t).Code != codeBusy {
		t.Errorf("a second one by the same token is answered %d %s", got.status, got.body)
	}
	if got := s.with(t, other.Text, "GET", path, ""); got.status != http.StatusOK {
		t.Errorf("another token's is answered %d %s", got.status, got.body)
	}
	s.server.readers.leave(one.ID)
	for range 2 { // each leaves its place
		if got := s.with(t, one.Text, "GET", path, ""); got.status != http.StatusOK {
			t.Errorf("then it is answered %d %s", got.status, got.body)
		}
	}
	for s.server.readings.take(t.Context(), 0) {
	}
	if got := s.ask(t, operator, "POST", "/v1/projections/counts/rebuild", ""); got.status != http.StatusOK || !strings.Contains(got.body, "swapped") {
		t.Errorf("a rebuild is answered %d %s", got.status, got.body)
	}
}
