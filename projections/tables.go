package projections

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// tables writes rows, in order of keys, into tables of a size.
type tables struct {
	disk    vfs.FS
	name    func() string
	options sstable.WriterOptions
	size    uint64
	paths   []string
	table   *sstable.Writer
}

// unnamed marks tables that the database has not taken yet.
const unnamed = ".run"

func (s *sorter) tables(size uint64, filter pebble.FilterPolicy) *tables {
	options := s.db.table
	options.FilterPolicy = filter
	serial := s.made
	s.made++
	t := &tables{disk: s.db.fs, options: options, size: size}
	t.name = func() string {
		return s.db.fs.PathJoin(s.db.dir, fmt.Sprintf("%d-%d%s", serial, len(t.paths), unnamed))
	}
	return t
}

func (t *tables) row(kind pebble.InternalKeyKind, key, value []byte) error {
	if t.table != nil && t.table.Raw().EstimatedSize() >= t.size {
		if err := t.close(); err != nil {
			return err
		}
	}
	if t.table == nil {
		path := t.name()
		f, err := t.disk.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		t.paths = append(t.paths, path)
		t.table = sstable.NewWriter(&buffered{f, bufio.NewWriterSize(f, writeBytes)}, t.options)
	}
	switch kind {
	case pebble.InternalKeyKindMerge:
		return t.table.Merge(key, value)
	case pebble.InternalKeyKindDelete:
		return t.table.Delete(key)
	}
	return t.table.Set(key, value)
}

// close ends the table at hand; it is flushed.
func (t *tables) close() error {
	if t.table == nil {
		return nil
	}
	table := t.table
	t.table = nil
	return table.Close()
}

// remove takes the tables away that the database did not take.
func (t *tables) remove() {
	_ = t.close()
	for _, path := range t.paths {
		_ = t.disk.Remove(path) // what stays is removed when the generation is opened
	}
}

// buffered is a file that is written in large pieces, and flushed to disk at its end.
type buffered struct {
	file vfs.File
	*bufio.Writer
}

const writeBytes = 256 << 10

// Write is all or an error. See [objstorage.Writable].
func (b *buffered) Write(p []byte) error {
	_, err := b.Writer.Write(p)
	return err
}

// Finish flushes and closes the file.
func (b *buffered) Finish() error {
	err := b.Flush()
	if err == nil {
		err = b.file.Sync()
	}
	return closing(b.file, err)
}

// Abort closes the file as it is.
func (b *buffered) Abort() { _ = b.file.Close() }

// removeUnnamed removes tables that were being written when the process ended.
func removeUnnamed(disk vfs.FS, dir string) error {
	names, err := disk.List(dir)
	if err != nil && !absentFile(err) {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, unnamed) {
			if err := disk.Remove(disk.PathJoin(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
