package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"bahi/vault"
)

// TestNothingPersonalIsLogged puts personal data into every place of a request,
// right and wrong, and looks for it in the log and in the problems.
func TestNothingPersonalIsLogged(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := registrationOf(1)
	canaries := []string{string(r.Person), r.Name, "Canary", r.Mobile, r.PhotoID.Number, s.token(t, vault.RoleAuthority)}
	s.server.mux.HandleFunc("GET /v1/broken/{reference}", func(http.ResponseWriter, *http.Request) {
		panic(fmt.Errorf("about %s, %s", r.Person, r.Name))
	})
	s.submit(t, r, doseOf(1))

	name, number := url.PathEscape(r.Name), string(r.Person)
	var problems strings.Builder
	for _, ask := range []struct{ method, path, body string }{
		{"GET", "/v1/people/" + number + "?officer=o&purpose=medical", ""},
		{"GET", "/v1/people/" + number + "?officer=" + url.QueryEscape(r.Name) + "&purpose=medical", ""},
		{"GET", "/v1/people/" + number + "?officer=o&purpose=" + r.Mobile, ""},
		{"GET", "/v1/people/" + number + "?officer=o&purpose=medical&" + r.Mobile + "=" + number, ""},
		{"GET", "/v1/people/" + name, ""},
		{"GET", "/v1/people/" + number + "/" + name, ""},
		{"GET", "/people/" + number, ""},
		{"PUT", "/v1/people/" + number, ""},
		{"GET", "//v1/people/" + number, ""},
		{"GET", "/v1/broken/" + number, ""},
		{"GET", "/v1/districts/" + number + "/counts?by=" + r.Mobile, ""},
		{"GET", "/v1/districts/208/counts?as_of=" + number, ""},
		{"GET", "/v1/districts/208/counts?as_known=" + number, ""},
		{"GET", "/v1/events?from=x" + number, ""},
		{"GET", "/v1/events?type=" + number, ""},
		{"POST", "/v1/projections/" + number + "/rebuild", ""},
		{"POST", "/v1/projections/verify?names=" + number, ""},
		{"POST", "/v1/authority-key", `{"` + r.Mobile + `":"` + r.Name + `"}`},
		{"POST", "/v1/authority-key", `{"public_key":"` + r.Name + `"}`},
		{"POST", "/v1/authority-key", `{"public_key":17,"at":"` + number + `"}`},
		{"POST", "/v1/authority-key", r.Name + number},
		{"POST", "/v1/freezes", linesOf(r)},
		{"POST", "/v1/freezes", r.Name + number},
		{"POST", "/v1/freezes", strings.Replace(linesOf(freezeOf(1)), "DL/2021/117", r.Name+"!", 1)},
		{"POST", "/v1/freezes", strings.Replace(linesOf(freezeOf(1)), `"order"`, `"`+r.Mobile+`"`, 1)},
		{"POST", "/v1/people/lookup", `{"reference":"` + number + `x","purpose":"medical","officer":"` + r.Name + `"}`},
		{"POST", "/v1/people/lookup", `{"reference":"` + number + `","purpose":"` + r.Mobile + `"}`},
		{"POST", "/v1/people/lookup", `{"` + r.Mobile + `":"` + number + `"}`},
		{"POST", "/v1/people/next-dose", `{"reference":` + number + `}`},
		{"GET", "/v1/people/" + number + "/next-dose?on=" + r.Mobile, ""},
		{"GET", "/v1/reversals?cursor=" + number, ""},
		{"POST", "/v1/freezes/" + number + "/receipt", ""},
		{"POST", "/v1/submissions?centre=" + url.QueryEscape(r.Name), ""},
		{"POST", "/v1/submissions?district=" + r.Mobile, ""},
		{"DELETE", "/v1/tokens/" + name, ""},
		{"DELETE", "/v1/centres/" + r.Mobile + "/" + name, ""},
		{"POST", "/v1/tokens", `{"role":"` + r.Name + `","officer":"` + r.Mobile + `"}`},
		{"POST", "/v1/centres", `{"district":208,"centre":"` + r.Name + `"}`},
		{"POST", "/v1/reversals", `{"to":"` + number + `","reason":"other"}`},
		{"POST", "/v1/reversals", `{"person":"` + number + `x","to":"partial","reason":"other"}`},
		{"POST", "/v1/reversals/" + number + "/decision", `{"decision":"approve","by":"` + r.Name + `"}`},
	} {
		got := s.ask(t, roleFor(ask.path), ask.method, ask.path, ask.body)
		if got.header.Get("Content-Type") == problemType {
			problems.WriteString(got.body)
		} else if got.status >= 400 {
			t.Errorf("%s is answered %d without a problem: %s", ask.path, got.status, got.body)
		}
	}
	s.ask(t, vault.RoleAuthority, "POST", "/v1/submissions", linesOf(r)+r.Name+"\n"+strings.Replace(linesOf(r), `"name"`, `"address":"x","name"`, 1))

	log := s.log.String()
	for _, want := range []string{"GET /v1/people/{reference}", "GET /v1/broken/{reference}", `"panic":"*errors.errorString"`, "POST /v1/submissions"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %s:\n%s", want, log)
		}
	}
	for _, canary := range canaries {
		if strings.Contains(log, canary) {
			t.Errorf("the log holds %q:\n%s", canary, log)
		}
		if strings.Contains(problems.String(), canary) {
			t.Errorf("a problem holds %q:\n%s", canary, &problems)
		}
	}
}

// TestBrokenHandler panics before and in the middle of an answer.
func TestBrokenHandler(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.server.mux.HandleFunc("GET /before", func(http.ResponseWriter, *http.Request) { panic("out of order") })
	s.server.mux.HandleFunc("GET /amid", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("{"))
		panic("out of order")
	})
	got := s.ask(t, "", "GET", "/before", "")
	if p := got.problem(t); got.status != http.StatusInternalServerError || p.Code != codeInternal || !strings.Contains(s.log.String(), p.Request) {
		t.Errorf("answered %d %s", got.status, got.body)
	}
	if answer, err := http.Get(s.url + "/amid"); err == nil {
		defer answer.Body.Close()
		t.Errorf("half an answer looks like a whole one: %d", answer.StatusCode)
	}
	if got := s.ask(t, "", "GET", "/healthz", ""); got.status != http.StatusOK {
		t.Errorf("afterwards: %d", got.status)
	}
}
