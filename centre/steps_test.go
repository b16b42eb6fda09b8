package centre

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"bahi/domain"
	"bahi/formats"
)

// steps are all that change what is on a centre's disk or at the ledger.
var steps = []string{"take", "keep", "read", "sent", "exchange", "verdicts", "file", "forget", "renew", "settle"}

// fault is what befalls a centre at one of its steps.
type fault struct {
	Step  string
	Nth   int  // time that the step is done
	After bool // the step is done, and nobody learns of it
	Kill  bool // the process ends there with SIGKILL; or else the step says that it failed
}

func (f fault) String() string {
	words := []string{"fails", "is killed"}
	when := []string{"before", "after"}
	at := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return fmt.Sprintf("%s %s %s %d", words[at(f.Kill)], when[at(f.After)], f.Step, f.Nth)
}

var errGone = errors.New("injected: the disk is gone")

// strikes lets a spool's steps meet the fault, and says whether it was met.
func (f fault) strikes(s *spool) (met func() bool) {
	var mu sync.Mutex
	seen, gone := 0, false
	s.do = func(step string, do func() error) error {
		mu.Lock()
		if step == f.Step {
			seen++
		}
		strike := step == f.Step && seen == f.Nth
		dead := gone
		gone = gone || strike
		mu.Unlock()
		switch {
		case dead && !f.Kill:
			return errGone
		case !strike:
			return do()
		}
		if f.After {
			if err := do(); err != nil {
				return err
			}
		}
		if f.Kill {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {} // until it arrives
		}
		return errGone
	}
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return gone
	}
}

// TestFailAtEveryStep lets a centre fail at the first, second, … time of each of
// its steps, before the step and after it, by an error of the disk or by SIGKILL,
// until it comes through; each time another process takes up what it finds.
// Nothing is lost, nothing has two effects, and the order is kept.
func TestFailAtEveryStep(t *testing.T) {
	t.Parallel()
	ledger := openUpstream(t)
	var mu sync.Mutex
	people := 0
	t.Run("all", func(t *testing.T) {
		for _, step := range steps {
			for _, after := range []bool{false, true} {
				for _, kill := range []bool{false, true} {
					t.Run(fault{Step: step, After: after, Kill: kill}.String(), func(t *testing.T) {
						t.Parallel()
						for n := 1; ; n++ {
							if kill && n > 1 && step != "keep" {
								return // processes take their time; errors try the rest
							}
							mu.Lock()
							first := people
							people += 4
							mu.Unlock()
							if !survive(t, ledger, fault{step, n, after, kill}, first) {
								if n == 1 {
									t.Error("the step was never reached")
								}
								return
							}
						}
					})
				}
			}
		}
	})
	ledger.wantCounts(people, people, 0)
}

// survive lets a centre take in four people, two by calls and two by a file, and
// meet a fault; then another one finish. It returns false when the fault was not
// met.
func survive(t *testing.T, u *upstream, f fault, first int) (met bool) {
	t.Helper()
	c := config(t)
	c.Server, c.NATS = "nats://"+u.address(), u.signIn()
	var called, filed []domain.Submission
	for _, kind := range []func(int) domain.Submission{
		func(n int) domain.Submission { return registration(n) },
		func(n int) domain.Submission { return dose(n, 1) },
	} {
		called = append(called, kind(first), kind(first+1))
		filed = append(filed, kind(first+2), kind(first+3))
	}
	prepare(t, c, filed)
	var kept []string
	if f.Kill {
		kept, met = inChild(t, u, c, f, called)
	} else {
		kept, met = inPlace(t, c, f, called)
	}

	// What was not kept is brought again, as its sender would.
	centre := run(t, c)
	for _, s := range called {
		if id := s.Head().ID.String(); !strings.Contains(strings.Join(kept, " "), id) {
			keep(t, centre.Centre, s)
		}
	}
	centre.drained(patience)
	answered := map[string]int{}
	for a, err := range centre.spool.allVerdicts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(a.Lines) {
			v, err := formats.ParseVerdict(line)
			if err != nil {
				t.Fatal(err)
			}
			if v.Reject != nil {
				t.Errorf("%v: %s is rejected: %v", f, v.ID, v.Reject)
			}
			if v.Outcome != domain.Accepted && strings.Contains(native(filed...), v.ID) {
				t.Errorf("%v: %s was sent twice: what came of it is to be asked for", f, v.ID)
			}
			answered[v.ID]++
		}
	}
	for _, s := range append(called, filed...) {
		if answered[s.Head().ID.String()] == 0 {
			t.Errorf("%v: no verdict on %s", f, s.Head().ID)
		}
	}
	centre.stop()
	name := filepath.Join(c.Dir, folderDone, "people.ndjson")
	verdicts, err := os.ReadFile(filepath.Join(name, fileVerdicts))
	if err != nil {
		t.Fatalf("%v: %v", f, err)
	}
	file, err := os.ReadFile(filepath.Join(name, "people.ndjson"))
	if err != nil {
		t.Fatalf("%v: %v", f, err)
	}
	if want, got := idsOf(t, file), idsOf(t, verdicts); fmt.Sprint(want) != fmt.Sprint(got) {
		t.Errorf("%v: the file has verdicts on %v, want %v", f, got, want)
	}
	return met
}

