package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"bahi/internal/natstest"
)

// child runs the program in a process of its own, for what ends or limits a
// process.
func child(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*natstest.Patience)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, "bahi", args...)
}

// finish runs a child to its end and holds its words to their manners.
func finish(t *testing.T, c *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	o := outcome{c.ProcessState.ExitCode(), stdout.String(), withoutProgress(stderr.String())}
	if fault := manners(o.stderr, o.code); fault != "" {
		t.Errorf("%s: %s\n%s", strings.Join(c.Args, " "), fault, o.stderr)
	}
	return o
}

// many are as many lines that a sandbox ledger accepts.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(registration(i+1) + "\n")
	}
	return b.String()
}

// TestFullDisk fills a small disk at two places: under the ledger, while it is
// written, and under everything, so that not even a view can be opened. What was
// acknowledged is there when there is space again.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	data, keys := filepath.Join(disk, "ledger"), filepath.Join(t.TempDir(), "keys")
	submit := func(lines string) outcome {
		c := child(t, "submit", "--data", data, "--keys", keys, "--sandbox", "-")
		c.Stdin = strings.NewReader(lines)
		return finish(t, c)
	}
	few := many(2000)
	if o := submit(few); o.code != exitDone {
		t.Fatalf("%d: %s", o.code, o.stderr)
	}

	ballast := filepath.Join(disk, "ballast")
	fill(t, ballast, disk, 8<<20)
	o := submit(many(40_000))
	if o.code != exitFailed || !strings.Contains(o.stderr, "bahi: hint: ") {
		t.Fatalf("a disk that fills up: %d: %s", o.code, o.stderr)
	}
	t.Log(o.stderr)
	acknowledged := verdicts(t, o.stdout)

	fill(t, ballast, disk, 0)
	for _, args := range [][]string{{"counts", "--district", "208"}, {"submit", filepath.Join("testdata", "people.ndjson")}, {"projections", "rebuild"}} {
		o := finish(t, child(t, append(args, "--data", data, "--keys", keys)...))
		if o.code == exitUsage || o.code == exitDone && args[0] == "submit" && strings.Contains(o.stdout, "accepted") {
			t.Errorf("%v on a full disk: %d: %s%s", args, o.code, o.stdout, o.stderr)
		}
		t.Log(o.stderr)
	}

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	o = finish(t, child(t, "ledger", "verify", "--data", data, "--keys", keys))
	if o.code != exitDone {
		t.Fatalf("with space again: %d: %s", o.code, o.stderr)
	}
	var again strings.Builder
	for i := range acknowledged {
		again.WriteString(registration(i+1) + "\n")
	}
	o = submit(again.String())
	for i, v := range verdicts(t, o.stdout) {
		if v.Verdict != "duplicate" || v.Commit == 0 || v.Commit != acknowledged[i].Commit {
			t.Fatalf("acknowledged as %+v, and now %+v", acknowledged[i], v)
		}
	}
}

// fill writes a file until so many bytes of the disk are free.
func fill(t *testing.T, file, disk string, free uint64) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 64<<10)
	for {
		var s unix.Statfs_t
		if err := unix.Statfs(disk, &s); err != nil {
			t.Fatal(err)
		}
		if s.Bavail*uint64(s.Bsize) <= free {
			return
		}
		if _, err := f.Write(block); err != nil {
			if errors.Is(err, syscall.ENOSPC) {
				return
			}
			t.Fatal(err)
		}
	}
}

// TestNoPermission opens directories that belong to somebody else. A thread with
// another identity towards the file system serves for another user.
func TestNoPermission(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can take another identity")
	}
	data := people(t)
	for _, dir := range []string{data, data + "-keys", filepath.Dir(data)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, args := range map[string][]string{
		"somebody else's ledger":          {"counts", "--district", "208", "--data", data},
		"a directory that cannot be made": {"submit", "--data", filepath.Join(filepath.Dir(data), "new"), filepath.Join("testdata", "people.ndjson")},
	} {
		t.Run(name, func(t *testing.T) {
			runtime.LockOSThread() // for good: the thread ends with the test
			if err := unix.Setfsuid(65534); err != nil {
				t.Fatal(err)
			}
			if is, _ := unix.SetfsuidRetUid(-1); is != 65534 {
				t.Skip("this root cannot take another identity")
			}
			o := bahi(t, nil, args...)
			if o.code != exitFailed || !strings.Contains(o.stderr, "permission denied") || !strings.Contains(o.stderr, "bahi: hint: check who owns the directory") {
				t.Errorf("%d: %s", o.code, o.stderr)
			}
		})
	}
}

