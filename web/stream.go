package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"bahi/domain"
	"bahi/formats"
	"bahi/projections"
)

const (
	ndjsonType = "application/x-ndjson"
	eventsType = "text/event-stream"
)

// lines writes NDJSON, or the same values as server-sent events. The answer begins
// with the first line: until then there can still be a problem with a status of its
// own.
type lines struct {
	x       *exchange
	events  bool   // server-sent
	before  func() // called before the first line; nil for nothing
	out     *bufio.Writer
	scratch []byte
	begun   bool
}

var lineBuffers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, 8<<10) }}

// newLines begins an answer, whose buffer is to be given back with free.
func newLines(x *exchange) *lines {
	l := &lines{x: x, out: lineBuffers.Get().(*bufio.Writer)}
	l.out.Reset(x)
	return l
}

func (l *lines) free() {
	l.out.Reset(nil) // it held verdicts; the next answer overwrites them
	lineBuffers.Put(l.out)
}

func (l *lines) begin() {
	if !l.begun {
		l.begun = true
		if l.before != nil {
			l.before()
		}
		kind := ndjsonType
		if l.events {
			kind = eventsType
		}
		l.x.Header().Set("Content-Type", kind)
	}
}

func (l *lines) value(v any) error {
	l.begin()
	e := json.NewEncoder(l.out)
	e.SetEscapeHTML(false)
	if !l.events {
		return e.Encode(v)
	}
	_, _ = l.out.WriteString("data: ") // an error stays with the writer
	if err := e.Encode(v); err != nil {
		return err
	}
	return l.out.WriteByte('\n')
}

func (l *lines) verdict(v domain.Verdict) error {
	l.begin()
	l.scratch = append(formats.AppendVerdict(l.scratch[:0], v), '\n')
	_, err := l.out.Write(l.scratch)
	return untaken(err)
}

// flush sends what is written.
func (l *lines) flush() error {
	if err := l.out.Flush(); err != nil {
		return untaken(err)
	}
	return untaken(l.x.FlushError())
}

// errUntaken: nobody takes the answer, or not in time.
var errUntaken = errors.New("the answer is not taken")

func untaken(err error) error {
	if err != nil {
		err = fmt.Errorf("%w: %w", errUntaken, err)
	}
	return err
}

// end sends the rest; with a problem, as the answer when none has begun, or else
// as the last line.
func (l *lines) end(p *Problem) {
	if l.last(p) {
		_ = l.flush() // nobody is left to tell
	}
}

// endWhole is end for an answer that is not waited for in pieces: what is small goes
// out in one, with its length.
func (l *lines) endWhole(p *Problem) {
	if l.last(p) {
		_ = l.out.Flush()
	}
}

// last writes the last line, if there is one, or else the problem as the answer;
// then there is nothing to flush.
func (l *lines) last(p *Problem) bool {
	switch {
	case p != nil && !l.begun:
		l.x.refuse(p)
		return false
	case p != nil:
		_ = l.value(problemLine{p})
	}
	l.begin()
	return true
}

// problemLine is the last line of a stream that did not reach its end.
type problemLine struct {
	Problem *Problem `json:"problem"`
}

// reading does one of the few things that read the whole ledger: at most a few at
// a time, and cut short when the service ends. Whoever is slow to take the answer, or
// asks for several, leaves places to others.
func (s *Server) reading(hctx huma.Context, do func(context.Context, *lines) error) {
	r, _ := humago.Unwrap(hctx)
	x := exchangeOf(r.Context())
	if !x.who.Installation { // behind that stands a portal with many people
		if !s.readers.take(x.who.Token, s.limits.perReader) {
			x.refuse(newProblem(http.StatusTooManyRequests, codeBusy, fmt.Sprintf("this token is reading the ledger %d times at this moment already; try again when one has ended", s.limits.perReader)))
			return
		}
		defer s.readers.leave(x.who.Token)
	}
	s.readingAt(s.readings, hctx, do)
}

// working is reading for those who look after the views and the ledger. It does not
// wait for anybody who only reads.
func (s *Server) working(hctx huma.Context, do func(context.Context, *lines) error) {
	s.readingAt(s.works, hctx, do)
}

// following is reading for those who wait for what comes.
func (s *Server) following(hctx huma.Context, do func(context.Context, *lines) error) {
	s.readingAt(s.followers, hctx, do)
}

// readingAt does what takes long at one of some places.
func (s *Server) readingAt(at places, hctx huma.Context, do func(context.Context, *lines) error) {
	r, _ := humago.Unwrap(hctx)
	x := exchangeOf(r.Context())
	if !at.take(r.Context(), 0) {
		x.refuse(newProblem(http.StatusServiceUnavailable, codeBusy, "others are reading the whole ledger; try again in a while"))
		return
	}
	defer at.leave()
	ctx, cancel := s.whileStanding(r.Context(), x.who)
	defer cancel(nil)
	defer context.AfterFunc(s.draining, func() {
		x.hurry(s.limits.drain / 2) // for the last line, if anybody takes it
		cancel(nil)
	})()
	out := newLines(x)
	defer out.free()
	out.events = strings.Contains(r.Header.Get("Accept"), eventsType)
	var p *Problem
	err := do(ctx, out)
	if why := ended(ctx); why != nil {
		err = why
	}
	if err != nil {
		p = s.problem(r.Context(), err)
	}
	out.end(p)
}

// listLines answers with one line a value.
func listLines[T any](ctx context.Context, out *lines, values iter.Seq2[T, error]) error {
	for v, err := range values {
		if err != nil {
			return err
		}
		if err := out.value(v); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// workLine is a line of an answer that takes long: how far the work is, or, in
// the last, what came of it.
type workLine[T any] struct {
	Progress *projections.Progress `json:"progress,omitempty"`
	Result   *T                    `json:"result,omitempty"`
}

const (
	progressEvery  = 200 * time.Millisecond
	heartbeatEvery = 10 * time.Second // so that no proxy takes a long step for a dead line
)

// work does something long and answers with its progress and its result. However
// often progress is called, a line is written every 200 ms at most.
func work[T any](ctx context.Context, out *lines, do func(context.Context, func(projections.Progress)) (T, error)) error {
	var mu sync.Mutex // protects last and news
	var last projections.Progress
	news := false
	done := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() {
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		spoke := time.Now()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			mu.Lock()
			say, p := news || time.Since(spoke) >= heartbeatEvery, last
			news = false
			mu.Unlock()
			if say {
				spoke = time.Now()
				_ = out.value(workLine[T]{Progress: &p}) // a client that is gone ends ctx
				_ = out.flush()
			}
		}
	})
	result, err := do(ctx, func(p projections.Progress) {
		mu.Lock()
		last, news = p, true
		mu.Unlock()
	})
	close(done)
	ticking.Wait() // from here on out is ours alone
	if err != nil {
		return err
	}
	return out.value(workLine[T]{Result: &result})
}
