package web

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"bahi/access"
	"bahi/domain"
)

// registerAccess adds the routes that let people and centres in and shut them out.
func (s *Server) registerAccess() {
	answer(s, huma.Operation{
		OperationID: opTokens, Method: http.MethodGet, Path: "/v1/tokens", Tags: tags("Access"),
		Summary: "Tokens that were issued and have not long expired, and what is locked; never a token's text",
	}, func(ctx context.Context, in *pageInput) ([]access.Token, error) {
		tokens := s.access.Tokens()
		key := func(t access.Token) string { return t.Issued.UTC().Format("20060102150405 ") + t.ID }
		slices.SortFunc(tokens, func(a, b access.Token) int { return strings.Compare(key(a), key(b)) })
		return paged(ctx, opTokens, *in, tokens, key)
	})

	answer(s, huma.Operation{
		OperationID: opIssueToken, Method: http.MethodPost, Path: "/v1/tokens", Tags: tags("Access"),
		Summary: "Issue a token",
		Description: "The operator issues those of centres, the authority any. Its text is in this answer and is kept nowhere. " +
			"Under an Idempotency-Key a second attempt issues no second token: it is answered 409 with the id of the first, to be revoked.",
		MaxBodyBytes: s.limits.json, BodyReadTimeout: -1,
		Responses: s.problems(http.StatusConflict),
	}, s.issueToken)

	answer(s, huma.Operation{
		OperationID: opRevokeToken, Method: http.MethodDelete, Path: "/v1/tokens/{id}", Tags: tags("Access"),
		Summary:   "Revoke a token",
		Responses: s.problems(http.StatusNotFound),
	}, func(ctx context.Context, in *tokenInput) (done, error) {
		return done{}, s.access.Revoke(ctx, exchangeOf(ctx).who, in.ID)
	})

	answer(s, huma.Operation{
		OperationID: opUnlockToken, Method: http.MethodPost, Path: "/v1/tokens/{id}/unlock", Tags: tags("Access"),
		Summary:   "Unlock a token, an officer's use of a role token, or a centre, that was locked for probing",
		Responses: s.problems(http.StatusNotFound),
	}, func(ctx context.Context, in *tokenInput) (done, error) {
		return done{}, s.access.Unlock(ctx, exchangeOf(ctx).who, in.ID)
	})

	answer(s, huma.Operation{
		OperationID: opCentres, Method: http.MethodGet, Path: "/v1/centres", Tags: tags("Access"),
		Summary: "Centres that may connect, by district and code",
	}, func(ctx context.Context, in *pageInput) ([]access.Centre, error) {
		return paged(ctx, opCentres, *in, s.access.Centres(), func(c access.Centre) string {
			return fmt.Sprintf("%05d %s", c.District, c.Code)
		})
	})

	answer(s, huma.Operation{
		OperationID: opAddCentre, Method: http.MethodPost, Path: "/v1/centres", Tags: tags("Access"),
		Summary:      "Let a centre connect, or give one that may other keys",
		MaxBodyBytes: s.limits.json, BodyReadTimeout: -1,
	}, func(ctx context.Context, in *centreInput) (done, error) {
		return done{}, s.access.AddCentre(ctx, exchangeOf(ctx).who, in.Body)
	})

	answer(s, huma.Operation{
		OperationID: opRemoveCentre, Method: http.MethodDelete, Path: "/v1/centres/{district}/{centre}", Tags: tags("Access"),
		Summary:   "Shut a centre out",
		Responses: s.problems(http.StatusNotFound),
	}, s.removeCentre)
}

// done is what there is to say when something was done.
type done struct{}

type tokenInput struct {
	ID string `path:"id" maxLength:"96" doc:"Id of a token, or of what is locked, as the list has it" example:"role:officer:officer-7"`
}

type centreInput struct{ Body access.Centre }

type issueInput struct{ Body tokenRequest }

func (s *Server) issueToken(ctx context.Context, in *issueInput) (access.Issued, error) {
	x := exchangeOf(ctx)
	if x.attempt != nil && x.attempt.outcome != "" {
		return access.Issued{}, newProblem(http.StatusConflict, codeKeySpent, "the token "+x.attempt.outcome+" was issued under this Idempotency-Key, and its text is told once; revoke it if you do not have it, and issue another")
	}
	grant, err := in.Body.grant()
	if err != nil {
		return access.Issued{}, err
	}
	issued, err := s.access.Issue(ctx, x.who, grant)
	if err == nil && x.attempt != nil {
		x.attempt.outcome = issued.ID
	}
	return issued, err
}

type removeCentreInput struct {
	District string `path:"district" doc:"LGD code" example:"208"`
	Centre   string `path:"centre" doc:"The centre's code" example:"208001"`
}

func (s *Server) removeCentre(ctx context.Context, in *removeCentreInput) (done, error) {
	district, err := domain.ParseDistrict(in.District)
	if err != nil {
		return done{}, wrong("district", err)
	}
	return done{}, s.access.RemoveCentre(ctx, exchangeOf(ctx).who, district, in.Centre)
}
