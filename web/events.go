package web

import (
	"context"
	"encoding/hex"
	"errors"
	"iter"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bahi/access"
	"bahi/domain"
	"bahi/ledger"
)

// pseudonymKeyHeader carries the key of an export's pseudonyms, in hexadecimal. It stands in
// no URL, which others keep.
const pseudonymKeyHeader = "Pseudonym-Key"

type eventsInput struct {
	From     string `query:"from" doc:"First commit, as its sequence, a time or a day of recording; for an analyst the whole day" example:"2021-01-16"`
	To       string `query:"to" doc:"Last commit, likewise; a day is meant to its end" example:"2021-03-04"`
	District string `query:"district" doc:"LGD code: events of people who live there and doses given there; by default the token's, or all" example:"208"`
	Type     string `query:"type" doc:"One kind of event" enum:"registered,registration_withdrawn,dose,dose_withdrawn,reversal_requested,reversal_decided,frozen"`
	Exact    bool   `query:"exact" doc:"Tell commits and times, in the order of the ledger; for auditors"`
	Follow   bool   `query:"follow" doc:"Go on with what comes; a line without anything says that nothing has. For auditors"`
	Key      string `header:"Pseudonym-Key" doc:"Make pseudonyms with this key, 64 hexadecimal digits, to go on with an export that was cut off; for auditors"`
}

func (s *Server) events(hctx huma.Context, in *eventsInput) {
	answer := s.reading
	if in.Follow {
		answer = s.following
	}
	answer(hctx, func(ctx context.Context, out *lines) error {
		q, err := in.query(exchangeOf(ctx).who)
		if err != nil {
			return err
		}
		if q.Follow {
			return followLines(ctx, out, s.ledger.Replay(ctx, q))
		}
		return listLines(ctx, out, s.ledger.Replay(ctx, q))
	})
}

func (in *eventsInput) query(who access.Principal) (q ledger.ReplayQuery, err error) {
	if q.FromSequence, q.FromTime, err = parsePlace(in.From, domain.ParseTime); err != nil {
		return q, wrong("from", err)
	}
	if q.ToSequence, q.ToTime, err = parsePlace(in.To, parseLast); err != nil {
		return q, wrong("to", err)
	}
	if q.District, err = parseDistrictFor(who, "district", in.District); err != nil {
		return q, err
	}
	if q.Key, err = hex.DecodeString(in.Key); err != nil || len(q.Key) != 0 && len(q.Key) != ledger.PseudonymKeySize {
		return q, wrong(pseudonymKeyHeader, errors.New("a key of pseudonyms has 64 hexadecimal digits"))
	}
	q.Type, q.Exact, q.Follow = in.Type, in.Exact, in.Follow
	q.WithinDay = who.Role == auditor
	if !q.WithinDay && (q.Exact || q.Follow || len(q.Key) > 0) {
		return q, newProblem(http.StatusForbidden, codeForbidden, "commits, times, what comes as it comes and pseudonyms that last are for auditors")
	}
	return q, nil
}

// followLines answers with events as they come, commit by commit, and with an empty
// line when nothing came for a while, so that no proxy takes the silence for a dead line.
func followLines(ctx context.Context, out *lines, events iter.Seq2[ledger.ReplayEvent, error]) error {
	type told struct {
		event ledger.ReplayEvent
		err   error
	}
	coming := make(chan told)
	go func() {
		defer close(coming)
		for e, err := range events {
			select {
			case coming <- told{e, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	tick := time.NewTicker(heartbeatEvery)
	defer tick.Stop()
	for {
		select {
		case t, more := <-coming:
			if !more || t.err != nil {
				return t.err
			}
			if err := out.value(t.event); err != nil {
				return err
			}
			if t.event.Through == 0 {
				continue
			}
		case <-tick.C:
			out.begin()
			if err := out.out.WriteByte('\n'); err != nil {
				return err
			}
		}
		if err := out.flush(); err != nil {
			return err
		}
	}
}
