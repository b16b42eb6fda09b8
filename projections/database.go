package projections

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
	"bahi/eventstore"
)

// What a crash may cost: a view flushes when its memtable is full, and at least
// after so many commits or entries, which are then folded again.
const (
	flushCommits = 1 << 16
	flushEntries = 1 << 20
)

const (
	memTables  = 4        // that wait to be flushed before writes wait too
	blockBytes = 32 << 10 // of a block of rows that are read in order more often than one by one
	tableBytes = 16 << 20 // of a table: a purge rewrites those at the ends of its spans, a look-up may load its filter
)

// Options are what an operator may want to set. The zero value is what bahi
// runs with.
type Options struct {
	CacheBytes    int64  // for blocks of each view's tables; 32 MiB when 0, the register's 128
	MemTableBytes uint64 // of each view, up to four of them at once; 16 MiB when 0
	FS            vfs.FS // tests inject faults here; the disk when nil
}

func (o Options) withDefaults() Options {
	if o.CacheBytes == 0 {
		o.CacheBytes = 32 << 20
	}
	if o.MemTableBytes == 0 {
		o.MemTableBytes = 16 << 20
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	return o
}

// database is one generation of a view on disk: a Pebble directory and the
// checkpoint of what is folded into it.
type database struct {
	*pebble.DB
	view string
	dir  string
	fs   vfs.FS

	// readers is held for reading by whoever reads the generation, and taken for
	// good when it is retired.
	readers sync.RWMutex

	at      atomic.Uint64 // the ledger sequence through which rows are folded
	last    checkpoint    // the fold's own copy
	unsaved struct{ commits, entries int }

	unread  bool  // nobody reads this generation yet
	spoiled error // why something that was folded was not written: nothing goes on from here

	lookup  lookup
	memory  *memory               // nil: rows are written at once
	sorter  *sorter               // of a generation whose rows are sorted until somebody reads it, or nil
	table   sstable.WriterOptions // of tables that are given to Pebble whole
	trouble atomic.Pointer[error] // the last error of a background job
	failed  atomic.Int64          // times that a background job has

	// undeleted are tables that Pebble let go of but could not remove; it does
	// not try again.
	undeleted struct {
		sync.Mutex
		paths []string
	}
}

// checkpoint tells how far a view has folded, by which version, and what the
// last entry was: enough to notice another ledger.
type checkpoint struct {
	version    uint32
	sequence   uint64
	recorded   int64 // of the last entry, Unix milliseconds
	submission domain.SubmissionToken
}

// The first byte of a key says what the row is. Rows under keyCheckpoint are
// about the view itself.
const keyCheckpoint = 0x00

var checkpointKey = []byte{keyCheckpoint, 'c'}

const checkpointSize = 4 + 8 + 8 + domain.TokenSize

func (c checkpoint) encode() []byte {
	b := make([]byte, 0, checkpointSize)
	b = binary.BigEndian.AppendUint32(b, c.version)
	b = binary.BigEndian.AppendUint64(b, c.sequence)
	b = binary.BigEndian.AppendUint64(b, uint64(c.recorded))
	return append(b, c.submission[:]...)
}

func decodeCheckpoint(b []byte) (c checkpoint, ok bool) {
	if len(b) != checkpointSize {
		return c, false
	}
	c.version = binary.BigEndian.Uint32(b)
	c.sequence = binary.BigEndian.Uint64(b[4:])
	c.recorded = int64(binary.BigEndian.Uint64(b[12:]))
	copy(c.submission[:], b[20:])
	return c, true
}

// after returns the checkpoint once commit is folded.
func (c checkpoint) after(commit eventstore.Commit) checkpoint {
	c.sequence = commit.Sequence
	if n := len(commit.Entries); n > 0 {
		c.recorded = commit.Entries[n-1].Recorded.UnixMilli()
		c.submission = commit.Entries[n-1].Submission
	}
	return c
}

// recordedAt is when the last folded entry was recorded, the zero time when
// there is none.
func (c checkpoint) recordedAt() time.Time {
	if c.sequence == 0 {
		return time.Time{}
	}
	return time.UnixMilli(c.recorded).UTC()
}

// openDatabase opens or makes a generation of a view.
//
// Deleted bytes are to have one place to hide, sstables, so there is no
// write-ahead log (a recycled one keeps them), no separate value file, and every
// version edit rolls the MANIFEST (which holds the bounds of tables). Nothing is
// compressed where values are sealed or hashed, so that a search for bytes in
// the files finds what is there.
//
// A sorted database is for rows that nobody reads until they are all there. It takes
// runs of them from its [sorter] and leaves them as they are.
func openDatabase(g *keeping, dir string, sorted bool) (db *database, err error) {
	view, o := g.name, g.options
	db = &database{view: view, dir: dir, fs: o.FS}
	run := int(o.MemTableBytes * 3 / 2)
	if sorted { // hardly anything is put in as it comes, and what is read is read once
		o.MemTableBytes, o.CacheBytes = min(o.MemTableBytes, 1<<20), min(o.CacheBytes, 8<<20)
	}
	// Pebble takes memtables out of the cache, one as a rule. More than that wait only
	// while a flush is slow; they are not to be held against it as room for blocks.
	cache := pebble.NewCache(o.CacheBytes + int64(o.MemTableBytes))
	defer cache.Unref()
	options := &pebble.Options{
		FS:                          o.FS,
		Cache:                       cache,
		FormatMajorVersion:          pebble.FormatNewest,
		DisableWAL:                  true,
		MaxManifestFileSize:         1,
		MemTableSize:                o.MemTableBytes,
		MemTableStopWritesThreshold: memTables,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
		Logger:                      fatal{view},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) {
				db.trouble.Store(&err)
				db.failed.Add(1)
			},
			// Unless it is told, Pebble ends the process over a damaged table.
			DataCorruption: func(i pebble.DataCorruptionInfo) { db.trouble.Store(&i.Details) },
			TableDeleted: func(i pebble.TableDeleteInfo) {
				if i.Err != nil {
					db.undeleted.Lock()
					defer db.undeleted.Unlock()
					db.undeleted.paths = append(db.undeleted.paths, i.Path)
				}
			},
			FlushEnd: func(i pebble.FlushInfo) {
				if i.Err == nil {
					db.trouble.Store(nil)
				}
			},
		},
	}
	options.Experimental.DisableIngestAsFlushable = func() bool { return true } // it needs a log
	// Keys are tokens, so that every compaction into the first level rewrites all of
	// it. Fewer and larger ones cost a look-up some more filters to ask.
	options.L0CompactionThreshold = 16
	options.L0StopWritesThreshold = 48
	options.LBaseMaxBytes = 256 << 20
	for i := range options.TargetFileSizes {
		options.TargetFileSizes[i] = tableBytes
	}
	for i := range options.Levels {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		if g.sorts {
			options.Levels[i].BlockSize = blockBytes
		}
		if !g.compress {
			options.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
		}
	}
	if sorted {
		options.DisableAutomaticCompactions = true
		options.L0StopWritesThreshold = math.MaxInt32
		if err := removeUnnamed(o.FS, dir); err != nil {
			return nil, fmt.Errorf("open the view %s: %w", view, err)
		}
	}
	defer func() {
		if r := recover(); r != nil { // Pebble panics on some damage
			err = &ViewError{View: view, Err: ErrCorrupt, Cause: fmt.Errorf("%v", r)}
		}
	}()
	options.EnsureDefaults()
	if db.DB, err = pebble.Open(dir, options); err != nil {
		return nil, openError(view, err)
	}
	db.table = options.MakeWriterOptions(0, db.TableFormat())
	if sorted {
		db.sorter = &sorter{db: db, bytes: run}
	}
	db.last.version = uint32(g.version)
	value, err := db.get(checkpointKey)
	if err == nil && value != nil {
		stored, ok := decodeCheckpoint(value)
		switch {
		case !ok:
			err = &ViewError{View: view, Err: ErrCorrupt}
		case int(stored.version) > g.version || int(stored.version) < g.reads:
			err = &ViewError{View: view, Err: ErrVersion}
		}
		db.last = stored
	}
	if err == nil {
		// A crash may leave tables that no MANIFEST names. Pebble removes them
		// beside; until they are gone nobody can say what is in the files.
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err = db.removeNewTable(); err == nil {
			err = db.awaitRemoval(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(err, db.discard())
	}
	db.at.Store(db.last.sequence)
	return db, nil
}

// fatal is Pebble's logger. Pebble cannot go on after it failed to write a
// MANIFEST, and its callers hold locks that nobody will let go of: the process
// ends here, in a goroutine of Pebble's own, with a sentence instead of a dump of
// stacks. The ledger has everything.
type fatal struct{ view string }

func (fatal) Infof(string, ...any)  {}
func (fatal) Errorf(string, ...any) {}

// Fatalf does not return.
func (f fatal) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bahi: error: the view %s cannot be written: %s\n"+
		"bahi: hint: see whether the disk is full; nothing that was acknowledged is lost, do the same again when there is space\n",
		f.view, fmt.Sprintf(format, args...))
	os.Exit(1)
}

