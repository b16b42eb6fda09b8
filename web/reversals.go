package web

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"bahi/domain"
	"bahi/ledger"
)

func (s *Server) registerReversals() {
	answer(s, huma.Operation{
		OperationID: opReversals, Method: http.MethodGet, Path: "/v1/reversals", Tags: tags("Reversals"),
		Summary: "Requests for a lower status that wait for a decision, the oldest first",
	}, s.reversals)

	answer(s, huma.Operation{
		OperationID: opRequestReversal, Method: http.MethodPost, Path: "/v1/reversals", Tags: tags("Reversals"),
		Summary:      "Ask for a lower status of a person",
		Description:  "The answer is the request's verdict; its id names it in the decision. What is rejected is answered as a problem.",
		MaxBodyBytes: s.limits.json, BodyReadTimeout: -1,
		Responses: s.problems(statusRejected),
	}, s.requestReversal)

	answer(s, huma.Operation{
		OperationID: opDecideReversal, Method: http.MethodPost, Path: "/v1/reversals/{request}/decision", Tags: tags("Reversals"),
		Summary:      "Approve or reject a request for a lower status",
		Description:  "From the third day after the request on. The answer is the decision's verdict. What is rejected is answered as a problem.",
		MaxBodyBytes: s.limits.json, BodyReadTimeout: -1,
		Responses: s.problems(statusRejected),
	}, s.decideReversal)
}

type reversalsInput struct {
	District string `query:"district" doc:"LGD code of the people's home district; by default the token's, or all" example:"208"`
	On       string `query:"on" doc:"The day for which due and overdue are told; by default today" example:"2022-01-26"`
	Limit    int    `query:"limit" minimum:"1" maximum:"1000" doc:"As for every list" example:"100"`
	Cursor   string `query:"cursor" maxLength:"256" doc:"As for every list"`
}

func (s *Server) reversals(ctx context.Context, in *reversalsInput) ([]ledger.PendingReversal, error) {
	district, err := parseDistrictFor(exchangeOf(ctx).who, "district", in.District)
	if err != nil {
		return nil, err
	}
	var on domain.Day
	if in.On != "" {
		if on, err = domain.ParseDay(in.On); err != nil {
			return nil, wrong("on", err)
		}
	}
	pending, err := s.ledger.PendingReversals(ctx, district, on)
	if err != nil {
		return nil, err
	}
	return paged(ctx, opReversals, pageInput{in.Limit, in.Cursor}, pending, func(p ledger.PendingReversal) string {
		return fmt.Sprintf("%010d %s", p.Requested, p.Request)
	})
}

// headingOf reads what every submission has. Without an id and without a key a
// second attempt is another submission.
func headingOf(id, at string, a *attempt) (heading domain.Heading, err error) {
	switch {
	case id != "":
		if heading.ID, err = domain.ParseUUID(id); err != nil {
			return heading, wrong("id", err)
		}
	case a != nil:
		heading.ID = a.id(1)
	default:
		id, err := uuid.NewV7()
		if err != nil {
			return heading, err
		}
		heading.ID = domain.UUID(id)
	}
	heading.At = time.Now()
	if at != "" {
		if heading.At, err = domain.ParseTime(at); err != nil {
			return heading, wrong("at", err)
		}
	}
	return heading, nil
}

type reversalRequest struct {
	_ struct{} `additionalProperties:"false"`

	ID           string `json:"id,omitempty" format:"uuid" doc:"By default it follows from the Idempotency-Key, and without one it is made here"`
	At           string `json:"at,omitempty" maxLength:"40" doc:"RFC 3339, or a day; by default now" example:"2022-01-22T09:00:00+05:30"`
	Person       string `json:"person,omitempty" maxLength:"32" doc:"Reference number" example:"21679381234566"`
	Registration string `json:"registration,omitempty" format:"uuid" doc:"Instead of person: the id of the registration that a number was issued for"`
	To           string `json:"to" enum:"partial,unvaccinated" doc:"The status asked for"`
	Reason       string `json:"reason" enum:"duplicate,entered_in_error,issued_by_mistake,unknown_member,other"`
}

type requestReversalInput struct{ Body reversalRequest }

func (s *Server) requestReversal(ctx context.Context, in *requestReversalInput) (v verdictLine, err error) {
	request := domain.ReversalRequest{Person: domain.Reference(in.Body.Person)}
	if request.Heading, err = headingOf(in.Body.ID, in.Body.At, exchangeOf(ctx).attempt); err != nil {
		return v, err
	}
	if in.Body.Registration != "" {
		if request.Registration, err = domain.ParseUUID(in.Body.Registration); err != nil {
			return v, wrong("registration", err)
		}
	}
	if request.To, err = domain.ParseStatus(in.Body.To); err != nil {
		return v, wrong("to", err)
	}
	if request.Reason, err = domain.ParseReason(in.Body.Reason); err != nil {
		return v, wrong("reason", err)
	}
	return s.submitOne(ctx, request)
}

type reversalDecision struct {
	_ struct{} `additionalProperties:"false"`

	ID       string `json:"id,omitempty" format:"uuid" doc:"By default it follows from the Idempotency-Key, and without one it is made here"`
	At       string `json:"at,omitempty" maxLength:"40" doc:"RFC 3339, or a day; by default now" example:"2022-01-26T09:00:00+05:30"`
	Decision string `json:"decision" enum:"approve,reject"`
	By       string `json:"by,omitempty" maxLength:"64" doc:"Id of the officer who decides, where the token is not one officer's" example:"officer-7"`
}

type decideReversalInput struct {
	Request string `path:"request" doc:"Id of the request" example:"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001"`
	Body    reversalDecision
}

func (s *Server) decideReversal(ctx context.Context, in *decideReversalInput) (v verdictLine, err error) {
	x := exchangeOf(ctx)
	decision := domain.ReversalDecision{Approve: in.Body.Decision == "approve"}
	if decision.Request, err = domain.ParseUUID(in.Request); err != nil {
		return v, wrong("request", err)
	}
	if decision.By, err = officerFor(x.who, in.Body.By); err != nil {
		return v, err
	}
	if decision.Heading, err = headingOf(in.Body.ID, in.Body.At, x.attempt); err != nil {
		return v, err
	}
	return s.submitOne(ctx, decision)
}

// submitOne has one submission decided. A rejection is the error.
func (s *Server) submitOne(ctx context.Context, submission domain.Submission) (verdictLine, error) {
	x := exchangeOf(ctx)
	verdicts, err := s.ledger.Submit(ctx, callerFor(x.who), []domain.Submission{submission})
	if err != nil {
		return verdictLine{}, err
	}
	s.countUnknown(ctx, x, verdicts)
	v := verdicts[0]
	if v.Outcome == domain.Rejected {
		return verdictLine{}, v.Reject
	}
	return verdictLine{ID: submission.Head().ID.String(), Verdict: v.Outcome.String(), Person: string(v.Person), Commit: v.Commit}, nil
}
