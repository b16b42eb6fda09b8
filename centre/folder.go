package centre

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"bahi/domain"
	"bahi/formats"
)

// The folders of a centre's directory. A file that is moved into the first is
// taken into the second, in a directory of its own, whose name is the file's id:
//
//	taken/<id>/<name>             the file
//	taken/<id>/verdicts.ndjson    the verdicts, in the order of the file, as they come
//	taken/<id>/summary.json       once all of it is in the spool
//
// When all verdicts are there the directory is moved, as done/<name> or
// failed/<name>. So at any moment what is on disk says how far the file is.
const (
	folderIn     = "in"
	folderTaken  = "taken"
	folderDone   = "done"
	folderFailed = "failed"

	fileVerdicts = "verdicts.ndjson"
	fileSummary  = "summary.json"
	fileRefused  = ".refused" // a bundle of the file was set aside
)

// summary says what a file held.
type summary struct {
	Submissions int    `json:"submissions"`
	Problem     string `json:"problem,omitempty"` // why the rest of the file was not read
}

// folder takes files into the spool and gives them their verdicts.
type folder struct {
	config Config
	pace   pace
	spool  *spool

	answers answers
	waits   atomic.Bool // a file waits for room in the spool
}

// watch takes what is in the folder until ctx is done: files that were taken
// before, then new ones, the oldest first. Its error is the spool's or the
// disk's.
func (f *folder) watch(ctx context.Context) error {
	taken, err := os.ReadDir(filepath.Join(f.config.Dir, folderTaken))
	if err != nil {
		return err
	}
	for _, entry := range taken { // sorted by name: by the time of taking
		if err := f.read(ctx, entry.Name()); err != nil {
			return unlessDone(ctx, err)
		}
	}
	for {
		names, err := f.arrived()
		if err != nil {
			return err
		}
		for _, name := range names {
			id, err := f.take(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue // taken away again
			}
			if err == nil {
				err = f.read(ctx, id)
			}
			if err != nil {
				return unlessDone(ctx, err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(f.pace.look):
		}
	}
}

func unlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// arrived lists the files that have been moved in, the oldest first. One that was
// written to a moment ago may still be copied.
func (f *folder) arrived() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(f.config.Dir, folderIn))
	if err != nil {
		return nil, err
	}
	type file struct {
		name    string
		changed time.Time
	}
	var files []file
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || isUnfinished(e.Name()) {
			continue
		}
		if age := time.Since(info.ModTime()); 0 <= age && age < f.pace.settled {
			continue
		}
		files = append(files, file{e.Name(), info.ModTime()})
	}
	slices.SortStableFunc(files, func(a, b file) int { return a.changed.Compare(b.changed) })
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = file.name
	}
	return names, nil
}

// isUnfinished tells whether a file's name says that it is still being written.
func isUnfinished(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".part") || name == fileVerdicts || name == fileSummary
}

// take gives a file an id and a directory of its own.
func (f *folder) take(name string) (id string, err error) {
	id = newID().String()
	dir := f.dir(id)
	err = f.spool.do("take", func() error {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(f.config.Dir, folderIn, name), filepath.Join(dir, name)); err != nil {
			return errors.Join(err, os.Remove(dir))
		}
		return errors.Join(syncDir(dir), syncDir(filepath.Dir(dir)), syncDir(filepath.Join(f.config.Dir, folderIn)))
	})
	return id, err
}

func (f *folder) dir(id string) string { return filepath.Join(f.config.Dir, folderTaken, id) }

