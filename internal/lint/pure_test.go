package lint_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pureImports are the packages with which the same values give the same answer,
// anywhere and at any time. Of package time that holds for values only.
var pureImports = []string{
	"cmp",
	"crypto/sha256", "embed", "encoding/csv", "encoding/hex", "errors", "fmt", "slices", "strconv", "strings", "sync", "time",
	"unicode", "unicode/utf8",
}

// clocks are what of package time looks at the world.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"}

// TestDecisionsArePure: nothing in the domain can read a clock, a file, a
// network or a random number, so that the same events, rules and submission give
// the same verdict.
func TestDecisionsArePure(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join("..", "..", "domain", "*.go"))
	if err != nil || len(names) < 10 {
		t.Fatalf("the domain has %d files, %v", len(names), err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			if path, _ := strconv.Unquote(spec.Path.Value); !slices.Contains(pureImports, path) {
				t.Errorf("%s imports %s, which may answer differently another time", name, path)
			}
			if spec.Name != nil && spec.Name.Name != "_" {
				t.Errorf("%s: an import under another name hides what is called", name)
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clocks, s.Sel.Name) {
					t.Errorf("%s: time.%s reads a clock; take the time as a value", files.Position(s.Pos()), s.Sel.Name)
				}
			}
			return true
		})
	}
}
