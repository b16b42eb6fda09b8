package export

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bahi/ledger"
)

// ReplayFunc replays what a query selects.
type ReplayFunc func(ledger.ReplayQuery) iter.Seq2[ledger.ReplayEvent, error]

// Job is an export to a file that can be cut off and continued.
type Job struct {
	Out    string // Parquet is written as parts: history.parquet as history-00001.parquet and so on
	State  string // the file that says how far it is
	Format Format
	Query  ledger.ReplayQuery // without Follow, with WithinDay; Key and bounds are the state's once it is begun
	Ledger string             // the ledger's origin: no other goes on with it

	// Head is the ledger's last commit now, and HeadRecorded when that was recorded:
	// an export that begins now ends there, also one through a time to come.
	Head         uint64
	HeadRecorded time.Time

	// PartRows is from how many rows on a part of Parquet ends; 0 means [PartRows].
	PartRows int64
	// Every is how much time passes between two marks from which CSV and NDJSON go
	// on; 0 means [MarkEvery].
	Every time.Duration
}

// PartRows is how many rows a part of a Parquet export has, about: what is done again
// after a cut.
const PartRows = 1 << 18

// MarkEvery is how much of the time of an export to lines is done again after a cut.
const MarkEvery = 2 * time.Second

// ErrOtherExport is returned for a state that belongs to another export.
var ErrOtherExport = errors.New("the state is another export's; give the same output, format and selection, or another --resume file")

const stateVersion = 1

// state is what the state file holds. Whoever has Key can link this export's
// pseudonyms with those of any other export made with it, and, having the ledger,
// with its persons' tokens: the file is the caller's alone, and goes when the export
// is done.
type state struct {
	Version int    `json:"version"`
	Export  string `json:"export"` // what is exported where, so that no other goes on with it
	Key     []byte `json:"key"`
	Next    uint64 `json:"next"`    // the first commit that is not in the output
	Through uint64 `json:"through"` // the last one that is to be
	ByTime  bool   `json:"by_time"` // the export ends before, at the query's time
	Bytes   int64  `json:"bytes"`   // of lines that are good
	Parts   int    `json:"parts"`   // of Parquet that are whole
	Events  int64  `json:"events"`
	Whole   bool   `json:"whole"` // everything is written and only has to get its name
}

