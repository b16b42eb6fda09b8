package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"runtime/debug"
	"sync"
	"time"

	"bahi/access"
)

// exchange is one request and its answer, as the log and the time-outs see it.
type exchange struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration // how long the other side may keep a write waiting

	deadlines sync.Mutex // orders those of writes, and protects what follows
	until     time.Time  // after which nothing is written any more; zero for never
	over      bool       // the writer is the server's again

	id      string
	large   bool             // the answer may have very many rows
	who     access.Principal // zero while nobody was recognised
	url     *url.URL         // for the link to the next page of a list
	attempt *attempt         // nil without an Idempotency-Key
	status  int              // 0 while nothing was written
	bytes   int64

	operation string // as in the OpenAPI document, noOperation while none was found
	code      string // of the problem that was answered; "" for none

	ends []func() // called when the answer is sent
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// Unwrap is for [http.ResponseController].
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// WriteHeader notes the status.
func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
	}
	x.extend()
	x.ResponseWriter.WriteHeader(status)
}

// Write gives the other side its time for every write anew: a long answer may
// take long, a reader that has stopped may not.
func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	x.extend()
	n, err := x.ResponseWriter.Write(b)
	x.bytes += int64(n)
	return n, err
}

// FlushError is for [http.ResponseController].
func (x *exchange) FlushError() error {
	x.extend()
	return x.control.Flush()
}

func (x *exchange) extend() {
	x.deadlines.Lock()
	defer x.deadlines.Unlock()
	deadline := time.Now().Add(x.patience)
	if !x.until.IsZero() && x.until.Before(deadline) {
		deadline = x.until
	}
	_ = x.control.SetWriteDeadline(deadline) // only a test's recorder cannot
}

// hurry leaves the answer that much time to be taken, from whatever goroutine.
func (x *exchange) hurry(d time.Duration) {
	x.deadlines.Lock()
	defer x.deadlines.Unlock()
	if x.over {
		return
	}
	x.until = time.Now().Add(d)
	_ = x.control.SetWriteDeadline(x.until)
}

// leave ends what other goroutines may do to the connection. Behind a handler that has
// returned, a deadline is that of the next request, and over HTTP/2 a panic.
func (x *exchange) leave() {
	x.deadlines.Lock()
	defer x.deadlines.Unlock()
	x.over = true
}

// refuse answers with a problem, unless an answer has begun.
func (x *exchange) refuse(p *Problem) {
	if x.status == 0 {
		x.code = p.Code
		p.signed(x.id).write(x)
	}
}

// ServeHTTP answers one request and writes one line to the log. The line has the
// pattern of the route, never the path or the query: they may hold a reference
// number, or whatever else somebody typed there.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	x := &exchange{
		ResponseWriter: w, control: http.NewResponseController(w), patience: s.limits.write,
		id: requestID(r), url: r.URL, operation: noOperation,
	}
	s.metrics.inFlight.Inc()
	header := w.Header()
	header.Set(requestHeader, x.id)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	body := newBody(r, x.control, s.limits)
	r.Body = body

	defer func() {
		fault := recover()
		if fault != nil && fault != http.ErrAbortHandler {
			// The value may quote anything; its type and the stack say enough.
			s.log.Error("a request broke its handler", "request", x.id, "route", r.Pattern,
				"panic", fmt.Sprintf("%T", fault), "stack", string(debug.Stack()))
		}
		broken := fault != nil && x.status != 0
		if fault != nil && x.status == 0 {
			x.refuse(internalProblem())
		}
		for _, end := range x.ends {
			end()
		}
		x.leave()
		body.leave()
		took := time.Since(start)
		s.metrics.observe(x, took)
		s.record(r, x, took)
		if broken {
			panic(http.ErrAbortHandler) // half an answer must not look like a whole one
		}
	}()
	switch {
	case smuggles(r):
		header.Set("Connection", "close")
		x.refuse(newProblem(http.StatusBadRequest, codeTwoLengths, "the request has both Content-Length and Transfer-Encoding; send one of them"))
	case r.ContentLength < 0 && r.ProtoMajor < 2:
		header.Set("Connection", "close") // see framing
		s.route(x, r)
	default:
		s.route(x, r)
	}
}

// requestHeader names a request, in the answer and in the log, so that the two, and
// what a proxy in front has logged, can be laid side by side.
const requestHeader = "X-Request-Id"

// requestShapes are ids that machines make: a UUID, 32 hexadecimal digits, a ULID.
var requestShapes = regexp.MustCompile(`^(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[0-7][0-9A-HJKMNP-TV-Z]{25})$`)

// tenDigits could be somebody's number.
var tenDigits = regexp.MustCompile(`[0-9]{10}`)

// requestID takes over the id that the request came with when a machine has made it:
// in another could stand anything, such as a name, and it goes into the log.
func requestID(r *http.Request) string {
	id := r.Header.Get(requestHeader)
	if !requestShapes.MatchString(id) || len(id) < 32 && tenDigits.MatchString(id) {
		return rand.Text()
	}
	return id
}

func (s *Server) record(r *http.Request, x *exchange, took time.Duration) {
	level := slog.LevelInfo
	if x.status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	s.log.LogAttrs(r.Context(), level, "request",
		slog.String("request", x.id), slog.String("operation", x.operation), slog.String("route", r.Pattern), slog.String("role", x.who.Role), slog.String("token", x.who.Token),
		slog.Int("status", x.status), slog.Int64("bytes", x.bytes), slog.Duration("took", took))
}

// problem turns an error into its problem. What has no code is told to the log.
func (s *Server) problem(ctx context.Context, err error) *Problem {
	x := exchangeOf(ctx)
	p, known := problemOf(err)
	switch {
	case known:
	case s.draining.Err() != nil:
		p = newProblem(http.StatusServiceUnavailable, codeStopping, "the service is shutting down; try again later")
	case errors.Is(err, context.DeadlineExceeded):
		p = newProblem(http.StatusGatewayTimeout, codeTimeout, "the ledger did not answer in time; try again later")
	}
	x.code = p.Code
	if p.Status >= http.StatusInternalServerError && ctx.Err() != context.Canceled { // whoever asked is still there
		s.log.ErrorContext(ctx, "a request failed", "request", x.id, "code", p.Code, "error", err)
	}
	return p.signed(x.id)
}
