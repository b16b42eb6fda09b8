package projections

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sync/errgroup"
)

// readRuns is up to how many runs are left as they are: readers find their way
// through them.
const readRuns = 4

// sorter writes a generation that nobody reads yet. Rows gather in memory until
// there are enough to be sorted into a run: tables of their own, which the database
// takes as they are. A run holds the checkpoint that it leads to, so that it is the
// place where a rebuild goes on that was cut off. In the end [sorter.merge] makes one
// of all runs.
//
// That costs a fifth of what it costs to put the same rows in as they come: no row is
// sought a place for, and each is written twice, not at every level.
type sorter struct {
	db      *database
	bytes   int // of rows that are sorted together; two such runs are in memory, one being filled and one being written
	filling run
	spare   run
	writing chan error // the outcome of the run that is being written; nil while there is none
	made    int        // tables, to name the next
}

// run is rows to be sorted, as batches have them one after another.
type run struct {
	rows  []byte
	order []placed
}

// placed is where a row lies in its run, and the beginning of its key, by which most
// rows are told apart. Rows of the same key are in the order in which they were
// written.
type placed struct {
	first, second uint64
	key, value    uint32
	size          uint32 // of the value
	keySize       uint16
	kind          pebble.InternalKeyKind
}

// batchHeader is what stands before the rows of a batch.
const batchHeader = batchrepr.HeaderLen

// add takes a copy of the rows of a batch. It waits for the run before to be written
// when another is full.
func (s *sorter) add(rows *pebble.Batch) error {
	if len(s.filling.rows) == 0 {
		s.filling.rows = append(s.filling.rows, make([]byte, batchHeader)...)
	}
	if more := rows.Repr()[batchHeader:]; len(s.filling.rows)+len(more) > cap(s.filling.rows) {
		s.filling.rows = slices.Grow(s.filling.rows, max(len(more), cap(s.filling.rows)))
	}
	s.filling.rows = append(s.filling.rows, rows.Repr()[batchHeader:]...)
	if len(s.filling.rows) < s.bytes {
		return nil
	}
	return s.spill()
}

// spill begins to write what has gathered as a run.
func (s *sorter) spill() error {
	if err := s.wait(); err != nil || len(s.filling.rows) == 0 {
		return err
	}
	full := s.filling
	s.filling, s.spare = s.spare, run{}
	s.writing = make(chan error, 1)
	go func() {
		err := s.write(&full)
		s.spare = run{rows: full.rows[:0], order: full.order[:0]}
		s.writing <- err
	}()
	return nil
}

// wait returns when no run is being written.
func (s *sorter) wait() error {
	if s.writing != nil {
		if err := <-s.writing; err != nil {
			s.db.spoiled = err
		}
		s.writing = nil
	}
	return s.db.spoiled
}

// drain writes everything that has gathered: from here on the database has it.
func (s *sorter) drain() error {
	if s.writing == nil && len(s.filling.rows) == 0 {
		return s.db.spoiled
	}
	if err := s.spill(); err != nil {
		return err
	}
	err := s.wait()
	s.db.lookup.forget()
	return err
}

// write sorts a run and gives it to the database.
func (s *sorter) write(r *run) error {
	if err := r.sort(); err != nil {
		return fmt.Errorf("sort rows of the view %s: %w", s.db.view, err)
	}
	tables := s.tables(uint64(s.bytes/6), nil)
	if err := r.each(tables.row); err != nil {
		return s.unwritten(tables, err)
	}
	if err := tables.close(); err != nil {
		return s.unwritten(tables, err)
	}
	if err := s.db.Ingest(context.Background(), tables.paths); err != nil {
		return s.unwritten(tables, err)
	}
	return nil
}

func (s *sorter) unwritten(t *tables, err error) error {
	t.remove()
	return fmt.Errorf("write the view %s: %w", s.db.view, err)
}

// sort puts the rows in order of keys.
func (r *run) sort() error {
	r.order = r.order[:0]
	reader := batchrepr.Read(r.rows)
	place := func(b []byte) uint32 { return uint32(cap(r.rows) - cap(b)) }
	for {
		kind, key, value, ok, err := reader.Next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		first, second := beginning(key)
		p := placed{first: first, second: second, kind: kind, key: place(key), keySize: uint16(len(key))}
		if len(value) > 0 {
			p.value, p.size = place(value), uint32(len(value))
		}
		r.order = append(r.order, p)
	}
	slices.SortFunc(r.order, func(a, b placed) int {
		if a.first != b.first {
			return cmp.Compare(a.first, b.first)
		}
		if a.second != b.second {
			return cmp.Compare(a.second, b.second)
		}
		if c := bytes.Compare(r.keyOf(a), r.keyOf(b)); c != 0 {
			return c
		}
		return cmp.Compare(a.key, b.key)
	})
	return nil
}

