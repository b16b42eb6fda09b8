package main

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// outcome is what one run of the program did.
type outcome struct {
	code           int
	stdout, stderr string
}

// progressLine is what a verb says of how far it is, when it takes long.
var progressLine = regexp.MustCompile(`(?m)^[a-z ,]+: [0-9,]+( of [0-9,]+)?, [0-9,]+( events)?/s.*\n`)

func withoutProgress(stderr string) string { return progressLine.ReplaceAllString(stderr, "") }

// bahi runs the program in this process and holds its words to their manners.
func bahi(t *testing.T, stdin io.Reader, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, stdin, &stdout, &stderr)
	o := outcome{code, stdout.String(), withoutProgress(stderr.String())}
	if fault := manners(o.stderr, o.code); fault != "" {
		t.Errorf("bahi %s: %s\n%s", strings.Join(args, " "), fault, o.stderr)
	}
	return o
}

// must runs the program and insists on its exit code.
func mustExit(t *testing.T, code int, stdin io.Reader, args ...string) outcome {
	t.Helper()
	o := bahi(t, stdin, args...)
	if o.code != code {
		t.Fatalf("bahi %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), o.code, code, o.stdout, o.stderr)
	}
	return o
}

// pipe runs two verbs as a shell would: the standard output of the first is the
// standard input of the second.
func pipe(t *testing.T, first, second []string) (a, b outcome) {
	t.Helper()
	r, w := io.Pipe()
	var words bytes.Buffer
	var wait sync.WaitGroup
	wait.Go(func() {
		a.code = run(t.Context(), first, nil, w, &words)
		w.Close()
	})
	b = bahi(t, r, second...)
	r.Close()
	wait.Wait()
	a.stderr = withoutProgress(words.String())
	return a, b
}
