package projections

import (
	"context"
	"iter"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// presence says of most keys that no file of a view holds them. The register asks
// that for every submission, person, mobile and photo ID that is new, and Pebble
// would have to ask a filter of each of its levels, whose memory the processor's
// caches hold still less.
//
// It lies in memory alone, and of bounded size: beyond 133 million rows
// more and more keys are looked for in vain. It is made in one pass over the rows
// once enough has been asked, and let go of when a freeze has the rows purged: what
// is forgotten is not to be guessed from it either.
type presence struct {
	chain atomic.Pointer[[]keyFilter] // nil as long as nobody knows all rows
	asked atomic.Int64                // how often it knew nothing

	// landing is held for reading from when keys are noted until their rows are in
	// the files, so that a pass begins with either all told or all there.
	landing sync.RWMutex

	mu       sync.Mutex // protects what follows
	filters  []keyFilter
	room     int  // rows that the last of them still takes
	noting   bool // every row that is written is told
	making   sync.WaitGroup
	cancel   context.CancelFunc // of what is making
	releases int                // how often it was let go of
}

const (
	firstFilter = 1 << 19 // rows of the first filter, of 1 MiB; each further one takes twice as many
	mostFilters = 8       // 255 MiB in all; the last one takes what more there is
	worthMaking = 1 << 13 // questions after which a pass over the rows is worth while
	allTheRest  = int(^uint(0) >> 1)
)

// may tells whether a row with the key may be in the files.
func (p *presence) may(hash uint64) bool {
	chain := p.chain.Load()
	if chain == nil {
		return true
	}
	for _, f := range *chain {
		if f.may(hash) {
			return true
		}
	}
	return false
}

// with notes keys and writes their rows.
func (p *presence) with(keys iter.Seq[[]byte], write func() error) error {
	p.landing.RLock()
	defer p.landing.RUnlock()
	p.note(keys)
	return write()
}

func (p *presence) note(keys iter.Seq[[]byte]) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.noting {
		for key := range keys {
			p.add(key)
		}
	}
}

func (p *presence) add(key []byte) {
	if p.room == 0 {
		p.grow()
		if p.chain.Load() != nil {
			p.publish()
		}
	}
	p.room--
	k := keyOf(key)
	p.filters[len(p.filters)-1].add(k.hash())
}

func (p *presence) grow() {
	rows := firstFilter << len(p.filters)
	p.filters = append(p.filters, newKeyFilter(rows))
	if p.room = rows; len(p.filters) == mostFilters {
		p.room = allTheRest
	}
}

func (p *presence) publish() {
	chain := append([]keyFilter(nil), p.filters...)
	p.chain.Store(&chain)
}

// missed is told that Pebble was asked because nothing is known, and after some
// time has a pass over the rows made, beside. A pass that is under way holds the lock
// nearly all the time: look-ups do not wait for it.
func (p *presence) missed(db *database) {
	if p.asked.Add(1) != worthMaking {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked.Load() < worthMaking {
		return // it was let go of meanwhile
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	release := p.releases
	p.making.Go(func() {
		defer cancel()
		p.make(ctx, db, release)
	})
}

// make notes all rows. When they cannot be read, nothing is known, as before.
func (p *presence) make(ctx context.Context, db *database, release int) {
	rows, err := p.rows(db, release)
	if err != nil {
		return
	}
	defer func() { _ = rows.Close() }() // its error is rows.Error's
	const some = 1 << 12
	for more := rows.First(); more; {
		p.mu.Lock()
		for range some {
			if more = rows.Valid(); !more || p.releases != release {
				break
			}
			p.add(rows.Key())
			rows.Next()
		}
		gone := p.releases != release
		p.mu.Unlock()
		if gone || ctx.Err() != nil {
			return
		}
	}
	if rows.Error() != nil {
		p.release() // what was noted so far is good for nothing
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.releases == release {
		p.publish()
	}
}

// rows returns all rows that are there now; those that come are noted.
func (p *presence) rows(db *database, release int) (*pebble.Iterator, error) {
	p.landing.Lock()
	defer p.landing.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.releases == release {
		p.noting = true
	}
	return db.DB.NewIter(nil)
}

// release forgets everything.
func (p *presence) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.chain.Store(nil)
	p.asked.Store(0)
	p.filters, p.room, p.noting = nil, 0, false
	p.releases++
}

// stop ends a pass and waits until it has let go of the files.
func (p *presence) stop() {
	p.mu.Lock()
	if p.cancel != nil {
		p.cancel()
	}
	p.mu.Unlock()
	p.making.Wait()
}

// keysOf yields the keys that a batch writes; a span that it deletes has none.
func keysOf(batch *pebble.Batch) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for r := batch.Reader(); ; {
			kind, key, _, ok, err := r.Next()
			if !ok || err != nil {
				return // it is our own: applying it meets the error, too
			}
			if (kind == pebble.InternalKeyKindSet || kind == pebble.InternalKeyKindMerge) && !yield(key) {
				return
			}
		}
	}
}

// keyFilter is a Bloom filter of which each key sets six bits in one word. It may be
// read while keys are added.
type keyFilter struct {
	words []uint64
	shift uint8 // of a hash, for the word
}

// newKeyFilter returns a filter of 16 bits a row: fewer than one key in two hundred is
// taken for one that is there. Those of a chain add up.
func newKeyFilter(rows int) keyFilter {
	size := bits.Len(uint(max(rows, 4)/4 - 1))
	return keyFilter{words: make([]uint64, 1<<size), shift: uint8(64 - size)}
}

func (f keyFilter) add(hash uint64) { atomic.OrUint64(&f.words[hash>>f.shift], bitsOf(hash)) }

func (f keyFilter) may(hash uint64) bool {
	return atomic.LoadUint64(&f.words[hash>>f.shift])&bitsOf(hash) == bitsOf(hash)
}

func bitsOf(hash uint64) uint64 {
	return 1<<(hash&63) | 1<<(hash>>6&63) | 1<<(hash>>12&63) | 1<<(hash>>18&63) | 1<<(hash>>24&63) | 1<<(hash>>30&63)
}