// TestSignalInTheMiddle ends a submit that is under way. Every verdict that was
// printed stands: submitted again, each answers as a duplicate of the same commit.
func TestSignalInTheMiddle(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			const lines = 30_000
			data := filepath.Join(t.TempDir(), "ledger")
			c := child(t, "submit", "--data", data, "--sandbox", "-")
			var words bytes.Buffer
			c.Stderr = &words
			stdin, err := c.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := c.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.WriteString(stdin, many(lines)) }() // and never closed

			printed := bufio.NewScanner(stdout)
			var before strings.Builder
			for n := 0; printed.Scan(); n++ {
				fmt.Fprintln(&before, printed.Text())
				if n == 1000 {
					if err := c.Process.Signal(signal); err != nil {
						t.Fatal(err)
					}
				}
			}
			_ = c.Wait()
			if signal != syscall.SIGKILL {
				if fault := manners(words.String(), c.ProcessState.ExitCode()); fault != "" || c.ProcessState.ExitCode() != exitFailed || !strings.Contains(words.String(), "bahi: error: stopped by a signal\n") {
					t.Errorf("%s exit code %d: %s", fault, c.ProcessState.ExitCode(), words.String())
				}
			}
			text := before.String()
			if whole := strings.LastIndexByte(text, '}') + 2; whole < len(text) {
				text = text[:whole] // a line that was cut off
			}
			acknowledged := verdicts(t, text)
			if len(acknowledged) < 1000 || len(acknowledged) == lines {
				t.Fatalf("%d verdicts before the end; the signal did not come in the middle", len(acknowledged))
			}
			again := mustExit(t, exitDone, strings.NewReader(many(lines)), "submit", "--data", data, "-")
			for i, v := range verdicts(t, again.stdout) {
				if i < len(acknowledged) && (v.Verdict != "duplicate" || v.ID != acknowledged[i].ID || v.Commit != acknowledged[i].Commit) {
					t.Fatalf("acknowledged as %+v, and now %+v", acknowledged[i], v)
				}
			}
			o := mustExit(t, exitDone, nil, "counts", "--data", data, "--district", "208", "--json")
			if !strings.Contains(o.stdout, fmt.Sprintf(`"registered":%d,`, lines)) {
				t.Errorf("not everybody once: %s", o.stdout)
			}
		})
	}
}

// held is input that does not come before its time.
type held struct {
	io.Reader
	until chan struct{}
}

func (h *held) Read(p []byte) (int, error) {
	<-h.until
	return h.Reader.Read(p)
}

// TestServiceEndsInTheMiddle ends a service while a centre submits to it. The
// centre is told in one sentence; what it was told before stands.
func TestServiceEndsInTheMiddle(t *testing.T) {
	t.Parallel()
	const lines = 20_000
	data := filepath.Join(t.TempDir(), "ledger")
	service := child(t, "serve", "--data", data, "--sandbox", "--listen", "127.0.0.1:0")
	ready := readyService(t, service)
	input := many(lines)

	r, w := io.Pipe()
	later := &held{Reader: strings.NewReader(input[len(input)/2:]), until: make(chan struct{})}
	ended := make(chan outcome, 1)
	go func() {
		var words bytes.Buffer
		args := []string{"submit", "--server", ready.url, "--token-file", filepath.Join(data+"-keys", "tokens", "centre"), "-"}
		code := run(t.Context(), args, io.MultiReader(strings.NewReader(input[:len(input)/2]), later), w, &words)
		w.Close()
		ended <- outcome{code: code, stderr: words.String()}
	}()
	printed := bufio.NewScanner(r)
	var before strings.Builder
	for n := 0; printed.Scan(); n++ {
		fmt.Fprintln(&before, printed.Text())
		if n == 1000 {
			close(later.until)
			if err := service.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	o := <-ended
	if fault := manners(o.stderr, o.code); fault != "" || o.code != exitFailed {
		t.Errorf("%s exit code %d: %s", fault, o.code, o.stderr)
	}
	if !strings.Contains(o.stderr, " read and without a verdict\n") {
		t.Errorf("the centre is not told what is to be sent again: %s", o.stderr)
	}
	if err := service.Wait(); err != nil {
		t.Errorf("the service: %v", err)
	}
	acknowledged := verdicts(t, before.String())
	if len(acknowledged) < 1000 || len(acknowledged) == lines {
		t.Fatalf("%d verdicts before the end; it did not come in the middle", len(acknowledged))
	}
	again := mustExit(t, exitDone, strings.NewReader(input), "submit", "--data", data, "-")
	for i, v := range verdicts(t, again.stdout) {
		if i < len(acknowledged) && (v.Verdict != "duplicate" || v.ID != acknowledged[i].ID || v.Commit != acknowledged[i].Commit) {
			t.Fatalf("acknowledged as %+v, and now %+v", acknowledged[i], v)
		}
	}
}