// get returns a copy of the value of key, nil when there is none.
func (db *database) get(key []byte) (value []byte, err error) {
	err = db.find(key, func(v []byte) error {
		value = append(make([]byte, 0, len(v)), v...)
		return nil
	})
	return value, err
}

// follows tells whether commits can be folded now.
func (db *database) follows(commits []eventstore.Commit) error {
	for i, c := range commits {
		if folded := db.last.sequence + uint64(i); c.Sequence != folded+1 {
			return &SequenceError{View: db.view, Folded: folded, Got: c.Sequence}
		}
	}
	return nil
}

// write applies the rows of a fold together with the checkpoint that they lead
// to. From then on readers see both.
func (db *database) write(rows *pebble.Batch, to checkpoint, commits, entries int) error {
	if err := rows.Set(checkpointKey, to.encode(), nil); err != nil {
		return fmt.Errorf("write the view %s: %w", db.view, err)
	}
	if err := db.apply(rows); err != nil {
		return err
	}
	db.advance(to)
	db.unsaved.commits += commits
	db.unsaved.entries += entries
	if db.unsaved.commits < flushCommits && db.unsaved.entries < flushEntries {
		return nil
	}
	db.unsaved.commits, db.unsaved.entries = 0, 0
	if _, err := db.AsyncFlush(); err != nil {
		return fmt.Errorf("flush the view %s: %w", db.view, err)
	}
	return nil
}

