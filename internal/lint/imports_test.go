package lint_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rooms says what each top-level room may import of the others. Data flows one
// way: what stands lower never looks up.
var rooms = map[string][]string{
	"domain":      {},
	"eventstore":  {"domain"},
	"vault":       {"domain"},
	"synth":       {"domain"},
	"formats":     {"domain"},
	"evidence":    {"domain", "eventstore"},
	"projections": {"domain", "eventstore", "evidence"},
	"ledger":      {"domain", "eventstore", "vault", "evidence", "projections"},
	"export":      {"domain", "ledger"},
	"access":      {"domain", "eventstore", "vault"},
	"intake":      {"domain", "eventstore", "vault", "projections", "ledger", "formats", "access"},
	"notices":     {"domain", "eventstore", "projections", "ledger", "intake"},
	"centre":      {"domain", "vault", "formats", "intake"},
	"web":         {"domain", "eventstore", "vault", "evidence", "projections", "ledger", "formats", "access", "intake"},
	"bench":       {"domain", "eventstore", "vault", "projections", "ledger", "formats", "access", "web"},
	"cmd":         {"domain", "eventstore", "vault", "evidence", "projections", "ledger", "formats", "access", "intake", "notices", "centre", "web", "synth", "bench", "export"},
	"internal":    {"domain", "eventstore"},
}

// alsoInTests says what the tests of a room may import besides: a centre is tried
// against a real ledger.
var alsoInTests = map[string][]string{
	"centre": {"access", "eventstore", "projections", "ledger"},
}

// owners says which rooms may import a library that others must not know of.
var owners = map[string][]string{
	"github.com/nats-io/":           {"eventstore", "access", "intake", "notices", "centre", "bench", "cmd", "internal"},
	"github.com/cockroachdb/pebble": {"projections", "bench"},
	"github.com/ThreeDotsLabs/":     {"intake", "notices"},
	"github.com/spf13/cobra":        {"cmd"},
	"github.com/danielgtaylor/huma": {"web"},
	"google.golang.org/protobuf":    {"eventstore", "internal"},
	"golang.org/x/mod":              {"evidence", "projections", "vault"},
	"github.com/parquet-go/":        {"export"},
	"github.com/prometheus/":        {"ledger", "intake", "web"},
}

var noRooms = []string{"util", "utils", "common", "pkg", "models", "helpers", "misc"}

func TestRoomsImportOneWay(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	eachGoFile(t, root, func(path string, test bool) {
		room, _, _ := strings.Cut(path, "/")
		allowed, ok := rooms[room]
		if !ok {
			t.Errorf("%s: %s is not a room of this house; docs/ARCHITECTURE.md lists them", path, room)
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			return
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			checkImport(t, path, room, imported, allowed, test)
		}
	})
}

func checkImport(t *testing.T, path, room, imported string, allowed []string, test bool) {
	t.Helper()
	if other, ok := strings.CutPrefix(imported, "bahi/"); ok {
		other, _, _ = strings.Cut(other, "/")
		if other != room && !slices.Contains(allowed, other) && !(test && (other == "internal" || slices.Contains(alsoInTests[room], other))) {
			t.Errorf("%s imports %s: %s may import %v", path, imported, room, allowed)
		}
		return
	}
	if room == "domain" && strings.Contains(strings.Split(imported, "/")[0], ".") && !test {
		t.Errorf("%s imports %s: domain imports the standard library only", path, imported)
	}
	for prefix, by := range owners {
		if strings.HasPrefix(imported, prefix) && !slices.Contains(by, room) && !test {
			t.Errorf("%s imports %s, which only %v may", path, imported, by)
		}
	}
}

func TestNoRoomForOddsAndEnds(t *testing.T) {
	t.Parallel()
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if notGo(d.Name()) {
			return fs.SkipDir
		}
		if slices.Contains(noRooms, d.Name()) {
			t.Errorf("%s: a package is named after what it provides", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestFilesAreOneThought holds files to a length that is read in one go.
func TestFilesAreOneThought(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	eachGoFile(t, root, func(path string, test bool) {
		if test || strings.HasSuffix(path, ".pb.go") {
			return
		}
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Error(err)
			return
		}
		if n := strings.Count(string(b), "\n"); n > 500 {
			t.Errorf("%s has %d lines; split it by thought", path, n)
		}
	})
}

// notGo tells of a directory in which go looks for no packages, such as git's own,
// whose files come and go, or one in which a machine keeps modules.
func notGo(name string) bool {
	return name == "testdata" || name != ".." && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_"))
}

func eachGoFile(t *testing.T, root string, visit func(path string, test bool)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && notGo(d.Name()) {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, ".go") {
			relative, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			visit(filepath.ToSlash(relative), strings.HasSuffix(path, "_test.go"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
