package projections

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// load takes the lock of the view's directory and opens its live generation, or
// makes the first. It also opens what a rebuild has left: until the rebuild goes on,
// that is told every order like the live generation, and purged with it.
func (g *generations[T, R]) load() (err error) {
	g.options = g.options.withDefaults()
	disk := g.options.FS
	if err := disk.MkdirAll(g.root, 0o700); err != nil {
		return fmt.Errorf("make the directory of the view %s: %w", g.name, err)
	}
	if g.lock, err = pebble.LockDirectory(g.root, disk); err != nil {
		if err = openError(g.name, err); errors.Is(err, ErrCorrupt) {
			err = fmt.Errorf("lock the view %s: %w", g.name, errors.Unwrap(err))
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.lock.Close())
		}
	}()
	first, err := g.locate()
	if err != nil {
		return err
	}
	if err := g.sweep(); err != nil {
		return err
	}
	live, err := g.openLive()
	if err != nil {
		return err
	}
	if first {
		err = g.point(g.number)
	}
	if err == nil {
		err = g.findBuilding()
	}
	if err != nil {
		return errors.Join(err, live.base().discard())
	}
	g.live.Store((*T)(live))
	return nil
}

// locate finds the number of the live generation. First is true when there is none
// yet, and this is to be it. Where the directory does not say which of them was live,
// the view is folded anew, into a number that none of them has.
func (g *generations[T, R]) locate() (first bool, err error) {
	if g.number, err = g.current(); err == nil && g.number > 0 {
		if _, there := g.options.FS.Stat(g.dir(g.number)); absentFile(there) {
			err = &ViewError{View: g.name, Err: ErrCorrupt, Cause: fmt.Errorf("%s names generation %d, which is not there", currentFile, g.number)}
		}
	}
	if why := (*ViewError)(nil); errors.As(err, &why) { // nobody can say which of them was live
		g.unusable.Store(why)
		g.number, err = g.newest()
	}
	if g.number == 0 {
		g.number, first = 1, g.Unusable() == nil
	}
	return first, err
}

// openLive opens the live generation, or a stand-in when it cannot be read.
func (g *generations[T, R]) openLive() (live R, err error) {
	if g.Unusable() == nil {
		live, err = g.openGeneration(g.dir(g.number), false)
		why := (*ViewError)(nil)
		if !errors.As(err, &why) {
			return live, err
		}
		g.unusable.Store(why)
	}
	away := g.keeping
	away.options.FS, away.options.MemTableBytes = vfs.NewMem(), 1<<20
	db, err := openDatabase(&away, g.name, false)
	if err != nil {
		return nil, err
	}
	return g.open(db)
}

func (g *generations[T, R]) openGeneration(dir string, unread bool) (R, error) {
	db, err := openDatabase(&g.keeping, dir, unread && g.sorts)
	if err != nil {
		return nil, err
	}
	db.unread = unread
	r, err := g.open(db)
	if err != nil {
		return nil, errors.Join(err, db.discard())
	}
	return r, nil
}

// findBuilding opens the next generation, if there is one. What cannot be opened, or
// was folded by another version, is thrown away: it only costs folding again.
func (g *generations[T, R]) findBuilding() error {
	disk, dir := g.options.FS, g.dir(g.number+1)
	if _, err := disk.Stat(dir); absentFile(err) {
		return nil
	}
	r, err := g.openGeneration(dir, true)
	if err == nil && int(r.base().last.version) != g.version {
		err = errors.Join(&ViewError{View: g.name, Err: ErrVersion}, r.base().discard())
	}
	if unusable := (*ViewError)(nil); errors.As(err, &unusable) {
		g.anew = unusable.Err.Error()
		return disk.RemoveAll(dir)
	}
	if err == nil {
		g.building = newBeside(r, dir)
	}
	return err
}

// currentFile names the live generation. It is replaced by renaming.
const currentFile = "CURRENT"

// current returns the number of the live generation, 0 when there is none yet.
func (g *generations[T, R]) current() (uint64, error) {
	disk := g.options.FS
	f, err := disk.Open(disk.PathJoin(g.root, currentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open the view %s: %w", g.name, err)
	}
	defer f.Close()
	b := make([]byte, 32)
	n, _ := f.Read(b)
	number, err := strconv.ParseUint(strings.TrimSpace(string(b[:n])), 10, 64)
	if err != nil || number == 0 {
		return 0, &ViewError{View: g.name, Err: ErrCorrupt}
	}
	return number, nil
}

// point makes a generation the live one of the directory.
func (g *generations[T, R]) point(number uint64) error {
	disk := g.options.FS
	temporary := disk.PathJoin(g.root, currentFile+".new")
	err := func() error {
		f, err := disk.Create(temporary, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		if _, err = fmt.Fprintf(f, "%06d\n", number); err == nil {
			err = f.Sync()
		}
		if err = closing(f, err); err != nil {
			return err
		}
		if err := disk.Rename(temporary, disk.PathJoin(g.root, currentFile)); err != nil {
			return err
		}
		root, err := disk.OpenDir(g.root)
		if err != nil {
			return err
		}
		return closing(root, root.Sync())
	}()
	if err != nil {
		return fmt.Errorf("point the view %s at generation %d: %w", g.name, number, err)
	}
	return nil
}

// numbers lists the directories of generations.
func (g *generations[T, R]) numbers() (numbers []uint64, err error) {
	names, err := g.options.FS.List(g.root)
	if err != nil {
		return nil, fmt.Errorf("list the view %s: %w", g.name, err)
	}
	for _, name := range names {
		if number, err := strconv.ParseUint(filepath.Base(name), 10, 64); err == nil {
			numbers = append(numbers, number)
		}
	}
	return numbers, nil
}

func (g *generations[T, R]) newest() (newest uint64, err error) {
	numbers, err := g.numbers()
	for _, n := range numbers {
		newest = max(newest, n)
	}
	return newest, err
}

// trialDir is the directory of a generation that is never to be live.
const trialDir = "trial"

// sweep removes what is neither live nor the next generation: what a swap or a
// verification that was cut off has left may hold details that are frozen by now.
func (g *generations[T, R]) sweep() error {
	numbers, err := g.numbers()
	if err != nil {
		return err
	}
	gone := []string{g.options.FS.PathJoin(g.root, trialDir)}
	for _, n := range numbers {
		if n != g.number && n != g.number+1 {
			gone = append(gone, g.dir(n))
		}
	}
	for _, dir := range gone {
		if err := g.options.FS.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove an old generation of the view %s: %w", g.name, err)
		}
	}
	return nil
}