// read puts a taken file into the spool, from where an earlier start left off.
func (f *folder) read(ctx context.Context, id string) error {
	entries, err := os.ReadDir(f.dir(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // its last verdict came since the start, and it was moved
	}
	if err != nil {
		return err
	}
	name := ""
	for _, e := range entries {
		switch {
		case e.Name() == fileSummary:
			return f.settle(id) // all of it is in the spool
		case !isUnfinished(e.Name()):
			name = e.Name()
		}
	}
	if name == "" {
		if len(entries) == 0 { // cut off before the file was moved here
			return os.Remove(f.dir(id))
		}
		name = "the file" // somebody took it away; what waits of it gets its verdicts
	}
	kept, err := f.kept(ctx, id)
	if err != nil {
		return err
	}
	f.config.Log.Info("a file is read", "file", id, "kept", kept)
	s, err := f.keep(ctx, id, name, kept)
	if err != nil {
		return err
	}
	return f.finish(id, s)
}

// kept returns how many submissions of a file are in the spool or were there.
func (f *folder) kept(ctx context.Context, id string) (n int, err error) {
	// First the spool, then the verdicts: what is answered meanwhile is found.
	for w, err := range f.spool.all(ctx, 0) {
		if err != nil {
			return 0, err
		}
		if w.File == id {
			n = max(n, w.First+len(w.Items))
		}
	}
	answered, err := f.answers.count(f.dir(id))
	return max(n, answered), err
}

// keep puts a file's submissions into the spool, but for those that are there.
// An error of reading the file is in the summary; the error is the spool's.
func (f *folder) keep(ctx context.Context, id, name string, kept int) (summary, error) {
	in, err := os.Open(filepath.Join(f.dir(id), name))
	if err != nil {
		return summary{Submissions: kept, Problem: plain(err)}, nil
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return summary{Submissions: kept, Problem: plain(err)}, nil
	}
	// A date that the file leaves out is the same when the file is read again.
	items, err := f.config.read(in, 0, info.ModTime())
	if err != nil {
		return summary{Submissions: kept, Problem: plain(err)}, nil
	}
	first := kept
	for b, err := range bundles(after(items, kept), f.pace.bundle) {
		if err != nil {
			return summary{Submissions: first, Problem: plain(err)}, nil
		}
		b.File, b.First = id, first
		if err := f.keepSoon(ctx, b); err != nil {
			return summary{}, err
		}
		first += len(b.Items)
	}
	return summary{Submissions: first}, nil
}

// plain says what is wrong with a file, without its name.
func plain(err error) string {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	return "the file cannot be read: " + err.Error()
}

// after passes over the first n items.
func after(items func(func(formats.Item, error) bool), n int) func(func(formats.Item, error) bool) {
	return func(yield func(formats.Item, error) bool) {
		passed := 0
		for item, err := range items {
			if err == nil && passed < n {
				passed++
				continue
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// keepSoon keeps a bundle, once there is room for it. A file leaves a quarter of
// the spool to those who wait for an answer.
func (f *folder) keepSoon(ctx context.Context, b bundle) error {
	for {
		err := f.spool.keep(ctx, newID(), b, true)
		var full *FullError
		f.waits.Store(errors.As(err, &full))
		if full == nil {
			return errors.Join(err, ctx.Err())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.spool.room:
		case <-time.After(f.pace.look):
		}
	}
}

// finish notes that all of a file is in the spool.
func (f *folder) finish(id string, s summary) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := f.spool.do("read", func() error {
		return writeWhole(filepath.Join(f.dir(id), fileSummary), append(b, '\n'))
	}); err != nil {
		return fmt.Errorf("note that a file is read: %w", err)
	}
	return f.settle(id)
}

// answer gives a file the verdicts of one of its bundles, once.
func (f *folder) answer(b bundle, lines []byte, refused bool) error {
	if b.File == "" {
		return nil
	}
	if _, err := domain.ParseUUID(b.File); err != nil {
		return nil // it would be a path
	}
	err := f.note(f.dir(b.File), b.First, lines, refused)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the directory is gone: answered before, also while this ran, or somebody took it away
	}
	if err != nil {
		return fmt.Errorf("give a file its verdicts: %w", err)
	}
	return f.settle(b.File)
}

// note writes verdicts, from those of the file's submission first on, into its directory.
func (f *folder) note(dir string, first int, lines []byte, refused bool) error {
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	if refused {
		if err := writeWhole(filepath.Join(dir, fileRefused), nil); err != nil {
			return err
		}
	}
	return f.spool.do("file", func() error { return f.answers.add(dir, first, lines) })
}

// settle moves the directory of a file away when all of its verdicts are there.
func (f *folder) settle(id string) error {
	f.answers.mu.Lock() // both the reader and the forwarder may be the last
	defer f.answers.mu.Unlock()
	dir := f.dir(id)
	content, err := os.ReadFile(filepath.Join(dir, fileSummary))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is still being read, or has been moved
	}
	if err != nil {
		return err
	}
	var s summary
	if err := json.Unmarshal(content, &s); err != nil {
		return fmt.Errorf("the summary of the file %s cannot be read", id)
	}
	answered, err := f.answers.counted(dir)
	if err != nil || answered < s.Submissions {
		return err
	}
	to := folderDone
	if _, err := os.Stat(filepath.Join(dir, fileRefused)); err == nil || s.Problem != "" {
		to = folderFailed
	}
	f.answers.forget(dir)
	f.config.Log.Info("a file has all its verdicts", "file", id, "submissions", s.Submissions, "moved", to)
	return f.spool.do("settle", func() error { return f.move(dir, to, nameOf(dir)) })
}

// nameOf returns the name of the file in a directory of its own.
func nameOf(dir string) string {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !isUnfinished(e.Name()) {
			return e.Name()
		}
	}
	return filepath.Base(dir)
}

// move moves a file's directory to where nothing has that name.
func (f *folder) move(dir, to, name string) error {
	for n := 1; ; n++ {
		target := filepath.Join(f.config.Dir, to, name)
		if n > 1 {
			target += "." + strconv.Itoa(n)
		}
		if _, err := os.Lstat(target); err == nil {
			continue
		}
		if err := os.Rename(dir, target); err != nil {
			return err
		}
		return errors.Join(syncDir(filepath.Dir(target)), syncDir(filepath.Dir(dir)))
	}
}
