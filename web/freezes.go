package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"bahi/access"
	"bahi/domain"
	"bahi/formats"
	"bahi/ledger"
)

func (s *Server) registerFreezes() {
	answer(s, huma.Operation{
		OperationID: opFreeze, Method: http.MethodPost, Path: "/v1/freezes", Tags: tags("Freezes"),
		Summary: "Order a freeze, carry it out, and get its receipt",
		Description: "The body is a submission of type freeze; under an Idempotency-Key its id may be left out. The same order again gets the same receipt. " +
			"The answer comes when keys and rows are gone; when it does not come, send the same order again.",
		MaxBodyBytes:     max(s.limits.json, formats.MaxLine), // a list of persons is long
		BodyReadTimeout:  -1,                                  // body has its own
		SkipValidateBody: true,                                // it is read as every submission is
		Responses:        s.problems(http.StatusConflict, statusRejected),
	}, s.freeze)
	// The framework documents a body that it does not parse as bytes.
	s.api.OpenAPI().Paths["/v1/freezes"].Post.RequestBody.Content["application/json"].Schema = s.schema(reflect.TypeFor[freezeBody]())

	answer(s, huma.Operation{
		OperationID: opFreezes, Method: http.MethodGet, Path: "/v1/freezes", Tags: tags("Freezes"),
		Summary: "How far every freeze is, the oldest first",
	}, s.freezes)

	answer(s, huma.Operation{
		OperationID: opReceipt, Method: http.MethodGet, Path: "/v1/freezes/{id}/receipt", Tags: tags("Freezes"),
		Summary:     "The signed receipt of a freeze",
		Description: "It shows, to who has the ledger's public key, that the freeze was ordered and that every holder has acknowledged it.",
		Responses:   s.problems(http.StatusNotFound, http.StatusConflict),
	}, s.receipt)
}

type freezeInput struct {
	RawBody []byte `contentType:"application/json"`
}

// freeze is carried out even if whoever ordered it hangs up, or loses patience:
// between its steps is no place to stop.
func (s *Server) freeze(ctx context.Context, in *freezeInput) (ledger.FreezeReceipt, error) {
	x := exchangeOf(ctx)
	submission, err := parseOne(in.RawBody, x.attempt)
	if err != nil {
		return ledger.FreezeReceipt{}, err
	}
	order, ok := submission.(domain.Freeze)
	if !ok {
		return ledger.FreezeReceipt{}, &domain.Rejection{Code: domain.CodeUnknownType, Field: "type", Message: "this route takes a freeze; send everything else to /v1/submissions"}
	}
	if _, err := officerFor(x.who, order.By); err != nil {
		return ledger.FreezeReceipt{}, err
	}
	return s.ledger.Freeze(context.WithoutCancel(ctx), order)
}

// parseOne reads one submission, which may stand on several lines.
func parseOne(raw []byte, a *attempt) (domain.Submission, error) {
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return nil, &domain.Rejection{Code: domain.CodeBadJSON, Message: "the body is not one JSON object"}
	}
	for item, err := range formats.ReadNDJSONNaming(&line, a.id) {
		switch {
		case err != nil:
			return nil, err
		case item.Reject != nil:
			return nil, item.Reject
		}
		return item.Submission, nil
	}
	return nil, &domain.Rejection{Code: domain.CodeBadJSON, Message: "the body is empty"}
}

func (s *Server) freezes(ctx context.Context, in *pageInput) ([]ledger.FreezeStatus, error) {
	shown, err := s.freezesFor(ctx, exchangeOf(ctx).who)
	if err != nil {
		return nil, err
	}
	return paged(ctx, opFreezes, *in, shown, func(f ledger.FreezeStatus) string { return fmt.Sprintf("%020d", f.Commit) })
}

// freezesFor are the freezes that the token's district has to do with.
func (s *Server) freezesFor(ctx context.Context, who access.Principal) ([]ledger.FreezeStatus, error) {
	all, err := s.ledger.Freezes(ctx)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(f ledger.FreezeStatus) bool {
		return who.District != 0 && f.District != who.District
	}), nil
}

// maySeeFreeze answers about another district's freeze as about none.
func (s *Server) maySeeFreeze(ctx context.Context, id domain.UUID) error {
	who := exchangeOf(ctx).who
	if who.District == 0 {
		return nil
	}
	shown, err := s.freezesFor(ctx, who)
	if err == nil && !slices.ContainsFunc(shown, func(f ledger.FreezeStatus) bool { return f.Freeze == id }) {
		err = ledger.ErrNotFound
	}
	return err
}

type freezeBody struct {
	_ struct{} `additionalProperties:"false"`

	Type     string            `json:"type" enum:"freeze"`
	ID       domain.UUID       `json:"id,omitempty" doc:"Needed without an Idempotency-Key"`
	At       string            `json:"at" doc:"RFC 3339, or a day" example:"2021-03-04T18:00:00+05:30"`
	District domain.District   `json:"district" example:"208"`
	Groups   []domain.Group    `json:"groups,omitempty" doc:"None means all"`
	Persons  []string          `json:"persons,omitempty" doc:"These persons of the district alone, by their reference numbers; without groups. At most 10,000"`
	Standing bool              `json:"standing,omitempty" doc:"Later registrations in scope are born closed"`
	Mode     domain.FreezeMode `json:"mode,omitempty" doc:"By default handover"`
	Order    string            `json:"order" doc:"Number of the written order" example:"DL/2021/117"`
	By       string            `json:"by" doc:"Who ordered it" example:"authority"`
}
