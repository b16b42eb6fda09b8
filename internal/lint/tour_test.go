package lint_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write into the documents what their commands print now")

// program builds bahi once and returns the directory that it is in.
var program = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "bahi-lint-"); err != nil {
		return "", err
	}
	built = dir
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "bahi"), "./cmd/bahi")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build bahi: %w\n%s", err, out)
	}
	return dir, nil
})

// built is the directory to remove when the tests have ended.
var built string

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// TestTranscriptsAreCurrent runs what the documents show. In a block marked
// ```console tour every line that begins with "$ " is run by the shell, block
// after block in one directory of the document's own, and what it prints is
// compared with the lines below it. There "…" stands for what varies, and a line
// of nothing but "…" for any lines. A block marked file=NAME is put into that
// file first. To write anew what has changed:
//
//	go test ./internal/lint -run Transcripts -update
func TestTranscriptsAreCurrent(t *testing.T) {
	if testing.Short() {
		t.Skip("it runs the demo and the tour: some seconds")
	}
	t.Parallel()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, d := range documents(t) {
		tour := tour{T: t, document: d, bin: bin, dir: t.TempDir()}
		changed := false
		// From the end, so that the lines of earlier blocks stay where they are
		// while later ones are rewritten; but run from the beginning.
		shown := make([][]string, len(d.fence))
		for i, f := range d.fence {
			if name := fileOf(f); name != "" {
				if err := os.WriteFile(filepath.Join(tour.dir, name), []byte(d.text(f)), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if f.language() == "console" && f.is("tour") {
				var n int
				shown[i], n = tour.block(f)
				commands += n
			}
		}
		for i, f := range slices.Backward(d.fence) {
			if shown[i] != nil && !slices.Equal(shown[i], d.lines[f.from:f.to]) {
				d.lines = slices.Replace(d.lines, f.from, f.to, shown[i]...)
				changed = true
			}
		}
		if changed && *update {
			if err := os.WriteFile(filepath.Join(root, d.name), []byte(strings.Join(d.lines, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if commands < 10 {
		t.Errorf("only %d commands were run: the marks of the blocks are gone", commands)
	}
}

// fileOf returns the name of the file that a block is to be put into.
func fileOf(f fence) string {
	for _, word := range strings.Fields(f.info) {
		if name, ok := strings.CutPrefix(word, "file="); ok {
			return name
		}
	}
	return ""
}

// tour runs the commands of one document.
type tour struct {
	*testing.T
	document *document
	bin, dir string
}

// block runs the commands of a block and returns its lines as they should be.
func (t *tour) block(f fence) (lines []string, commands int) {
	t.Helper()
	for at := f.from; at < f.to; {
		line := t.document.lines[at]
		command, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			t.Errorf("%s:%d: a transcript begins with a command", t.document.name, at+1)
			return nil, commands
		}
		end := at + 1
		for end < f.to && !strings.HasPrefix(t.document.lines[end], "$ ") {
			end++
		}
		shown := t.document.lines[at+1 : end]
		printed := t.run(command)
		commands++
		lines = append(lines, line)
		switch {
		case matches(shown, printed):
			lines = append(lines, shown...)
		case *update:
			for _, p := range printed {
				lines = append(lines, generalised(p))
			}
		default:
			t.Errorf("%s:%d: %s\nprints\n%s\n\nand the document shows\n%s\n\nif that is as it should be: go test ./internal/lint -run Transcripts -update",
				t.document.name, at+1, command, strings.Join(printed, "\n"), strings.Join(shown, "\n"))
			lines = append(lines, shown...)
		}
		at = end
	}
	return lines, commands
}

// progress is what a verb says of how far it is when it takes long here.
var progress = regexp.MustCompile(`^[a-z ,]+: [0-9,]+( of [0-9,]+)?, [0-9,]+( events)?/s`)

// run runs a line of shell and returns the lines of both its outputs.
func (t *tour) run(line string) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-c", strings.ReplaceAll(line, "go run ./cmd/bahi", "bahi"))
	shell.Dir = t.dir
	shell.Env = []string{"PATH=" + t.bin + string(os.PathListSeparator) + os.Getenv("PATH"), "HOME=" + t.dir, "TMPDIR=" + t.dir, "LC_ALL=C.UTF-8"}
	shell.WaitDelay = time.Minute
	out, err := shell.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && (ctx.Err() != nil || !asExit(err, &exit)) {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(out) == 0 {
		lines = nil
	}
	lines = slices.DeleteFunc(lines, progress.MatchString)
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return lines
}

func asExit(err error, exit **exec.ExitError) bool {
	e, ok := err.(*exec.ExitError)
	*exit = e
	return ok
}

// matches tells whether what was printed is what is shown.
func matches(shown, printed []string) bool {
	var pattern strings.Builder
	pattern.WriteString(`\A`)
	for _, line := range shown {
		if line == "…" {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*") + `\n`)
	}
	pattern.WriteString(`\z`)
	text := strings.Join(printed, "\n") + "\n"
	if len(printed) == 0 {
		text = ""
	}
	return regexp.MustCompile(pattern.String()).MatchString(text)
}

// varying is what differs from run to run: ids, nodes, keys and times of today.
var varying = regexp.MustCompile(strings.Join([]string{
	`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b(\.handover)?`,
	`@[0-9a-f]{8}\b`,
	`\b[0-9a-f]{24,}\b`,
	`\b20(2[5-9]|[3-9][0-9])-[0-9]{2}-[0-9]{2}[T ]?[0-9:.+]*`,
}, "|"))

// told is an id that the document itself gave to a command.
var told = regexp.MustCompile(`018f3c1e-`)

func generalised(line string) string {
	return varying.ReplaceAllStringFunc(line, func(s string) string {
		switch {
		case told.MatchString(s):
			return s
		case strings.HasPrefix(s, "@"):
			return "@…"
		case strings.HasSuffix(s, ".handover"):
			return "….handover"
		}
		return "…"
	})
}

// TestMatches: the check of transcripts can fail.
func TestMatches(t *testing.T) {
	t.Parallel()
	lines := func(s string) []string {
		if s == "" {
			return nil
		}
		return strings.Split(s, "|")
	}
	for _, c := range []struct {
		shown, printed string
		want           bool
	}{
		{"a|b", "a|b", true},
		{"a|b", "a|c", false},
		{"a", "a|b", false},
		{"a|b", "a", false},
		{"", "", true},
		{"", "a", false},
		{"a … c", "a b c", true},
		{"a … c", "a b d", false},
		{"a.c", "abc", false},
		{"a|…|d", "a|b|c|d", true},
		{"a|…|d", "a|d", true},
		{"a|…|d", "a|b", false},
	} {
		if got := matches(lines(c.shown), lines(c.printed)); got != c.want {
			t.Errorf("%q shown, %q printed: %t", c.shown, c.printed, got)
		}
	}
	for printed, want := range map[string]string{
		`"id":"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001"`:     `"id":"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001"`,
		"x/01a20071-8f29-7670-9fdf-dd9513a26b0a.handover": "x/….handover",
		"vault@413ac0b3": "vault@…",
		"MUZAFFARPUR (208), as of 2021-03-31, as known 2026-11-22 04:38": "MUZAFFARPUR (208), as of 2021-03-31, as known …",
	} {
		if got := generalised(printed); got != want {
			t.Errorf("%q becomes %q", printed, got)
		}
	}
}
