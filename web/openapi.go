package web

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"bahi/domain"
	"bahi/eventstore"
)

// apiVersion is the version of the routes, which /v1 names.
const apiVersion = "1"

// apiConfig is the framework's configuration: JSON only, no page that loads
// scripts from elsewhere, nothing added to what a route answers.
func apiConfig() huma.Config {
	c := huma.DefaultConfig("Bahi", apiVersion)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath = "", "", "" // publishOpenAPI does it, without a race
	c.CreateHooks = nil                                   // it would add $schema to every answer
	c.RejectUnknownQueryParameters = true
	c.AllowAdditionalPropertiesByDefault = true // of answers: a generated client outlives the next version
	c.Info.Description = "A vaccination ledger that counts everyone and, when told to, remembers no one."
	c.Info.License = &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"}
	c.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token":       {Type: "http", Scheme: "bearer", Description: "A token that was issued, or, from the service's own machine, the installation's token of a role"},
		"certificate": {Type: "mutualTLS", Description: "The client certificate of a registered centre"},
	}
	schemas := c.Components.Schemas
	for t, schema := range map[reflect.Type]reflect.Type{
		reflect.TypeFor[domain.Group]():          reflect.TypeFor[codes[domain.Group]](),
		reflect.TypeFor[[]domain.Group]():        reflect.TypeFor[[]codes[domain.Group]](), // not bytes
		reflect.TypeFor[domain.Sex]():            reflect.TypeFor[codes[domain.Sex]](),
		reflect.TypeFor[domain.Vaccine]():        reflect.TypeFor[codes[domain.Vaccine]](),
		reflect.TypeFor[domain.Status]():         reflect.TypeFor[codes[domain.Status]](),
		reflect.TypeFor[domain.Reason]():         reflect.TypeFor[codes[domain.Reason]](),
		reflect.TypeFor[domain.PhotoIDType]():    reflect.TypeFor[codes[domain.PhotoIDType]](),
		reflect.TypeFor[domain.FreezeMode]():     reflect.TypeFor[codes[domain.FreezeMode]](),
		reflect.TypeFor[domain.Day]():            reflect.TypeFor[daySchema](),
		reflect.TypeFor[domain.UUID]():           reflect.TypeFor[uuidSchema](),
		reflect.TypeFor[eventstore.AccessKind](): reflect.TypeFor[kindSchema](),
	} {
		schemas.RegisterTypeAlias(t, schema)
	}
	return c
}

// codes is the schema of one of the domain's lists of codes.
type codes[T interface {
	~uint8
	String() string
}] struct{}

// Schema lists the codes.
func (codes[T]) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for i := T(1); i.String() != ""; i++ {
		s.Enum = append(s.Enum, i.String())
	}
	return s
}

type daySchema struct{}

// Schema is that of a date.
func (daySchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date", Description: "A day in Indian Standard Time"}
}

type uuidSchema struct{}

// Schema is that of a UUID.
func (uuidSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "uuid"}
}

type kindSchema struct{}

// Schema lists the kinds of access event.
func (kindSchema) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for k := eventstore.TokenIssued; k <= eventstore.CentreRemoved; k++ {
		s.Enum = append(s.Enum, k.String())
	}
	return s
}

// The types below only tell the document what package intake reads and writes.

type verdictLine struct {
	ID      string   `json:"id,omitempty" format:"uuid" doc:"The submission's id"`
	Line    int      `json:"line,omitempty" doc:"The line's number, from 1, of a row of CSV or a record of another format, and of a native submission without an id"`
	Verdict string   `json:"verdict" enum:"accepted,duplicate,rejected"`
	Person  string   `json:"person,omitempty" doc:"Reference number" example:"21679381234566"`
	Commit  uint64   `json:"commit,omitempty" doc:"Ledger sequence that holds the event; never told about a frozen person"`
	Code    string   `json:"code,omitempty" doc:"Why it was rejected" example:"interval_too_short"`
	Field   string   `json:"field,omitempty"`
	Message string   `json:"message,omitempty" doc:"A sentence that helps mend the row"`
	Dropped []string `json:"dropped,omitempty" doc:"Names of foreign fields that are not collected"`
}

const submissionExample = `{"type":"dose","id":"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001","at":"2021-01-16","person":"21679381234566","district":208,"centre":"208001","vaccine":"COVISHIELD","batch":"4120Z001","dose":1}` + "\n"

func (s *Server) schema(t reflect.Type) *huma.Schema {
	return s.api.OpenAPI().Components.Schemas.Schema(t, true, "")
}

// problems documents the statuses of problems that a caller decides on.
func (s *Server) problems(statuses ...int) map[string]*huma.Response {
	responses := map[string]*huma.Response{}
	for _, status := range statuses {
		responses[strconv.Itoa(status)] = s.problemResponse(http.StatusText(status))
	}
	return responses
}

func (s *Server) problemResponse(description string) *huma.Response {
	return &huma.Response{Description: description, Content: map[string]*huma.MediaType{
		problemType: {Schema: s.schema(reflect.TypeFor[Problem]())},
	}}
}

// documented adds to an operation the problems that every one has, and what
// follows from who may call it.
func (s *Server) documented(op huma.Operation) huma.Operation {
	if op.Responses == nil {
		op.Responses = map[string]*huma.Response{}
	}
	op.Responses["default"] = s.problemResponse("A problem, told by its code")
	rule := rules[op.OperationID]
	if rule.open() {
		return op
	}
	op.Security = []map[string][]string{{"token": {}}, {"certificate": {}}}
	op.Extensions = map[string]any{"x-roles": rule.roles, "x-district-tokens": rule.within}
	for _, status := range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests} {
		op.Responses[strconv.Itoa(status)] = s.problemResponse(http.StatusText(status))
	}
	if op.Method == http.MethodPost {
		op.Parameters = append(op.Parameters, &huma.Param{
			Name: keyHeader, In: "header",
			Description: "A name for this request, 8 to 128 visible characters: sent again under it the request is done once. " +
				"While one is being answered another is answered 409 idempotency_key_in_use; one with another content 422 idempotency_key_reused, where it is known: for a day, by this node, of bodies that are not streamed.",
			Schema: &huma.Schema{Type: huma.TypeString, MinLength: new(minKey), MaxLength: new(maxKey)},
		})
	}
	return op
}

// publishOpenAPI writes the document once and gives it out to anybody.
func (s *Server) publishOpenAPI() {
	document, err := json.MarshalIndent(s.api.OpenAPI(), "", "  ")
	if err != nil {
		panic("web: the OpenAPI document cannot be written: " + err.Error()) // a mistake in the routes
	}
	s.openAPI = append(document, '\n')
	s.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, r *http.Request) {
		exchangeOf(r.Context()).operation = "openapi"
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(s.openAPI)
	})
}
