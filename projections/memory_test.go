package projections

import (
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// TestMemory: while layers fill, leave and are emptied, now and then cannot be written,
// and others drain them, a look-up finds whatever was written before it, once.
func TestMemory(t *testing.T) {
	t.Parallel()
	var broken atomic.Bool
	var touched atomic.Int64
	disk := vfs.NewMem()
	r, err := OpenRegister("register", nil, Options{FS: errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && filepath.Base(op.Path) == newTable && touched.Add(1)%23 == 0 {
			return errorfs.ErrInjected
		}
		return nil
	}))})
	if err != nil {
		t.Fatal(err)
	}
	rows := (*registerRows)(r.live.Load())
	rows.memory.limit = 50
	const keys, commits = 200, 300
	key := func(n int) []byte {
		return binary.BigEndian.AppendUint64([]byte{keyMobile}, uint64(n)*0x9e3779b97f4a7c15)
	}
	var written [keys]atomic.Int64
	check := func(n int) {
		least := written[n].Load()
		value, err := rows.get(key(n))
		if err != nil || int64(len(value)/8) < least {
			t.Errorf("row %d has %d values of %d: %v", n, len(value)/8, least, err)
		}
		for i := 0; i < len(value); i += 8 {
			if binary.BigEndian.Uint64(value[i:]) != uint64(i/8) {
				t.Errorf("row %d has %x", n, value)
				return
			}
		}
	}
	broken.Store(true)
	var others sync.WaitGroup
	stop := make(chan struct{})
	for o := range uint64(3) {
		others.Go(func() {
			chance := rand.New(rand.NewPCG(o, 1))
			for {
				select {
				case <-stop:
					return
				default:
				}
				check(chance.IntN(keys))
				if o == 0 {
					_ = rows.drain() // it is tried again
				}
			}
		})
	}
	chance, to := rand.New(rand.NewPCG(9, 1)), rows.last
	for to.sequence < commits && !t.Failed() {
		if rows.makeRoom() != nil {
			continue
		}
		var fresh writes
		var count [keys]int64
		for range 20 {
			n := chance.IntN(keys)
			fresh.add(key(n), rowMerged, binary.BigEndian.AppendUint64(nil, uint64(written[n].Load()+count[n])))
			count[n]++
		}
		to.sequence++
		rows.remember(&fresh, to)
		for n := range count {
			written[n].Add(count[n])
		}
	}
	close(stop)
	others.Wait()
	broken.Store(false)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err = OpenRegister("register", nil, Options{FS: disk}); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if rows = (*registerRows)(r.live.Load()); rows.last.sequence != to.sequence {
		t.Errorf("folded through %d, want %d", rows.last.sequence, to.sequence)
	}
	for n := range keys {
		check(n)
	}
}
