package eventstore

import (
	"math"
	"time"

	"bahi/domain"
)

// Commit is the unit of everything: of atomic append, of the concurrency check,
// of a flush to disk, of a projection's checkpoint and of a Merkle leaf. It is
// one JetStream message, under 1 MB.
type Commit struct {
	ID       [16]byte        // random; finding it at the head tells that a commit reported lost was stored
	Sequence uint64          // in the stream LEDGER, from 1, without gaps; 0 before it is appended
	District domain.District // of its subject; 0 for orders, [Several] for entries of more than one
	Entries  []Entry

	// Stored are the bytes of the message as the stream has them: a Merkle leaf
	// is what is stored, not what it means. [Store.Read] and [Store.At] set them,
	// [Encode] does not look at them. They share memory with the sealed parts and
	// must not be changed.
	Stored []byte
}

// Several stands for the districts of a commit that has entries of more than one:
// of few submissions that waited, so that they share a flush.
const Several domain.District = math.MaxUint16

// Entry is one event of a commit with what the ledger notes beside it.
type Entry struct {
	Submission domain.SubmissionToken // the zero value for events that no submission asked for
	Digest     domain.Digest          // of the whole submission
	Issued     uint8                  // 1 + the counter of a reference number that the ledger issued; 0 when the submission brought it
	Recorded   time.Time              // millisecond resolution, never earlier than the entry before
	Event      domain.Event
}

// Recorded returns when the last entry was recorded, which is the commit's
// place in time.
func (c Commit) Recorded() time.Time {
	if len(c.Entries) == 0 {
		return time.Time{}
	}
	return c.Entries[len(c.Entries)-1].Recorded
}
