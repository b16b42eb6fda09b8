package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"bahi/access"
	"bahi/domain"
	"bahi/formats"
	"bahi/intake"
)

func (s *Server) registerSubmissions() {
	text := func(description string) *huma.MediaType {
		return &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Description: description}}
	}
	lines := text("Submissions in the native format, one JSON object a line, each at most 256 KiB")
	lines.Example = submissionExample
	stream(s, huma.Operation{
		OperationID: opSubmit, Method: http.MethodPost, Path: "/v1/submissions", Tags: tags("Submissions"),
		Summary: "Submit registrations, doses and other submissions, in any format that is read",
		Description: "One verdict a submission comes back, in the order of the input, while the rest is still being sent. " +
			"A record that is refused never affects another. A submission without an id is answered by its line's number. " +
			"Whoever sends more than some megabytes has to read at the same time. When the answer ends with a problem, or breaks off, " +
			"send everything that has no verdict again: nothing is stored twice. Freezes and reversal decisions need the authority's token; " +
			"a centre's token submits its own doses. The body may be compressed with gzip.\n\n" +
			"Under an Idempotency-Key a native line without an id gets one that follows from the sender, the key and the line's number: " +
			"a program that keeps no ids sends the same body again under the same key. What was accepted the first time is a duplicate the second.",
	}, lineOf[verdictLine], s.submit)
	// Not before: the framework would read a body that it knows.
	s.api.OpenAPI().Paths["/v1/submissions"].Post.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		ndjsonType:              lines,
		"text/csv":              text("A table with a header: own columns, or DIVOC's. The parameter charset is heeded"),
		"application/fhir+json": text("FHIR R4 Immunization, Patient, or a Bundle of them"),
		"application/json":      text("DIVOC certificates, the vaccinator's calls of CoWIN, or FHIR, found by content; one or an array"),
	}}
}

// submit decides what is in the body and answers each submission with a verdict,
// in their order. A small body is read as a whole first. Of another one the verdicts
// come while the rest of it is still coming: who sends more than some megabytes has
// to read at the same time.
func (s *Server) submit(hctx huma.Context, in *submissionsInput) {
	r, _ := humago.Unwrap(hctx)
	x := exchangeOf(r.Context())
	how, err := in.sent(r, x.who)
	if err != nil {
		x.refuse(s.problem(r.Context(), err))
		return
	}
	if !x.who.Installation { // behind that stands a portal with many centres
		if !s.senders.take(x.who.Token, s.limits.perToken) {
			x.refuse(newProblem(http.StatusTooManyRequests, codeBusy, fmt.Sprintf("this token is submitting %d times at this moment already; try again when one has ended", s.limits.perToken)))
			return
		}
		defer s.senders.leave(x.who.Token)
	}
	if !s.streams.take(r.Context(), s.limits.wait) {
		x.refuse(newProblem(http.StatusServiceUnavailable, codeBusy, "too many centres are submitting at this moment; try again in a second"))
		return
	}
	defer s.streams.leave()
	body := bodyOf(r)
	defer context.AfterFunc(s.draining, body.interrupt)()
	// When the body breaks off, the request's context ends with it; what has come
	// is decided all the same.
	ctx := context.WithoutCancel(r.Context())
	standing, end := s.whileStanding(ctx, x.who)
	defer end(nil)
	silence := time.AfterFunc(s.limits.silent, func() { end(errSilent) })
	defer silence.Stop()
	defer context.AfterFunc(standing, func() {
		if ended(standing) != nil {
			body.interrupt()
		}
	})()
	ctx = context.WithValue(ctx, standingKey{}, standing)
	caller := callerFor(x.who)
	to := func(ctx context.Context, submissions []domain.Submission) ([]domain.Verdict, error) {
		silence.Stop()
		defer silence.Reset(s.limits.silent)
		if err := s.access.Stands(x.who); err != nil {
			return nil, err
		}
		verdicts, err := s.ledger.Submit(ctx, caller, submissions)
		s.countUnknown(ctx, x, verdicts)
		return verdicts, err
	}
	if 0 <= r.ContentLength && r.ContentLength <= s.limits.whole {
		s.submitWhole(ctx, x, r, body, how, to)
	} else {
		s.submitStream(ctx, x, body, how, to)
	}
}

// countUnknown notes what verdicts are about to tell. What is decided is answered; a
// lock ends the next bundle.
func (s *Server) countUnknown(ctx context.Context, x *exchange, verdicts []domain.Verdict) {
	if err := s.access.Unknown(ctx, x.who, verdicts); err != nil && !errors.Is(err, access.ErrLocked) {
		s.log.Error("a lock is not recorded", "request", x.id, "error", err)
	}
}

