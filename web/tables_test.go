package web

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"bahi/access"
	"bahi/domain"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
)

// A table of more rows than any buffer on the way holds: the days until then.
const longTable = "/v1/districts/208/counts?by=day&as_of=2700-01-01"

// TestTablesOnTheWire: the bytes are those of one value, whoever asks and however.
func TestTablesOnTheWire(t *testing.T) {
	t.Parallel()
	s := start(t)
	settle(t, s)
	q := projections.CountsQuery{District: muzaffarpur, AsOf: domain.DayOf(at("2021-03-01")), AsKnown: domain.DayOf(at("2021-03-04")).End()}
	since := domain.DayOf(at("2021-01-16")).End()
	for by, dimensions := range map[string][]projections.Dimension{
		"": nil, "group": {projections.ByGroup}, "day,sex": {projections.ByDay, projections.BySex},
	} {
		q.By = dimensions
		counts := must(s.ledger.Counts(t.Context(), q))(t)
		counts.AsKnown = ledger.ToldKnown(counts.AsKnown)
		for path, want := range map[string]any{
			"?as_of=2021-03-01&as_known=2021-03-04&by=" + by:                       counts,
			"/diff?as_of=2021-03-01&as_known=2021-03-04&since=2021-01-16&by=" + by: must(s.ledger.DiffCounts(t.Context(), q, since))(t),
		} {
			whole, err := json.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			path = "/v1/districts/208/counts" + path
			got := s.ask(t, officer, "GET", path, "")
			if got.body != string(whole)+"\n" || got.status != http.StatusOK || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s is answered %d %v\n%s\nwant\n%s", path, got.status, got.header, got.body, whole)
			}
			head := s.ask(t, officer, "HEAD", path, "")
			if head.status != http.StatusOK || head.body != "" || head.header.Get("Content-Length") != got.header.Get("Content-Length") || head.header.Get("Content-Type") != "application/json" {
				t.Errorf("HEAD of %s is answered %d %v %q", path, head.status, head.header, head.body)
			}
			old := s.raw(t, "GET %s HTTP/1.0\r\n", path)
			defer old.Body.Close()
			if b, err := io.ReadAll(old.Body); err != nil || string(b) != got.body || len(old.TransferEncoding) > 0 {
				t.Errorf("over HTTP/1.0 %s is answered %v %v %s", path, old, err, b)
			}
		}
	}
	old := s.raw(t, "GET %s HTTP/1.0\r\n", longTable) // its end is that of the connection
	defer old.Body.Close()
	if b, err := io.ReadAll(old.Body); err != nil || !json.Valid(b) || old.ContentLength >= 0 || len(old.TransferEncoding) > 0 {
		t.Errorf("over HTTP/1.0 a long table is answered %v %v, %d bytes", old, err, len(b))
	}
}

// raw sends a request over a connection of its own, and reads the head of the answer.
func (s *service) raw(t *testing.T, line, path string) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, line+"Host: bahi\r\nAuthorization: Bearer %s\r\n\r\n", path, s.token(t, officer))
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestTablesAreNotHeld: an answer that is on its way takes some bytes a row, and not what
// its rows take.
func TestTablesAreNotHeld(t *testing.T) { // not beside others, whose memory it would measure
	s := start(t)
	settle(t, s)
	used := func() uint64 { // the least of several, for rows are made until the line is full
		least := uint64(math.MaxUint64)
		for range 20 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			least = min(least, m.HeapAlloc)
		}
		return least
	}
	s.ask(t, officer, "GET", "/v1/districts/208/counts?by=day", "")
	before := used()
	answer := s.raw(t, "GET %s HTTP/1.1\r\n", longTable)
	defer answer.Body.Close()
	during := used()
	size, err := io.Copy(io.Discard, answer.Body)
	if err != nil || size < 30<<20 {
		t.Fatalf("the test is blind: %d bytes, %v", size, err)
	}
	if during > before+uint64(size)/20 {
		t.Errorf("while an answer of %d bytes is sent, the heap grows from %d to %d", size, before, during)
	}
}

