package projections

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// Rows that went through a sorter are those that batches would have made, whatever
// was set, added to and deleted, in however many runs, merged or not, and after a
// restart in between.
func TestSortedRowsAreTheSame(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 2))
			disk := vfs.NewMem()
			k := keeping{name: "people", version: 1, reads: 1, sorts: true, options: Options{MemTableBytes: 4 << 10, FS: disk}.withDefaults()}
			open := func(dir string, sorted bool) *database {
				db, err := openDatabase(&k, dir, sorted)
				if err != nil {
					t.Fatal(err)
				}
				return db
			}
			plain, sorted := open("plain", false), open("sorted", true)
			for sequence := range uint64(1 + rng.IntN(400)) {
				batch := plain.NewBatch()
				for range 1 + rng.IntN(20) {
					key := fmt.Appendf(nil, "d%0*d", 1+rng.IntN(20), rng.IntN(300))
					value := bytes.Repeat([]byte{byte(rng.IntN(256))}, rng.IntN(60))
					for _, to := range []rowWriter{batch, sorted.sorter} {
						switch rng := rand.New(rand.NewPCG(seed, sequence+uint64(len(value)))); rng.IntN(4) {
						case 0:
							_ = to.Set(key, value, nil)
						case 1:
							_ = to.Delete(key, nil)
						default:
							_ = to.Merge(key, value, nil)
						}
					}
				}
				to := checkpoint{version: 1, sequence: sequence + 1}
				if err := plain.write(batch, to, 1, 1); err != nil {
					t.Fatal(err)
				}
				if err := sorted.gather(to); err != nil {
					t.Fatal(err)
				}
				switch rng.IntN(60) {
				case 0: // a fold that fails leaves nothing
					_ = sorted.sorter.Set([]byte("d!"), []byte("half"), nil)
					sorted.sorter.undo()
				case 1:
					if err := sorted.close(); err != nil {
						t.Fatal(err)
					}
					sorted = open("sorted", true)
				case 2:
					if err := sorted.drain(); err != nil {
						t.Fatal(err)
					}
					if err := sorted.sorter.merge(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			sameRowsOf(t, plain, sorted)
			if err := sorted.sorter.merge(t.Context()); err != nil {
				t.Fatal(err)
			}
			if runs := sorted.Metrics().ReadAmp(); runs > readRuns {
				t.Errorf("%d runs are left", runs)
			}
			sameRowsOf(t, plain, sorted)
			if err := sorted.close(); err != nil {
				t.Fatal(err)
			}
			sorted = open("sorted", false) // as it is opened when readers come
			sameRowsOf(t, plain, sorted)
			names, err := disk.List("sorted")
			if err != nil || slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, unnamed) }) {
				t.Error("tables are left that the database did not take", names, err)
			}
			if err := sorted.close(); err != nil {
				t.Fatal(err)
			}
			if err := plain.close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func sameRowsOf(t *testing.T, want, got *database) {
	t.Helper()
	if err := got.drain(); err != nil {
		t.Fatal(err)
	}
	if want.last != got.last {
		t.Fatalf("checkpoint %+v, want %+v", got.last, want.last)
	}
	all := func(db *database) (rows []string) {
		err := scan(db.view, db.DB, []byte{'d'}, func(key, value []byte) error {
			rows = append(rows, fmt.Sprintf("%s=%x", key, value))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	if w, g := all(want), all(got); fmt.Sprint(w) != fmt.Sprint(g) {
		t.Fatalf("%d rows, want %d", len(g), len(w))
	}
}

// A span that is deleted is gone, and what comes later stays.
func TestSorterDeletesSpans(t *testing.T) {
	t.Parallel()
	k := keeping{name: "people", version: 1, reads: 1, sorts: true, options: Options{FS: vfs.NewMem()}.withDefaults()}
	db, err := openDatabase(&k, "sorted", true)
	if err != nil {
		t.Fatal(err)
	}
	_ = db.sorter.Set([]byte("d1"), []byte("before"), nil)
	if err := db.sorter.DeleteRange([]byte("d"), []byte("e"), nil); err != nil {
		t.Fatal(err)
	}
	_ = db.sorter.Set([]byte("d2"), []byte("after"), nil)
	if err := db.gather(checkpoint{version: 1, sequence: 1}); err != nil {
		t.Fatal(err)
	}
	if err := db.drain(); err != nil {
		t.Fatal(err)
	}
	var rows []string
	err = scan(db.view, db.DB, []byte{'d'}, func(key, value []byte) error {
		rows = append(rows, string(key)+"="+string(value))
		return nil
	})
	if err != nil || fmt.Sprint(rows) != "[d2=after]" {
		t.Fatal(rows, err)
	}
	if err := db.close(); err != nil {
		t.Fatal(err)
	}
}

var _ rowWriter = (*pebble.Batch)(nil)
