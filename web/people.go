package web

import (
	"cmp"
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"bahi/domain"
	"bahi/ledger"
)

// registerPeople adds what is asked about one person. The number stands in the path
// or, because proxies and clients write URLs into their logs, in the body of the
// calls that look up.
func (s *Server) registerPeople() {
	refusals := s.problems(http.StatusNotFound, http.StatusUnavailableForLegalReasons)
	const recorded = "The reading is recorded, who and for what purpose, before it is answered. An officer's token sees the people of its district, and takes others for unknown. " +
		"About a frozen person the answer is 451 with {\"code\":\"frozen\"} and no other member; once any freeze holds in the ledger, so it is about an unknown number. " +
		"Twenty answers of either kind within an hour lock the token, or with the installation's token the officer."
	const inURL = " Proxies write URLs into their logs: rather use POST /v1/people/"

	answer(s, huma.Operation{
		OperationID: opPerson, Method: http.MethodGet, Path: "/v1/people/{reference}", Tags: tags("People"),
		Summary:     "One person's details, recorded before they are shown",
		Description: recorded + inURL + "lookup.",
		Responses:   refusals,
	}, s.person)

	answer(s, huma.Operation{
		OperationID: opLookUp, Method: http.MethodPost, Path: "/v1/people/lookup", Tags: tags("People"),
		Summary:      "One person's details, without a number in the URL",
		Description:  recorded,
		MaxBodyBytes: s.limits.json, BodyReadTimeout: -1,
		Responses: refusals,
	}, s.lookUpPerson)

	answer(s, huma.Operation{
		OperationID: opNextDose, Method: http.MethodGet, Path: "/v1/people/{reference}/next-dose", Tags: tags("People"),
		Summary:     "What a centre has to know of a person to give the next dose, and no more",
		Description: "Status, the last dose, and which dose is next, from when and with which vaccines. " + recorded + inURL + "next-dose.",
		Responses:   refusals,
	}, s.nextDose)

	answer(s, huma.Operation{
		OperationID: opLookUpNextDose, Method: http.MethodPost, Path: "/v1/people/next-dose", Tags: tags("People"),
		Summary:      "What a centre has to know for the next dose, without a number in the URL",
		Description:  recorded,
		MaxBodyBytes: s.limits.json, BodyReadTimeout: -1,
		Responses: refusals,
	}, s.lookUpNextDose)
}

type personInput struct {
	Reference     string `path:"reference" doc:"Reference number, 14 digits" example:"21679381234566"`
	Purpose       string `query:"purpose" doc:"Why the officer looks" enum:"verification,second_dose,grievance,medical,legal" example:"verification"`
	AsOf          string `query:"as_of" doc:"Tell status, doses and reversals as of the end of this day, as known now; by default as they are" example:"2021-03-04"`
	OfficerHeader string `header:"Bahi-Officer" doc:"The officer's id, where the token is not one officer's" example:"officer-7"`
	Officer       string `query:"officer" doc:"The officer's id, for who cannot set a header"`
}

func (s *Server) person(ctx context.Context, in *personInput) (ledger.PersonDetails, error) {
	return s.details(ctx, in.Reference, cmp.Or(in.OfficerHeader, in.Officer), in.Purpose, in.AsOf)
}

type lookUp struct {
	_ struct{} `additionalProperties:"false"`

	Reference string `json:"reference" maxLength:"32" doc:"Reference number, 14 digits" example:"21679381234566"`
	Purpose   string `json:"purpose" enum:"verification,second_dose,grievance,medical,legal" doc:"Why the officer looks" example:"verification"`
	AsOf      string `json:"as_of,omitempty" maxLength:"10" doc:"Tell status, doses and reversals as of the end of this day, as known now; by default as they are" example:"2021-03-04"`
	Officer   string `json:"officer,omitempty" maxLength:"64" doc:"The officer's id, where the token is not one officer's" example:"officer-7"`
}

type lookUpInput struct{ Body lookUp }

func (s *Server) lookUpPerson(ctx context.Context, in *lookUpInput) (ledger.PersonDetails, error) {
	return s.details(ctx, in.Body.Reference, in.Body.Officer, in.Body.Purpose, in.Body.AsOf)
}

func (s *Server) details(ctx context.Context, reference, named, purpose, asOf string) (ledger.PersonDetails, error) {
	reader, err := readerFor(exchangeOf(ctx).who, named, purpose)
	if err != nil {
		return ledger.PersonDetails{}, err
	}
	if asOf != "" {
		if reader.AsOf, err = domain.ParseDay(asOf); err != nil {
			return ledger.PersonDetails{}, wrong("as_of", err)
		}
	}
	return looking(ctx, s, reader.Officer, func() (ledger.PersonDetails, error) {
		return s.ledger.Person(ctx, domain.Reference(reference), reader)
	})
}

type nextDoseInput struct {
	Reference     string `path:"reference" doc:"Reference number, 14 digits" example:"21679381234566"`
	On            string `query:"on" doc:"The day for which it is told; by default today" example:"2021-04-12"`
	OfficerHeader string `header:"Bahi-Officer" doc:"The officer's id, where the token is not one officer's or a centre's" example:"officer-7"`
	Officer       string `query:"officer" doc:"The officer's id, for who cannot set a header"`
}

func (s *Server) nextDose(ctx context.Context, in *nextDoseInput) (ledger.NextDose, error) {
	return s.next(ctx, in.Reference, cmp.Or(in.OfficerHeader, in.Officer), in.On)
}

type lookUpNextDose struct {
	_ struct{} `additionalProperties:"false"`

	Reference string `json:"reference" maxLength:"32" doc:"Reference number, 14 digits" example:"21679381234566"`
	Officer   string `json:"officer,omitempty" maxLength:"64" doc:"The officer's id, where the token is not one officer's or a centre's" example:"officer-7"`
	On        string `json:"on,omitempty" maxLength:"10" doc:"The day for which it is told; by default today" example:"2021-04-12"`
}

type lookUpNextDoseInput struct{ Body lookUpNextDose }

func (s *Server) lookUpNextDose(ctx context.Context, in *lookUpNextDoseInput) (ledger.NextDose, error) {
	return s.next(ctx, in.Body.Reference, in.Body.Officer, in.Body.On)
}

func (s *Server) next(ctx context.Context, reference, named, day string) (ledger.NextDose, error) {
	var on domain.Day
	var err error
	if day != "" {
		if on, err = domain.ParseDay(day); err != nil {
			return ledger.NextDose{}, wrong("on", err)
		}
	}
	reader, err := readerFor(exchangeOf(ctx).who, named, "second_dose")
	if err != nil {
		return ledger.NextDose{}, err
	}
	return looking(ctx, s, reader.Officer, func() (ledger.NextDose, error) {
		return s.ledger.NextDose(ctx, domain.Reference(reference), reader, on)
	})
}
