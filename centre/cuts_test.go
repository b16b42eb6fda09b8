package centre

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"bahi/domain"
	"bahi/formats"
)

// load feeds a centre with people: those with even numbers by calls, as over
// HTTP, those with odd ones by files. A person's registration, first and second
// dose come in this order, each in another bundle.
type load struct {
	t     testing.TB
	size  int // people of a bundle and of a file
	wave  int
	given int // submissions
}

// of returns the submissions of a wave: registrations, first doses of those a
// wave before, second doses of those two waves before.
func (l *load) of(wave int, parity int) (s []domain.Submission) {
	for kind := range 3 {
		from := (wave - kind) * l.size
		for n := from; from >= 0 && n < from+l.size; n++ {
			who := 2*n + parity
			switch kind {
			case 0:
				s = append(s, registration(who))
			case 1:
				s = append(s, dose(who, 1))
			case 2:
				s = append(s, dose(who, 2))
			}
		}
	}
	return s
}

func (l *load) feed(c *Centre) {
	l.t.Helper()
	called, filed := l.of(l.wave, 0), l.of(l.wave, 1)
	for left := called; len(left) > 0; time.Sleep(5 * time.Millisecond) {
		kept := 0
		err := c.Keep(context.Background(), itemsOf(left), func(Kept) error { kept++; return nil })
		if err != nil && !errors.As(err, new(*FullError)) {
			l.t.Fatal(err)
		}
		left = left[kept:]
	}
	drop(l.t, c, fmt.Sprintf("wave-%05d.ndjson", l.wave), filed)
	l.given += len(called) + len(filed)
	l.wave++
}

// drop moves a file into a centre's folder.
func drop(t testing.TB, c *Centre, name string, submissions []domain.Submission) {
	t.Helper()
	var content []byte
	for _, s := range submissions {
		content = append(formats.AppendSubmission(content, s), '\n')
	}
	beside := filepath.Join(c.config.Dir, name)
	if err := os.WriteFile(beside, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(beside, filepath.Join(c.config.Dir, folderIn, name)); err != nil {
		t.Fatal(err)
	}
}

func itemsOf(submissions []domain.Submission) func(func(formats.Item, error) bool) {
	return func(yield func(formats.Item, error) bool) {
		for i, s := range submissions {
			if !yield(formats.Item{Line: i + 1, ID: s.Head().ID.String(), Submission: s}, nil) {
				return
			}
		}
	}
}

func empty(t testing.TB, dir string) bool {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(entries) == 0
}

// TestCuts cuts a centre's link again and again, at random moments and in all the
// ways in which links fail, while submissions come in by calls and files and while
// both sides are restarted. In the end every submission has had exactly one
// effect, none was refused because another came late, and each has its verdict at
// the centre.
//
// `make cuts` does so for longer.
func TestCuts(t *testing.T) {
	t.Parallel()
	cuts := 100
	if n, err := strconv.Atoi(os.Getenv("BAHI_CUTS")); err == nil {
		cuts = n
	}
	log := &syncBuffer{}
	ledger, link := openUpstream(t), openOutage(t)
	link.to(ledger.address())
	c := config(t)
	c.Server, c.NATS, c.MaxBytes = link.url(), ledger.signIn(), 512<<20
	c.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	centre := run(t, c)

	var striking sync.WaitGroup
	stopped := make(chan struct{})
	striking.Go(func() {
		defer close(stopped)
		for range cuts {
			time.Sleep(rand.N(30 * time.Millisecond))
			link.strike()
		}
	})
	l := &load{t: t, size: 15}
	restarts := 0
	for ended := false; !ended || restarts < 3; {
		l.feed(centre.Centre)
		switch {
		case l.wave%29 == 0:
			link.to("")
			ledger.shut()
			ledger.open()
			link.to(ledger.address())
			restarts++
		case l.wave%11 == 0:
			centre.stop()
			centre = run(t, c)
			restarts++
		}
		select {
		case <-stopped:
			ended = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	striking.Wait()
	centre.drained(5 * time.Minute)

	s, err := centre.Status(t.Context())
	if err != nil || len(s.Refused) > 0 {
		t.Errorf("set aside: %+v, %v", s.Refused, err)
	}
	n := 2 * l.size
	ledger.wantCounts(l.wave*n, (l.wave-1)*n, (l.wave-2)*n)
	checkVerdicts(t, centre.Centre, l)
	checkFiles(t, c.Dir, l)
	if found := filesWith(t, filepath.Join(c.Dir, "spool"), personal()...); len(found) > 0 {
		t.Errorf("personal data in %v", found)
	}
	for _, word := range personal() {
		if bytes.Contains([]byte(log.String()), word) {
			t.Errorf("the log says %s", word)
		}
	}
	t.Logf("%d cuts, %d restarts, %d submissions", cuts, restarts, l.given)
}

// checkVerdicts: every submission has one verdict, and none was rejected.
func checkVerdicts(t *testing.T, c *Centre, l *load) {
	t.Helper()
	verdicts := map[string]domain.Outcome{}
	var counts Counts
	for a, err := range c.spool.allVerdicts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(a.Lines) {
			v, err := formats.ParseVerdict(line)
			if err != nil {
				t.Fatal(err)
			}
			if _, twice := verdicts[v.ID]; twice {
				t.Errorf("two verdicts on %s", v.ID)
			}
			verdicts[v.ID] = v.Outcome
			counts.add(v.Outcome)
			if v.Reject != nil {
				t.Errorf("%s is rejected: %v", v.ID, v.Reject)
			}
		}
	}
	if len(verdicts) != l.given {
		t.Errorf("%d submissions have a verdict of %d", len(verdicts), l.given)
	}
	t.Logf("%+v", counts)
}

// checkFiles: every file has been moved, with a verdict for each of its lines.
func checkFiles(t *testing.T, dir string, l *load) {
	t.Helper()
	if !empty(t, filepath.Join(dir, folderFailed)) {
		t.Error("files have failed")
	}
	for wave := range l.wave {
		name := fmt.Sprintf("wave-%05d.ndjson", wave)
		file, err := os.ReadFile(filepath.Join(dir, folderDone, name, name))
		if err != nil {
			t.Fatal(err)
		}
		verdicts, err := os.ReadFile(filepath.Join(dir, folderDone, name, fileVerdicts))
		if err != nil {
			t.Fatal(err)
		}
		if want, got := idsOf(t, file), idsOf(t, verdicts); fmt.Sprint(want) != fmt.Sprint(got) {
			t.Errorf("%s: verdicts on %v, want %v", name, got, want)
		}
	}
}

// idsOf returns the ids of lines of JSON, in their order.
func idsOf(t *testing.T, b []byte) (ids []string) {
	t.Helper()
	for line := range bytes.Lines(b) {
		_, rest, ok := bytes.Cut(line, []byte(`"id":"`))
		if !ok || len(rest) < 36 {
			t.Fatalf("no id in %s", line)
		}
		ids = append(ids, string(rest[:36]))
	}
	return ids
}

// filesWith returns the files below dir that hold any of what is looked for.
func filesWith(t testing.TB, dir string, wanted ...[]byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // removed since it was listed
		}
		for _, w := range wanted {
			if bytes.Contains(b, w) {
				found = append(found, path)
				break
			}
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return found
}
