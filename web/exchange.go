package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// exchange is one request and its answer, as the log and the time-outs see it.
type exchange struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration // how long the other side may keep a write waiting

	id     string
	role   string // empty while no token was recognised
	status int    // 0 while nothing was written
	bytes  int64
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
	_ = x.control.SetWriteDeadline(time.Now().Add(x.patience)) // only a test's recorder cannot
}

// refuse answers with a problem, unless an answer has begun.
func (x *exchange) refuse(p *Problem) {
	if x.status == 0 {
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
		id: rand.Text(),
	}
	header := w.Header()
	header.Set("Request-Id", x.id)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")

	r = r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x))
	r.Body = newBody(r, x.control, s.limits)

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
		s.record(r, x, time.Since(start))
		if broken {
			panic(http.ErrAbortHandler) // half an answer must not look like a whole one
		}
	}()
	s.route(x, r)
}

func (s *Server) record(r *http.Request, x *exchange, took time.Duration) {
	level := slog.LevelInfo
	if x.status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	s.log.LogAttrs(r.Context(), level, "request",
		slog.String("request", x.id), slog.String("route", r.Pattern), slog.String("role", x.role),
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
		p = newProblem(http.StatusGatewayTimeout, "timeout", "the ledger did not answer in time; try again later")
	}
	if p.Status >= http.StatusInternalServerError && ctx.Err() != context.Canceled { // whoever asked is still there
		s.log.ErrorContext(ctx, "a request failed", "request", x.id, "code", p.Code, "error", err)
	}
	return p.signed(x.id)
}
