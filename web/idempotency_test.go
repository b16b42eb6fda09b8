package web

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"bahi/access"
	"bahi/domain"
)

// bare are lines without ids.
func bare(submissions ...domain.Submission) string {
	var b strings.Builder
	for line := range strings.Lines(linesOf(submissions...)) {
		start, rest, _ := strings.Cut(line, `"id":"`)
		_, rest, _ = strings.Cut(rest, `",`)
		b.WriteString(start + rest)
	}
	return b.String()
}

func TestKeysOfSubmissions(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.issue(t, access.Grant{Role: centre, District: muzaffarpur, Centre: "208001"}).Text
	submit := func(body string, headers ...string) reply {
		return s.with(t, token, "POST", "/v1/submissions", body, headers...)
	}
	told := func(got reply) (words []string, ids []string) {
		t.Helper()
		verdicts, problem := verdictsIn(t, got.body)
		if got.status != http.StatusOK || problem != nil {
			t.Fatalf("answered %d %s", got.status, got.body)
		}
		for _, v := range verdicts {
			word := v.Outcome.String()
			if v.Reject != nil {
				word = string(v.Reject.Code)
			}
			words, ids = append(words, word), append(ids, v.ID)
		}
		return words, ids
	}
	check := func(what string, got []string, want ...string) {
		t.Helper()
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	const key = "018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001"
	body := bare(registrationOf(1), doseOf(1))

	words, _ := told(submit(body))
	check("without a key", words, "missing_field", "missing_field")
	words, first := told(submit(body, keyHeader, key))
	check("under a key", words, "accepted", "accepted")
	words, again := told(submit(body, keyHeader, `"`+key+`"`))
	check("again, quoted", words, "duplicate", "duplicate")
	check("the ids", again, first...)
	if id := domain.UUID(mustUUID(t, first[0])); id[6]>>4 != 8 || first[0] == first[1] {
		t.Errorf("ids are %v", first)
	}
	if got := submit(bare(registrationOf(1), registrationOf(2)), keyHeader, key); got.status != statusReused || got.problem(t).Code != codeKeyReused {
		t.Errorf("another body under the key is answered %d %s", got.status, got.body)
	}
	words, other := told(submit(bare(registrationOf(2)), keyHeader, key+"-2"))
	check("another key", words, "accepted")
	if other[0] == first[0] {
		t.Error("two keys make one id")
	}
	// Renewed, a token is still the same sender; another centre is another.
	renewed := s.issue(t, access.Grant{Role: centre, District: muzaffarpur, Centre: "208001"}).Text
	words, again = told(s.with(t, renewed, "POST", "/v1/submissions", body, keyHeader, key))
	check("with a renewed token", words, "duplicate", "duplicate")
	check("its ids", again, first...)
	elsewhere := s.issue(t, access.Grant{Role: centre, District: muzaffarpur, Centre: "208002"}).Text
	_, again = told(s.with(t, elsewhere, "POST", "/v1/submissions", bare(registrationOf(3)), keyHeader, key))
	if again[0] == first[0] {
		t.Error("two senders with the same key make one id")
	}
	for name, keys := range map[string][]string{
		"short": {"1234567"}, "long": {strings.Repeat("x", 129)}, "spaces": {"two words of it"}, "quotes": {`a"b"c"d"e`}, "two": {key, key}, "Devanagari": {"नमस्तेनमस्ते"},
	} {
		var headers []string
		for _, k := range keys {
			headers = append(headers, keyHeader, k)
		}
		if got := submit(body, headers...); got.status != http.StatusBadRequest || got.problem(t).Field != keyHeader {
			t.Errorf("%s: answered %d %s", name, got.status, got.body)
		}
	}
	for _, secret := range []string{key, "idempotency"} {
		if strings.Contains(strings.ToLower(s.log.String()), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func mustUUID(t *testing.T, s string) domain.UUID {
	t.Helper()
	id, err := domain.ParseUUID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestKeyInUse sends a second request under a key while the first streams.
func TestKeyInUse(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.token(t, centre)
	body, out := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/v1/submissions", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set(keyHeader, "a-key-in-use")
	answered := make(chan *http.Response, 1)
	go func() {
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Error(err)
		}
		answered <- answer
	}()
	if _, err := io.WriteString(out, bare(registrationOf(1))); err != nil {
		t.Fatal(err)
	}
	answer := <-answered // its first verdict
	got := s.with(t, token, "POST", "/v1/submissions", bare(registrationOf(1)), keyHeader, "a-key-in-use")
	if got.status != http.StatusConflict || got.problem(t).Code != codeKeyInUse || got.header.Get("Retry-After") == "" {
		t.Errorf("answered %d %v %s", got.status, got.header, got.body)
	}
	out.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		t.Error(err)
	}
	answer.Body.Close()
	got = s.with(t, token, "POST", "/v1/submissions", bare(registrationOf(1)), keyHeader, "a-key-in-use")
	if verdicts, _ := verdictsIn(t, got.body); len(verdicts) != 1 || verdicts[0].Outcome != domain.Duplicate {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
}

// TestKeysOfOtherRoutes: a freeze and a reversal need no id, a token is issued once.
func TestKeysOfOtherRoutes(t *testing.T) {
	t.Parallel()
	s := start(t)
	settle(t, s)
	post := func(path, body string) reply {
		return s.with(t, s.token(t, authority), "POST", path, body, keyHeader, "key-of-"+path)
	}
	request := `{"person":"` + string(referenceOf(1)) + `","to":"unvaccinated","reason":"issued_by_mistake","at":"2021-01-20"}`
	first, again := post("/v1/reversals", request), post("/v1/reversals", request)
	if first.status != http.StatusOK || !strings.Contains(first.body, `"verdict":"accepted"`) || !strings.Contains(again.body, `"verdict":"duplicate"`) {
		t.Errorf("a request is answered %s, then %s", first.body, again.body)
	}
	if got := post("/v1/reversals", strings.Replace(request, "issued_by_mistake", "other", 1)); got.status != statusReused || got.problem(t).Code != codeKeyReused {
		t.Errorf("another request is answered %d %s", got.status, got.body)
	}

	issue := `{"role":"analyst"}`
	first, again = post("/v1/tokens", issue), post("/v1/tokens", issue)
	if first.status != http.StatusOK || again.status != http.StatusConflict || again.problem(t).Code != codeKeySpent {
		t.Errorf("a token is answered %d, then %d %s", first.status, again.status, again.body)
	}
	if n := len(s.access.Tokens()); n != 1 {
		t.Errorf("%d tokens are issued", n)
	}
	bad := post("/v1/tokens?", `{"role":"nobody"}`)
	good := post("/v1/tokens?", issue)
	if bad.status != http.StatusBadRequest || good.status != http.StatusOK {
		t.Errorf("a mended request under the key is answered %d, then %d %s", bad.status, good.status, good.body)
	}

	order := bare(freezeOf(1))
	first, again = post("/v1/freezes", order), post("/v1/freezes", order)
	if first.status != http.StatusOK || first.body != again.body {
		t.Errorf("a freeze is answered %d %s, then %d %s", first.status, first.body, again.status, again.body)
	}
	if got := s.ask(t, authority, "POST", "/v1/freezes", order); got.status != statusRejected || got.problem(t).Field != "id" {
		t.Errorf("a freeze without id and key is answered %d %s", got.status, got.body)
	}
}

func TestKeysAreForgotten(t *testing.T) {
	t.Parallel()
	k := newKeys()
	who := access.Principal{Role: centre}
	held, p := k.take(who, opSubmit, "the first key")
	if p != nil {
		t.Fatal(p)
	}
	for range 2 * keysKept {
		a, p := k.take(who, opSubmit, "key "+requestID(&http.Request{}))
		if p != nil {
			t.Fatal(p)
		}
		k.end(a, http.StatusOK)
	}
	if n := k.recent.Len(); n != keysKept || len(k.known) != n {
		t.Errorf("%d keys are kept, %d are known", n, len(k.known))
	}
	if _, p := k.take(who, opSubmit, "the first key"); p == nil || p.Code != codeKeyInUse {
		t.Error("a key in use was forgotten")
	}
	k.end(held, http.StatusOK)
}
