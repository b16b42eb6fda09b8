package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"bahi/internal/natstest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bahi": main})
}

// TestScripts runs testdata/script: one file a verb, its mistakes included.
// $PEOPLE is a small file of submissions that most of them begin with, $FOREIGN
// the directory with samples of other formats. What a script may say beyond testscript's own commands:
//
//	exits CODE bahi …        run it and hold its exit code, and its manners, to the contract
//	mask FILE OUT            copy a file (stdout, stderr) with all that chance and the clock decide replaced
//	sorted FILE OUT          copy a file with its lines in order
//	quiet                    the last command said nothing on stderr, but how far it is
//	serve NAME ARGS…         start bahi serve; $URL and $NATS_URL are where it is; NAME.out and NAME.err its words
//	end NAME SIGNAL [CODE]   send the service a signal and wait for its exit
//	centre NAME ARGS…        start bahi centre run; $CENTRE_URL is where it listens
//	until TEXT COMMAND…      run a command again and again until its output holds the text
//	hold NAME ARGS…          start a bahi submit that waits for its input, and wait until it has the ledger
//	find NAME PATTERN FILE   set $NAME to what the pattern finds in a file (stdout, stderr)
//	nats [FILE | reload]     start a NATS server of an operator's own, on a configuration; $NATS is where it is
//	damage DIR HOW           flip bytes of a view's tables, or lose its manifest
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Values[runningKey{}] = map[string]*exec.Cmd{}
			e.Values[natsKey{}] = new(configured)
			people, err := filepath.Abs(filepath.Join("testdata", "people.ndjson"))
			e.Setenv("PEOPLE", people)
			if err != nil {
				return err
			}
			foreign, err := filepath.Abs(filepath.Join("..", "..", "formats", "testdata", "foreign"))
			e.Setenv("FOREIGN", foreign)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"centre": centreRun,
			"until":  untilSaid,
			"mask":   mask,
			"sorted": sorted,
			"quiet":  quiet,
			"serve":  serve,
			"end":    end,
			"hold":   hold,
			"find":   find,
			"damage": damage,
			"nats":   natsServer(t),
		},
	})
}

func find(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 3, "find NAME PATTERN FILE")
	found := regexp.MustCompile(args[1]).FindString(ts.ReadFile(args[2]))
	if found == "" {
		ts.Fatalf("%s has nothing like %s", args[2], args[1])
	}
	ts.Setenv(args[0], found)
}

func needs(ts *testscript.TestScript, neg bool, args []string, least int, usage string) {
	if neg || len(args) < least {
		ts.Fatalf("usage: %s", usage)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "exits CODE COMMAND ARGS…")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
	if fault := manners(ts.ReadFile("stderr"), got); fault != "" {
		ts.Fatalf("%s", fault)
	}
}

// manners tells how what a verb says on stderr falls short of one clear sentence.
func manners(stderr string, code int) string {
	complaints := 0
	for line := range strings.Lines(stderr) {
		if strings.HasPrefix(line, "bahi: error: ") {
			complaints++
		}
	}
	quiet := code == exitDone || code == exitRejected || code == exitFrozen
	switch {
	case strings.Contains(stderr, "panic") || strings.Contains(stderr, "goroutine "):
		return "it panicked"
	case complaints > 1 || complaints == 0 && !quiet:
		return fmt.Sprintf("%d complaints on stderr, want one", complaints)
	case strings.Contains(stderr, "pebble"), strings.Contains(stderr, "%!"):
		return "stderr shows what is inside"
	}
	return ""
}

// What chance and the clock decide, and what stands for it. Times of the story
// are told as they are.
var masks = []struct {
	found *regexp.Regexp
	shown string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`\bU[A-Z2-7]{55}\b`), "NKEY"},
	{regexp.MustCompile(`\b[A-Z2-7]{26}\b`), "ID"},
	{regexp.MustCompile(`(@|bahi/|"node":")[0-9a-f]{8}\b`), "${1}NODE"},
	{regexp.MustCompile(`\b[0-9a-f]{24,64}\b`), "HEX"},
	{regexp.MustCompile(`\b[A-Za-z0-9+/]{200,}={0,2}`), "BASE64"},
	{regexp.MustCompile(`"(checkpoint|public_key|root)":"[^"]*"`), `"$1":"SIGNED"`},
	{regexp.MustCompile(`\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}`), "+KEY"},
	{regexp.MustCompile(`(?m)^[A-Za-z0-9+/]{43}=$`), "ROOT"},
	{regexp.MustCompile(`(?m)^(— bahi/NODE) .*`), "$1 SIGNATURE"},
	{regexp.MustCompile(`20(2[5-9]|[3-9]\d)-\d\d-\d\dT[0-9:.]+(Z|\+05:30)`), "NOW"},
	{regexp.MustCompile(`20(2[5-9]|[3-9]\d)-\d\d-\d\d \d\d:\d\d`), "NOW"},
	{regexp.MustCompile(`20(2[5-9]|[3-9]\d)-\d\d-\d\d`), "TODAY"},
	{regexp.MustCompile(`(T\d\d:\d\d:\d\d)\.\d+(\+05:30)`), "$1$2"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDRESS"},
	{regexp.MustCompile(`"rules":"[^"]*"|rules +built-in.*`), `RULES`},
	{regexp.MustCompile(`"bytes":\d+|bytes +[\d,]+`), `BYTES`},
}