// gather keeps the rows that a fold has given to the sorter, with the checkpoint that
// they lead to.
func (db *database) gather(to checkpoint) error {
	_ = db.sorter.Set(checkpointKey, to.encode(), nil)
	db.advance(to)
	return db.sorter.keep()
}

func (db *database) advance(to checkpoint) {
	db.last = to
	db.at.Store(to.sequence)
}

func (db *database) apply(rows *pebble.Batch) error {
	if err := db.drain(); err != nil {
		return err
	}
	write := func() error { return db.Apply(rows, pebble.NoSync) }
	err := error(nil)
	if db.memory != nil {
		err = db.memory.below.with(keysOf(rows), write)
	} else {
		err = write()
	}
	db.lookup.forget()
	if err != nil {
		return fmt.Errorf("write the view %s: %w", db.view, err)
	}
	return nil
}

// flush puts everything that is applied into files. Pebble tries for ever when
// that fails, so flush gives up with the background job's error, or with ctx. One
// failure may be of an earlier job, or mended by the next try: the second counts.
func (db *database) flush(ctx context.Context) error {
	if err := db.drain(); err != nil {
		return err
	}
	enough := db.failed.Load() + 2
	done, err := db.AsyncFlush()
	if err != nil {
		return fmt.Errorf("flush the view %s: %w", db.view, err)
	}
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-poll.C:
			if why := db.trouble.Load(); why != nil && db.failed.Load() >= enough {
				return fmt.Errorf("flush the view %s: %w", db.view, *why)
			}
		case <-ctx.Done():
			return fmt.Errorf("flush the view %s: %w", db.view, ctx.Err())
		}
	}
}

// close flushes and closes. Nobody may be reading.
func (db *database) close() error {
	if err := db.flush(context.Background()); err != nil {
		return err // Pebble's Close would wait for the flush for ever
	}
	return db.discard()
}

// discard closes without flushing.
func (db *database) discard() error {
	if db.memory != nil {
		db.memory.below.stop()
		db.memory.done.Wait()
	}
	if db.sorter != nil {
		_ = db.sorter.wait() // nothing is written into files that are let go of
	}
	db.lookup.forget()
	if err := db.Close(); err != nil {
		return fmt.Errorf("close the view %s: %w", db.view, err)
	}
	return nil
}
