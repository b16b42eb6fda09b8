package projections

import (
	"encoding/binary"
	"io"

	"github.com/cockroachdb/pebble/v2"

	"bahi/domain"
)

// scan calls yield with every row whose key begins with prefix, in order of
// keys. Key and value are valid until yield returns.
func (db *database) scan(prefix []byte, yield func(key, value []byte) error) error {
	if err := db.drain(); err != nil {
		return err
	}
	return scan(db.view, db.DB, prefix, yield)
}

func scan(view string, from pebble.Reader, prefix []byte, yield func(key, value []byte) error) (err error) {
	rows, err := from.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return readError(view, err)
	}
	defer func() { err = closing(rows, err) }()
	for rows.First(); rows.Valid(); rows.Next() {
		value, err := rows.ValueAndErr()
		if err != nil {
			return readError(view, err)
		}
		if err := yield(rows.Key(), value); err != nil {
			return err
		}
	}
	if err := rows.Error(); err != nil {
		return readError(view, err)
	}
	return nil
}

func closing(c io.Closer, err error) error {
	if closed := c.Close(); err == nil && closed != nil {
		return closed
	}
	return err
}

// prefixEnd returns the first key after all that begin with prefix.
func prefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// cohortSize is the length of a cohort in a key.
const cohortSize = 5

func appendCohort(b []byte, c domain.Cohort) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(c.District))
	b = append(b, byte(c.Group))
	return binary.BigEndian.AppendUint16(b, c.Generation)
}

func cohortAt(b []byte) domain.Cohort {
	return domain.Cohort{
		District:   domain.District(binary.BigEndian.Uint16(b)),
		Group:      domain.Group(b[2]),
		Generation: binary.BigEndian.Uint16(b[3:]),
	}
}
