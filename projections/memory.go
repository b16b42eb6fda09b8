package projections

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// layers is how many times the memory of a memtable a layer takes: the larger it is,
// the fewer times a row is written again.
const layers = 4

// memory holds the newest rows of a view until there are enough of them for a
// table: they are sorted then, written as one, and given to Pebble whole. The
// register's keys are tokens, so that every row put into Pebble's own memtable
// would cost a walk through memory that no cache holds, and every look-up of what
// is new, which most are, another.
//
// Nothing is lost with it: a view folds again from its checkpoint, which is
// written with the rows.
type memory struct {
	limit int // rows of a layer; its values take no more than so many times rowMemory

	mu      sync.RWMutex // protects what follows; held for reading through a whole look-up
	newest  *layer
	leaving *layer // is being written, or could not be
	spare   *layer // has been written

	below presence // of what Pebble has

	writing sync.Mutex // one layer is written at a time
	done    sync.WaitGroup
}

// makeRoom has a full layer written beside. It waits while the layer before that
// is still being written, whose error it returns.
func (db *database) makeRoom() error {
	m := db.memory
	if !m.full() {
		return nil
	}
	if err := db.writeLeaving(); err != nil {
		return err
	}
	m.turn()
	m.done.Go(func() { _ = db.writeLeaving() }) // who comes next is told
	return nil
}

// remember makes the rows readable.
func (db *database) remember(rows *writes, to checkpoint) {
	m := db.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range rows.list {
		m.newest.put(w.key, w.kind, rows.values[w.at:w.at+w.n])
	}
	m.newest.to = to
	db.last = to
	db.at.Store(to.sequence)
}

func (m *memory) full() bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return len(m.newest.rows) >= m.limit || len(m.newest.values) >= m.limit*rowMemory
}

// turn makes the newest layer the one that leaves, unless one is leaving: the fold and
// whoever drains may both have come for it.
func (m *memory) turn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leaving != nil || len(m.newest.rows) == 0 {
		return
	}
	m.leaving, m.newest, m.spare = m.newest, m.spare, nil
	if m.newest == nil {
		m.newest = newLayer()
	}
}

func newMemory(rows int) *memory { return &memory{limit: rows, newest: newLayer()} }

// drain writes all that is remembered or gathered, before rows are read in order or
// written past the memory.
func (db *database) drain() error {
	if db.sorter != nil {
		return db.sorter.drain()
	}
	if db.memory == nil {
		return nil
	}
	if err := db.writeLeaving(); err != nil {
		return err
	}
	db.memory.turn()
	return db.writeLeaving()
}

// writeLeaving writes the layer that is to leave, if there is one, and drops it.
func (db *database) writeLeaving() error {
	m := db.memory
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.RLock()
	l := m.leaving
	m.mu.RUnlock()
	if l == nil {
		return nil
	}
	// From when Pebble has the rows until the layer is dropped a merged row would be
	// found twice. Look-ups keep to what Pebble had before.
	if err := db.lookup.pin(db); err != nil {
		return err
	}
	if err := db.left(db.ingest(l)); err != nil {
		return err
	}
	l.empty() // nobody reads it any more; it takes some milliseconds
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spare = l
	return nil
}

// left drops the layer that leaves, unless err says that it could not be written.
func (db *database) left(err error) error {
	m := db.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	db.lookup.unpin()
	if err != nil {
		db.trouble.Store(&err)
		return fmt.Errorf("write the view %s: %w", db.view, err)
	}
	db.trouble.Store(nil)
	m.leaving = nil
	return nil
}

// newTable is a table that Pebble was not given yet. Only a crash leaves one.
const newTable = "new.sst"

// ingest gives the layer to Pebble as one table, flushed to disk.
func (db *database) ingest(l *layer) error {
	path := db.fs.PathJoin(db.dir, newTable)
	file, err := db.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	table := sstable.NewWriter(objstorageprovider.NewFileWritable(file), db.table)
	if err := closing(table, l.write(table)); err != nil {
		return err
	}
	return db.memory.below.with(l.keys, func() error { return db.Ingest(context.Background(), []string{path}) })
}

// removeNewTable removes what a crash has left.
func (db *database) removeNewTable() error {
	if err := db.fs.Remove(db.fs.PathJoin(db.dir, newTable)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writes are rows to be written, in their order.
type writes struct {
	list   []write
	values []byte
	spans  bool // some are of whole spans
}

// spare are writes whose memory is used again: they are half of what a commit
// takes.
var spare = sync.Pool{New: func() any { return new(writes) }}

func (w *writes) release() {
	w.list, w.values, w.spans = w.list[:0], w.values[:0], false
	spare.Put(w)
}

type write struct {
	key   memoryKey
	kind  rowKind
	at, n uint32
}

func (w *writes) add(key []byte, kind rowKind, value []byte) {
	w.list = append(w.list, write{keyOf(key), kind, uint32(len(w.values)), uint32(len(value))})
	w.values = append(w.values, value...)
	w.spans = w.spans || kind == rowsGone
}

// batch returns the rows for writing past the memory.
func (w *writes) batch(db *pebble.DB) *pebble.Batch {
	b := db.NewBatch() // which takes every write
	for _, r := range w.list {
		key, value := r.key.key(), w.values[r.at:r.at+r.n]
		switch r.kind {
		case rowSet:
			_ = b.Set(key, value, nil)
		case rowDeleted:
			_ = b.Delete(key, nil)
		case rowMerged:
			_ = b.Merge(key, value, nil)
		case rowsGone:
			_ = b.DeleteRange(key, prefixEnd(key), nil)
		}
	}
	return b
}
