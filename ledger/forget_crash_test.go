package ledger

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"bahi/domain"
	"bahi/vault"
)

// The process is killed at random moments of a freeze of two thousand people. Once
// the ledger is opened again the freeze is complete, or, when its order was not yet
// in the ledger, is ordered again; and then nothing is left that must not be.
func TestKillInTheMiddleOfAFreeze(t *testing.T) {
	if dir := os.Getenv("BAHI_TEST_FREEZE"); dir != "" {
		freezeUntilKilled(dir)
		return
	}
	t.Parallel()
	rounds := 8
	if testing.Short() {
		rounds = 1
	}
	d := aDrive(t, 2_000, 40)
	traces, neighbours := tracesOf(t, d.l, d.doomed...), tracesOf(t, d.l, d.neighbours...)
	shut(t, d.l)
	draw := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	longest := 400 * time.Millisecond // the moments are drawn from as long as a freeze takes
	cut := 0
	for round := range rounds {
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(d.dir)); err != nil {
			t.Fatal(err)
		}
		keepPrivate(t, copied+"/keys")
		moment := time.Duration(draw.Int64N(int64(longest)))
		took, completed := killFreezeAfter(t, copied, moment)
		if completed {
			longest = took
		}
		again := &drive{dir: copied, l: open(t, copied), doomed: d.doomed, neighbours: d.neighbours}
		when := fmt.Sprintf("round %d, killed after %s", round, moment)
		if state, ok := again.l.freeze(uuidOf(9, 1)); ok {
			if !completed {
				cut++
			}
			if !again.l.done(state) || len(state.Awaits()) > 0 {
				t.Errorf("%s: opened, and the freeze is not complete: %v", when, state.Awaits())
			}
			for _, c := range cohorts(state.Order) {
				if s := again.l.vault.State(c); s != vault.KeyDestroyed {
					t.Errorf("%s: the key of %s is %s", when, c, s)
				}
			}
		}
		again.freeze(t) // the same order: its receipt, or the freeze
		again.wantRefused(t, when)
		wantFound(t, when, hunt(t, copied, traces), traces, forgotten)
		if got := countsOf(t, again.l, muzaffarpur, "2021-03-31"); got.Registered != 2_020 || got.Dose1 != 2_020 || got.Frozen != 2_000 {
			t.Errorf("%s: counts %+v", when, got.Figures)
		}
		thief := registrationOf(9_000, patna, domain.HealthCareWorker, "2021-03-05")
		thief.PhotoID = d.doomed[1234].PhotoID
		wantCode(t, submit(t, again.l, centre, thief)[0], domain.CodePhotoIDTaken)
		check(t, again.l)
		shut(t, again.l)
		wantFound(t, when+", closed", hunt(t, copied, traces), traces, forgotten)
		wantFound(t, when+", the neighbours", hunt(t, copied, neighbours), neighbours, readable)
		if err := os.RemoveAll(copied); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of %d freezes were cut off between their order and their end", cut, rounds)
}

// freezeUntilKilled is the child.
func freezeUntilKilled(dir string) {
	l, err := Open(context.Background(), Config{Data: dir + "/data", Keys: dir + "/keys", Sandbox: true})
	if err == nil {
		fmt.Println("open")
		_, err = l.Freeze(context.Background(), (&drive{}).order())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("frozen")
	select {} // wait for the kill
}

// killFreezeAfter starts a freeze and kills it a while later. It tells whether it
// came through before, and how long that took.
func killFreezeAfter(t *testing.T, dir string, moment time.Duration) (took time.Duration, completed bool) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillInTheMiddleOfAFreeze$")
	child.Env = append(os.Environ(), "BAHI_TEST_FREEZE="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "open" {
		t.Fatalf("the child says %q", lines.Text())
	}
	start := time.Now()
	time.AfterFunc(moment, func() { child.Process.Kill() })
	for lines.Scan() {
		if lines.Text() != "frozen" {
			t.Errorf("the child says %q", lines.Text())
		}
		took, completed = time.Since(start), true
	}
	child.Wait() // it was killed: no other word is expected
	return took, completed
}
