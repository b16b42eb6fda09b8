package eventstore

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Append puts a commit at the end of the ledger, provided that the last
// sequence of the whole ledger is expected, and returns the commit's own. On
// success the commit is flushed to disk, in a cluster on a majority. On the
// embedded server that is a flush, about a quarter of a millisecond; 500 events
// cost the same as one.
//
// Errors:
//   - [ErrConflict]: another commit was appended first; this one was not stored.
//     A commit that was stored and is appended again answers so too.
//   - [ErrTooLarge], [ErrFull]: it was not stored.
//   - [ErrUnknownOutcome]: it may be stored or not, or be stored yet.
//   - any other: the commit cannot be encoded, ctx had ended, or the server is
//     known to be away ([ErrUnreachable]); nothing was sent.
func (s *Store) Append(ctx context.Context, c Commit, expected uint64) (uint64, error) {
	data, err := Encode(c)
	if err != nil {
		return 0, err
	}
	sequence, err := s.publish(ctx, subjectOf(c.District), data, jetstream.WithExpectLastSequence(expected))
	if errors.Is(err, errSequence) {
		return 0, &ConflictError{Expected: expected}
	}
	if err != nil {
		return 0, fmt.Errorf("append a commit after %d: %w", expected, err)
	}
	return sequence, nil
}

// errSequence is the server's refusal of an expected sequence.
var errSequence = errors.New("wrong last sequence")

// publish sends one message to a stream and waits for its acknowledgement.
func (s *Store) publish(ctx context.Context, subject string, data []byte, expect ...jetstream.PublishOpt) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if s.diskFull() {
		return 0, ErrFull
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	ack, err := WhileConnected(ctx, s.nc, func(ctx context.Context) (*jetstream.PubAck, error) {
		return s.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: data}, expect...)
	})
	if err == nil {
		return ack.Sequence, nil
	}

	var refusal *jetstream.APIError
	if errors.As(err, &refusal) {
		switch server.ErrorIdentifier(refusal.ErrorCode) {
		case server.JSStreamWrongLastSequenceErrF, server.JSStreamWrongLastSequenceConstantErr:
			return 0, errSequence
		case server.JSStreamMessageExceedsMaximumErr:
			return 0, ErrTooLarge
		case server.JSInsufficientResourcesErr, server.JSStorageResourcesExceededErr, server.JSAccountResourcesExceededErr:
			return 0, ErrFull
		case server.JSStreamStoreFailedF:
			if refusal.Description == server.ErrMaxBytes.Error() {
				return 0, ErrFull
			}
		}
	}
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return 0, ErrTooLarge
	case errors.Is(err, nats.ErrConnectionClosed):
		return 0, ErrClosed
	case errors.Is(err, nats.ErrReconnectBufExceeded):
		return 0, ErrUnreachable
	}
	return 0, fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
}

// diskReserve is how much space the embedded server's disk must have for
// anything to be appended. When a write fails for want of space the server gives
// no answer at all and takes nothing more until it is started again.
const diskReserve = 16 << 20

// diskFull tells whether the embedded server's disk is down to the reserve.
func (s *Store) diskFull() bool {
	var disk syscall.Statfs_t
	if s.embedded == nil || syscall.Statfs(s.config.Dir, &disk) != nil || disk.Blocks == 0 {
		return false
	}
	return disk.Bavail*uint64(disk.Bsize) < diskReserve
}
