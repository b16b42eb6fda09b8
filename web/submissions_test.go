package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"bahi/domain"
	"bahi/formats"
	"bahi/internal/natstest"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
)

// verdictsIn reads an answer of verdicts, and the problem that may end it.
func verdictsIn(t testing.TB, body string) (verdicts []domain.Verdict, problem *Problem) {
	t.Helper()
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, `{"problem":`) {
			var last problemLine
			if err := json.Unmarshal([]byte(line), &last); err != nil {
				t.Fatal(err)
			}
			problem = last.Problem
			continue
		}
		v, err := formats.ParseVerdict([]byte(line))
		if err != nil {
			t.Fatalf("%v in %q", err, line)
		}
		verdicts = append(verdicts, v)
	}
	return verdicts, problem
}

func TestSubmissions(t *testing.T) {
	t.Parallel()
	s := start(t)
	wrongDigit := strings.Replace(linesOf(doseOf(1)), string(referenceOf(1)), string(referenceOf(1)[:13])+"x", 1)
	address := strings.Replace(linesOf(registrationOf(9)), `"name"`, `"address":"Mithanpura","name"`, 1)
	body := linesOf(registrationOf(1), doseOf(1)) + // 1, 2
		"{\"type\":\"dose\"\r\n" + // 3
		"\n" + // 4, blank
		address + // 5
		wrongDigit + // 6
		strings.Repeat("x", formats.MaxLine+1) + "\n" + // 7
		linesOf(registrationOf(1), freezeOf(1)) + // 8, 9
		strings.TrimSuffix(linesOf(doseOf(2)), "\n") // 10, about nobody
	got := s.ask(t, vault.RoleCentre, "POST", "/v1/submissions", body)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != ndjsonType {
		t.Fatalf("answered %d %v %s", got.status, got.header, got.body)
	}
	verdicts, problem := verdictsIn(t, got.body)
	want := []string{"accepted", "accepted", "3 bad_json", "not_collected", "bad_reference", "7 too_long", "duplicate", "not_allowed", "unknown_person"}
	var told []string
	for _, v := range verdicts {
		switch {
		case v.Reject == nil:
			told = append(told, v.Outcome.String())
		case v.ID == "":
			told = append(told, fmt.Sprintf("%d %s", v.Line, v.Reject.Code))
		default:
			told = append(told, string(v.Reject.Code))
		}
	}
	if fmt.Sprint(told) != fmt.Sprint(want) || problem != nil {
		t.Errorf("verdicts %v, problem %v; want %v", told, problem, want)
	}
	if got := s.ask(t, vault.RoleCentre, "POST", "/v1/submissions", ""); got.status != http.StatusOK || got.body != "" {
		t.Errorf("nothing is answered %d %s", got.status, got.body)
	}
	got = s.ask(t, vault.RoleAuthority, "POST", "/v1/submissions", linesOf(freezeOf(1)))
	if verdicts, _ := verdictsIn(t, got.body); len(verdicts) != 1 || verdicts[0].Outcome != domain.Accepted {
		t.Errorf("the authority's freeze is answered %s", got.body)
	}
}

// conversation is a request whose body and answer are open at the same time.
type conversation struct {
	t       testing.TB
	out     *io.PipeWriter
	answers chan *http.Response
	in      *bufio.Reader
}

func (s *service) converse(t testing.TB, role string) *conversation {
	t.Helper()
	return s.converseWith(t, s.token(t, role))
}

func (s *service) converseWith(t testing.TB, token string) *conversation {
	t.Helper()
	body, out := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/v1/submissions", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	c := &conversation{t: t, out: out, answers: make(chan *http.Response, 1)}
	go func() {
		answer, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Error(err)
			close(c.answers)
			return
		}
		c.answers <- answer
	}()
	t.Cleanup(func() { out.Close() })
	return c
}

func (c *conversation) say(submissions ...domain.Submission) {
	c.t.Helper()
	if _, err := io.WriteString(c.out, linesOf(submissions...)); err != nil && !errors.Is(err, io.ErrClosedPipe) { // what has closed it is heard
		c.t.Fatal(err)
	}
}

// hear returns the next line, or "" at the end.
func (c *conversation) hear() string {
	c.t.Helper()
	if c.in == nil {
		answer, ok := <-c.answers
		if !ok {
			c.t.FailNow()
		}
		c.t.Cleanup(func() { answer.Body.Close() })
		if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusRequestTimeout {
			c.t.Fatalf("answered %d", answer.StatusCode)
		}
		c.in = bufio.NewReader(answer.Body)
	}
	line, err := c.in.ReadString('\n')
	if err != nil && err != io.EOF {
		c.t.Fatal(err)
	}
	return line
}

