package eventstore

import (
	"context"
	"time"
)

// Room returns [ErrFull] when nothing can be appended for want of space. It asks
// nobody: of an external server it knows nothing.
func (s *Store) Room() error {
	if s.diskFull() {
		return ErrFull
	}
	return nil
}

// StoredAt returns when the server stored a commit: by its clock, also in a sandbox.
// It costs the reading of the whole commit. [ErrNotFound] when there is none.
func (s *Store) StoredAt(ctx context.Context, sequence uint64) (time.Time, error) {
	msg, err := s.ledger.GetMsg(ctx, sequence)
	if err != nil {
		return time.Time{}, s.explain("find when a commit was stored", err)
	}
	return msg.Time, nil
}
