package projections

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
	"bahi/eventstore"
)

func TestKeyFilter(t *testing.T) {
	t.Parallel()
	chance := rand.New(rand.NewPCG(1, 2))
	token := func() []byte {
		b := binary.LittleEndian.AppendUint64([]byte{keySubmission}, chance.Uint64())
		return binary.LittleEndian.AppendUint64(b, chance.Uint64())
	}
	const rows = 50_000
	f := newKeyFilter(rows)
	hashes := make([]uint64, rows)
	for i := range hashes {
		k := keyOf(token())
		hashes[i] = k.hash()
		f.add(hashes[i])
	}
	for _, h := range hashes {
		if !f.may(h) {
			t.Fatal("a key that was added is said to be absent")
		}
	}
	wrong := 0
	for range rows {
		k := keyOf(token())
		if f.may(k.hash()) {
			wrong++
		}
	}
	if wrong > rows/100 {
		t.Errorf("%d of %d absent keys are taken for present", wrong, rows)
	}
}

// TestPresence: what is known of absent keys is made while rows are written, let go of
// and made again; whatever was accepted is found all along, and nothing else is.
func TestPresence(t *testing.T) {
	t.Parallel()
	r, err := OpenRegister("register", nil, Options{FS: vfs.NewMem(), MemTableBytes: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	at := time.Date(2021, 2, 1, 0, 0, 0, 0, time.UTC)
	token := func(n uint64) (s domain.SubmissionToken) {
		chance := rand.New(rand.NewPCG(7, n))
		binary.LittleEndian.PutUint64(s[:], chance.Uint64())
		binary.LittleEndian.PutUint64(s[8:], chance.Uint64())
		return s
	}
	below := &(*registerRows)(r.live.Load()).memory.below
	const each, commits = 400, 120
	for c := range uint64(commits) {
		d := r.Draft(c+1, nil, each)
		for i := range uint64(each) {
			if err := d.Add(eventstore.Entry{Submission: token(c*each + i), Recorded: at}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Accept(d); err != nil {
			t.Fatal(err)
		}
		now := r.Now()
		for i := range uint64(each) {
			n := (i*7919 + c) % (c*each + each)
			if s, ok, err := now.Submission(token(n)); err != nil || !ok || s.Commit != n/each+1 {
				t.Fatalf("submission %d, after commit %d: %+v, %v, %v", n, c+1, s, ok, err)
			}
			if _, ok, err := now.Submission(token(1<<40 + c*each + i)); err != nil || ok {
				t.Fatalf("a submission that nobody sent: %v, %v", ok, err)
			}
		}
		if c%50 == 49 { // enough was asked for a pass over the rows
			below.making.Wait()
			if below.chain.Load() == nil {
				t.Error("nothing is known of absent keys")
			}
			below.release()
		}
	}
}

// TestMissedWaitsForNoPass: who asks in vain while a pass over the rows is under way does
// not wait for it.
func TestMissedWaitsForNoPass(t *testing.T) {
	t.Parallel()
	p := &presence{}
	p.mu.Lock() // as a pass does
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		p.missed(nil)
	}()
	select {
	case <-asked:
	case <-time.After(time.Minute):
		t.Error("a look-up waits for a pass")
	}
	p.mu.Unlock()
	<-asked
}

// TestFiltersOfTheLastLevel: they are asked as long as nothing is known of absent keys,
// and not beside what is: they would take the place of blocks in the cache.
func TestFiltersOfTheLastLevel(t *testing.T) {
	t.Parallel()
	r, err := OpenRegister("register", nil, Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	db := (*registerRows)(r.live.Load())
	const rows = 2000
	key := func(n uint64) []byte {
		return binary.BigEndian.AppendUint64([]byte{keyMobile}, n*0x9e3779b97f4a7c15)
	}
	var fresh writes
	for n := range uint64(rows) {
		fresh.add(key(n), rowSet, []byte("x"))
	}
	db.remember(&fresh, db.last)
	if err := db.drain(); err != nil {
		t.Fatal(err)
	}
	if err := db.Compact(t.Context(), []byte{keyMobile}, []byte{keyMobile + 1}, false); err != nil {
		t.Fatal(err)
	}
	if last := db.Metrics().Levels[6].TablesCount; last == 0 {
		t.Fatal("the rows are not on the last level")
	}
	asked := func() (times int64) {
		t.Helper()
		before := db.Metrics().Filter
		for n := range uint64(rows) {
			found := 0
			for _, key := range [][]byte{key(n), key(n + rows)} {
				if err := db.find(key, func([]byte) error { found++; return nil }); err != nil {
					t.Fatal(err)
				}
			}
			if found != 1 {
				t.Fatalf("of one key that is there and one that is not, %d were found", found)
			}
		}
		after := db.Metrics().Filter
		return after.Hits + after.Misses - before.Hits - before.Misses
	}
	if asked() == 0 {
		t.Error("no filter was asked while nothing was known of absent keys")
	}
	db.memory.below.asked.Store(worthMaking - 1)
	db.memory.below.missed(db.database)
	db.memory.below.making.Wait()
	db.lookup.forget() // as the next write does
	if times := asked(); times > 0 {
		t.Errorf("filters of the last level were asked %d times beside what is known", times)
	}
}