// TestTablesThatAreNotTaken, long before a write is given up: whoever stops taking an answer does not keep its place, and
// finds it broken when he goes on; so does whoever is not let in any more, or takes it
// when the service ends.
func TestTablesThatAreNotTaken(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		limits func(*limits)
		then   func(*testing.T, *service, access.Issued)
	}{
		"stopped": {func(l *limits) { l.write = 100 * time.Millisecond }, nil},
		"slow":    {func(l *limits) { l.send = 100 * time.Millisecond }, nil},
		"revoked": {func(l *limits) { l.stands = 10 * time.Millisecond }, func(t *testing.T, s *service, token access.Issued) {
			if err := s.access.Revoke(t.Context(), access.Installation(authority), token.ID); err != nil {
				t.Error(err)
			}
		}},
		"the service ends": {func(l *limits) { l.drain = 6 * time.Second }, func(t *testing.T, s *service, _ access.Issued) {
			if err := s.stop(); err != nil {
				t.Error(err)
			}
		}},
	} {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				t.Parallel()
				s := start(t, func(l *limits) { l.tables = 1; test.limits(l) })
				settle(t, s)
				token := s.issue(t, access.Grant{Role: officer, District: muzaffarpur, Officer: "o"})
				answer := s.begun(t, protocol, token.Text)
				if test.then != nil {
					test.then(t, s, token)
				}
				if !s.server.tables.take(t.Context(), 20*time.Second) {
					t.Fatal("the place is not left")
				}
				s.server.tables.leave()
				if got, err := io.ReadAll(answer.Body); err == nil || json.Valid(got) {
					t.Errorf("status %d and %d bytes without an error", answer.StatusCode, len(got))
				}
			})
		}
	}
}

// begun asks for a long table over a protocol, and reads no more of the answer than its
// head.
func (s *service) begun(t *testing.T, protocol, token string) *http.Response {
	t.Helper()
	url, transport := s.url, &http.Transport{ForceAttemptHTTP2: true}
	if protocol == "HTTP/2.0" {
		server, ca := (*maker)(nil).make(t, "tables")
		certificate, key := write(t, t.TempDir(), server)
		shown, err := LoadTLS(certificate, key, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		url = s.encrypted(t, shown)
		roots := x509.NewCertPool()
		roots.AddCert(ca.certificate)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+longTable, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		answer.Body.Close()
		transport.CloseIdleConnections()
	})
	if answer.Proto != protocol || answer.StatusCode != http.StatusOK {
		t.Fatalf("the test is blind: %s over %s", answer.Status, answer.Proto)
	}
	return answer
}

// TestOneTokenLeavesTables: one token does not take all places.
func TestOneTokenLeavesTables(t *testing.T) {
	t.Parallel()
	s := start(t, func(l *limits) { l.tables, l.perReader, l.wait = 2, 1, time.Minute })
	settle(t, s)
	one := s.issue(t, access.Grant{Role: officer, District: muzaffarpur, Officer: "o"})
	const path = "/v1/districts/208/counts?by=day"
	s.server.askers.take(one.ID, 1)
	if got := s.with(t, one.Text, "GET", path, ""); got.status != http.StatusTooManyRequests || got.problem(t).Code != codeBusy {
		t.Errorf("a second table by the same token is answered %d %s", got.status, got.body)
	}
	s.server.askers.leave(one.ID)
	for range 2 { // each leaves its place
		if got := s.with(t, one.Text, "GET", path, ""); got.status != http.StatusOK {
			t.Errorf("then it is answered %d %s", got.status, got.body)
		}
	}
}