// keptIDs are the ids that scripts give their submissions.
const keptIDs = "018f3c1e-0000-7"

func mask(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "mask FILE OUT")
	text := strings.ReplaceAll(withoutProgress(ts.ReadFile(args[0])), ts.Getenv("WORK"), "$WORK")
	text = strings.ReplaceAll(text, keptIDs, "kept")
	for _, m := range masks {
		text = m.found.ReplaceAllString(text, m.shown)
	}
	text = strings.ReplaceAll(text, "kept", keptIDs)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// command makes a bahi that runs beside the script.
func command(ts *testscript.TestScript, args ...string) *exec.Cmd {
	c := exec.Command("bahi", args...)
	c.Dir = ts.MkAbs(".")
	for _, name := range []string{"HOME", "PATH", "TMPDIR", "WORK", "GOCOVERDIR"} {
		c.Env = append(c.Env, name+"="+ts.Getenv(name))
	}
	ts.Defer(func() {
		if c.Process != nil && c.ProcessState == nil {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	})
	return c
}

var readyLine = regexp.MustCompile(`^bahi ready on (http://\S+?)(?: and (nats://\S+?))?, ledger .*\n$`)

// sorted is for what chance orders.
func sorted(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "sorted FILE OUT")
	lines := slices.Sorted(strings.Lines(ts.ReadFile(args[0])))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(strings.Join(lines, "")), 0o600))
}

func quiet(ts *testscript.TestScript, neg bool, args []string) {
	if words := withoutProgress(ts.ReadFile("stderr")); neg || len(args) > 0 || words != "" {
		ts.Fatalf("usage: quiet; on stderr stands %q", words)
	}
}

func serve(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 1, "serve NAME ARGS…")
	c := command(ts, append([]string{"serve", "--listen", "127.0.0.1:0"}, args[1:]...)...)
	words, err := os.Create(ts.MkAbs(args[0] + ".err"))
	ts.Check(err)
	ts.Defer(func() { words.Close() })
	c.Stderr = words
	stdout, err := c.StdoutPipe()
	ts.Check(err)
	ts.Check(c.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	ready := readyLine.FindStringSubmatch(line)
	if ready == nil {
		ts.Fatalf("the service says %q (%v)\n%s", line, err, ts.ReadFile(args[0]+".err"))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".out"), []byte(line), 0o600))
	ts.Setenv("URL", ready[1])
	ts.Setenv("NATS_URL", ready[2])
	running(ts)[args[0]] = c
}

type runningKey struct{}

// running are the processes beside a script, by their names.
func running(ts *testscript.TestScript) map[string]*exec.Cmd {
	return ts.Value(runningKey{}).(map[string]*exec.Cmd)
}

func end(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "end NAME SIGNAL [CODE]")
	c, ok := running(ts)[args[0]]
	if !ok {
		ts.Fatalf("nothing called %s runs", args[0])
	}
	ts.Check(c.Process.Signal(unix.SignalNum("SIG" + args[1])))
	exited := make(chan struct{})
	go func() { defer close(exited); _ = c.Wait() }()
	select {
	case <-exited:
	case <-time.After(natstest.Patience):
		ts.Fatalf("%s did not end in %s", args[0], natstest.Patience)
	}
	if len(args) == 3 && strconv.Itoa(c.ProcessState.ExitCode()) != args[2] {
		ts.Fatalf("exit code %d, want %s", c.ProcessState.ExitCode(), args[2])
	}
}

func hold(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "hold NAME ARGS…")
	c := command(ts, append([]string{"submit"}, append(args[1:], "-")...)...)
	_, err := c.StdinPipe() // which nobody writes to
	ts.Check(err)
	ts.Check(c.Start())
	running(ts)[args[0]] = c
	data := ""
	for i, a := range args {
		if a == "--data" {
			data = args[i+1]
		}
	}
	waitFor(ts, func() bool { return locks(c.Process.Pid, ts.MkAbs(filepath.Join(data, "lock"))) })
}

// locks tells whether a process has the file locked. It asks the kernel: who tries the
// lock has it for a moment, in which the process would find it taken.
func locks(pid int, path string) bool {
	open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, fd := range open {
		if to, err := os.Readlink(fd); err != nil || to != path {
			continue
		}
		info, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, filepath.Base(fd)))
		if err == nil && strings.Contains(string(info), "FLOCK") {
			return true
		}
	}
	return false
}

func waitFor(ts *testscript.TestScript, done func() bool) {
	for deadline := time.Now().Add(natstest.Patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("it did not happen in %s", natstest.Patience)
		}
	}
}

func damage(ts *testscript.TestScript, neg bool, args []string) {
	needs(ts, neg, args, 2, "damage DIR flip|manifest")
	done := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		switch {
		case args[1] == "flip" && strings.HasSuffix(path, ".sst"):
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i := 20; i < len(b); i += 97 {
				b[i] ^= 0x5a
			}
			done++
			return os.WriteFile(path, b, 0o600)
		case args[1] == "manifest" && strings.HasPrefix(d.Name(), "MANIFEST-"):
			done++
			return os.Remove(path)
		}
		return nil
	}))
	if done == 0 {
		ts.Fatalf("there is nothing to damage in %s", args[0])
	}
}
