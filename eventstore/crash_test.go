package eventstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"bahi/eventstore"
	"bahi/internal/natstest"
)

// TestMain is also the process that TestKilled kills: with a directory in the
// environment it appends there until somebody ends it.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BAHI_TEST_APPEND"); dir != "" {
		if err := appendForEver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// appendForEver prints the sequence of each commit when it is acknowledged.
func appendForEver(dir string) error {
	ctx := context.Background()
	s, err := eventstore.Open(ctx, eventstore.Config{Dir: dir})
	if err != nil {
		return err
	}
	head, err := s.Head(ctx)
	if err != nil {
		return err
	}
	for {
		i := int(head) + 1
		if head, err = s.Append(ctx, commit(i, districtOf(i)), head); err != nil {
			return err
		}
		fmt.Println(head)
	}
}

// TestKilled ends a process with SIGKILL in the middle of appending, several
// times over, and finds every acknowledged commit in the ledger.
//
// It shows that the store recovers what was written; that it was flushed, and
// outlives the machine too, no test in one machine can show.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var acknowledged uint64
	for round := range 4 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "BAHI_TEST_APPEND="+dir)
		var stderr strings.Builder
		child.Stderr = &stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 1; lines.Scan(); n++ {
			if acknowledged, err = strconv.ParseUint(lines.Text(), 10, 64); err != nil {
				t.Fatal(err)
			}
			if n == 60 {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			} // and read on: what it said before it died counts
		}
		if err := child.Wait(); err == nil || stderr.Len() > 0 {
			t.Fatalf("the child was not killed: %v %s", err, &stderr)
		}

		s := natstest.OpenDir(t, dir)
		got := sequences(t, s, eventstore.Reading{})
		if n := uint64(len(got)); n < acknowledged || n > acknowledged+1 {
			t.Errorf("round %d: %d acknowledged, %d in the ledger", round, acknowledged, n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
