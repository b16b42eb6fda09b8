package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"bahi/access"
	"bahi/domain"
	"bahi/ledger"
	"bahi/projections"
)

func (s *Server) registerExplain() {
	stream(s, huma.Operation{
		OperationID: opExplain, Method: http.MethodGet, Path: "/v1/districts/{code}/counts/explain", Tags: tags("Counts"),
		Summary: "What moved a district's figures of one day",
		Description: "One line a commit, in the order of the ledger: how many events of which kind it has of that day, and by how much it moved which figure. " +
			"Commits and times are for operators and auditors. Others get one line for each day of recording, and as_known means the whole of its day.",
	}, lineOf[projections.Movement], s.explain)

	answerTable[countsDiffInput, ledger.CountsDiff](s, huma.Operation{
		OperationID: opCountsDiff, Method: http.MethodGet, Path: "/v1/districts/{code}/counts/diff", Tags: tags("Counts"),
		Summary:     "What changed in a district's counts between two states of knowledge",
		Description: "Counts as of the same day, as known since and as_known, and by how much they differ. Rows that did not change are left out.",
	}, s.countsDiff)
}

type explainInput struct {
	Code    string `path:"code" doc:"LGD code of the district" example:"208"`
	Day     string `query:"day" required:"true" doc:"The day on which it happened" example:"2021-02-13"`
	AsKnown string `query:"as_known" doc:"Leave out what was recorded after this time, or after the end of this day; by default now" example:"2021-03-04"`
}

func (s *Server) explain(hctx huma.Context, in *explainInput) {
	s.reading(hctx, func(ctx context.Context, out *lines) error {
		who := exchangeOf(ctx).who
		q, err := in.query(who)
		if err != nil {
			return err
		}
		explain := s.ledger.ExplainDays
		if who.Role == operator || who.Role == auditor {
			explain = s.ledger.Explain
		}
		return explain(ctx, q, func(m projections.Movement) error { return out.value(m) })
	})
}

func (in *explainInput) query(who access.Principal) (q projections.ExplainQuery, err error) {
	if in.Code == everywhere {
		return q, wrong("code", errors.New("it is explained for one district"))
	}
	if q.District, err = parseDistrictFor(who, "code", in.Code); err != nil {
		return q, err
	}
	if q.Day, err = domain.ParseDay(in.Day); err != nil {
		return q, wrong("day", err)
	}
	if in.AsKnown != "" {
		if q.AsKnown, err = parseLast(in.AsKnown); err != nil {
			return q, wrong("as_known", err)
		}
	}
	return q, nil
}

type countsDiffInput struct {
	Code    string `path:"code" doc:"LGD code of the district, or all" example:"208"`
	By      string `query:"by" doc:"Split by district, group, sex, vaccine or day, several with commas" example:"group,sex"`
	AsOf    string `query:"as_of" doc:"Last day that is counted; by default today" example:"2021-02-28"`
	AsKnown string `query:"as_known" doc:"The later state of knowledge; by default now" example:"2021-03-04"`
	Since   string `query:"since" required:"true" doc:"The earlier state of knowledge: what was recorded up to this time, or to the end of this day" example:"2021-02-28"`
}

func (s *Server) countsDiff(ctx context.Context, in *countsDiffInput) (table, error) {
	counts := countsInput{Code: in.Code, By: in.By, AsOf: in.AsOf, AsKnown: in.AsKnown}
	who := exchangeOf(ctx).who
	q, err := counts.query(who)
	if err != nil {
		return table{}, err
	}
	since, err := parseKnown(who, "since", in.Since)
	if err != nil {
		return table{}, err
	}
	if err := s.tabled(ctx, q, since); err != nil {
		return table{}, err
	}
	head, rows, err := s.ledger.DiffTable(ctx, q, since)
	return tableOf(head, len(q.By) > 0, rows), err
}

// Explain calls tell with what moved a district's figures of one day, as
// [ledger.Ledger.Explain] does, or, for a token that may not know commits, as
// [ledger.Ledger.ExplainDays].
func (c *Client) Explain(ctx context.Context, q projections.ExplainQuery, tell func(projections.Movement) error) error {
	query := url.Values{"day": {q.Day.String()}}
	set(query, "as_known", timeText(q.AsKnown))
	path := "/v1/districts/" + districtText(q.District) + "/counts/explain"
	for m, err := range values[projections.Movement](ctx, c, request{method: http.MethodGet, path: path, query: query}) {
		if err == nil {
			err = tell(m)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// DiffCounts answers by how much counts changed, as [ledger.Ledger.DiffCounts] does.
func (c *Client) DiffCounts(ctx context.Context, q projections.CountsQuery, since time.Time) (diff ledger.CountsDiff, err error) {
	var rows []projections.CountsChange
	if len(q.By) > 0 {
		rows = []projections.CountsChange{}
	}
	err = c.TellDiff(ctx, q, since, func(head ledger.CountsDiff) error {
		diff = head
		return nil
	}, func(row projections.CountsChange) error {
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return ledger.CountsDiff{}, err
	}
	diff.By = rows
	return diff, nil
}

// TellDiff answers by how much counts changed row by row, as [ledger.Ledger.TellDiff]
// does. An answer that breaks off is an error, though rows of it were told.
func (c *Client) TellDiff(ctx context.Context, q projections.CountsQuery, since time.Time, head func(ledger.CountsDiff) error, row func(projections.CountsChange) error) error {
	code, query := countsPath(q)
	query.Set("since", timeText(since))
	return tell(ctx, c, request{method: http.MethodGet, path: "/v1/districts/" + code + "/counts/diff", query: query}, head, row)
}