// beginning returns the first sixteen bytes of a key as numbers, which compare as
// the bytes do.
func beginning(key []byte) (first, second uint64) {
	if len(key) >= 16 {
		return binary.BigEndian.Uint64(key), binary.BigEndian.Uint64(key[8:])
	}
	var b [16]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
}

func (r *run) keyOf(p placed) []byte   { return r.rows[p.key : p.key+uint32(p.keySize)] }
func (r *run) valueOf(p placed) []byte { return r.rows[p.value : p.value+p.size] }

// each calls yield with one row a key: what all rows of the key come to.
func (r *run) each(yield func(kind pebble.InternalKeyKind, key, value []byte) error) error {
	var joined []byte
	for rest := r.order; len(rest) > 0; {
		same := 1
		for same < len(rest) && rest[same].first == rest[0].first && bytes.Equal(r.keyOf(rest[same]), r.keyOf(rest[0])) {
			same++
		}
		kind, value, isJoined := rest[0].kind, r.valueOf(rest[0]), false
		for _, p := range rest[1:same] {
			if p.kind == pebble.InternalKeyKindMerge && kind != pebble.InternalKeyKindDelete {
				if !isJoined {
					joined, isJoined = append(joined[:0], value...), true
				}
				joined = append(joined, r.valueOf(p)...)
				value = joined
				continue
			}
			// What is added to a row that was deleted is the whole row.
			if value, isJoined = r.valueOf(p), false; p.kind == pebble.InternalKeyKindMerge {
				kind = pebble.InternalKeyKindSet
			} else {
				kind = p.kind
			}
		}
		if err := yield(kind, r.keyOf(rest[0]), value); err != nil {
			return err
		}
		rest = rest[same:]
	}
	return nil
}

// merge makes one run of all, in as many parts at a time as there are processors. It
// reads every row and writes it once; what is read stays until the end, so that a
// merge that is cut off is begun again.
func (s *sorter) merge(ctx context.Context) error {
	if s.db.Metrics().ReadAmp() <= readRuns {
		return nil
	}
	borders, err := s.borders()
	if err != nil {
		return err
	}
	parts := make([]*tables, len(borders)-1)
	work, within := errgroup.WithContext(ctx)
	work.SetLimit(runtime.GOMAXPROCS(0))
	for i := range parts {
		parts[i] = s.tables(tableBytes, s.db.table.FilterPolicy)
		work.Go(func() error { return s.mergePart(within, borders[i], borders[i+1], parts[i]) })
	}
	var paths []string
	err = work.Wait()
	for _, p := range parts {
		paths = append(paths, p.paths...)
	}
	if err == nil {
		_, err = s.db.IngestAndExcise(context.Background(), paths, nil, nil, pebble.KeyRange{Start: borders[0], End: borders[len(borders)-1]})
	}
	if err == nil {
		return nil
	}
	for _, p := range parts {
		p.remove()
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("merge the runs of the view %s: %w", s.db.view, err)
}

// mergeParts is into how many parts a merge is split, so that none is long at the
// end when the others are done.
const mergeParts = 8

// borders returns keys that split what there is into parts of like size: the first
// keys of its tables, of which all are about as large.
func (s *sorter) borders() ([][]byte, error) {
	levels, err := s.db.SSTables()
	if err != nil {
		return nil, readError(s.db.view, err)
	}
	var first [][]byte
	for _, level := range levels {
		for _, t := range level {
			first = append(first, bytes.Clone(t.Smallest.UserKey))
		}
	}
	slices.SortFunc(first, bytes.Compare)
	borders := [][]byte{{keyCheckpoint}}
	for i := 1; i < mergeParts; i++ {
		at := first[i*len(first)/mergeParts]
		if bytes.Compare(at, borders[len(borders)-1]) > 0 {
			borders = append(borders, at)
		}
	}
	return append(borders, []byte{0xff}), nil
}

func (s *sorter) mergePart(ctx context.Context, from, to []byte, into *tables) (err error) {
	rows, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return readError(s.db.view, err)
	}
	defer func() { err = closing(rows, err) }()
	n := 0
	for rows.First(); rows.Valid(); rows.Next() {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		value, err := rows.ValueAndErr()
		if err != nil {
			return readError(s.db.view, err)
		}
		if err := into.row(pebble.InternalKeyKindSet, rows.Key(), value); err != nil {
			return err
		}
	}
	if err := rows.Error(); err != nil {
		return readError(s.db.view, err)
	}
	return into.close()
}

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
		t.table = sstable.NewWriter(objstorageprovider.NewFileWritable(f), t.options)
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
