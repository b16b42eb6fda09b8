package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"bahi/domain"
	"bahi/projections"
)

// table is an answer of one JSON value with a list of rows at its end, which may be very
// many: they are made and sent one by one.
type table struct {
	head  any  // an object, without the rows
	split bool // there is a list
	rows  iter.Seq[any]
}

// tableOf returns the table of a head and its rows.
func tableOf[H, R any](head H, split bool, rows iter.Seq[R]) table {
	return table{head, split, func(yield func(any) bool) {
		rows(func(row R) bool { return yield(&row) })
	}}
}

func (t table) write(w io.Writer) error {
	out := projections.NewTableWriter(w)
	if err := out.Head(t.head, t.split); err != nil {
		return err
	}
	for row := range t.rows {
		if err := out.Row(row); err != nil {
			return err
		}
	}
	return out.End()
}

// answerTable is answer for a table, of the type that O documents. What can be refused
// is refused before the first byte. An answer that breaks off ends the connection before
// its end: what came of it is no JSON.
func answerTable[I, O any](s *Server, op huma.Operation, do func(context.Context, *I) (table, error)) {
	op.Responses = map[string]*huma.Response{"200": {
		Description: http.StatusText(http.StatusOK),
		Content:     map[string]*huma.MediaType{"application/json": {Schema: s.schema(reflect.TypeFor[O]())}},
	}}
	huma.Register(s.api, s.documented(op), func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		ctx, cancel := context.WithTimeout(ctx, s.limits.answer)
		defer cancel()
		t, err := do(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			r, _ := humago.Unwrap(hctx)
			s.send(r.Context(), t)
		}}, nil
	})
}

// send sends a table. Whoever stops taking it, or takes too long over all of it, or is
// let in no longer, does not get it to its end.
func (s *Server) send(ctx context.Context, t table) {
	x := exchangeOf(ctx)
	if x.large {
		var stop func()
		ctx, stop = s.bounded(ctx, x)
		defer stop()
	}
	x.Header().Set("Content-Type", "application/json")
	w := lineBuffers.Get().(*bufio.Writer)
	w.Reset(sending{ctx, x})
	defer func() {
		w.Reset(nil)
		lineBuffers.Put(w)
	}()
	err := t.write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		return
	}
	if why := ended(ctx); why != nil {
		s.problem(ctx, why) // for the log and the metrics
	}
	panic(http.ErrAbortHandler)
}

// sending writes as long as its context stands.
type sending struct {
	ctx context.Context
	to  io.Writer
}

// Write fails once the context has ended.
func (s sending) Write(b []byte) (int, error) {
	if err := context.Cause(s.ctx); err != nil {
		return 0, err
	}
	return s.to.Write(b)
}

// bounded bounds how long a large answer may take to be sent.
func (s *Server) bounded(ctx context.Context, x *exchange) (context.Context, func()) {
	slow := newProblem(http.StatusRequestTimeout, codeTooSlow, fmt.Sprintf("the answer was not taken in %s; ask for less, or over a faster line", s.limits.send))
	ctx, cancel := context.WithTimeoutCause(ctx, s.limits.send, slow)
	ctx, leave := s.whileStanding(ctx, x.who)
	calm := context.AfterFunc(s.draining, func() { x.hurry(s.limits.drain / 2) })
	spare := context.AfterFunc(ctx, func() { x.hurry(0) }) // a write may be waiting for whoever takes nothing
	return ctx, func() {
		spare()
		calm()
		leave(nil)
		cancel()
	}
}

// tabled takes a place for an answer that may have very many rows, or for which a day of
// the ledger is read, until it is sent.
func (s *Server) tabled(ctx context.Context, q projections.CountsQuery, known ...time.Time) error {
	x := exchangeOf(ctx)
	if x.large = mayBeLarge(q); !x.large && !slices.ContainsFunc(append(known, q.AsKnown), withinDay) {
		return nil
	}
	if !x.who.Installation {
		if !s.askers.take(x.who.Token, s.limits.perReader) {
			return newProblem(http.StatusTooManyRequests, codeBusy, fmt.Sprintf("this token is asking for %d large tables of counts, or counts as known within a day, at this moment already; try again when one has come", s.limits.perReader))
		}
		x.ends = append(x.ends, func() { s.askers.leave(x.who.Token) })
	}
	if !s.tables.take(ctx, s.limits.wait) {
		return newProblem(http.StatusServiceUnavailable, codeBusy, "others are asking for large tables of counts, or for counts as known within a day; try again in a second")
	}
	x.ends = append(x.ends, s.tables.leave)
	return nil
}

// withinDay tells whether what was known at a time is not in the counts of whole days. The
// end of a day is told to the second, and asked for so.
func withinDay(known time.Time) bool {
	end := domain.DayOf(known).End()
	return !known.IsZero() && known.Before(end) && !known.Equal(end.Truncate(time.Second))
}

// mayBeLarge tells whether an answer may have more than some thousand rows.
func mayBeLarge(q projections.CountsQuery) bool {
	days := slices.Contains(q.By, projections.ByDay) || slices.Contains(q.By, projections.ByDayKnown)
	return days || q.District == 0 && len(q.By) > 1 && slices.Contains(q.By, projections.ByDistrict)
}
