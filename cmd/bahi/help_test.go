package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// everyVerb returns the root and all verbs below it that are shown.
func everyVerb(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, verb := range c.Commands() {
		if verb.IsAvailableCommand() {
			all = append(all, everyVerb(verb)...)
		}
	}
	return all
}

func newRoot() *cobra.Command {
	return (&program{stdin: strings.NewReader(""), stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)}).root()
}

// TestHelp holds the help of every verb to its golden file; -update writes them.
func TestHelp(t *testing.T) {
	for _, name := range []string{"BAHI_NATS", "BAHI_NATS_CREDS", "BAHI_READS_PER_DAY"} {
		t.Setenv(name, "")
	}
	dir := filepath.Join("testdata", "help")
	golden := map[string]bool{}
	for _, c := range everyVerb(newRoot()) {
		path := strings.Fields(c.CommandPath())
		name := strings.Join(path, "_") + ".txt"
		golden[name] = true
		o := mustExit(t, exitDone, nil, append(path[1:], "--help")...)
		if o.stderr != "" {
			t.Errorf("%s --help says on stderr: %s", c.CommandPath(), o.stderr)
		}
		// Who is at the keyboard is a default of --by.
		got := strings.ReplaceAll(o.stdout, `(default "`+whoami()+`")`, `(default "the user's name")`)
		file := filepath.Join(dir, name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("the help of %s is not as in %s (go test ./cmd/bahi -run TestHelp -update writes it anew):\n%s", c.CommandPath(), file, got)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !golden[f.Name()] {
			t.Errorf("%s is the help of no verb", f.Name())
		}
	}
}

// TestExamples holds that every verb has examples, and that they can be typed:
// verbs and flags exist, values parse, nothing needed is missing.
func TestExamples(t *testing.T) {
	t.Parallel()
	for _, c := range everyVerb(newRoot()) {
		if c.Parent() == nil || c.Name() == "help" {
			continue
		}
		if !strings.Contains(c.Example, c.CommandPath()) {
			t.Errorf("%s has no example of itself", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			for _, words := range commands(line) {
				if err := typed(words); err != nil {
					t.Errorf("an example of %s cannot be typed: %s: %v", c.CommandPath(), strings.TrimSpace(line), err)
				}
			}
		}
	}
}

// commands returns the words of each bahi in a line of shell.
func commands(line string) (all [][]string) {
	line = strings.NewReplacer("<(", " ; ", ")", " ; ").Replace(line)
	var words []string
	end := func() {
		if len(words) > 0 && words[0] == "bahi" {
			all = append(all, words[1:])
		}
		words = nil
	}
	skip := false
	for _, word := range strings.Fields(line) {
		switch {
		case skip:
			skip = false
		case word == "|" || word == "&&" || word == ";":
			end()
		case word == ">" || word == "<":
			skip = true
		default:
			words = append(words, word)
		}
	}
	end()
	return all
}

// typed parses a command as the program does, without running it.
func typed(words []string) error {
	c, rest, err := newRoot().Find(words)
	if err != nil {
		return err
	}
	if err := c.ParseFlags(rest); err != nil {
		return err
	}
	return c.ValidateArgs(c.Flags().Args())
}
