package web

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"bahi/domain"
	"bahi/formats"
	"bahi/intake"
	"bahi/ledger"
	"bahi/vault"
)

// submit decides the lines of the body and answers each with a verdict, in
// their order, while the rest of the body is still coming: who sends more than
// some megabytes has to read at the same time.
func (s *Server) submit(hctx huma.Context) {
	r, _ := humago.Unwrap(hctx)
	x := exchangeOf(r.Context())
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		x.refuse(newProblem(http.StatusUnsupportedMediaType, codeEncoding, "send the lines uncompressed"))
		return
	}
	if !s.streams.take(r.Context(), s.limits.wait) {
		x.refuse(newProblem(http.StatusServiceUnavailable, codeBusy, "too many centres are submitting at this moment; try again in a second"))
		return
	}
	defer s.streams.leave()

	in := r.Body.(*body)
	in.stream()
	defer context.AfterFunc(s.draining, in.interrupt)()
	_ = x.control.EnableFullDuplex() // HTTP/2 is full duplex by itself

	out := newLines(x)
	out.before = func() {
		if !in.isOver() { // perhaps it is never read to its end
			x.Header().Set("Connection", "close")
		}
	}
	caller := ledger.Caller{Name: x.role, Authority: x.role == vault.RoleAuthority}
	to := func(ctx context.Context, submissions []domain.Submission) ([]domain.Verdict, error) {
		return s.ledger.Submit(ctx, caller, submissions)
	}
	// When the body breaks off, the request's context ends with it; what has come
	// is decided all the same.
	ctx := context.WithoutCancel(r.Context())
	reader := readLines(in)
	var p *Problem
	if err := s.decide(ctx, reader, out, to); err != nil {
		p = s.submissionProblem(ctx, err)
		x.Header().Set("Connection", "close") // unless the answer has begun
	}
	out.end(p)
	reader.stop(s.limits.linger)
}

func (s *Server) submissionProblem(ctx context.Context, err error) *Problem {
	var timeout net.Error
	switch {
	case s.draining.Err() != nil:
		p := newProblem(http.StatusServiceUnavailable, codeStopping, "the service is shutting down; send what has no verdict again later")
		return p.signed(exchangeOf(ctx).id)
	case errors.Is(err, errReading) && errors.As(err, &timeout) && timeout.Timeout():
		p := newProblem(http.StatusRequestTimeout, codeTooSlow, "nothing more came; send what has no verdict again")
		return p.signed(exchangeOf(ctx).id)
	case errors.Is(err, errReading):
		p := newProblem(http.StatusBadRequest, codeBadRequest, "the body broke off; send what has no verdict again")
		return p.signed(exchangeOf(ctx).id)
	}
	return s.problem(ctx, err)
}

// errReading marks an error of the request's body.
var errReading = errors.New("the body of the request cannot be read")

// readAhead is how many lines are read while a bundle is decided.
const readAhead = intake.BundleSize

// lineReader reads a body ahead of those who decide.
type lineReader struct {
	in    *body
	items chan formats.Item
	err   error // of the body; written before items is closed
	done  chan struct{}
}

func readLines(in *body) *lineReader {
	r := &lineReader{in: in, items: make(chan formats.Item, readAhead), done: make(chan struct{})}
	go func() {
		defer close(r.items)
		for item, err := range formats.ReadNDJSON(in) {
			if err != nil {
				r.err = errors.Join(errReading, err)
				return
			}
			select {
			case r.items <- item:
			case <-r.done:
				return
			}
		}
	}()
	return r
}

// stop ends the reading and returns when it has ended. What still comes within
// the time given is thrown away: a connection closed on a sender in the middle
// of a word takes the answer with it.
func (r *lineReader) stop(linger time.Duration) {
	close(r.done)
	r.in.within(linger)
	for range r.items {
	}
	_, _ = io.Copy(io.Discard, r.in)
}

// bundle waits for a line and takes what comes with it within some milliseconds.
// It is empty at the end of the body.
func (r *lineReader) bundle(wait time.Duration) []formats.Item {
	first, ok := <-r.items
	if !ok {
		return nil
	}
	bundle := append(make([]formats.Item, 0, 8), first)
	company := time.After(wait)
	for len(bundle) < intake.BundleSize {
		select {
		case item, ok := <-r.items:
			if !ok {
				return bundle
			}
			bundle = append(bundle, item)
		case <-company:
			return bundle
		}
	}
	return bundle
}

// decide takes lines to the ledger in bundles: whatever has come, up to
// [intake.BundleSize], after a short wait for company. So a file goes in full
// bundles, and who sends one line and waits is answered at once. It holds one
// bundle while the reader holds as many lines again.
func (s *Server) decide(ctx context.Context, from *lineReader, out *lines, to intake.Submitter) error {
	for {
		bundle := from.bundle(s.limits.gather)
		if len(bundle) == 0 {
			return from.err
		}
		if _, err := intake.Submit(ctx, each(bundle), to, out.verdict); err != nil {
			return err
		}
		if err := out.flush(); err != nil {
			return err
		}
	}
}

func each(items []formats.Item) func(func(formats.Item, error) bool) {
	return func(yield func(formats.Item, error) bool) {
		for _, item := range items {
			if !yield(item, nil) {
				return
			}
		}
	}
}
