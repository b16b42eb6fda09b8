package notices

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"bahi/domain"
)

// headerPlace carries a [place]. It is the ledger's own note to itself.
const headerPlace = "Bahi-Place"

// place is how far the notices have come when the message is there that carries it.
// It never goes back along the stream, so that its last message tells where to go
// on.
type place struct {
	Ledger string `json:"ledger,omitempty"` // whose commits are counted; empty until the first notice

	// The next notice of an event: of that commit, of that entry in it, and of the
	// entry's own. All before it are out.
	Commit uint64 `json:"commit"`
	Entry  int    `json:"entry,omitempty"`
	Notice int    `json:"notice,omitempty"`

	// Changes of counts are out through the commit Counted. When Telling is not 0,
	// those through Telling are being told, in order of districts, and are out up to
	// the district Told.
	Counted uint64          `json:"counted"`
	Telling uint64          `json:"telling,omitempty"`
	Told    domain.District `json:"told,omitempty"`

	// Reversals are told to be due before the day Due, and on it up to this request,
	// in order of their ids.
	Due     domain.Day  `json:"due,omitempty"`
	Request domain.UUID `json:"request,omitzero"`
}

// behind is the place of who has told everything through a commit.
func behind(commit uint64) place { return place{Commit: commit + 1, Counted: commit} }

// after is the commit behind which to read on.
func (p place) after() uint64 { return min(p.Commit-1, p.Counted) }

// isOut tells whether the notice of an event is before the place.
func (p place) isOut(commit uint64, entry, notice int) bool {
	switch {
	case commit != p.Commit:
		return commit < p.Commit
	case entry != p.Entry:
		return entry < p.Entry
	}
	return notice < p.Notice
}

// isTold tells whether a reversal was told to be due.
func (p place) isTold(due domain.Day, request domain.UUID) bool {
	if due != p.Due {
		return due < p.Due
	}
	return string(request[:]) <= string(p.Request[:])
}

func (p place) header() string {
	b, err := json.Marshal(p)
	if err != nil { // of these types, none
		panic(fmt.Sprintf("notices: a place cannot be written as JSON: %v", err))
	}
	return string(b)
}

// errOther: the place is not one of this ledger.
var errOther = errors.New("where the notices were is no place in this ledger: it is another one, or was put back from an older copy")

// placeOf reads the place that a message carries.
func placeOf(h nats.Header) (p place, err error) {
	if err := json.Unmarshal([]byte(h.Get(headerPlace)), &p); err != nil || p.Commit == 0 {
		return place{}, errOther
	}
	return p, nil
}