// TestConversation sends one submission at a time and waits for its verdict, on
// one request: nothing waits for a bundle to be full.
func TestConversation(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.converse(t, vault.RoleCentre)
	for n := range 5 {
		c.say(registrationOf(n + 1))
		verdicts, _ := verdictsIn(t, c.hear())
		if len(verdicts) != 1 || verdicts[0].Person != referenceOf(n+1) || verdicts[0].Outcome != domain.Accepted {
			t.Fatalf("verdicts of person %d: %+v", n+1, verdicts)
		}
	}
	c.out.Close()
	if rest := c.hear(); rest != "" {
		t.Errorf("after the end comes %q", rest)
	}
}

// TestSlowSender leaves a request open without sending: what came is decided, and
// the place is free again.
func TestSlowSender(t *testing.T) {
	t.Parallel()
	var c *conversation
	var s *service
	for read := 50 * time.Millisecond; ; read *= 10 { // with more patience where this test itself is slower
		s = start(t, func(l *limits) { l.read, l.linger, l.streams = read, time.Millisecond, 1 })
		c = s.converse(t, vault.RoleCentre)
		c.say(registrationOf(1))
		first := c.hear()
		if strings.Contains(first, codeTooSlow) && read < natstest.Patience {
			continue
		}
		if verdicts, _ := verdictsIn(t, first); len(verdicts) != 1 || verdicts[0].Outcome != domain.Accepted {
			t.Fatalf("verdicts: %+v", verdicts)
		}
		break
	}
	if _, problem := verdictsIn(t, c.hear()); problem == nil || problem.Code != codeTooSlow || problem.Status != http.StatusRequestTimeout {
		t.Errorf("the last line is %+v", problem)
	}
	if rest := c.hear(); rest != "" {
		t.Errorf("after the problem comes %q", rest)
	}
	got := s.ask(t, vault.RoleCentre, "POST", "/v1/submissions", linesOf(registrationOf(1)))
	if verdicts, _ := verdictsIn(t, got.body); len(verdicts) != 1 || verdicts[0].Outcome != domain.Duplicate {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
}

func TestSlowBodyOfOneValue(t *testing.T) {
	t.Parallel()
	s := start(t, func(l *limits) { l.body = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/freezes HTTP/1.1\r\nHost: bahi\r\nAuthorization: Bearer %s\r\nContent-Length: 100\r\n\r\n{", s.token(t, vault.RoleAuthority))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusRequestTimeout {
		t.Errorf("answered %d", answer.StatusCode)
	}
}

// TestUnreadBody is refused before its body has come, and does not keep the
// connection for ever.
func TestUnreadBody(t *testing.T) {
	t.Parallel()
	s := start(t, func(l *limits) { l.read = 50 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /v1/submissions HTTP/1.1\r\nHost: bahi\r\nContent-Length: 100\r\n\r\n{")
	answer, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(answer, []byte("HTTP/1.1 401 ")) {
		t.Errorf("answered %q, %v", answer, err)
	}
}

// TestSlowReader sends without taking its verdicts: in the end the service does
// not wait any longer, and the place is free again.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	s := start(t, func(l *limits) {
		l.write, l.linger, l.streams, l.wait = time.Second, time.Millisecond, 1, natstest.Patience
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /v1/submissions HTTP/1.1\r\nHost: bahi\r\nAuthorization: Bearer %s\r\nContent-Length: 1000000000\r\n\r\n", s.token(t, vault.RoleCentre))
	garbage := bytes.Repeat([]byte("x\n"), 32<<10) // refused at a glance, with a longer answer
	for err == nil {
		_, err = conn.Write(garbage)
	}
	got := s.ask(t, vault.RoleCentre, "POST", "/v1/submissions", linesOf(registrationOf(1)))
	if verdicts, _ := verdictsIn(t, got.body); len(verdicts) != 1 {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
	if strings.Contains(s.log.String(), "a request failed") {
		t.Errorf("the service takes it for a fault of its own: %s", s.log)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	s := start(t, func(l *limits) { l.streams, l.wait = 1, 10*time.Millisecond })
	c := s.converse(t, vault.RoleCentre)
	c.say(registrationOf(1))
	c.hear()
	got := s.ask(t, vault.RoleCentre, "POST", "/v1/submissions", linesOf(registrationOf(2)))
	if got.status != http.StatusServiceUnavailable || got.problem(t).Code != codeBusy || got.header.Get("Retry-After") == "" {
		t.Errorf("answered %d %v %s", got.status, got.header, got.body)
	}
}

// TestShutdownAnswersWhatHasArrived ends the service while a request is open.
func TestShutdownAnswersWhatHasArrived(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.converse(t, vault.RoleCentre)
	c.say(registrationOf(1))
	c.hear() // the request has arrived
	c.say(registrationOf(2), registrationOf(3))
	ended := make(chan error, 1)
	go func() { ended <- s.stop() }()
	var verdicts []domain.Verdict
	var problem *Problem
	for problem == nil {
		line := c.hear()
		if line == "" {
			break
		}
		var more []domain.Verdict
		more, problem = verdictsIn(t, line)
		verdicts = append(verdicts, more...)
	}
	if problem == nil || problem.Code != codeStopping || problem.Status != http.StatusServiceUnavailable {
		t.Errorf("the last line is %+v", problem)
	}
	c.out.Close()
	if err := <-ended; err != nil {
		t.Errorf("the service ended with: %v", err)
	}
	for _, v := range verdicts { // whatever was accepted is there
		if v.Outcome != domain.Accepted {
			t.Errorf("verdict %+v", v)
		}
	}
	held := must(s.ledger.Counts(context.Background(), projections.CountsQuery{District: muzaffarpur}))(t).Registered
	if answered := int64(1 + len(verdicts)); held < answered {
		t.Errorf("%d are registered, %d were accepted", held, answered)
	}
	if _, err := s.client(t, vault.RoleCentre).Info(t.Context()); err == nil || !strings.Contains(err.Error(), "no service answers at") {
		t.Errorf("after the end: %v", err)
	}
}

// TestLedgerClosed sends submissions to a service whose ledger has closed.
func TestLedgerClosed(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.submit(t, registrationOf(1))
	if err := s.ledger.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := s.ask(t, vault.RoleCentre, "POST", "/v1/submissions", linesOf(registrationOf(2)))
	if got.status != http.StatusServiceUnavailable || got.problem(t).Code != codeStopping {
		t.Errorf("answered %d %s", got.status, got.body)
	}
	if _, err := s.client(t, vault.RoleCentre).Submit(t.Context(), []domain.Submission{registrationOf(2)}); !errors.Is(err, ledger.ErrClosed) {
		t.Errorf("over the client: %v", err)
	}
}

// TestStreamInConstantMemory sends 20,000 registrations on one request, each
// padded to 8 kB: 160 MB pass through without being held. It is not parallel, for
// it looks at the whole process.
func TestStreamInConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector, which short tests run under, has a heap of its own")
	}
	const people, width = 20_000, 8 << 10
	s := start(t)
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	body, out := io.Pipe()
	go func() {
		line := make([]byte, 0, width)
		for n := range people {
			line = formats.AppendSubmission(line[:0], registrationOf(n+1))
			line = append(line, bytes.Repeat([]byte(" "), width-1-len(line))...)
			if _, err := out.Write(append(line, '\n')); err != nil {
				t.Error(err)
				break
			}
		}
		out.Close()
	}()
	r, err := http.NewRequestWithContext(t.Context(), "POST", s.url+"/v1/submissions", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token(t, vault.RoleCentre))
	before, start := liveHeap(), time.Now()
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	accepted, most := 0, uint64(0)
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		v, err := formats.ParseVerdict(lines.Bytes())
		if err != nil || v.Outcome != domain.Accepted {
			t.Fatalf("%s %v", lines.Text(), err)
		}
		if accepted++; accepted%500 == 0 {
			most = max(most, liveHeap())
		}
	}
	t.Logf("%d submissions in %s; live heap %d kB before, %d kB at most", accepted, time.Since(start).Round(time.Millisecond), before>>10, most>>10)
	if accepted != people {
		t.Errorf("%d verdicts of %d", accepted, people)
	}
	if grown := int64(most) - int64(before); grown > people*width/2 {
		t.Errorf("the heap grew by %d MB while 160 MB passed", grown>>20)
	}
}

func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// TestManyCentres submits from many clients at once.
func TestManyCentres(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.client(t, vault.RoleCentre)
	var centres sync.WaitGroup
	for centre := range 32 {
		centres.Go(func() {
			for n := range 5 {
				verdicts, err := c.Submit(t.Context(), []domain.Submission{registrationOf(centre*100 + n + 1), doseOf(centre*100 + n + 1)})
				if err != nil || len(verdicts) != 2 || verdicts[1].Outcome != domain.Accepted {
					t.Errorf("centre %d: %+v %v", centre, verdicts, err)
				}
			}
		})
	}
	centres.Wait()
	if got := must(s.ledger.Counts(t.Context(), projections.CountsQuery{District: muzaffarpur}))(t); got.Dose1 != 32*5 {
		t.Errorf("%d doses, want %d", got.Dose1, 32*5)
	}
}
