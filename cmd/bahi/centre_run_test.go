package main

import (
	"bufio"
	"os"
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

var centreReadyLine = regexp.MustCompile(`^bahi centre \S+ of district \d+ ready on (http://\S+), folder .*\n$`)

// centreRun starts a bahi centre run beside a script; $CENTRE_URL is where it
// listens, and NAME.err has its words.
func centreRun(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 1, "centre NAME ARGS…")
	c := command(ts, append([]string{"centre", "run", "--listen", "127.0.0.1:0"}, args[1:]...)...)
	words, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	ts.Defer(func() { words.Close() })
	c.Stderr = words
	stdout, err := c.StdoutPipe()
	ts.Check(err)
	ts.Check(c.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	ready := centreReadyLine.FindStringSubmatch(line)
	if ready == nil {
		ts.Fatalf("the centre says %q (%v)\n%s", line, err, ts.ReadFile(args[0]+".err"))
	}
	ts.Setenv("CENTRE_URL", ready[1])
	running(ts)[args[0]] = c
}

// untilSaid runs a command again and again until its output holds a text.
func untilSaid(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "until TEXT COMMAND ARGS…")
	waitFor(ts, func() bool {
		ts.Check(ts.Exec(args[1], args[2:]...))
		return strings.Contains(ts.ReadFile("stdout"), args[0])
	})
}