// what names an export: all that must be the same to go on with it.
func (j Job) what() string {
	q := j.Query
	return fmt.Sprintf("%s as %s of %s: commits %d to %d, times %d to %d, district %d, type %q, exact %t",
		filepath.Base(j.Out), j.Format, j.Ledger, q.FromSequence, q.ToSequence, milliseconds(q.FromTime), milliseconds(q.ToTime), q.District, q.Type, q.Exact)
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Resume does a job, from where it was cut off, if it was. What it writes is, byte
// for byte, what it would have written without the cut; only a Parquet export's parts
// may end elsewhere.
//
// Errors: [ErrOtherExport]; those of replaying and writing. After any of them, and
// after a crash, the same call goes on.
func Resume(j Job, replay ReplayFunc, progress func(events int64)) error {
	s, err := j.load()
	if err != nil {
		return err
	}
	r := &resuming{Job: j, state: s, progress: progress}
	if !s.Whole {
		q := j.Query
		q.Key, q.WithinDay, q.Follow = s.Key, true, false
		if s.Next > 1 { // behind the first bound
			q.FromSequence, q.FromTime = s.Next, time.Time{}
		}
		if !s.ByTime {
			q.ToSequence, q.ToTime = s.Through, time.Time{}
		}
		var events iter.Seq2[ledger.ReplayEvent, error] = func(func(ledger.ReplayEvent, error) bool) {}
		if s.Next <= s.Through {
			events = replay(q)
		}
		if err := r.run(events); err != nil {
			return err
		}
	}
	if err := r.finish(); err != nil {
		return err
	}
	return os.Remove(j.State)
}

// load reads the state, or begins one.
func (j Job) load() (s state, err error) {
	b, err := os.ReadFile(j.State)
	if errors.Is(err, fs.ErrNotExist) {
		s = state{Version: stateVersion, Export: j.what(), Key: make([]byte, ledger.PseudonymKeySize), Next: 1, Through: j.Head}
		if to := j.Query.ToSequence; to != 0 {
			s.Through = min(to, j.Head)
		}
		s.ByTime = !j.Query.ToTime.IsZero() && j.Query.ToTime.Before(j.HeadRecorded)
		if first := j.part(1); j.Format == Parquet {
			if _, err := os.Stat(first); err == nil {
				return s, fmt.Errorf("%s is there already: readers would take it for a part of this export; move it and those after it away", first)
			}
		}
		rand.Read(s.Key)
		return s, s.save(j.State)
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil || s.Version != stateVersion || len(s.Key) != ledger.PseudonymKeySize {
		return s, fmt.Errorf("%s is not the state of an export of this version", j.State)
	}
	if s.Export != j.what() {
		return s, ErrOtherExport
	}
	return s, nil
}

// save replaces the state file, never with half of one.
func (s state) save(path string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := openOwn(path+partial, os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return named(path+partial, path)
}

// resuming is a job under way.
type resuming struct {
	Job
	state
	progress func(int64)
	file     *os.File
	count    *counted
	out      Writer
	rows     int64 // of the part
	marked   time.Time
}

// run writes what is left, and leaves a state that is whole.
func (r *resuming) run(events iter.Seq2[ledger.ReplayEvent, error]) (err error) {
	defer func() {
		if r.file != nil {
			err = errors.Join(err, r.file.Close())
		}
	}()
	if err := r.open(); err != nil {
		return err
	}
	for e, err := range events {
		if err != nil {
			return err
		}
		if err := r.out.Write(e); err != nil {
			return err
		}
		r.rows++
		if r.Events++; r.progress != nil {
			r.progress(r.Events)
		}
		if e.Through != 0 && r.due() {
			if err := r.mark(e.Through + 1); err != nil {
				return err
			}
		}
	}
	if err := r.out.Close(); err != nil {
		return err
	}
	r.Whole = true
	return r.keep(r.Through + 1)
}

func (r *resuming) due() bool {
	if r.Format == Parquet {
		return r.rows >= positive(r.PartRows, PartRows)
	}
	return time.Since(r.marked) >= time.Duration(positive(int64(r.Every), int64(MarkEvery)))
}

func positive(n, or int64) int64 {
	if n > 0 {
		return n
	}
	return or
}

// open opens the output where it is good up to.
func (r *resuming) open() (err error) {
	if r.file, err = openPartial(r.Out); err != nil {
		return err
	}
	good := r.Bytes
	if r.Format == Parquet {
		good = 0
	}
	if end, err := r.file.Seek(0, io.SeekEnd); err != nil || end < good {
		return errors.Join(err, fmt.Errorf("%s is shorter than it was; remove it and %s to begin anew", r.Out+partial, r.State))
	}
	if err := r.file.Truncate(good); err != nil {
		return err
	}
	if _, err := r.file.Seek(good, io.SeekStart); err != nil {
		return err
	}
	r.count, r.rows, r.marked = &counted{Writer: r.file}, 0, time.Now()
	r.out, err = NewWriter(r.count, r.Format, Options{Exact: r.Query.Exact, Bare: r.Bytes > 0})
	return err
}

// mark makes what is written stand: from here a cut export goes on.
func (r *resuming) mark(next uint64) error {
	r.marked = time.Now()
	if r.Format != Parquet {
		if err := r.out.Flush(); err != nil {
			return err
		}
		return r.keep(next)
	}
	if err := r.out.Close(); err != nil {
		return err
	}
	if err := r.keepPart(next); err != nil {
		return err
	}
	return r.open()
}

// keep flushes the file to disk before the state says how much of it is good.
func (r *resuming) keep(next uint64) error {
	if err := r.file.Sync(); err != nil {
		return err
	}
	if r.Format != Parquet {
		r.Bytes, r.count.n = r.Bytes+r.count.n, 0
	}
	r.Next = next
	return r.save(r.State)
}

// keepPart gives a part its name and begins none.
func (r *resuming) keepPart(next uint64) error {
	if err := errors.Join(r.file.Sync(), r.file.Close()); err != nil {
		return err
	}
	r.file = nil
	if err := named(r.Out+partial, r.part(r.Parts+1)); err != nil {
		return err
	}
	r.Parts, r.Next = r.Parts+1, next
	return r.save(r.State)
}

// part names a part of the output: history.parquet is history-00001.parquet.
func (j Job) part(n int) string {
	ext := filepath.Ext(j.Out)
	return fmt.Sprintf("%s-%05d%s", strings.TrimSuffix(j.Out, ext), n, ext)
}

// finish gives what is whole its name. It may have been done already.
func (r *resuming) finish() error {
	name := r.Out
	if r.Format == Parquet {
		name = r.part(r.Parts + 1)
	}
	err := named(r.Out+partial, name)
	if errors.Is(err, fs.ErrNotExist) {
		if _, there := os.Stat(name); there == nil {
			return nil
		}
	}
	return err
}
