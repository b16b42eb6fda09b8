package ledger

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"bahi/domain"
)

// A load that is killed in the middle is submitted again from its beginning:
// what was acknowledged is there, as a duplicate; nothing is lost and nothing is
// twice.
func TestKillInTheMiddleOfALoad(t *testing.T) {
	if dir := os.Getenv("BAHI_TEST_LOAD"); dir != "" {
		load(dir)
		return
	}
	t.Parallel()
	rounds := 4
	if testing.Short() {
		rounds = 1
	}
	dir := t.TempDir()
	acknowledged := 0
	for round := range rounds {
		n := killAfter(t, dir, 1_500+700*round)
		acknowledged = max(acknowledged, n)
	}
	l := open(t, dir)
	all := loadSubmissions()
	verdicts := submit(t, l, centre, all...)
	for i, v := range verdicts {
		if v.Outcome == domain.Rejected {
			t.Fatalf("submission %d is rejected after the crashes: %v", i, v.Reject)
		}
		if i < acknowledged && v.Outcome != domain.Duplicate {
			t.Fatalf("submission %d was acknowledged before a crash, and is not in the ledger", i)
		}
	}
	want(t, submit(t, l, centre, all...), domain.Duplicate)
	counts := countsOf(t, l, muzaffarpur, "2021-01-31")
	if people := int64(len(all) / 2); counts.Registered != people || counts.Dose1 != people || counts.Partial != people {
		t.Errorf("counts %+v, want %d people with a dose each", counts.Figures, people)
	}
	check(t, l)
}

func loadSubmissions() (all []domain.Submission) {
	for n := 1; n <= 3_000; n++ {
		all = append(all, registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16"), doseOf(n, 1, muzaffarpur, "2021-01-16"))
	}
	return all
}

// load is the child: it submits bundles and says how many submissions are
// acknowledged, until it is killed.
func load(dir string) {
	l, err := Open(context.Background(), Config{Data: dir + "/data", Keys: dir + "/keys", Sandbox: true})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	all := loadSubmissions()
	for i := 0; i < len(all); i += 50 {
		if _, err := l.Submit(context.Background(), centre, all[i:i+50]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(i + 50)
	}
	select {} // loaded: wait for the kill
}

// killAfter starts a load and kills it once so many submissions are
// acknowledged. It returns how many were.
func killAfter(t *testing.T, dir string, submissions int) (acknowledged int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKillInTheMiddleOfALoad$")
	child.Env = append(os.Environ(), "BAHI_TEST_LOAD="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Fatalf("the load says %q", lines.Text())
		}
		if acknowledged = n; n >= submissions {
			break
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // acknowledged before the kill arrived
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			acknowledged = n
		}
	}
	child.Wait() // it was killed: no other word is expected
	return acknowledged
}
