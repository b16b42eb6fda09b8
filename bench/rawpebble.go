package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/objstorage/objstorageprovider"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
	"bahi/eventstore"
)

// The people view has two rows a person: where the person is at home, and the history
// with its sealed parts.
const (
	homeKey, homeValue = 1 + domain.TokenSize, 5
	historyKey         = 1 + 5 + domain.TokenSize
	historyOverhead    = 17 // bytes an event, besides what is sealed
	tableBytes         = 16 << 20
)

// openPebble opens a Pebble with the options of the view that is measured beside it.
func openPebble(dir string) (*pebble.DB, *pebble.Options, error) {
	cache := pebble.NewCache(96 << 20)
	defer cache.Unref()
	o := &pebble.Options{
		Cache:                 cache,
		FormatMajorVersion:    pebble.FormatNewest,
		DisableWAL:            true,
		MemTableSize:          16 << 20,
		L0CompactionThreshold: 8,
		LBaseMaxBytes:         256 << 20,
		Logger:                silent{},
	}
	for i := range o.Levels {
		o.Levels[i].BlockSize = 32 << 10
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.NoCompression }
	}
	o.EnsureDefaults()
	db, err := pebble.Open(dir, o)
	return db, o, err
}

type silent struct{}

func (silent) Infof(string, ...any)           {}
func (silent) Errorf(string, ...any)          {}
func (silent) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }

// sealedBytes is what an event of a ledger has sealed, on average of the first ones.
func sealedBytes(ctx context.Context, store *eventstore.Store) (int, error) {
	sealed, events := 0, 0
	for commit, err := range store.Read(ctx, eventstore.Reading{}) {
		if err != nil {
			return 0, err
		}
		for _, e := range commit.Entries {
			switch e := e.Event.(type) {
			case domain.PersonRegistered:
				sealed, events = sealed+len(e.Sealed), events+1
			case domain.DoseAdministered:
				sealed, events = sealed+len(e.Sealed), events+1
			}
		}
		if events >= 10*ledgerBundle {
			break
		}
	}
	return sealed / max(1, events), nil
}

// ingestRows writes the rows of so many people in order of keys into tables, flushes
// these and has Pebble take them: what is left of a rebuild when nothing is read,
// decoded or sorted.
func ingestRows(ctx context.Context, dir string, people, sealed int) (took time.Duration, err error) {
	db, o, err := openPebble(dir)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	start := time.Now()
	t := &rowTables{dir: dir, options: o.MakeWriterOptions(0, db.TableFormat()), rng: rand.New(rand.NewPCG(1, 2))}
	for _, kind := range []struct {
		first      byte
		key, value int
	}{
		{'d', historyKey, submissionsEach * (sealed + historyOverhead)},
		{'h', homeKey, homeValue},
	} {
		for n := range people {
			if err := t.row(kind.first, n, kind.key, kind.value); err != nil {
				return 0, err
			}
		}
	}
	if err := t.close(); err != nil {
		return 0, err
	}
	if err := db.Ingest(ctx, t.paths); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}

// rowTables writes rows, which come in order of keys, into tables.
type rowTables struct {
	dir     string
	options sstable.WriterOptions
	rng     *rand.Rand
	table   *sstable.Writer
	paths   []string
	value   [1 << 10]byte
}

// row adds the n-th row of a kind: a key that begins with n, and a value that nothing
// compresses.
func (t *rowTables) row(kind byte, n, key, value int) error {
	if t.table != nil && t.table.Raw().EstimatedSize() >= tableBytes {
		if err := t.close(); err != nil {
			return err
		}
	}
	if t.table == nil {
		path := filepath.Join(t.dir, fmt.Sprintf("rows-%d", len(t.paths)))
		f, err := vfs.Default.Create(path, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		t.paths = append(t.paths, path)
		t.table = sstable.NewWriter(objstorageprovider.NewFileWritable(f), t.options)
	}
	return t.table.Set(rowKey(kind, n, key), fillRandom(t.rng, t.value[:value]))
}

func (t *rowTables) close() error {
	if t.table == nil {
		return nil
	}
	table := t.table
	t.table = nil
	return table.Close()
}

func rowKey(kind byte, n, size int) []byte {
	key := make([]byte, size)
	key[0] = kind
	binary.BigEndian.PutUint64(key[size-8:], uint64(n))
	return key
}

func fillRandom(rng *rand.Rand, b []byte) []byte {
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], rng.Uint64())
	}
	return b
}

// looking reads one row of so many people's a call.
func looking(ctx context.Context, dir string, people int) (look func(i int) error, end func(), err error) {
	if _, err := ingestRows(ctx, dir, people, 0); err != nil {
		return nil, nil, err
	}
	db, _, err := openPebble(dir)
	if err != nil {
		return nil, nil, err
	}
	return func(i int) error {
		_, done, err := db.Get(rowKey('h', anyOf(i, people)-1, homeKey))
		if err != nil {
			return err
		}
		return done.Close()
	}, func() { _ = db.Close() }, nil
}