// submitWhole decides a body that fits into memory. Nothing waits for company, and
// a key that was used for something else is known before anything is decided.
func (s *Server) submitWhole(ctx context.Context, x *exchange, r *http.Request, body *body, how sent, to intake.Submitter) {
	body.stream() // over a slow line it takes its time
	held := make([]byte, r.ContentLength)
	if _, err := io.ReadFull(body, held); err != nil {
		x.Header().Set("Connection", "close")
		x.refuse(s.submissionProblem(ctx, errors.Join(errReading, err)))
		return
	}
	if x.attempt != nil {
		h := sha256.New()
		fmt.Fprintf(h, "%q %q\n", r.URL.RawQuery, r.Header.Get("Content-Type"))
		_, _ = h.Write(held)
		if p := x.attempt.sent([32]byte(h.Sum(nil))); p != nil {
			x.refuse(p)
			return
		}
	}
	out := newLines(x)
	defer out.free()
	_, err := intake.Submit(ctx, permitted(x.who, how.items(bytes.NewReader(held), x.attempt)), to, out.verdict)
	var p *Problem
	if err != nil {
		p = s.submissionProblem(ctx, err)
	}
	out.endWhole(p)
}

// submitStream decides a body while it comes.
func (s *Server) submitStream(ctx context.Context, x *exchange, body *body, how sent, to intake.Submitter) {
	body.stream()
	_ = x.control.EnableFullDuplex() // HTTP/2 is full duplex by itself
	out := newLines(x)
	defer out.free()
	out.before = func() {
		if !body.isOver() { // perhaps it is never read to its end
			x.Header().Set("Connection", "close")
		}
	}
	reader := readLines(body, permitted(x.who, how.items(body, x.attempt)))
	var p *Problem
	if err := s.decide(ctx, reader, out, to); err != nil {
		p = s.submissionProblem(ctx, err)
		x.Header().Set("Connection", "close") // unless the answer has begun
	}
	out.end(p)
	reader.stop(s.limits.linger)
}

// permitted refuses what is not the sender's to submit, and marks errors of the
// body as such.
func permitted(who access.Principal, items iter.Seq2[formats.Item, error]) iter.Seq2[formats.Item, error] {
	return func(yield func(formats.Item, error) bool) {
		for item, err := range items {
			if err != nil {
				err = errors.Join(errReading, err)
			} else {
				item = mayHave(who, item)
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

func (s *Server) submissionProblem(ctx context.Context, err error) *Problem {
	var timeout net.Error
	var p *Problem
	why, _ := ctx.Value(standingKey{}).(context.Context)
	if why != nil && errors.Is(err, errReading) {
		if cause := ended(why); cause != nil {
			err = cause
		}
	}
	switch {
	case errors.Is(err, errSilent):
		p = newProblem(http.StatusRequestTimeout, codeTooSlow, "no submission came for too long; send what has no verdict again")
	case s.draining.Err() != nil:
		p = newProblem(http.StatusServiceUnavailable, codeStopping, "the service is shutting down; send what has no verdict again later")
	case errors.Is(err, errGrown):
		p = newProblem(http.StatusRequestEntityTooLarge, codeTooLarge, "the compressed body holds far more than submissions do; send it uncompressed")
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum):
		p = newProblem(http.StatusBadRequest, codeBadRequest, "the body is not the gzip it says it is; send what has no verdict again")
	case errors.Is(err, errReading) && errors.As(err, &timeout) && timeout.Timeout():
		p = newProblem(http.StatusRequestTimeout, codeTooSlow, "nothing more came; send what has no verdict again")
	case errors.Is(err, errReading):
		p = newProblem(http.StatusBadRequest, codeBadRequest, "the body broke off; send what has no verdict again")
	case errors.Is(err, errUntaken): // hardly anybody is left to hear it
		p = newProblem(http.StatusRequestTimeout, codeTooSlow, "the verdicts were not taken; read them while you send, or send less at a time, and send what has no verdict again")
	default:
		return s.problem(ctx, err)
	}
	return p.signed(exchangeOf(ctx).id)
}

// standingKey is under which a stream's context has the one that ends when its
// sender would not be let in any more.
type standingKey struct{}

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

func readLines(in *body, items iter.Seq2[formats.Item, error]) *lineReader {
	r := &lineReader{in: in, items: make(chan formats.Item, readAhead), done: make(chan struct{})}
	go func() {
		defer close(r.items)
		for item, err := range items {
			if err != nil {
				r.err = err
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
