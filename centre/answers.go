package centre

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// answers writes verdicts beside the files that they are for. A file's verdicts
// are in its order and each is one line, so that the number of whole lines says
// how far it is; a line that a crash tore is written again.
type answers struct {
	mu    sync.Mutex     // guards the files of verdicts and lines
	lines map[string]int // of the files at work, by their directories
}

// count returns how many verdicts a file has.
func (a *answers) count(dir string) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.counted(dir)
}

// counted is count for who holds the lock. The first time it reads what is there
// and cuts a torn line off.
func (a *answers) counted(dir string) (int, error) {
	if n, ok := a.lines[dir]; ok {
		return n, nil
	}
	f, err := os.OpenFile(filepath.Join(dir, fileVerdicts), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	n, size, err := wholeLines(f)
	if err == nil {
		err = f.Truncate(size)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	a.remember(dir, n)
	return n, nil
}

// wholeLines counts lines that end, and the bytes they take.
func wholeLines(r io.Reader) (n int, size int64, err error) {
	in := bufio.NewReader(r)
	length := int64(0)
	for {
		b, err := in.ReadSlice('\n')
		length += int64(len(b))
		switch {
		case err == nil:
			n, size, length = n+1, size+length, 0
		case err == io.EOF:
			return n, size, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return 0, 0, err
		}
	}
}

func (a *answers) remember(dir string, n int) {
	if a.lines == nil {
		a.lines = map[string]int{}
	}
	a.lines[dir] = n
}

func (a *answers) forget(dir string) { delete(a.lines, dir) }

// add writes the verdicts of the submissions from first on, but for those that
// are there, and flushes them.
func (a *answers) add(dir string, first int, lines []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, err := a.counted(dir)
	if err != nil {
		return err
	}
	there := n - first
	for line := range bytes.Lines(lines) {
		if there <= 0 {
			break
		}
		there--
		lines = lines[len(line):]
	}
	if len(lines) == 0 {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(dir, fileVerdicts), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(lines)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil && n == 0 {
		err = syncDir(dir)
	}
	if err != nil {
		delete(a.lines, dir) // how much of it is there is to be seen anew
		return err
	}
	a.remember(dir, n+bytes.Count(lines, []byte("\n")))
	return nil
}
