package ledger

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"sort"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// ReplayWindow is how many events a replay holds to mix those of a day: about 10 MB.
const ReplayWindow = 1 << 15

// window gathers the events of whole commits until they are told. What is recorded
// on one day and fits comes out in the order of pseudonyms, which is chance.
type window struct {
	ordered bool // as the ledger is
	marks   bool // may say how far it is
	limit   int  // events from which on it is told
	first   domain.Day
	events  []ReplayEvent
	places  []place
	through uint64
}

// place says where in its window an event is told.
type place struct {
	recorded domain.Day
	name     uint64 // the pseudonym's beginning
	at       int    // of the events: one person's stay in their order
}

// takes tells whether a commit's events may be mixed with those that wait.
func (w *window) takes(c eventstore.Commit) bool {
	return len(w.events) == 0 || len(c.Entries) == 0 || domain.DayOf(c.Entries[0].Recorded) == w.first
}

func (w *window) add(e ReplayEvent, person domain.PersonToken, names *pseudonyms) {
	if len(w.events) == 0 {
		w.first = e.Recorded
	}
	p := place{recorded: e.Recorded, at: len(w.events)}
	if person != (domain.PersonToken{}) {
		e.Person, p.name = names.of(person)
	}
	w.events, w.places = append(w.events, e), append(w.places, p)
}

// tell yields what waits; false when nobody wants more.
func (w *window) tell(yield func(ReplayEvent) bool) bool {
	if !w.ordered {
		slices.SortFunc(w.places, func(a, b place) int {
			return cmp.Or(cmp.Compare(a.recorded, b.recorded), cmp.Compare(a.name, b.name), cmp.Compare(a.at, b.at))
		})
	}
	if last := len(w.places) - 1; last >= 0 && w.marks {
		w.events[w.places[last].at].Through = w.through
	}
	for _, p := range w.places {
		if !yield(w.events[p.at]) {
			return false
		}
	}
	clear(w.events)
	w.events, w.places = w.events[:0], w.places[:0]
	return true
}

// pseudonyms are made for one export: a keyed hash of the person's token.
type pseudonyms struct {
	mac hash.Hash
	sum [sha256.Size]byte
}

const pseudonymSize = 12 // bytes: a billion people share one with a chance of 10^-11

func newPseudonyms(key []byte) (*pseudonyms, error) {
	if len(key) == 0 {
		key = make([]byte, PseudonymKeySize)
		rand.Read(key)
	}
	if len(key) != PseudonymKeySize {
		return nil, fmt.Errorf("%w: a key of pseudonyms has %d bytes", ErrBadRequest, PseudonymKeySize)
	}
	return &pseudonyms{mac: hmac.New(sha256.New, key)}, nil
}

// of returns a person's pseudonym, and its beginning as a number.
func (p *pseudonyms) of(t domain.PersonToken) (string, uint64) {
	p.mac.Reset()
	p.mac.Write(t[:])
	sum := p.mac.Sum(p.sum[:0])
	return hex.EncodeToString(sum[:pseudonymSize]), binary.BigEndian.Uint64(sum)
}

// bounds finds the commits that a query is about. It widens the query to whole
// days, unless its bounds may lie within one.
func (l *Ledger) bounds(ctx context.Context, q *ReplayQuery) (eventstore.Reading, error) {
	r := eventstore.Reading{Through: q.ToSequence, Follow: q.Follow}
	head, err := l.store.Head(ctx)
	if err != nil {
		return r, err
	}
	if !q.WithinDay {
		if err := l.widen(ctx, q, head); err != nil {
			return r, err
		}
		r.Through = 0
	}
	if q.FromSequence > 0 {
		r.After = q.FromSequence - 1
	}
	if !q.FromTime.IsZero() {
		first, err := l.firstRecorded(ctx, q.FromTime, head)
		if err != nil {
			return r, err
		}
		r.After = max(r.After, first-1)
	}
	switch {
	case q.Follow:
		r.After = min(r.After, head)
	case r.After == head:
		r.Through = r.After // nothing is there yet
	}
	return r, nil
}

// widen makes days of all bounds.
func (l *Ledger) widen(ctx context.Context, q *ReplayQuery, head uint64) error {
	if from := q.FromSequence; from > 0 && from <= head {
		commit, err := l.store.At(ctx, from)
		if err != nil {
			return err
		}
		if start := domain.DayOf(commit.Entries[0].Recorded).Start(); q.FromTime.Before(start) {
			q.FromTime = start
		}
		q.FromSequence = 0
	}
	if to := q.ToSequence; to > 0 && to < head {
		commit, err := l.store.At(ctx, to)
		if err != nil {
			return err
		}
		if recorded := commit.Recorded(); q.ToTime.IsZero() || recorded.Before(q.ToTime) {
			q.ToTime = recorded
		}
	}
	q.ToSequence = 0
	if !q.FromTime.IsZero() {
		q.FromTime = domain.DayOf(q.FromTime).Start()
	}
	if !q.ToTime.IsZero() {
		q.ToTime = domain.DayOf(q.ToTime).End()
	}
	return nil
}

// firstRecorded finds the first commit with an entry that is not recorded before a
// time, among the first head ones; head+1 when there is none. Recorded times never
// go back, so it asks for a commit for each doubling of the ledger.
func (l *Ledger) firstRecorded(ctx context.Context, t time.Time, head uint64) (uint64, error) {
	var failed error
	n := sort.Search(int(head), func(i int) bool {
		if failed != nil {
			return true
		}
		commit, err := l.store.At(ctx, uint64(i)+1)
		if err != nil {
			failed = errors.Join(failed, err)
			return true
		}
		return !commit.Recorded().Before(t)
	})
	return uint64(n) + 1, failed
}
