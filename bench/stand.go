package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"bahi/ledger"
)

// stand is where one measure is taken: the directories of its rounds, and what they
// share.
type stand struct {
	stock   *stock
	events  int // that were asked for
	room    string
	closing []func() error
}

func (s *stand) people() int { return max(1, s.events/submissionsEach) }

// fresh returns a directory for a round; that of the round before is removed.
func (s *stand) fresh() (dir string, err error) {
	if s.room != "" {
		if err := os.RemoveAll(s.room); err != nil {
			return "", err
		}
	}
	s.room, err = os.MkdirTemp(s.stock.dir, "round-")
	return s.room, err
}

// later is done when all rounds are over, the last one first.
func (s *stand) later(do func() error) { s.closing = append(s.closing, do) }

func (s *stand) end() error {
	var errs []error
	for i := len(s.closing) - 1; i >= 0; i-- {
		errs = append(errs, s.closing[i]())
	}
	if s.room != "" {
		errs = append(errs, os.RemoveAll(s.room))
	}
	return errors.Join(errs...)
}

// open opens the ledger in a directory, or makes one.
func open(ctx context.Context, dir string) (*ledger.Ledger, error) {
	return ledger.Open(ctx, ledger.Config{Data: filepath.Join(dir, "data"), Keys: filepath.Join(dir, "keys"), ReadsPerDay: math.MaxInt})
}

// openFresh makes a ledger for a round.
func (s *stand) openFresh(ctx context.Context) (*ledger.Ledger, error) {
	dir, err := s.fresh()
	if err != nil {
		return nil, err
	}
	return open(ctx, dir)
}

// openFilled opens the stock's ledger of all people of the measure, for as long as
// its rounds take. They leave it as it is.
func (s *stand) openFilled(ctx context.Context, p *population) (*ledger.Ledger, error) {
	dir, err := s.stock.filled(ctx, p, s.people())
	if err != nil {
		return nil, err
	}
	return s.keep(ctx, dir)
}

// openCopy opens a copy, for as long as the rounds take, that they may add to.
func (s *stand) openCopy(ctx context.Context, p *population) (*ledger.Ledger, error) {
	dir, err := s.copy(ctx, p, s.people())
	if err != nil {
		return nil, err
	}
	return s.keep(ctx, dir)
}

func (s *stand) keep(ctx context.Context, dir string) (*ledger.Ledger, error) {
	l, err := open(ctx, dir)
	if err == nil {
		s.later(func() error { return l.Close(context.WithoutCancel(ctx)) })
	}
	return l, err
}

// copy copies a ledger of the stock to where a round may do with it what it likes.
func (s *stand) copy(ctx context.Context, p *population, people int) (dir string, err error) {
	from, err := s.stock.filled(ctx, p, people)
	if err != nil {
		return "", err
	}
	if dir, err = s.fresh(); err != nil {
		return "", err
	}
	return dir, copyTree(dir, from)
}

// copyTree copies directories and files that nobody else may read.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		return copyFile(filepath.Join(to, name), path)
	})
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// stock are ledgers that were filled once, for every measure and round that needs one.
// They are closed.
type stock struct {
	dir  string
	made map[filling]string
}

// filling is what is in a ledger of the stock.
type filling struct {
	population *population
	people     int
}

// filled returns the directory of a ledger with so many people of a population, who
// were submitted in bundles.
func (s *stock) filled(ctx context.Context, p *population, people int) (dir string, err error) {
	what := filling{p, people}
	if dir, ok := s.made[what]; ok {
		return dir, nil
	}
	dir = filepath.Join(s.dir, fmt.Sprintf("stock-%d", len(s.made)))
	l, err := open(ctx, dir)
	if err != nil {
		return "", err
	}
	_, err = inBundles(p, people).submit(ctx, l)
	if err = errors.Join(err, l.Close(context.WithoutCancel(ctx))); err == nil {
		s.made[what] = dir
	}
	return dir, err
}
