package projections

import (
	"bytes"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// lookup finds rows by their whole key, most of which are not there: submissions,
// persons, mobiles and photo IDs that are new. Pebble's Get asks no Bloom filter
// on the last level, so that each of those would cost reading a block. An
// iterator can be told to; it is kept from one reading to the next and dropped
// when rows are written.
type lookup struct {
	mu     sync.Mutex
	rows   *pebble.Iterator
	pinned bool // keep to what there was
}

// pin makes find see what there is now, whatever is written, until unpin.
func (l *lookup) pin(db *database) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.begin(db); err != nil {
		return err
	}
	l.pinned = true
	return nil
}

func (l *lookup) unpin() {
	l.mu.Lock()
	l.pinned = false
	l.mu.Unlock()
	l.forget()
}

func (l *lookup) begin(db *database) (err error) {
	if l.rows == nil {
		// Where presence has spoken, a filter of the last level would say of nearly every
		// key that it is there, and take the place of blocks in the cache.
		known := db.memory != nil && db.memory.below.chain.Load() != nil
		l.rows, err = db.DB.NewIter(&pebble.IterOptions{UseL6Filters: !known})
	}
	if err != nil {
		return readError(db.view, err)
	}
	return nil
}

// find calls with with the row of key, if there is one. The value is valid until
// with returns.
func (db *database) find(key []byte, with func(value []byte) error) error {
	if db.memory == nil {
		return db.findWritten(key, with)
	}
	m := db.memory
	m.mu.RLock()
	defer m.mu.RUnlock()
	k := keyOf(key)
	hash := k.hash()
	newest, kind, here := m.newest.value(k, hash)
	switch {
	case here && kind == rowSet:
		return with(newest)
	case here && kind == rowDeleted:
		return nil
	}
	before, kind, also := m.leaving.value(k, hash)
	switch {
	case also && kind == rowSet:
		return with(joined(before, newest))
	case also && kind == rowDeleted && here:
		return with(newest)
	case also && kind == rowDeleted:
		return nil
	}
	if !here && !also {
		return db.findBelow(key, hash, with)
	}
	merged := joined(before, newest)
	found := false
	err := db.findBelow(key, hash, func(value []byte) error {
		found = true
		return with(joined(value, merged))
	})
	if err == nil && !found {
		err = with(merged)
	}
	return err
}

// findBelow is findWritten for keys of which it may be known that nobody has them.
func (db *database) findBelow(key []byte, hash uint64, with func(value []byte) error) error {
	p := &db.memory.below
	if !p.may(hash) {
		return nil
	}
	if p.chain.Load() == nil {
		p.missed(db)
	}
	return db.findWritten(key, with)
}

// joined is what Pebble makes of merged values: one behind the other.
func joined(a, b []byte) []byte {
	switch {
	case len(a) == 0:
		return b
	case len(b) == 0:
		return a
	}
	return append(append(make([]byte, 0, len(a)+len(b)), a...), b...)
}

// findWritten is find among the rows that Pebble has.
func (db *database) findWritten(key []byte, with func(value []byte) error) error {
	l := &db.lookup
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.begin(db); err != nil {
		return err
	}
	if !l.rows.SeekPrefixGE(key) {
		if err := l.rows.Error(); err != nil {
			if !l.pinned { // a pinned one goes on with the next key
				l.rows, err = nil, closing(l.rows, err)
			}
			return readError(db.view, err)
		}
		return nil
	}
	if !bytes.Equal(l.rows.Key(), key) {
		return nil
	}
	value, err := l.rows.ValueAndErr()
	if err != nil {
		return readError(db.view, err)
	}
	return with(value)
}

// forget drops the iterator: what it pins may go, and the next one sees what is
// written.
func (l *lookup) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rows != nil && !l.pinned {
		_ = l.rows.Close() // it has told its errors
		l.rows = nil
	}
}
