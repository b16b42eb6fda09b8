package projections

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"
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
// It costs less than to put the same rows in as they come: no place is sought for
// them, and each is written twice, not at every level.
type sorter struct {
	db      *database
	bytes   int // of rows that are sorted together; two such runs are in memory, one being filled and one being written
	filling run
	spare   run
	writing chan error // the outcome of the run that is being written; nil while there is none
	torn    bool       // rows of a fold that may yet fail were written
	made    int        // tables, to name the next
}

// rowWriter is what a fold writes rows to: a [pebble.Batch], or a [sorter].
type rowWriter interface {
	Set(key, value []byte, _ *pebble.WriteOptions) error
	Merge(key, value []byte, _ *pebble.WriteOptions) error
	Delete(key []byte, _ *pebble.WriteOptions) error
	DeleteRange(start, end []byte, _ *pebble.WriteOptions) error
}

func (s *sorter) Set(key, value []byte, _ *pebble.WriteOptions) error {
	s.filling.add(pebble.InternalKeyKindSet, key, value)
	return nil
}

func (s *sorter) Merge(key, value []byte, _ *pebble.WriteOptions) error {
	s.filling.add(pebble.InternalKeyKindMerge, key, value)
	return nil
}

func (s *sorter) Delete(key []byte, _ *pebble.WriteOptions) error {
	s.filling.add(pebble.InternalKeyKindDelete, key, nil)
	return nil
}

// DeleteRange deletes what was written before, at once: orders are told before what
// they delete is folded, so there is hardly ever anything.
func (s *sorter) DeleteRange(start, end []byte, _ *pebble.WriteOptions) error {
	if err := s.drain(); err != nil {
		return err
	}
	return s.db.DeleteRange(start, end, pebble.NoSync)
}

// keep keeps the rows since the last time, of a fold that succeeded. It waits for the
// run before to be written when another is full.
func (s *sorter) keep() error {
	s.filling.kept, s.torn = len(s.filling.order), false
	if s.filling.bytes < s.bytes {
		return nil
	}
	return s.spill()
}

// undo forgets the rows of a fold that failed.
func (s *sorter) undo() {
	if s.torn {
		s.db.spoiled = fmt.Errorf("write the view %s: half of a fold was written", s.db.view)
	}
	s.filling.order = s.filling.order[:s.filling.kept]
}

