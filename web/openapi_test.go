package web

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestOpenAPI holds the document to a golden file: what other people's programs
// are generated from does not change by accident.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	const golden = "testdata/openapi.json"
	got := NewServer(Config{}).openAPI
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the OpenAPI document differs from %s; if that is meant, run: go test ./web -run OpenAPI -update", golden)
	}
}

// documented are the operations of the OpenAPI document, by their ids.
func documentedOperations(t *testing.T) map[string]operation {
	t.Helper()
	var document struct {
		OpenAPI string                          `json:"openapi"`
		Paths   map[string]map[string]operation `json:"paths"`
	}
	if err := json.Unmarshal(NewServer(Config{}).openAPI, &document); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s, want 3.1", document.OpenAPI)
	}
	operations := map[string]operation{}
	for path, methods := range document.Paths {
		for method, op := range methods {
			op.method, op.path = strings.ToUpper(method), path
			operations[op.ID] = op
		}
	}
	return operations
}

type operation struct {
	method, path string
	ID           string           `json:"operationId"`
	Security     []map[string]any `json:"security"`
	Roles        []string         `json:"x-roles"`
	Parameters   []struct{ Name, In string }
}

func TestOpenAPIDocumentsWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	operations := documentedOperations(t)
	for id, op := range operations {
		if _, ok := rules[id]; !ok {
			t.Errorf("%s %s: nobody may call %q", op.method, op.path, id)
		}
		if open := rules[id].open(); open != (len(op.Security) == 0) || open != (len(op.Roles) == 0) {
			t.Errorf("%s %s: security %v for roles %v", op.method, op.path, op.Security, op.Roles)
		}
	}
	if len(operations) != len(rules) {
		t.Errorf("%d operations, %d in the table of who may call what", len(operations), len(rules))
	}
}
