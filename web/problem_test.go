package web

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bahi/eventstore"
)

// TestProblemsAreDocumented holds the codes of problems and docs/CODES.md together.
func TestProblemsAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/CODES.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]int{}
	for _, row := range regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `([a-z_]+)` \\|").FindAllSubmatch(page, -1) {
		documented[string(row[2])], _ = strconv.Atoi(string(row[1]))
	}
	file, err := parser.ParseFile(token.NewFileSet(), "problem.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 && strings.HasPrefix(v.Names[0].Name, "code") {
			declared[strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)] = true
		}
		return true
	})
	for _, c := range conditions {
		declared[c.code] = true
		if documented[c.code] != c.status {
			t.Errorf("%s has status %d, documented is %d", c.code, c.status, documented[c.code])
		}
	}
	if want := slices.Sorted(maps.Keys(declared)); !slices.Equal(want, slices.Sorted(maps.Keys(documented))) {
		t.Errorf("declared %v\ndocumented %v", want, slices.Sorted(maps.Keys(documented)))
	}
}

// TestProblemsOfAServerThatIsNotSteady: what has no answer of the NATS server's asks for
// patience, and is no fault of the service's.
func TestProblemsOfAServerThatIsNotSteady(t *testing.T) {
	t.Parallel()
	for code, err := range map[string]error{
		"undecided":         fmt.Errorf("record a read: %w", eventstore.ErrUnknownOutcome),
		"store_unreachable": fmt.Errorf("list: %w", eventstore.ErrUnreachable),
	} {
		p, known := problemOf(err)
		if !known || p.Code != code || p.GetStatus() != http.StatusServiceUnavailable || p.Error() == "" {
			t.Errorf("%v: %+v", err, p)
		}
	}
}
