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
	got := NewServer(nil, nil, nil).openAPI
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

func TestOpenAPIDocumentsWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	var document struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct {
			OperationID string           `json:"operationId"`
			Security    []map[string]any `json:"security"`
			Roles       []string         `json:"x-roles"`
		} `json:"paths"`
	}
	if err := json.Unmarshal(NewServer(nil, nil, nil).openAPI, &document); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(document.OpenAPI, "3.1") {
		t.Errorf("OpenAPI %s, want 3.1", document.OpenAPI)
	}
	seen := 0
	for path, methods := range document.Paths {
		for method, op := range methods {
			seen++
			if _, ok := allowed[op.OperationID]; !ok {
				t.Errorf("%s %s: nobody may call %q", method, path, op.OperationID)
			}
			if open := op.OperationID == opHealth; open != (len(op.Security) == 0) || open != (len(op.Roles) == 0) {
				t.Errorf("%s %s: security %v for roles %v", method, path, op.Security, op.Roles)
			}
		}
	}
	if seen != len(allowed) {
		t.Errorf("%d operations, %d in the table of who may call what", seen, len(allowed))
	}
}
