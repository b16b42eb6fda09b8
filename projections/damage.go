package projections

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// damagedTables reads every block of every table of the generation from the disk,
// those too that no question would read, and returns the names of tables that are not
// what was written.
func (db *database) damagedTables(ctx context.Context) (damaged []string, err error) {
	here, err := db.tablesOnDisk()
	if err != nil {
		return nil, err
	}
	levels, err := db.SSTables()
	if err != nil {
		return nil, readError(db.view, err)
	}
	for _, level := range levels {
		for _, t := range level {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			name := fmt.Sprintf("%06d.sst", t.BackingSSTNum)
			if !here[name] || slices.Contains(damaged, name) {
				continue // compacted meanwhile, or another part of one that was looked at
			}
			if err := checkTable(ctx, db.fs, db.fs.PathJoin(db.dir, name)); err != nil && !absentFile(err) {
				damaged = append(damaged, name)
			}
		}
	}
	slices.Sort(damaged)
	return damaged, nil
}

// checkTable compares every block of a table with its checksum.
func checkTable(ctx context.Context, disk vfs.FS, path string) (err error) {
	defer func() {
		if r := recover(); r != nil { // what says where the blocks are is damaged
			err = fmt.Errorf("%v", r)
		}
	}()
	f, err := disk.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	table, err := sstable.NewReader(ctx, readable, sstable.ReaderOptions{})
	if err != nil {
		return errors.Join(err, readable.Close())
	}
	defer func() { err = closing(table, err) }()
	return table.ValidateBlockChecksums()
}
