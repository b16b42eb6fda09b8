package web

import (
	"cmp"
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"bahi/domain"
	"bahi/intake"
	"bahi/ledger"
)

// registerQuarantine adds the routes about what centres published over NATS and the
// ledger did not take in.
func (s *Server) registerQuarantine() {
	gone := s.problems(http.StatusNotFound, http.StatusUnavailableForLegalReasons)

	answer(s, huma.Operation{
		OperationID: opQuarantine, Method: http.MethodGet, Path: "/v1/quarantine", Tags: tags("Quarantine"),
		Summary:     "What lies in quarantine, the oldest first: codes and counts, nobody's details",
		Description: "What centres published over NATS and the ledger did not take in, for 30 days. Always a page: where more follows the member next is the parameter after of the next page, which the header Link names, too.",
	}, s.listQuarantine)

	answer(s, huma.Operation{
		OperationID: opOpenQuarantined, Method: http.MethodPost, Path: "/v1/quarantine/{id}/open", Tags: tags("Quarantine"),
		Summary: "Open something in quarantine, recorded before it is shown",
		Description: "It holds people's details, sealed to their district: each row that is shown counts as one of the officer's readings of the day. " +
			"A freeze of the district removes it: it is answered 404 afterwards, or 451 while the removal is under way.",
		Responses: gone,
	}, s.openQuarantined)

	answer(s, huma.Operation{
		OperationID: opRetryQuarantined, Method: http.MethodPost, Path: "/v1/quarantine/{id}/retry", Tags: tags("Quarantine"),
		Summary:   "Submit what lies in quarantine again, after what stood in its way was mended",
		Responses: gone,
	}, func(ctx context.Context, in *quarantinedInput) (intake.QuarantineRetried, error) {
		return within(ctx, s, in, (*intake.Quarantine).Retry)
	})

	answer(s, huma.Operation{
		OperationID: opDropQuarantined, Method: http.MethodDelete, Path: "/v1/quarantine/{id}", Tags: tags("Quarantine"),
		Summary:   "Take something out of quarantine for good",
		Responses: gone,
	}, func(ctx context.Context, in *quarantinedInput) (intake.Quarantined, error) {
		return within(ctx, s, in, (*intake.Quarantine).Drop)
	})
}

type quarantineInput struct {
	District string `query:"district" doc:"LGD code of the people's district; by default the token's, or all" example:"208"`
	Centre   string `query:"centre" doc:"Code of the centre that published it" example:"208001"`
	After    uint64 `query:"after" doc:"The member next of the page before"`
	Limit    int    `query:"limit" minimum:"1" maximum:"1000" doc:"As for every list; 100 by default" example:"100"`
	Cursor   string `query:"cursor" maxLength:"256" doc:"As for every list; instead of after"`
}

func (s *Server) listQuarantine(ctx context.Context, in *quarantineInput) (page intake.QuarantinePage, err error) {
	query := intake.QuarantineQuery{Centre: in.Centre, After: in.After, Limit: cmp.Or(in.Limit, defaultPage)}
	if query.District, err = parseDistrictFor(exchangeOf(ctx).who, "district", in.District); err != nil {
		return page, err
	}
	after, err := pageInput{in.Limit, in.Cursor}.after(opQuarantine)
	if err != nil {
		return page, err
	}
	if after != "" {
		if query.After, err = strconv.ParseUint(after, 10, 64); err != nil {
			return page, wrong("cursor", errNumber)
		}
	}
	if s.quarantine == nil {
		return intake.QuarantinePage{Items: []intake.Quarantined{}}, nil
	}
	page, err = s.quarantine.List(ctx, query)
	if err == nil && page.Next != 0 {
		linkNext(ctx, opQuarantine, strconv.FormatUint(page.Next, 10), query.Limit)
	}
	return page, err
}

type quarantinedInput struct {
	ID string `path:"id" doc:"Its id, as the list has it" example:"018f3c1e-7a52-8bb0-9a1c-2f64d1c0a001"`
}

// within does something with what lies in quarantine, within the token's district.
func within[T any](ctx context.Context, s *Server, in *quarantinedInput, do func(*intake.Quarantine, context.Context, domain.UUID, domain.District) (T, error)) (T, error) {
	var nothing T
	id, err := domain.ParseUUID(in.ID)
	if err != nil {
		return nothing, wrong("id", err)
	}
	if s.quarantine == nil {
		return nothing, ledger.ErrNotFound
	}
	return do(s.quarantine, ctx, id, exchangeOf(ctx).who.District)
}

type openQuarantinedInput struct {
	ID            string `path:"id" doc:"Its id, as the list has it" example:"018f3c1e-7a52-8bb0-9a1c-2f64d1c0a001"`
	Purpose       string `query:"purpose" doc:"Why the officer looks" enum:"verification,second_dose,grievance,medical,legal" example:"verification"`
	After         int    `query:"after" minimum:"0" doc:"The member next of the page before"`
	Limit         int    `query:"limit" minimum:"1" maximum:"100" doc:"Rows; 20 by default" example:"20"`
	OfficerHeader string `header:"Bahi-Officer" doc:"The officer's id, where the token is not one officer's" example:"officer-7"`
}

func (s *Server) openQuarantined(ctx context.Context, in *openQuarantinedInput) (intake.QuarantineShown, error) {
	reader, err := readerFor(exchangeOf(ctx).who, in.OfficerHeader, in.Purpose)
	if err != nil {
		return intake.QuarantineShown{}, err
	}
	if err := s.access.MayLook(exchangeOf(ctx).who, reader.Officer); err != nil {
		return intake.QuarantineShown{}, err
	}
	return within(ctx, s, &quarantinedInput{in.ID}, func(q *intake.Quarantine, ctx context.Context, id domain.UUID, district domain.District) (intake.QuarantineShown, error) {
		return q.Show(ctx, intake.QuarantineReading{
			ID: id, District: district, Officer: reader.Officer, Purpose: reader.Purpose, After: in.After, Limit: in.Limit,
		})
	})
}
