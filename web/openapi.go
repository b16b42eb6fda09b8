package web

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"bahi/domain"
	"bahi/vault"
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
		"token": {Type: "http", Scheme: "bearer", Description: "The token of a role"},
	}
	schemas := c.Components.Schemas
	for t, schema := range map[reflect.Type]reflect.Type{
		reflect.TypeFor[domain.Group]():       reflect.TypeFor[codes[domain.Group]](),
		reflect.TypeFor[[]domain.Group]():     reflect.TypeFor[[]codes[domain.Group]](), // not bytes
		reflect.TypeFor[domain.Sex]():         reflect.TypeFor[codes[domain.Sex]](),
		reflect.TypeFor[domain.Vaccine]():     reflect.TypeFor[codes[domain.Vaccine]](),
		reflect.TypeFor[domain.Status]():      reflect.TypeFor[codes[domain.Status]](),
		reflect.TypeFor[domain.Reason]():      reflect.TypeFor[codes[domain.Reason]](),
		reflect.TypeFor[domain.PhotoIDType](): reflect.TypeFor[codes[domain.PhotoIDType]](),
		reflect.TypeFor[domain.FreezeMode]():  reflect.TypeFor[codes[domain.FreezeMode]](),
		reflect.TypeFor[domain.Outcome]():     reflect.TypeFor[codes[domain.Outcome]](),
		reflect.TypeFor[domain.Day]():         reflect.TypeFor[daySchema](),
		reflect.TypeFor[domain.UUID]():        reflect.TypeFor[uuidSchema](),
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

// The types below only tell the document what package intake reads and writes.

type verdictLine struct {
	ID      string         `json:"id,omitempty" format:"uuid" doc:"The submission's id"`
	Line    int            `json:"line,omitempty" doc:"The line's number, from 1, of a submission without an id"`
	Verdict domain.Outcome `json:"verdict"`
	Person  string         `json:"person,omitempty" doc:"Reference number" example:"21679381234566"`
	Commit  uint64         `json:"commit,omitempty" doc:"Ledger sequence that holds the event; never told about a frozen person"`
	Code    string         `json:"code,omitempty" doc:"Why it was rejected" example:"interval_too_short"`
	Field   string         `json:"field,omitempty"`
	Message string         `json:"message,omitempty" doc:"A sentence that helps mend the row"`
	Dropped []string       `json:"dropped,omitempty" doc:"Names of foreign fields that are not collected"`
}

type freezeBody struct {
	_ struct{} `additionalProperties:"false"`

	Type     string            `json:"type" enum:"freeze"`
	ID       domain.UUID       `json:"id"`
	At       string            `json:"at" doc:"RFC 3339, or a day" example:"2021-03-04T18:00:00+05:30"`
	District domain.District   `json:"district" example:"208"`
	Groups   []domain.Group    `json:"groups,omitempty" doc:"None means all"`
	Persons  []string          `json:"persons,omitempty" doc:"These persons of the district alone, by their reference numbers; without groups. At most 10,000"`
	Standing bool              `json:"standing,omitempty" doc:"Later registrations in scope are born closed"`
	Mode     domain.FreezeMode `json:"mode,omitempty" doc:"By default handover"`
	Order    string            `json:"order" doc:"Number of the written order" example:"DL/2021/117"`
	By       string            `json:"by" doc:"Who ordered it" example:"authority"`
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
	roles := allowed[op.OperationID]
	if slices.Contains(roles, anybody) {
		return op
	}
	op.Security = []map[string][]string{{"token": {}}}
	names := slices.Clone(roles)
	if !slices.Contains(names, vault.RoleAuthority) {
		names = append(names, vault.RoleAuthority)
	}
	op.Extensions = map[string]any{"x-roles": names}
	return op
}

// publishOpenAPI writes the document once and gives it out to anybody.
func (s *Server) publishOpenAPI() {
	document, err := json.MarshalIndent(s.api.OpenAPI(), "", "  ")
	if err != nil {
		panic("web: the OpenAPI document cannot be written: " + err.Error()) // a mistake in the routes
	}
	s.openAPI = append(document, '\n')
	s.mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(s.openAPI)
	})
}
