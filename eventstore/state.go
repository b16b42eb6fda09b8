package eventstore

import (
	"context"
	"time"
)

// CanAppend returns why nothing can be appended, as far as is known without asking
// anybody: [ErrUnreachable] while there is no connection, [ErrFull] when the embedded
// server's disk is full.
func (s *Store) CanAppend() error {
	switch {
	case s.nc.IsClosed():
		return ErrClosed
	case !s.nc.IsConnected():
		return ErrUnreachable
	case s.diskFull():
		return ErrFull
	}
	return nil
}

// StoredAt returns when the server stored a commit: by its clock, also in a sandbox.
// It costs the reading of the whole commit. [ErrNotFound] when there is none.
func (s *Store) StoredAt(ctx context.Context, sequence uint64) (time.Time, error) {
	msg, err := s.message(ctx, s.ledger, sequence)
	if err != nil {
		return time.Time{}, s.explain("find when a commit was stored", err)
	}
	return msg.Time, nil
}
