package lint_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// TestLinksResolve: every relative link of the documents leads to a file, and to
// a heading of it where it names one.
func TestLinksResolve(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	found := 0
	for _, d := range documents(t) {
		d.prose(func(number int, line string) {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				target, anchor, _ := strings.Cut(m[1], "#")
				if strings.Contains(target, "://") {
					continue
				}
				found++
				path := filepath.Join(filepath.Dir(d.name), target)
				if target == "" {
					path = d.name
				}
				if _, err := os.Stat(filepath.Join(root, path)); err != nil {
					t.Errorf("%s:%d: %s leads nowhere", d.name, number, m[1])
				} else if anchor != "" && !slices.Contains(headings(readDocument(t, path)), anchor) {
					t.Errorf("%s:%d: %s has no heading %q", d.name, number, path, anchor)
				}
			}
		})
	}
	if found < 10 {
		t.Errorf("only %d links were found", found)
	}
}

// headings returns the anchors that a renderer gives a document's headings.
func headings(d *document) (anchors []string) {
	d.prose(func(_ int, line string) {
		title := strings.TrimLeft(line, "#")
		if title == line || !strings.HasPrefix(title, " ") {
			return
		}
		anchors = append(anchors, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title)))
	})
	return anchors
}

var (
	codeSpan   = regexp.MustCompile("`([^`]+)`")
	testName   = regexp.MustCompile(`^(Test|Fuzz|Benchmark)[A-Z0-9]\w*$`)
	filePath   = regexp.MustCompile(`^\.?[\w./*-]+$`)
	identifier = regexp.MustCompile(`^([a-z]+)\.([A-Z]\w*)(\.[A-Z]\w*)?(\(\))?$`)
)

// sources are names of files that are the project's own, not a user's.
var sources = []string{".go", ".md", ".proto", ".conf", ".yml"}

// TestNamesInDocumentsExist: what the documents name in code spans is there:
// files, tests, and exported identifiers of the rooms.
func TestNamesInDocumentsExist(t *testing.T) {
	t.Parallel()
	declared := declarations(t)
	tests, names, files := 0, 0, 0
	for _, d := range documents(t) {
		d.prose(func(number int, line string) {
			for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
				span := m[1]
				switch {
				case testName.MatchString(span):
					tests++
					if !declared[span] {
						t.Errorf("%s:%d: there is no test %s", d.name, number, span)
					}
				case identifier.MatchString(span):
					parts := identifier.FindStringSubmatch(span)
					if _, room := rooms[parts[1]]; !room {
						continue
					}
					names++
					if name := strings.TrimSuffix(span, "()"); !declared[name] {
						t.Errorf("%s:%d: there is no %s", d.name, number, name)
					}
				case isSource(span):
					files++
					if hits, err := filepath.Glob(filepath.Join(root, span)); err != nil || len(hits) == 0 {
						t.Errorf("%s:%d: there is no file %s", d.name, number, span)
					}
				}
			}
		})
	}
	if tests < 10 || names < 10 || files < 10 {
		t.Errorf("only %d tests, %d identifiers and %d files were found", tests, names, files)
	}
}

func isSource(span string) bool {
	if !filePath.MatchString(span) {
		return false
	}
	room, below, ok := strings.Cut(span, "/")
	_, isRoom := rooms[room]
	return ok && isRoom && below != "" || slices.Contains(sources, filepath.Ext(span)) || strings.HasPrefix(span, ".ci/")
}

// declarations are the tests by their names, and the exported identifiers of the
// rooms with the room before them, methods and fields with their type.
func declarations(t *testing.T) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	eachGoFile(t, root, func(path string, test bool) {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Error(err)
			return
		}
		room, _, _ := strings.Cut(path, "/")
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				switch {
				case test && decl.Recv == nil:
					declared[decl.Name.Name] = true
				case !test:
					declared[room+"."+receiver(decl)+decl.Name.Name] = true
				}
			case *ast.GenDecl:
				if !test {
					declare(declared, room, decl)
				}
			}
		}
	})
	return declared
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	kind := f.Recv.List[0].Type
	if star, ok := kind.(*ast.StarExpr); ok {
		kind = star.X
	}
	if generic, ok := kind.(*ast.IndexListExpr); ok {
		kind = generic.X
	}
	if id, ok := kind.(*ast.Ident); ok {
		return id.Name + "."
	}
	return ""
}

func declare(declared map[string]bool, room string, decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				declared[room+"."+name.Name] = true
			}
		case *ast.TypeSpec:
			declared[room+"."+spec.Name.Name] = true
			if fields, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range fields.Fields.List {
					for _, name := range field.Names {
						declared[room+"."+spec.Name.Name+"."+name.Name] = true
					}
				}
			}
		}
	}
}

