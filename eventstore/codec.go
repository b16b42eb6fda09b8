package eventstore

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"bahi/domain"
	"bahi/eventstore/wire"
)

// Encode writes a commit as wire/ledger.proto says. It refuses what could not
// be read back as it was: a commit without entries, recorded times that go
// backwards, codes that the wire format does not have, doses inside events that
// name a commit. The error is [ErrTooLarge] when the bytes are more than
// [MaxCommitSize].
func Encode(c Commit) ([]byte, error) {
	if len(c.Entries) == 0 {
		return nil, errors.New("a commit without entries is not a commit")
	}
	previous := c.Entries[0].Recorded.UnixMilli()
	if last := c.Recorded().UnixMilli(); previous < minRecordedMs || last > maxRecordedMs {
		return nil, errors.New("a recorded time lies in the years 1 to 9999")
	}
	desk := desks.Get().(*desk)
	defer desk.clear()
	desk.lay(c.Entries)
	message := wire.Commit{Id: c.ID[:], District: uint32(c.District), RecordedMs: previous, Entries: desk.list}
	for i := range c.Entries {
		from, to := &c.Entries[i], &desk.entries[i]
		if from.Submission != (domain.SubmissionToken{}) {
			to.Submission = from.Submission[:]
		}
		if from.Digest != (domain.Digest{}) {
			to.Digest = from.Digest[:]
		}
		to.Issued = uint32(from.Issued)
		recorded := from.Recorded.UnixMilli()
		if recorded < previous {
			return nil, fmt.Errorf("entry %d of the commit is recorded before the one it follows", i)
		}
		to.RecordedDeltaMs = uint64(recorded - previous)
		previous = recorded
		if err := toWire(to, from.Event, desk); err != nil {
			return nil, fmt.Errorf("entry %d of the commit: %w", i, err)
		}
	}
	size := message.SizeVT()
	if size > MaxCommitSize {
		return nil, fmt.Errorf("%w (%d entries make %d bytes)", ErrTooLarge, len(c.Entries), size)
	}
	return message.MarshalVT()
}

// Decode reads a commit; its Sequence is 0. The sealed parts of its events
// share data's memory, so data must not be changed afterwards.
//
// Whatever this version does not know in full is refused, never skipped: the
// error is a [*DecodeError] over [ErrNewer] or [ErrMalformed].
func Decode(data []byte) (Commit, error) {
	c, err := decode(data)
	if err != nil {
		return Commit{}, &DecodeError{Err: err}
	}
	return c, nil
}

func decode(data []byte) (Commit, error) {
	if c, ok := decodePlain(data); ok {
		return c, nil
	}
	return decodeAny(data)
}

// decodeAny reads a commit by the generated code, and says what is wrong with it.
func decodeAny(data []byte) (Commit, error) {
	var message wire.Commit
	if err := unmarshal(data, &message); err != nil {
		return Commit{}, err
	}
	c := Commit{District: domain.District(message.District), Entries: make([]Entry, len(message.Entries))}
	if len(message.Id) != len(c.ID) || message.District != uint32(c.District) || len(message.Entries) == 0 {
		return Commit{}, ErrMalformed
	}
	copy(c.ID[:], message.Id)
	recorded := message.RecordedMs
	if recorded < minRecordedMs || recorded > maxRecordedMs {
		return Commit{}, ErrMalformed
	}
	for i, from := range message.Entries {
		to := &c.Entries[i]
		if !optionalToken(to.Submission[:], from.Submission) || !optionalToken(to.Digest[:], from.Digest) {
			return Commit{}, ErrMalformed
		}
		if from.Issued > 255 || from.RecordedDeltaMs > uint64(maxRecordedMs-recorded) || (i == 0 && from.RecordedDeltaMs != 0) {
			return Commit{}, ErrMalformed
		}
		to.Issued = uint8(from.Issued)
		recorded += int64(from.RecordedDeltaMs)
		to.Recorded = time.UnixMilli(recorded).UTC()
		event, err := fromWire(from)
		if err != nil {
			return Commit{}, err
		}
		to.Event = event
	}
	return c, nil
}

// message is one of the messages in eventstore/wire.
type message interface {
	UnmarshalVTUnsafe([]byte) error
	HasUnknown() bool
	MarshalVT() ([]byte, error)
}

// unmarshal fills m, which then shares data's memory.
//
// There is one way to write a message, and it is asked for byte by byte. Of two events
// in an entry protobuf keeps the last; to compare lengths would not do, since what is
// lost can be made up for elsewhere, as by a list that is not packed.
func unmarshal(data []byte, m message) error {
	if m.UnmarshalVTUnsafe(data) != nil {
		return ErrMalformed // the cause could quote what it met
	}
	if m.HasUnknown() {
		return ErrNewer
	}
	if again, err := m.MarshalVT(); err != nil || !bytes.Equal(again, data) {
		return ErrMalformed
	}
	return nil
}

// Recorded times lie in the years 1 to 9999, so that every one of them can be
// written as RFC 3339.
const (
	minRecordedMs = -62_135_596_800_000
	maxRecordedMs = 253_402_300_799_999
)

// optionalToken fills token from b, which may be empty for none.
func optionalToken(token, b []byte) bool {
	return len(b) == 0 || len(b) == len(token) && copy(token, b) > 0
}
