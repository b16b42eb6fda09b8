package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bahi/projections"
)

// TestRebuildKilled kills the process that rebuilds a view, again and again: in each of
// its steps, and at moments spread over the time that it takes. After each the view
// answers as before; in the end a rebuild finishes, equal to the live view, and leaves
// nothing beside it. BAHI_KILLS asks for more kills than ten a view.
func TestRebuildKilled(t *testing.T) {
	t.Parallel()
	const persons = 6000
	kills := 10
	if n, err := strconv.Atoi(os.Getenv("BAHI_KILLS")); err == nil {
		kills = n
	}
	for view, ask := range map[string][]string{
		"people":   {"person", "", "--officer", "o", "--purpose", "legal", "--json"},
		"counts":   {"counts", "--district", "208", "--as-of", "2021-03-31", "--as-known", "2021-03-31", "--json"},
		"register": {"submit", "-"},
	} {
		t.Run(view, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "ledger")
			o := mustExit(t, exitDone, strings.NewReader(many(persons)), "submit", "--data", data, "--sandbox", "-")
			if view == "people" {
				ask[1] = verdicts(t, o.stdout)[persons/2].Person
			}
			answer := func() string {
				return mustExit(t, exitDone, strings.NewReader(registration(7)), append(ask, "--data", data)...).stdout
			}
			want := answer()
			steps := []projections.Step{projections.StepFolding, projections.StepMerging, projections.StepComparing, projections.StepSwapping}
			landed := map[projections.Step]int{}
			// On a machine that has other things to do the kills may come late: then there
			// are more of them.
			for i := 0; i < kills || len(landed) < 2 && i < 20*kills; i++ {
				step := steps[i%len(steps)]
				if rebuildAndKill(t, data, view, step, time.Duration(rand.IntN(30))*time.Millisecond) {
					landed[step]++
				}
				if got := answer(); got != want {
					t.Fatalf("killed while %s, the view answers\n%s\nwant\n%s", step, got, want)
				}
			}
			t.Logf("killed while %v", landed)
			if len(landed) < 2 {
				t.Errorf("only %v of %d kills came in the middle", landed, kills)
			}
			o = mustExit(t, exitDone, nil, "projections", "rebuild", view, "--data", data, "--json")
			if !strings.Contains(o.stdout, `"compared":"equal"`) || !strings.Contains(o.stdout, `"swapped":true`) {
				t.Error(o.stdout)
			}
			mustExit(t, exitDone, nil, "projections", "verify", view, "--data", data)
			left, err := os.ReadDir(filepath.Join(data, view))
			if err != nil || len(left) != 3 { // the generation, CURRENT and LOCK
				t.Errorf("left %v %v", left, err)
			}
		})
	}
}

// rebuildAndKill rebuilds a view in a process of its own and kills that a moment after it
// has begun a step. It tells whether the rebuild was not over by then.
func rebuildAndKill(t *testing.T, data, view string, at projections.Step, after time.Duration) bool {
	t.Helper()
	c := child(t, "projections", "rebuild", view, "--data", data, "--json")
	stdout, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	over := false
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var line rebuildLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatal(fmt.Errorf("%s: %w", lines.Text(), err))
		}
		if line.Progress != nil && line.Progress.Step == at {
			time.AfterFunc(after, func() { _ = c.Process.Kill() })
		}
		over = line.Result != nil
	}
	_ = c.Wait() // it was killed
	return !over
}
