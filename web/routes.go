package web

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"bahi/ledger"
	"bahi/projections"
)

// register adds every route, and makes the OpenAPI document from them.
func (s *Server) register() {
	s.api = humago.New(s.mux, apiConfig())
	s.api.UseMiddleware(s.authorise, s.idempotent)

	s.registerSubmissions()
	answerTable[countsInput, projections.CountsResult](s, huma.Operation{
		OperationID: opCounts, Method: http.MethodGet, Path: "/v1/districts/{code}/counts", Tags: tags("Counts"),
		Summary: "How many are registered, vaccinated and frozen in a district",
		Description: "The count-only view: people by their home district, doses by the district where they were given. " +
			"A count has two days: the one it happened (as_of) and the one it was recorded (as_known).",
	}, s.counts)

	s.registerExplain()
	s.registerPeople()
	s.registerFreezes()
	s.registerReversals()

	answer(s, huma.Operation{
		OperationID: opAuthorityKey, Method: http.MethodPost, Path: "/v1/authority-key", Tags: tags("Freezes"),
		Summary:         "Make later handovers go to this key of the authority",
		Description:     "Check first that somebody holds the private key: keys handed over to a key that nobody has are lost.",
		MaxBodyBytes:    s.limits.json,
		BodyReadTimeout: -1,
	}, s.adoptAuthorityKey)

	stream(s, huma.Operation{
		OperationID: opEvents, Method: http.MethodGet, Path: "/v1/events", Tags: tags("History"),
		Summary: "History for analysts, one event a line",
		Description: "In the order of the days of recording, up to the ledger's head at the start; what was recorded on one day is mixed. Pseudonyms are made for this one export: " +
			"the same person has the same one within it and another in the next. Commits, times and what comes as it comes are for operators and auditors.",
	}, lineOf[ledger.ReplayEvent], s.events)

	s.registerAudit()

	s.registerProjections()

	answer(s, huma.Operation{
		OperationID: opLedger, Method: http.MethodGet, Path: "/v1/ledger", Tags: tags("Operation"),
		Summary: "The ledger at a glance",
	}, func(ctx context.Context, _ *struct{}) (ledger.Info, error) { return s.ledger.Info(ctx) })

	stream(s, huma.Operation{
		OperationID: opVerifyLedger, Method: http.MethodPost, Path: "/v1/ledger/verify", Tags: tags("Operation"),
		Summary:     "Read the whole ledger and recompute everything",
		Description: "Lines of progress come first; the last line has the result.",
	}, lineOf[workLine[ledger.VerifyReport]], s.verifyLedger)

	s.registerEvidence()
	s.registerAccess()
	s.registerQuarantine()

	answer(s, huma.Operation{
		OperationID: opIntakeKey, Method: http.MethodGet, Path: "/v1/intake-key", Tags: tags("Submissions"),
		Summary:     "The public key that bundles published to NATS are sealed to",
		Description: "It is no secret, but whoever can swap it on its way reads the bundles.",
	}, func(context.Context, *struct{}) (intakeKey, error) {
		return intakeKey{s.ledger.Vault().IntakePublicKey()}, nil
	})

	s.registerMetrics()
	s.registerHealth()
	s.publishOpenAPI()
}

func tags(t ...string) []string { return t }

// answered is what the framework wants of a handler that answers with one value.
type answered[T any] struct{ Body T }

// answer adds a route that answers with one JSON value.
func answer[I, O any](s *Server, op huma.Operation, do func(context.Context, *I) (O, error)) {
	huma.Register(s.api, s.documented(op), func(ctx context.Context, in *I) (*answered[O], error) {
		ctx, cancel := context.WithTimeout(ctx, s.limits.answer)
		defer cancel()
		out, err := do(ctx, in)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return &answered[O]{out}, nil
	})
}

// stream adds a route that answers with NDJSON, whose lines have the schema.
func stream[I any](s *Server, op huma.Operation, line func(*Server) *huma.Schema, do func(huma.Context, *I)) {
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	answers := &huma.Response{
		Description: "One JSON object a line. A stream that did not reach its end has a last line {\"problem\":{…}}.",
		Content:     map[string]*huma.MediaType{ndjsonType: {Schema: line(s)}},
	}
	if op.OperationID != opSubmit {
		answers.Description += " For who accepts text/event-stream each line is the data of a server-sent event."
		answers.Content[eventsType] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	op.Responses["200"] = answers
	op.BodyReadTimeout = -1
	huma.Register(s.api, s.documented(op), func(_ context.Context, in *I) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hctx huma.Context) { do(hctx, in) }}, nil
	})
}

func lineOf[T any](s *Server) *huma.Schema { return s.schema(reflect.TypeFor[T]()) }
