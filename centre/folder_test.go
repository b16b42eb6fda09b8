package centre

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bahi/domain"
	"bahi/formats"
)

// TestFolder moves all kinds of files into a centre's folder.
func TestFolder(t *testing.T) {
	t.Parallel()
	ledger := openUpstream(t)
	c := config(t)
	c.Server, c.NATS = "nats://"+ledger.address(), ledger.signIn()
	in := filepath.Join(c.Dir, folderIn)
	if err := os.MkdirAll(filepath.Join(in, "a folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	bad := registration(3)
	bad.PhotoID.Number = "1"
	csv := "type,id,at,person,district,centre,vaccine,batch,dose\ndose," + idOf(2, 1).String() + ",2021-03-10," + string(registration(1).Person) + ",208,208001,COVISHIELD,4120Z001,1\n"
	for name, content := range map[string]string{
		"people.ndjson": native(registration(1), bad) + "not JSON\n" + native(registration(2)),
		"empty.ndjson":  "",
		"doses.csv":     csv,
		".hidden":       native(registration(7)),
		"half.part":     native(registration(8)),
		"half.tmp":      native(registration(9)),
	} {
		if err := os.WriteFile(filepath.Join(in, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "people.ndjson" { // the oldest comes first
			if err := os.Chtimes(filepath.Join(in, name), domain.Date(2021, 3, 1).Start(), domain.Date(2021, 3, 1).Start()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Symlink("people.ndjson", filepath.Join(in, "link")); err != nil {
		t.Fatal(err)
	}
	working := run(t, c)
	done := func(name, verdicts string) {
		t.Helper()
		path := filepath.Join(c.Dir, folderDone, name)
		eventually(t, patience, name+" is done", func() bool { _, err := os.Stat(path); return err == nil })
		b, err := os.ReadFile(filepath.Join(path, fileVerdicts))
		if err != nil && verdicts != "" {
			t.Fatal(err)
		}
		var got []string
		for line := range bytes.Lines(b) {
			v, err := formats.ParseVerdict(line)
			if err != nil {
				t.Fatal(err)
			}
			word := v.Outcome.String()
			if v.Reject != nil {
				word = string(v.Reject.Code)
			}
			got = append(got, word)
		}
		if strings.Join(got, " ") != verdicts {
			t.Errorf("%s: %v, want %s", name, got, verdicts)
		}
	}
	done("people.ndjson", "accepted bad_value bad_json accepted")
	done("empty.ndjson", "")
	done("doses.csv", "accepted")
	drop(t, working.Centre, "people.ndjson", []domain.Submission{registration(1)})
	done("people.ndjson.2", "duplicate")
	entries, err := os.ReadDir(in)
	if err != nil || len(entries) != 5 {
		t.Errorf("left in the folder: %v, %v", entries, err)
	}
	ledger.wantCounts(2, 1, 0)
}

// TestFileTakenAway: somebody removes a file while it waits for room; what was
// read of it gets its verdicts.
func TestFileTakenAway(t *testing.T) {
	t.Parallel()
	ledger := openUpstream(t)
	c := config(t)
	c.MaxBytes = 64 << 10
	prepare(t, c, people(0, 2000))
	working := run(t, c)
	eventually(t, patience, "the file waits for room", func() bool {
		s, err := working.Status(context.Background())
		return err == nil && s.Waiting.Full
	})
	working.stop()
	taken, err := filepath.Glob(filepath.Join(c.Dir, folderTaken, "*", "people.ndjson"))
	if err != nil || len(taken) != 1 {
		t.Fatal(taken, err)
	}
	if err := os.Remove(taken[0]); err != nil {
		t.Fatal(err)
	}
	// And a directory is left by a process that was cut off before the move.
	if err := os.Mkdir(filepath.Join(c.Dir, folderTaken, newID().String()), 0o700); err != nil {
		t.Fatal(err)
	}
	c.Server, c.NATS = "nats://"+ledger.address(), ledger.signIn()
	working = run(t, c)
	working.drained(patience)
	answered := 0
	for a, err := range working.spool.allVerdicts(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		answered += bytes.Count(a.Lines, []byte("\n"))
	}
	if answered < brisk.bundle {
		t.Errorf("only %d have verdicts", answered)
	}
	ledger.wantCounts(answered, 0, 0)
}

// TestFileIsMovedAtTheNextStart: a process was cut off when nothing was left to do
// for a file but to move it.
func TestFileIsMovedAtTheNextStart(t *testing.T) {
	t.Parallel()
	c := config(t)
	dir := filepath.Join(c.Dir, folderTaken, newID().String())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"people.ndjson": "", fileSummary: `{"submissions":1}`, fileVerdicts: "{}\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, c).drained(patience)
	if _, err := os.Stat(filepath.Join(c.Dir, folderDone, "people.ndjson", fileVerdicts)); err != nil {
		t.Error(err)
	}
}

// TestFileIsMovedMeanwhile: the forwarder gives a file its last verdict, and moves
// it, between two looks of the reader; and the other way round.
func TestFileIsMovedMeanwhile(t *testing.T) {
	t.Parallel()
	c := config(t)
	id := newID().String()
	dir := filepath.Join(c.Dir, folderTaken, id)
	working := run(t, c)
	if err := working.folder.read(t.Context(), id); err != nil {
		t.Errorf("read a file that has been moved: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	working.spool.do = func(step string, do func() error) error {
		if step == "file" {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
		return do()
	}
	if err := working.folder.answer(bundle{File: id}, []byte("{}\n"), false); err != nil {
		t.Errorf("answer a file that has been moved: %v", err)
	}
}

func TestCannotBeRead(t *testing.T) {
	t.Parallel()
	c := config(t)
	prepare(t, c, people(0, 3))
	centre := offline(t, c)
	id, err := centre.folder.take("people.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	// What stands in the file's place is a directory that cannot be read as one.
	path := filepath.Join(centre.folder.dir(id), "people.ndjson")
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := centre.folder.read(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(c.Dir, folderFailed, "people.ndjson", fileSummary))
	if err != nil || string(b) != `{"submissions":0,"problem":"the file cannot be read: is a directory"}`+"\n" {
		t.Errorf("%s, %v", b, err)
	}
}

func TestBundles(t *testing.T) {
	t.Parallel()
	cut := errors.New("the disk broke")
	for _, c := range []struct {
		items, most int
		err         error
		want        string
	}{
		{0, 3, nil, "[]"}, {3, 3, nil, "[3]"}, {7, 3, nil, "[3 3 1]"}, {6, 3, cut, "[3 3 error]"}, {4, 3, cut, "[3 1 error]"}, {0, 3, cut, "[error]"},
	} {
		items := func(yield func(formats.Item, error) bool) {
			for item, err := range itemsOf(people(0, c.items)) {
				if !yield(item, err) {
					return
				}
			}
			if c.err != nil {
				yield(formats.Item{}, c.err)
			}
		}
		got := []any{}
		for b, err := range bundles(items, c.most) {
			if err != nil {
				got = append(got, "error")
				continue
			}
			got = append(got, len(b.Items))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%d items by %d: %v, want %s", c.items, c.most, got, c.want)
		}
	}
	// Long lines make a bundle, too: of some hundred kilobytes.
	order := domain.Freeze{Heading: registration(1).Heading, District: 208, Mode: domain.Erase, Order: "A/1", By: "x"}
	for n := range 10_000 {
		order.Persons = append(order.Persons, registration(n).Person)
	}
	long := make([]domain.Submission, 10)
	for i := range long {
		long[i] = order
	}
	for b, err := range bundles(itemsOf(long), 500) {
		if err != nil {
			t.Fatal(err)
		}
		if lines, n := b.appendLines(nil); len(lines) > maxLines+len(b.Items) || n < 1 || n > 3 {
			t.Errorf("a bundle of %d lines and %d bytes", n, len(lines))
		}
	}
}

// TestAnswersAreTorn cuts the file of verdicts off at every byte, as a crash does,
// and has the same verdicts written again.
func TestAnswersAreTorn(t *testing.T) {
	t.Parallel()
	first, second := []byte("{\"id\":\"1\"}\n{\"id\":\"2\"}\n"), []byte("{\"id\":\"3\"}\n{\"id\":\"4\"}\n")
	whole := append(bytes.Clone(first), second...)
	for n := range len(whole) + 1 {
		dir := t.TempDir()
		path := filepath.Join(dir, fileVerdicts)
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		a := &answers{}
		if n < len(first) { // the second are written only behind the first
			if err := a.add(dir, 0, first); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.add(dir, 2, second); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, whole) {
			t.Errorf("cut off at %d: %s, %v", n, got, err)
		}
		if lines, err := a.count(dir); lines != 4 || err != nil {
			t.Errorf("cut off at %d: %d lines, %v", n, lines, err)
		}
	}
	long := strings.Repeat("x", 100_000)
	if n, size, err := wholeLines(strings.NewReader(long + "\n" + long)); n != 1 || size != 100_001 || err != nil {
		t.Errorf("%d lines of %d bytes, %v", n, size, err)
	}
	if _, _, err := wholeLines(io.MultiReader(strings.NewReader("x"), broken{})); err == nil {
		t.Error("a failure of reading is the end of the file")
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("broken") }

func FuzzDecodeBundle(f *testing.F) {
	b, err := bundle{File: "x", First: 7, Items: []item{{Line: 1, ID: "y", Submission: []byte(`{"a":1}`)}, {Line: 2, Code: "bad_json"}}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{string(b), `{}`, `{"items":[]}`, `{"items":[{"line":-1}]}`, `{"items":[{"submission":7}]}`, `[]`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, plain []byte) {
		b, err := decodeBundle(plain)
		if err != nil {
			return
		}
		_, n := b.appendLines(nil)
		verdicts := make([]domain.Verdict, n)
		for i := range verdicts {
			verdicts[i].Outcome = domain.Accepted
		}
		lines, counts, left, err := b.answer(verdicts)
		if err != nil || len(left) != 0 || counts.Accepted != int64(n) || bytes.Count(lines, []byte("\n")) != len(b.Items) {
			t.Fatalf("%d lines: %+v, %d left, %v", n, counts, len(left), err)
		}
		if _, _, _, err := b.answer(verdicts[:max(n-1, 0)]); n > 0 && !errors.Is(err, errMiscounted) {
			t.Fatalf("a verdict is missing, and %v", err)
		}
	})
}