// TestMayBeLarge: what is large waits for a place, and nothing else does.
func TestMayBeLarge(t *testing.T) {
	t.Parallel()
	for by, want := range map[string][2]bool{ // of a district, of all
		"":                {false, false},
		"group,sex":       {false, false},
		"district":        {false, false},
		"day":             {true, true},
		"group,day-known": {true, true},
		"district,group":  {false, true},
	} {
		for i, code := range []string{"208", everywhere} {
			in := countsInput{Code: code, By: by}
			q, err := in.query(access.Installation(auditor))
			if got := mayBeLarge(q); err != nil || got != want[i] {
				t.Errorf("%s by %q: %t, %v", code, by, got, err)
			}
		}
	}
}

// TestBrokenTables: a client takes no part of a table for the whole, and neither a table
// for another.
func TestBrokenTables(t *testing.T) {
	t.Parallel()
	const whole = `{"district":208,"as_of":"2021-03-04","as_known":"2021-03-04T23:59:59+05:30","registered":3,"by":[{"group":"HCW","registered":2},{"group":"FLW","registered":1}]}`
	answered := make(chan string, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, <-answered) })}
	go server.Serve(listener)
	defer server.Close()
	c, err := Dial("http://"+listener.Addr().String(), "a-token")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func(answer string) (projections.CountsResult, error) {
		answered <- answer
		return c.Counts(t.Context(), projections.CountsQuery{District: 208, By: []projections.Dimension{projections.ByGroup}})
	}
	if got, err := ask(whole); err != nil || got.Registered != 3 || len(got.By) != 2 || got.By[1].Registered != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range len(whole) {
		if got, err := ask(whole[:n]); !errors.Is(err, errUnreadable) || got.By != nil {
			t.Fatalf("of %s is read %+v, %v", whole[:n], got, err)
		}
	}
	for _, other := range []string{`[]`, `{"by":{}}`, `{"by":[3]}`, `{"district":"x"}`, strings.Replace(whole, "HCW", "9000000001", 1)} {
		if got, err := ask(other); !errors.Is(err, errUnreadable) || strings.Contains(err.Error(), "9000000001") {
			t.Errorf("%s is read as %+v, %v", other, got, err)
		}
	}
}

// TestTablesEndWithTheirReader: what a reader of rows says ends the answer.
func TestTablesEndWithTheirReader(t *testing.T) {
	t.Parallel()
	s := start(t)
	settle(t, s)
	q := projections.CountsQuery{District: muzaffarpur, By: []projections.Dimension{projections.ByDay}, AsOf: domain.Date(2700, 1, 1)}
	enough := errors.New("enough")
	type tell func(context.Context, projections.CountsQuery, func(projections.CountsResult) error, func(projections.CountsRow) error) error
	for name, tell := range map[string]tell{"ledger": s.ledger.TellCounts, "client": s.client(t, vault.RoleOfficer).TellCounts} {
		rows := 0
		err := tell(t.Context(), q, func(projections.CountsResult) error { return nil }, func(projections.CountsRow) error {
			if rows++; rows == 3 {
				return enough
			}
			return nil
		})
		if err != enough || rows != 3 {
			t.Errorf("%s: %d rows, %v", name, rows, err)
		}
		if err := tell(t.Context(), q, func(projections.CountsResult) error { return enough }, nil); err != enough {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNothingIsHurriedThatHasEnded: who ends an exchange from outside may come when it has
// just ended by itself. Over HTTP/2 there is nothing any more then whose deadline it could be.
func TestNothingIsHurriedThatHasEnded(t *testing.T) {
	t.Parallel()
	s := start(t)
	asked := make(chan *http.Request, 1)
	s.server.mux.HandleFunc("POST /asked", func(_ http.ResponseWriter, r *http.Request) { asked <- r })
	server := httptest.NewUnstartedServer(s.server)
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	answer, err := server.Client().Post(server.URL+"/asked", "text/plain", struct{ io.Reader }{strings.NewReader("nobody reads this")})
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.ProtoMajor != 2 {
		t.Fatalf("the test is blind: %s over %s", answer.Status, answer.Proto)
	}
	server.Close() // the handler has returned
	r := <-asked
	exchangeOf(r.Context()).hurry(0)
	bodyOf(r).interrupt()
	bodyOf(r).within(time.Second)
}
