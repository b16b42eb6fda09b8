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
	mu   sync.Mutex
	rows *pebble.Iterator
}

// find calls with with the row of key, if there is one. The value is valid until
// with returns.
func (db *database) find(key []byte, with func(value []byte) error) error {
	l := &db.lookup
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rows == nil {
		rows, err := db.NewIter(&pebble.IterOptions{UseL6Filters: true})
		if err != nil {
			return readError(db.view, err)
		}
		l.rows = rows
	}
	if !l.rows.SeekPrefixGE(key) {
		if err := l.rows.Error(); err != nil {
			l.rows, err = nil, closing(l.rows, err)
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
	if l.rows != nil {
		_ = l.rows.Close() // it has told its errors
		l.rows = nil
	}
}
