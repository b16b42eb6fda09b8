package projections

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrSpace: the disk has not enough space for another generation of a view.
var ErrSpace = errors.New("there is not enough space on the disk to build the view beside the live one; free some, and rebuild again")

// A generation that is built beside the live one leaves so much of the disk free, a
// twentieth of it and at most maxReserve, which two runs of a sorter fit into: the ledger
// and the live views go on growing, and the process ends when a MANIFEST of one cannot be
// written.
const (
	reserveShare = 20
	maxReserve   = 64 << 20
)

// room tells whether a disk has space for so many bytes more of a view: nil, or
// [ErrSpace]. A disk that does not say has.
func room(disk vfs.FS, dir, view string, bytes uint64) error {
	is, err := disk.GetDiskUsage(dir)
	if err != nil || is.AvailBytes >= bytes+min(is.TotalBytes/reserveShare, maxReserve) {
		return nil
	}
	return fmt.Errorf("build the view %s: %w (%d MB are free, %d MB are needed, and some to spare)", view, ErrSpace, is.AvailBytes>>20, bytes>>20)
}

func (db *database) room(bytes uint64) error { return room(db.fs, db.dir, db.view, bytes) }

// size is what the generation takes on the disk.
func (db *database) size() uint64 { return db.Metrics().DiskSpaceUsage() }