// TestCommandsInDocumentsExist: every verb of bahi that the documents name, in
// code spans and in blocks, is one, and takes the flags that stand behind it.
func TestCommandsInDocumentsExist(t *testing.T) {
	t.Parallel()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	verbs := verbs{T: t, bahi: filepath.Join(bin, "bahi"), help: map[string]string{}}
	found := 0
	for _, d := range documents(t) {
		d.prose(func(number int, line string) {
			for _, m := range codeSpan.FindAllStringSubmatch(line, -1) {
				found += verbs.check(fmt.Sprintf("%s:%d", d.name, number), m[1])
			}
		})
		for _, f := range d.fence {
			if f.language() != "sh" && f.language() != "console" {
				continue
			}
			for i := f.from; i < f.to; i++ {
				line, command := strings.CutPrefix(d.lines[i], "$ ")
				if command || f.language() == "sh" {
					found += verbs.check(fmt.Sprintf("%s:%d", d.name, i+1), line)
				}
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d commands were found", found)
	}
}

// verbs asks bahi for the help of its verbs, each once.
type verbs struct {
	*testing.T
	bahi string
	help map[string]string
}

var (
	separator = regexp.MustCompile(`\|\|?|&&|;`)
	verbWord  = regexp.MustCompile(`^[a-z][a-z-]*$`)
	flagWord  = regexp.MustCompile(`--[a-z][a-z-]*`)
	helpVerb  = regexp.MustCompile(`(?m)^  ([a-z][a-z-]*) +\S`)
)

// check checks the commands of a line and returns how many of them are bahi's.
func (v verbs) check(where, line string) (found int) {
	v.Helper()
	for command := range strings.SplitSeq(separator.ReplaceAllString(line, "\n"), "\n") {
		words := strings.Fields(strings.ReplaceAll(command, "go run ./cmd/bahi", "bahi"))
		for len(words) > 0 && strings.Contains(words[0], "=") && !strings.HasPrefix(words[0], "-") {
			words = words[1:] // a variable of the environment
		}
		if len(words) < 2 || words[0] != "bahi" {
			continue
		}
		found++
		path := []string{}
		for _, word := range words[1:] {
			known := helpVerb.FindAllStringSubmatch(section(v.of(path), "Available Commands:"), -1)
			if len(known) == 0 || !verbWord.MatchString(word) {
				break
			}
			if !slices.ContainsFunc(known, func(m []string) bool { return m[1] == word }) {
				v.Errorf("%s: bahi %s has no verb %s", where, strings.Join(path, " "), word)
				return found
			}
			path = append(path, word)
		}
		for _, flag := range flagWord.FindAllString(command, -1) {
			if !regexp.MustCompile(flag + `\b`).MatchString(section(v.of(path), "Flags:")) {
				v.Errorf("%s: bahi %s has no flag %s", where, strings.Join(path, " "), flag)
			}
		}
	}
	return found
}

func (v verbs) of(path []string) string {
	v.Helper()
	key := strings.Join(path, " ")
	if v.help[key] == "" {
		out, err := exec.CommandContext(v.Context(), v.bahi, append(path, "--help")...).Output()
		if err != nil {
			v.Fatalf("bahi %s --help: %v", key, err)
		}
		v.help[key] = string(out)
	}
	return v.help[key]
}

// section returns a part of a verb's help.
func section(help, title string) string {
	_, rest, _ := strings.Cut("\n"+help, "\n"+title+"\n")
	part, _, _ := strings.Cut(rest, "\n\n")
	return part
}

// TestGoInDocumentsCompiles: a Go block of the documents is a file that is vetted
// with the project, or, without a package clause, statements that are in form.
func TestGoInDocumentsCompiles(t *testing.T) {
	t.Parallel()
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	dir := t.TempDir()
	var packages []string
	for _, d := range documents(t) {
		for i, f := range d.fence {
			if f.language() != "go" {
				continue
			}
			text := d.text(f)
			if formatted, err := format.Source([]byte(text)); err != nil || string(formatted) != text {
				t.Errorf("%s:%d: gofmt would change this block: %v", d.name, f.from, err)
			}
			if !strings.HasPrefix(text, "package ") {
				continue
			}
			name := fmt.Sprintf("block%d_%s", i, strings.NewReplacer("/", "_", ".", "_").Replace(d.name))
			real := filepath.Join(dir, name+".go")
			if err := os.WriteFile(real, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			module, err := filepath.Abs(root)
			if err != nil {
				t.Fatal(err)
			}
			overlay.Replace[filepath.Join(module, "internal", "lint", name, "main.go")] = real
			packages = append(packages, "./internal/lint/"+name)
		}
	}
	if len(packages) == 0 {
		t.Fatal("no document shows a whole program: the one in docs/CENTRES.md is gone")
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-buildvcs=false", "-overlay", file, "-o", os.DevNull}, packages...)...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("the programs in the documents: %v\n%s", err, out)
	}
}

// TestFormatsNameEveryCode: the lists of codes that submissions may hold are in
// docs/FORMATS.md as the domain has them.
func TestFormatsNameEveryCode(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(filepath.Join(root, "domain", "codes.go"))
	if err != nil {
		t.Fatal(err)
	}
	page := strings.Join(readDocument(t, "docs/FORMATS.md").lines, "\n")
	lists := regexp.MustCompile(`(?m)^var (\w+)Codes = \[\]string\{"", (.*)\}$`).FindAllStringSubmatch(string(source), -1)
	if len(lists) < 6 {
		t.Fatalf("only %d lists of codes were found", len(lists))
	}
	for _, list := range lists {
		for _, m := range regexp.MustCompile(`"(\w+)"`).FindAllStringSubmatch(list[2], -1) {
			if !regexp.MustCompile(`\b` + m[1] + `\b`).MatchString(page) {
				t.Errorf("docs/FORMATS.md does not name %s, a code of %s", m[1], list[1])
			}
		}
	}
}

// TestReadmeNamesTheTests: the command that the README gives for the tests is
// the one that CI runs.
func TestReadmeNamesTheTests(t *testing.T) {
	t.Parallel()
	const command = "go test ./..."
	ci, err := os.ReadFile(filepath.Join(root, ".ci", "run"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Split(string(ci), "\n"), command) {
		t.Errorf(".ci/run does not run %q", command)
	}
	readme := readDocument(t, "README.md")
	if !slices.ContainsFunc(readme.fence, func(f fence) bool { return f.language() == "sh" && readme.text(f) == command+"\n" }) {
		t.Errorf("README.md has no block with %q alone", command)
	}
}
