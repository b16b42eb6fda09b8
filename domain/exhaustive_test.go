package domain_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryTypeIsHandled reads the package's source: each type that is an Event
// must stand in a case of Evolve, Counts and Notices, even if only among those
// that do nothing there, and each Submission in Decide, Check and Normalise. Go
// has no sum types; this test is the compiler that would know them.
func TestEveryTypeIsHandled(t *testing.T) {
	t.Parallel()
	files := parsePackage(t)
	for marker, functions := range map[string][]string{
		"event":      {"Evolve", "Counts", "Notices"},
		"submission": {"decide", "check", "Normalise"},
	} {
		types := receivers(files, marker)
		if len(types) < 7 {
			t.Fatalf("only %v have method %s", types, marker)
		}
		for _, f := range functions {
			handled := cases(files, f)
			for _, name := range types {
				if !slices.Contains(handled, name) {
					t.Errorf("%s does not handle %s", f, name)
				}
			}
		}
	}
}

func parsePackage(t *testing.T) []*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	return files
}

// receivers returns the types that have a method of that name.
func receivers(files []*ast.File, method string) []string {
	names := map[string]bool{}
	for f := range functions(files) {
		if f.Name.Name == method && f.Recv != nil {
			if id, ok := f.Recv.List[0].Type.(*ast.Ident); ok {
				names[id.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// cases returns the types named in the cases of the type switches of a function.
func cases(files []*ast.File, name string) []string {
	var names []string
	for f := range functions(files) {
		if f.Name.Name != name || f.Recv != nil {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSwitchStmt); ok {
				for _, c := range s.Body.List {
					for _, e := range c.(*ast.CaseClause).List {
						if id, ok := e.(*ast.Ident); ok {
							names = append(names, id.Name)
						}
					}
				}
			}
			return true
		})
	}
	return names
}

func functions(files []*ast.File) func(func(*ast.FuncDecl) bool) {
	return func(yield func(*ast.FuncDecl) bool) {
		for _, file := range files {
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && !yield(f) {
					return
				}
			}
		}
	}
}

// TestCodesAreDocumented holds the codes of code.go and docs/CODES.md together.
func TestCodesAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/CODES.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllSubmatch(page, -1) {
		documented[string(row[1])] = true
	}
	declared := map[string]bool{}
	for _, f := range parsePackage(t) {
		ast.Inspect(f, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
				if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Code" {
					declared[strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)] = true
				}
			}
			return true
		})
	}
	if len(declared) < 30 || !maps.Equal(declared, documented) {
		t.Errorf("declared %v\ndocumented %v", slices.Sorted(maps.Keys(declared)), slices.Sorted(maps.Keys(documented)))
	}
}
