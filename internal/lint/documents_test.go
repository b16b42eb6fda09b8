package lint_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
)

var root = filepath.Join("..", "..")

// document is a page of Markdown.
type document struct {
	name  string // from the module's root, with slashes
	lines []string
	fence []fence
}

// fence is a fenced block: what stands behind its opening fence, and its lines
// without the fences.
type fence struct {
	info     string
	from, to int // lines of the document
}

func (f fence) language() string {
	language, _, _ := strings.Cut(f.info, " ")
	return language
}

// is tells whether the block is marked with that word.
func (f fence) is(word string) bool { return slices.Contains(strings.Fields(f.info), word) }

func (d *document) text(f fence) string {
	return strings.Join(d.lines[f.from:f.to], "\n") + "\n"
}

// prose calls do with every line outside of fenced blocks.
func (d *document) prose(do func(number int, line string)) {
	for i, line := range d.lines {
		fenced := slices.ContainsFunc(d.fence, func(f fence) bool { return f.from-1 <= i && i <= f.to })
		if !fenced {
			do(i+1, line)
		}
	}
}

func readDocument(t testing.TB, name string) *document {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	d := &document{name: filepath.ToSlash(name), lines: strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")}
	open := -1
	for i, line := range d.lines {
		info, ok := strings.CutPrefix(line, "```")
		switch {
		case !ok:
		case open < 0:
			open = len(d.fence)
			d.fence = append(d.fence, fence{info: info, from: i + 1})
		default:
			d.fence[open].to = i
			open = -1
		}
	}
	if open >= 0 {
		t.Fatalf("%s: the block that begins on line %d does not end", name, d.fence[open].from)
	}
	return d
}

// documents are all pages that come with the project.
func documents(t testing.TB) []*document {
	t.Helper()
	var pages []*document
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/adr/*.md", "*/*.md"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			name, err := filepath.Rel(root, name)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(pages, func(d *document) bool { return d.name == filepath.ToSlash(name) }) {
				pages = append(pages, readDocument(t, name))
			}
		}
	}
	if len(pages) < 5 {
		t.Fatalf("only %d documents were found", len(pages))
	}
	return pages
}

// TestNKeysInDocumentsAreValid: an nkey that a document or a verb's help shows is taken
// by the verb to which it is given.
func TestNKeysInDocumentsAreValid(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join(root, "cmd", "bahi", "testdata", "help", "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents(t) {
		pages = append(pages, filepath.Join(root, d.name))
	}
	shown := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range regexp.MustCompile(`\bU[A-Z2-7]{55}\b`).FindAllString(string(text), -1) {
			shown++
			if !nkeys.IsValidPublicUserKey(key) {
				t.Errorf("%s: %s is no public key of a user", page, key)
			}
		}
	}
	if shown < 5 {
		t.Errorf("only %d nkeys were found", shown)
	}
}
