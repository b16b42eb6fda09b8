package export

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"syscall"

	"bahi/ledger"
)

// partial is the end of a file's name until it is whole.
const partial = ".partial"

// Copy writes events to w as they come. It flushes where the ledger says that a
// commit is told, when live, so that a reader of w sees it at once. Progress is told
// how many are written; nil for nobody.
func Copy(w Writer, events iter.Seq2[ledger.ReplayEvent, error], live bool, progress func(events int64)) error {
	var n int64
	for e, err := range events {
		if err != nil {
			return errors.Join(err, w.Flush())
		}
		if err := w.Write(e); err != nil {
			return err
		}
		if live && e.Through != 0 {
			if err := w.Flush(); err != nil {
				return err
			}
		}
		if n++; progress != nil {
			progress(n)
		}
	}
	return w.Close()
}

// ToFile writes events to a file that others cannot read. The file has its name only
// when it is whole; what stood there before is replaced.
func ToFile(path string, f Format, o Options, events iter.Seq2[ledger.ReplayEvent, error], progress func(events int64)) (err error) {
	out, err := openPartial(path)
	if err != nil {
		return err
	}
	err = out.Truncate(0) // what was cut off before
	var w Writer
	if err == nil {
		w, err = NewWriter(out, f, o)
	}
	if err == nil {
		err = Copy(w, events, false, progress)
	}
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(path+partial))
	}
	return named(path+partial, path)
}

// openPartial opens what becomes a file, for one export at a time.
func openPartial(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a directory: name a file in it", path)
	}
	f, err := openOwn(path+partial, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another export writes %s: wait for it, or name another file", path), f.Close())
	}
	return f, nil
}

// openOwn opens a file that nobody else can read, also when somebody who may write to
// the directory was there first: with a link to elsewhere, or a file that others read.
func openOwn(path string, flags int) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW|flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(0o600); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Collide tells whether an export to one file that keeps its state in another would
// write one over the other.
func Collide(out, state string) bool {
	out, state = filepath.Clean(out), filepath.Clean(state)
	return out == state || out+partial == state || out == state+partial
}

// named gives a whole file its name, so that it is still there after a loss of power.
func named(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// counted counts the bytes that go to a file.
type counted struct {
	io.Writer
	n int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}