// prepare makes a centre's folder with a file in it.
func prepare(t *testing.T, c Config, filed []domain.Submission) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(c.Dir, folderIn), 0o700); err != nil {
		t.Fatal(err)
	}
	drop(t, &Centre{config: c}, "people.ndjson", filed)
}

// small is a pace at which two submissions are a bundle.
func small() pace {
	p := brisk
	p.bundle, p.exchange = 2, 2
	return p
}

// work lets a centre meet a fault: it keeps what is called, says so line by line,
// and ends when nothing waits or when its work fails.
func work(c Config, f fault, called []domain.Submission, say func(id string)) (met bool, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	centre, err := open(ctx, c, small())
	if err != nil {
		return false, err
	}
	defer centre.Close()
	struck := f.strikes(centre.spool)
	ended := make(chan error, 1)
	go func() { ended <- centre.Run(ctx, nil) }()
	// An error tells the caller that nothing is known of what came behind what was kept.
	_ = centre.Keep(ctx, itemsOf(called), func(k Kept) error { say(k.ID); return nil })
	for {
		select {
		case <-ended:
			return struck(), nil
		default:
		}
		s, err := centre.Status(ctx)
		if err != nil {
			return struck(), err
		}
		if entries, err := os.ReadDir(filepath.Join(c.Dir, folderIn)); struck() || err == nil && len(entries)+s.Waiting.Files == 0 && s.Waiting.Bundles == 0 {
			cancel()
			<-ended
			return struck(), nil
		}
	}
}

func inPlace(t *testing.T, c Config, f fault, called []domain.Submission) (kept []string, met bool) {
	t.Helper()
	met, err := work(c, f, called, func(id string) { kept = append(kept, id) })
	if err != nil {
		t.Fatal(err)
	}
	return kept, met
}

// childWork is what a child process is told to do.
type childWork struct {
	Dir, Server string
	Seed        string // a file
	Fault       fault
	Called      string
}

const childVariable = "BAHI_TEST_CENTRE"

// TestMain is also the process that TestFailAtEveryStep kills.
func TestMain(m *testing.M) {
	if told := os.Getenv(childVariable); told != "" {
		if err := childMain(told); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func childMain(told string) error {
	var w childWork
	if err := json.Unmarshal([]byte(told), &w); err != nil {
		return err
	}
	var called []domain.Submission
	for item, err := range formats.ReadNDJSON(strings.NewReader(w.Called)) {
		if err != nil || item.Reject != nil {
			return fmt.Errorf("%v, %v", item.Reject, err)
		}
		called = append(called, item.Submission)
	}
	sign, err := nats.NkeyOptionFromSeed(w.Seed)
	if err != nil {
		return err
	}
	c := Config{Dir: w.Dir, District: 208, Centre: "208001", Server: w.Server, NATS: []nats.Option{sign}, MaxBytes: 64 << 20}
	_, err = work(c, w.Fault, called, func(id string) { fmt.Println(id) })
	return err
}

func inChild(t *testing.T, u *upstream, c Config, f fault, called []domain.Submission) (kept []string, met bool) {
	t.Helper()
	var lines []byte
	for _, s := range called {
		lines = append(formats.AppendSubmission(lines, s), '\n')
	}
	seed := filepath.Join(t.TempDir(), "nkey")
	if err := os.WriteFile(seed, u.seed, 0o600); err != nil {
		t.Fatal(err)
	}
	told, err := json.Marshal(childWork{c.Dir, c.Server, seed, f, string(lines)})
	if err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), childVariable+"="+string(told))
	var stderr strings.Builder
	child.Stderr = &stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		kept = append(kept, lines.Text())
	}
	err = child.Wait()
	if stderr.Len() > 0 || err != nil && child.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child: %v %s", err, &stderr)
	}
	return kept, err != nil
}