// spill begins to write what has gathered as a run.
func (s *sorter) spill() error {
	if err := s.wait(); err != nil || len(s.filling.order) == 0 {
		return err
	}
	full := s.filling
	s.filling, s.spare = s.spare, run{}
	s.writing = make(chan error, 1)
	go func() {
		err := s.write(&full)
		s.spare = full.emptied()
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
	if s.writing == nil && len(s.filling.order) == 0 {
		return s.db.spoiled
	}
	s.torn = s.torn || len(s.filling.order) > s.filling.kept
	if err := s.spill(); err != nil {
		return err
	}
	err := s.wait()
	s.db.lookup.forget()
	return err
}

// write sorts a run and gives it to the database.
func (s *sorter) write(r *run) error {
	r.sort()
	tables := s.tables(uint64(s.bytes/4), nil)
	err := r.each(tables.row)
	if err == nil {
		err = tables.close()
	}
	if err == nil {
		err = s.db.Ingest(context.Background(), tables.paths)
	}
	if err != nil {
		tables.remove()
		return fmt.Errorf("write the view %s: %w", s.db.view, err)
	}
	return nil
}

// run is rows to be sorted.
type run struct {
	chunks [][]byte // keys and values, one behind the other
	spare  [][]byte // chunks to be filled again
	bytes  int
	order  []placed // as they were written
	kept   int      // of these, by folds that succeeded
	sorted []begun
}

// chunkBits is how many bits of a place are within a chunk. Memory is taken and used
// again in chunks, so that a run never moves to grow.
const (
	chunkBits = 20
	chunkSize = 1 << chunkBits
)

// placed is a row: where its key lies, and behind it its value.
type placed struct {
	at      uint32 // chunk and place within
	size    uint32 // of the value
	keySize uint8
	kind    pebble.InternalKeyKind
}

// begun is a row and the beginning of its key, by which most are told apart.
type begun struct {
	key uint64
	row uint32 // of order
}

func (r *run) add(kind pebble.InternalKeyKind, key, value []byte) {
	need, last := len(key)+len(value), len(r.chunks)-1
	if last < 0 || len(r.chunks[last])+need > cap(r.chunks[last]) {
		r.chunks = append(r.chunks, r.chunk(need))
		last++
	}
	c := r.chunks[last]
	r.order = append(r.order, placed{at: uint32(last<<chunkBits | len(c)), size: uint32(len(value)), keySize: uint8(len(key)), kind: kind})
	r.chunks[last] = append(append(c, key...), value...)
	r.bytes += need
}

// chunk returns an empty one with room for a row.
func (r *run) chunk(need int) []byte {
	n := len(r.spare)
	if n == 0 || need > chunkSize {
		return make([]byte, 0, max(need, chunkSize))
	}
	c := r.spare[n-1]
	r.spare = r.spare[:n-1]
	return c[:0]
}

// emptied returns the run's memory as a run without rows.
func (r *run) emptied() run {
	for _, c := range r.chunks {
		if cap(c) == chunkSize {
			r.spare = append(r.spare, c)
		}
	}
	return run{spare: r.spare, order: r.order[:0], sorted: r.sorted[:0]}
}

func (r *run) key(row uint32) []byte {
	p := &r.order[row]
	from := p.at % chunkSize
	return r.chunks[p.at>>chunkBits][from : from+uint32(p.keySize)]
}

func (r *run) value(row uint32) []byte {
	p := &r.order[row]
	from := p.at%chunkSize + uint32(p.keySize)
	return r.chunks[p.at>>chunkBits][from : from+p.size]
}

// sort puts the rows in order of keys, those of one key as they were written.
func (r *run) sort() {
	r.sorted = slices.Grow(r.sorted[:0], len(r.order))
	for row := range uint32(len(r.order)) {
		var first [8]byte
		copy(first[:], r.key(row))
		r.sorted = append(r.sorted, begun{binary.BigEndian.Uint64(first[:]), row})
	}
	slices.SortFunc(r.sorted, func(a, b begun) int {
		switch {
		case a.key < b.key:
			return -1
		case a.key > b.key:
			return 1
		}
		if c := bytes.Compare(r.key(a.row), r.key(b.row)); c != 0 {
			return c
		}
		return cmp.Compare(a.row, b.row)
	})
}

// each calls yield with one row a key: what all rows of the key come to.
func (r *run) each(yield func(kind pebble.InternalKeyKind, key, value []byte) error) error {
	var joined []byte
	for rest := r.sorted; len(rest) > 0; {
		key, same := r.key(rest[0].row), 1
		for same < len(rest) && rest[same].key == rest[0].key && bytes.Equal(r.key(rest[same].row), key) {
			same++
		}
		kind, value, isJoined := r.order[rest[0].row].kind, r.value(rest[0].row), false
		for _, more := range rest[1:same] {
			next := r.order[more.row].kind
			if next == pebble.InternalKeyKindMerge && kind != pebble.InternalKeyKindDelete {
				if !isJoined {
					joined, isJoined = append(joined[:0], value...), true
				}
				joined = append(joined, r.value(more.row)...)
				value = joined
				continue
			}
			if kind, value, isJoined = next, r.value(more.row), false; kind == pebble.InternalKeyKindMerge {
				kind = pebble.InternalKeyKindSet // what is added to a row that was deleted is the whole row
			}
		}
		if err := yield(kind, key, value); err != nil {
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
	if err := s.db.room(s.db.size()); err != nil {
		return err
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
