package export

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"bahi/ledger"
)

var errCut = errors.New("cut off")

// cutAfter yields events until n of them are told in all.
func cutAfter(n *int, events iter.Seq2[ledger.ReplayEvent, error]) iter.Seq2[ledger.ReplayEvent, error] {
	return func(yield func(ledger.ReplayEvent, error) bool) {
		for e, err := range events {
			if *n--; *n < 0 {
				yield(ledger.ReplayEvent{}, errCut)
				return
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// An export that is cut off again and again says in the end what one says that is
// not, with one key throughout, and leaves nothing behind.
func TestResume(t *testing.T) {
	t.Parallel()
	events := made(2000)
	for _, f := range Formats {
		t.Run(f, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			j := Job{
				Out: filepath.Join(dir, "history."+f), State: filepath.Join(dir, "state"), Format: Format(f),
				Query: ledger.ReplayQuery{Exact: true}, Head: uint64(len(events)/7 + 1), PartRows: 300, Every: 1,
			}
			var key []byte
			cuts := 0
			for {
				left := 555
				err := Resume(j, func(q ledger.ReplayQuery) iter.Seq2[ledger.ReplayEvent, error] {
					if key == nil {
						key = q.Key
					}
					if !bytes.Equal(key, q.Key) || len(key) != ledger.PseudonymKeySize || !q.WithinDay {
						t.Error("an export that goes on has another key, or other bounds")
					}
					return cutAfter(&left, told(events, q))
				}, nil)
				if err == nil {
					break
				}
				if !errors.Is(err, errCut) {
					t.Fatal(err)
				}
				cuts++
				if info, err := os.Stat(j.State); err != nil || info.Mode().Perm() != 0o600 {
					t.Fatalf("the state file: %v, %v", info.Mode(), err)
				}
				selection, ledgers := j, j
				selection.Query.District, ledgers.Ledger = 208, "another"
				for _, other := range []Job{selection, ledgers} {
					if err := Resume(other, nil, nil); !errors.Is(err, ErrOtherExport) {
						t.Fatalf("another export goes on with it: %v", err)
					}
				}
				tear(t, j.Out+partial)
			}
			if cuts < 3 {
				t.Errorf("cut off %d times", cuts)
			}
			checkWhole(t, j, events)
		})
	}
}

// tear leaves what a process that was killed leaves: lines that nobody vouches for.
func tear(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("half a li"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func checkWhole(t *testing.T, j Job, events []ledger.ReplayEvent) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.Dir(j.Out), "*"))
	if err != nil {
		t.Fatal(err)
	}
	if j.Format != Parquet {
		got, err := os.ReadFile(j.Out)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != 1 || !bytes.Equal(got, written(t, j.Format, Options{Exact: true}, events)) {
			t.Errorf("%d bytes in %v are not what is written in one go", len(got), files)
		}
		return
	}
	var rows []row
	var place []places
	for n, file := range files { // in order of their names
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(file) != fmt.Sprintf("history-%05d.parquet", n+1) {
			t.Errorf("%s is there", file)
		}
		rows = append(rows, readAs[row](t, content)...)
		place = append(place, readAs[places](t, content)...)
	}
	if len(rows) != len(events) || len(files) < 3 {
		t.Fatalf("%d rows in %d parts, %d events", len(rows), len(files), len(events))
	}
	for i, e := range events {
		if place[i].Commit != int64(e.Commit) || !reflect.DeepEqual(rows[i].Person, some(e.Person)) {
			t.Fatalf("row %d is of commit %d, want %d", i, place[i].Commit, e.Commit)
		}
	}
}

// An export ends at the head that the ledger had when it began, however late it goes
// on, unless it is to end before.
func TestResumeEndsAtItsHead(t *testing.T) {
	t.Parallel()
	head := time.Date(2021, 3, 4, 18, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		to     time.Time
		byTime bool
	}{{time.Time{}, false}, {head.Add(-time.Millisecond), true}, {head, false}, {head.AddDate(1, 0, 0), false}} {
		dir := t.TempDir()
		j := Job{
			Out: filepath.Join(dir, "a.csv"), State: filepath.Join(dir, "state"), Format: CSV,
			Query: ledger.ReplayQuery{ToTime: c.to}, Head: 9, HeadRecorded: head,
		}
		for _, err := range []error{errCut, nil} {
			got := Resume(j, func(q ledger.ReplayQuery) iter.Seq2[ledger.ReplayEvent, error] {
				if byTime := q.ToTime.Equal(c.to) && q.ToSequence == 0; byTime != c.byTime || !byTime && (q.ToSequence != 9 || !q.ToTime.IsZero()) {
					t.Errorf("to %s: the ledger is asked to %d, %s", c.to, q.ToSequence, q.ToTime)
				}
				return func(yield func(ledger.ReplayEvent, error) bool) {
					if err != nil {
						yield(ledger.ReplayEvent{}, err)
					}
				}
			}, nil)
			if !errors.Is(got, err) {
				t.Fatal(got)
			}
			j.Head, j.HeadRecorded = 12, head.AddDate(2, 0, 0) // the ledger has grown
		}
	}
}

// Parts of an older export stay what they are: readers take parts together.
func TestResumeBesideOlderParts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	older := filepath.Join(dir, "history-00001.parquet")
	if err := os.WriteFile(older, []byte("older"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := Job{Out: filepath.Join(dir, "history.parquet"), State: filepath.Join(dir, "state"), Format: Parquet, Head: 9}
	if err := Resume(j, nil, nil); err == nil {
		t.Error("an export begins among the parts of another")
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != 1 {
		t.Errorf("there are %v", files)
	}
}

// Where everything is written and only the name was missing, nothing is asked again.
func TestResumeGivesTheName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j := Job{Out: filepath.Join(dir, "a.csv"), State: filepath.Join(dir, "state"), Format: CSV, Head: 9}
	s := state{Version: stateVersion, Export: j.what(), Key: make([]byte, ledger.PseudonymKeySize), Next: 10, Through: 9, Bytes: 3, Whole: true}
	for _, name := range []string{partial, ""} { // before the renaming, and after it
		if err := s.save(j.State); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(j.Out+name, []byte("abc"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Resume(j, nil, nil); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) != 1 || files[0] != j.Out {
			t.Errorf("there are %v, %v", files, err)
		}
	}
}

// One export at a time writes a file, and what is not whole has no name.
func TestToFile(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "a.ndjson")
	events := made(50)
	left := 20
	if err := ToFile(out, NDJSON, Options{}, cutAfter(&left, told(events, ledger.ReplayQuery{})), nil); !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	if files, _ := filepath.Glob(out + "*"); len(files) != 0 {
		t.Errorf("left behind: %v", files)
	}
	held, err := openPartial(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := ToFile(out, NDJSON, Options{}, told(events, ledger.ReplayQuery{}), nil); err == nil {
		t.Error("two exports write one file")
	}
	held.Close()
	if err := ToFile(out, NDJSON, Options{}, told(events, ledger.ReplayQuery{}), nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(out); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// Who may write to the directory, and was there first, neither reads an export or its
// key nor has it written elsewhere.
func TestOthersInTheDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, elsewhere := filepath.Join(dir, "a.csv"), filepath.Join(dir, "elsewhere")
	if err := os.WriteFile(elsewhere, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, out+partial); err != nil {
		t.Fatal(err)
	}
	if err := ToFile(out, CSV, Options{}, told(made(3), ledger.ReplayQuery{}), nil); err == nil {
		t.Error("an export follows a link")
	}
	if got, err := os.ReadFile(elsewhere); err != nil || string(got) != "x" {
		t.Errorf("elsewhere is %q, %v", got, err)
	}
	if err := errors.Join(os.Remove(out+partial), os.WriteFile(out+partial, nil, 0o644), os.WriteFile(filepath.Join(dir, "state"+partial), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	j := Job{Out: out, State: filepath.Join(dir, "state"), Format: CSV, Head: 9}
	err := Resume(j, func(q ledger.ReplayQuery) iter.Seq2[ledger.ReplayEvent, error] {
		left := 1
		return cutAfter(&left, told(made(3), q))
	}, nil)
	if !errors.Is(err, errCut) {
		t.Fatal(err)
	}
	for _, file := range []string{out + partial, j.State} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
}
