package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bahi/access"
	"bahi/domain"
	"bahi/formats"
	"bahi/intake"
	"bahi/internal/natstest"
	"bahi/ledger"
	"bahi/vault"

	"github.com/nats-io/nats.go"
)

// service is a real ledger behind a real listener.
type service struct {
	ledger *ledger.Ledger
	access *access.Registry
	door   *intake.Door
	server *Server
	url    string
	log    *journal
	clock  *clock
	stop   func() error // ends Serve and returns its error
}

// clock is the registry's, and can be put forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// journal is a log that a test may read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

func start(t testing.TB, change ...func(*limits)) *service {
	t.Helper()
	dir, words := t.TempDir(), &journal{}
	log := slog.New(slog.NewJSONHandler(words, nil))
	l, err := ledger.Open(t.Context(), ledger.Config{Data: dir + "/data", Keys: dir + "/keys", Sandbox: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	bounds := defaultLimits
	bounds.drain = natstest.Patience
	for _, c := range change {
		c(&bounds)
	}
	s := &service{ledger: l, log: words, clock: &clock{}}
	s.access, err = access.Open(t.Context(), access.Config{Store: l.Store(), Vault: l.Vault(), Origin: l.Origin(), Now: s.clock.now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Store().Connect("intake")
	if err != nil {
		t.Fatal(err)
	}
	doors, err := intake.For(t.Context(), l, conn, log)
	if err != nil {
		t.Fatal(err)
	}
	doors.Access = s.access
	if s.door, err = intake.OpenDoor(t.Context(), doors); err != nil {
		t.Fatal(err)
	}
	quarantine, err := intake.NewQuarantine(doors)
	if err != nil {
		t.Fatal(err)
	}
	s.server = newServer(Config{
		Ledger: l, Access: s.access, Quarantine: quarantine, Log: log,
		Version: "of a test", Collectors: s.door.Collectors(),
	}, bounds)
	listener, err := Listen(fmt.Sprintf("127.0.0.1:%d", natstest.Ports(t, 1)[0])) // which is nobody's afterwards
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + listener.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(ctx, listener) }()
	s.stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("the service ended with: %v", err)
		}
		conn.Close()
		if err := s.access.Close(); err != nil {
			t.Errorf("close the registry: %v", err)
		}
		if err := l.Close(context.Background()); err != nil {
			t.Errorf("close the ledger: %v", err)
		}
	})
	return s
}

func (s *service) token(t testing.TB, role string) string {
	t.Helper()
	token, err := s.ledger.Vault().RoleToken(role)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (s *service) client(t testing.TB, role string) *Client {
	t.Helper()
	c, err := Dial(s.url, s.token(t, role))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// reply is an answer that was read to its end.
type reply struct {
	status int
	header http.Header
	body   string
}

func (r reply) problem(t testing.TB) Problem {
	t.Helper()
	if kind := r.header.Get("Content-Type"); kind != problemType {
		t.Fatalf("status %d with content type %q, want %s; body %q", r.status, kind, problemType, r.body)
	}
	var p Problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatalf("%v in %q", err, r.body)
	}
	return p
}

// ask sends one request with the installation's token of a role; "" sends none.
func (s *service) ask(t testing.TB, role, method, path, body string) reply {
	t.Helper()
	token := ""
	if role != "" {
		token = s.token(t, role)
	}
	return s.with(t, token, method, path, body)
}

// with sends one request with a token and headers, in pairs.
func (s *service) with(t testing.TB, token, method, path, body string, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return answerTo(t, r)
}

// issue makes a signed token.
func (s *service) issue(t testing.TB, g access.Grant) access.Issued {
	t.Helper()
	issued, err := s.access.Issue(t.Context(), access.Installation(vault.RoleAuthority), g)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func answerTo(t testing.TB, r *http.Request) reply {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header, string(b)}
}

func (s *service) submit(t testing.TB, submissions ...domain.Submission) {
	t.Helper()
	verdicts, err := s.ledger.Submit(t.Context(), ledger.Caller{Name: vault.RoleAuthority, Authority: true}, submissions)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verdicts {
		if v.Outcome != domain.Accepted {
			t.Fatalf("%s: %v", v.Outcome, v.Reject)
		}
	}
}

// The people are numbered; everything about one follows from the number.

func idOf(kind, n int) domain.UUID {
	id, err := domain.ParseUUID(fmt.Sprintf("%08x-0000-7000-8000-%012x", kind, n))
	if err != nil {
		panic(err)
	}
	return id
}

func referenceOf(n int) domain.Reference { return domain.MakeReference(fmt.Sprintf("2%012d", n)) }

func at(s string) time.Time {
	t, err := domain.ParseTime(s)
	if err != nil {
		panic(err)
	}
	return t
}

const muzaffarpur = domain.District(208)

func registrationOf(n int) domain.Registration {
	return domain.Registration{
		Heading:   domain.Heading{ID: idOf(1, n), At: at("2021-01-16")},
		Person:    referenceOf(n),
		District:  muzaffarpur,
		Group:     domain.HealthCareWorker,
		Name:      fmt.Sprintf("Canary Kumari %d", n),
		BirthYear: 1980,
		Sex:       domain.Sex(1 + n%2),
		Mobile:    fmt.Sprintf("9%09d", 700_000_000+n),
		PhotoID:   domain.PhotoID{Type: domain.Aadhaar, Number: fmt.Sprintf("1%011d", 77_000_000_000+n)},
	}
}

func doseOf(n int) domain.DoseGiven {
	return domain.DoseGiven{
		Heading:  domain.Heading{ID: idOf(2, n), At: at("2021-01-18")},
		Person:   referenceOf(n),
		District: muzaffarpur,
		Centre:   "208001",
		Vaccine:  domain.Covishield,
		Batch:    "4120Z001",
		Number:   1,
	}
}

func reversalOf(n int) domain.ReversalRequest {
	return domain.ReversalRequest{
		Heading: domain.Heading{ID: idOf(3, n), At: at("2021-01-20")},
		Person:  referenceOf(n),
		To:      domain.Unvaccinated,
		Reason:  domain.ReasonIssuedByMistake,
	}
}

func freezeOf(n int) domain.Freeze {
	return domain.Freeze{
		Heading:  domain.Heading{ID: idOf(9, n), At: at("2021-03-04T18:00:00+05:30")},
		District: muzaffarpur,
		Mode:     domain.Handover,
		Order:    "DL/2021/117",
		By:       "authority",
	}
}

func linesOf(submissions ...domain.Submission) string {
	var b []byte
	for _, s := range submissions {
		b = append(formats.AppendSubmission(b, s), '\n')
	}
	return string(b)
}

// overNATS opens the service's door for bundles and connects a centre to it, until
// stop is called.
func (s *service) overNATS(t *testing.T) (conn *nats.Conn, client *intake.Client, stop func()) {
	t.Helper()
	conn, err := s.ledger.Store().Connect("centre")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if client, err = intake.NewClient(conn, intake.ClientOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.door.Serve(ctx) }()
	return conn, client, func() {
		t.Helper()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}
