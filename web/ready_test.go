package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"bahi/eventstore"
	"bahi/ledger"
	"bahi/projections"
)

func TestReadiness(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.submit(t, registrationOf(1))
	if got := s.ask(t, "", "GET", "/readyz", ""); got.status != http.StatusOK || got.body != "{\"status\":\"ready\"}\n" {
		t.Errorf("answered %d %s", got.status, got.body)
	}
	if got := s.ask(t, "", "GET", "/readyz?x=1", ""); got.status != http.StatusBadRequest {
		t.Errorf("a parameter is answered %d %s", got.status, got.body)
	}
	s.server.drain()
	got := s.ask(t, "", "GET", "/readyz", "")
	p := got.problem(t)
	if got.status != http.StatusServiceUnavailable || p.Code != codeNotReady || len(p.NotReady) != 1 || p.NotReady[0].Code != codeStopping {
		t.Errorf("while it ends: %d %s", got.status, got.body)
	}
	if got := s.ask(t, "", "GET", "/healthz", ""); got.status != http.StatusOK {
		t.Errorf("and it answers %d %s", got.status, got.body)
	}
}

// TestReadinessLooksOnceASecond: who asks more often gets the same answer.
func TestReadinessLooksOnceASecond(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.ask(t, "", "GET", "/readyz", "")
	looked := s.server.readiness.at
	for range 20 {
		s.ask(t, "", "GET", "/readyz", "")
	}
	if again := s.server.readiness.at; again.Sub(looked) != 0 && again.Sub(looked) < readyAgain {
		t.Errorf("looked again after %s", again.Sub(looked))
	}
}

// TestUnready: each part has a stable code, names its projection, and tells no numbers
// of the ledger nor what only its operator may know.
func TestUnready(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want Unready
	}{
		{&projections.FoldingError{View: "people", Done: 500, Total: 2000}, Unready{"view_rebuilding", "people", "the projection people is folded anew, 25 % so far"}},
		{&projections.FoldingError{View: "counts"}, Unready{"view_rebuilding", "counts", "the projection counts is folded anew"}},
		{&projections.BehindError{View: "merkle", Lag: 4711}, Unready{"view_behind", "merkle", "the projection merkle is behind the ledger"}},
		{&projections.BehindError{View: "people", Cause: errors.New("4711: no space")}, Unready{"view_behind", "people", "the projection people is behind the ledger"}},
		{fmt.Errorf("find the head 4711: %w", eventstore.ErrUnreachable), Unready{"store_unreachable", "", eventstore.ErrUnreachable.Error()}},
		{eventstore.ErrFull, Unready{"storage_full", "", eventstore.ErrFull.Error()}},
		{ledger.ErrClosed, Unready{codeStopping, "", ledger.ErrClosed.Error()}},
		{ledger.ErrUndecided, Unready{"undecided", "", ledger.ErrUndecided.Error()}},
		{errors.New("4711"), Unready{codeInternal, "", internalProblem().Detail}},
	} {
		if got := unready(test.err); got != test.want {
			t.Errorf("%v is told as %+v", test.err, got)
		}
		body, err := json.Marshal(notReady(unready(test.err)))
		if err != nil || bytes.Contains(body, []byte("4711")) {
			t.Errorf("%s, %v", body, err)
		}
	}
	both := notReady(unready(ledger.ErrUndecided), unready(eventstore.ErrFull))
	if len(both.NotReady) != 2 || !strings.Contains(both.Detail, "; ") || both.Status != http.StatusServiceUnavailable {
		t.Errorf("both: %+v", both)
	}
}

// TestServerLog: neither an address nor what a client sent or a handler panicked with is
// logged.
func TestServerLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := serverLog(slog.New(slog.NewJSONHandler(&out, nil)))
	for _, address := range []string{"203.0.113.9:4711", "[2001:db8::9]:4711", "[fe80::4711%br-lan]:4711", "[::ffff:203.0.113.9]:4711"} {
		log.Print("http: TLS handshake error from " + address + ": EOF")
	}
	log.Print("http: panic serving 203.0.113.9:4711: Sita Devi\ngoroutine 1\n")
	log.Printf("http: TLS handshake error from 203.0.113.9:4711: tls: client requested unsupported application protocols (%q)", []string{"h3", `Sita" Devi`})
	log.Printf("http2: server: error reading preface from client 203.0.113.9:4711: bogus greeting %q", "Sita Devi")
	if got := strings.Count(out.String(), `"http: TLS handshake error from a client: EOF"`); got != 4 {
		t.Errorf("logged %s", &out)
	}
	for _, secret := range []string{"203.0.113", "2001:db8", "fe80", "4711", "Sita", "Devi"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s is in the log: %s", secret, &out)
		}
	}
	if lines := slices.Collect(strings.Lines(out.String())); len(lines) != 7 {
		t.Errorf("%d lines", len(lines))
	}
}
