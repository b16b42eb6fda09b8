package projections

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"

	"github.com/cockroachdb/pebble/v2"
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
