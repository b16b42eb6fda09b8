package ledger

import (
	"crypto/rand"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/projections"
)

const (
	maxCommitEntries = 2_000   // events decided together; bounds how long the oldest waits
	maxCommitBytes   = 900_000 // what they may weigh; a commit stays under 1 MB
	entryBytes       = 160     // bound of an entry on the wire, besides what is sealed
	maxWaiting       = 64      // bundles that wait in the queue; further callers are held back
	maxGathered      = 8_192   // submissions that the committer takes from the queue ahead of deciding
	mixedAtMost      = 512     // submissions of a district, on average, that share a commit with others', when no more wait
	maxSends         = 5       // of one commit to a server that does not answer
	maxTries         = 100     // of one ask against foreign writers
	appendTimeout    = 10 * time.Second
	maxSilence       = 10 * time.Second
	silencePause     = 200 * time.Millisecond // before a ledger that cannot be read is written to again
)

// committer decides and appends. Its one goroutine alone makes drafts of the
// register and writes it.
type committer struct {
	*Ledger
	waiting  []*ask
	blocked  map[[domain.TokenSize]byte]bool // what asks that next passed over are about; later asks about it wait too
	scanned  int                             // waiting[:scanned] belongs to other districts than next
	next     *flight                         // being decided
	inflight *flight                         // being flushed
	landed   *flight                         // whose memory the next one takes; nil when there is none

	silent     time.Time    // since when the ledger cannot be read; zero when it can
	latest     time.Time    // the latest time that a sender gave
	refreshing []chan error // who waits for the register to know the head
}

// flight is a commit from its first decided ask to its acknowledgement.
type flight struct {
	commit   eventstore.Commit
	draft    *projections.Draft
	answers  []answer
	closed   map[domain.Cohort][]domain.PhotoIDToken // of people born closed in this commit
	bytes    int
	spoiled  bool // the draft holds half of an event
	mixes    bool // takes entries of several districts
	attempts int
	seals    []sealing  // what is left to do before it is sent
	outcome  chan error // receives one value: nil when acknowledged
}

// answer is an ask whose verdict, already in its batch, waits until what it rests on
// is flushed; or a fault.
type answer struct {
	ask *ask
	err error
}

// run returns when the ledger stops, with everything that was queued answered.
func (c *committer) run() {
	defer close(c.stopped)
	stopping := c.stopping
	for {
		arrivals := c.queue
		if len(c.waiting) >= maxGathered {
			arrivals = nil
		}
		var outcome chan error
		if c.inflight != nil {
			outcome = c.inflight.outcome
		}
		select {
		case asks := <-arrivals:
			c.arrive(asks)
		case asked := <-c.refreshes:
			c.refreshing = append(c.refreshing, asked)
		case err := <-outcome:
			c.land(err)
		case <-stopping:
			stopping = nil // what is queued is still decided
		}
		if c.inflight == nil {
			c.foldForOthers()
		}
		c.gather()
		c.decideWaiting()
		for c.inflight == nil && c.next != nil {
			c.launch()
			c.decideWaiting()
		}
		if stopping == nil && c.inflight == nil && len(c.refreshing) == 0 && len(c.waiting) == 0 && len(c.queue) == 0 {
			return
		}
	}
}

// gather takes what else has queued, so that it shares the next commit.
func (c *committer) gather() {
	for len(c.waiting) < maxGathered {
		select {
		case asks := <-c.queue:
			c.arrive(asks)
		default:
			return
		}
	}
}

// arrive puts asks at the end of the queue. In a sandbox none is recorded before
// what stands before it in the queue, so its turn comes no earlier, either.
func (c *committer) arrive(asks []*ask) {
	for _, a := range asks {
		if at := a.when(); at.After(c.latest) && !at.After(c.now()) {
			c.latest = at
		}
		a.turn = c.latest
	}
	c.waiting = append(c.waiting, asks...)
}

// decideWaiting decides into the next commit whatever belongs to its district
// and fits. Asks of other districts stay, and so do later asks about the same:
// what a sender put in order is decided in that order.
func (c *committer) decideWaiting() {
	if c.next != nil && c.next.full() {
		return
	}
	kept := c.waiting[:c.scanned]
	for i := c.scanned; i < len(c.waiting); i++ {
		a := c.waiting[i]
		if c.next != nil && c.next.full() {
			kept = append(kept, c.waiting[i:]...)
			c.waiting = kept
			return // scanned stays before what was not looked at
		}
		if !c.take(a, kept) {
			c.pass(a)
			kept = append(kept, a)
			c.scanned = len(kept)
		}
		if c.next != nil && c.next.spoiled {
			c.waiting = append(kept, c.waiting[i+1:]...)
			c.redecide()
			c.decideWaiting() // once more for each ask at most: it is left out then
			return
		}
	}
	clear(c.waiting[len(kept):])
	c.waiting = kept
}

// take decides a into the next commit, or answers false when it must wait.
func (c *committer) take(a *ask, passed []*ask) bool {
	if c.next == nil {
		c.next = c.newFlight()
		c.next.mixes = c.mixes()
	}
	if err := c.identify(c.next.draft, a); err != nil {
		c.next.answers = append(c.next.answers, answer{ask: a, err: err})
		return true
	}
	for about := range a.about {
		if c.blocked[about] {
			return false
		}
	}
	if c.sandbox.Load() && len(passed) > 0 && domain.DayOf(a.turn) > domain.DayOf(passed[0].turn) {
		return false // history is replayed day by day, over all districts
	}
	district, known, err := c.route(c.next.draft, a)
	if err != nil {
		c.next.answers = append(c.next.answers, answer{ask: a, err: err})
		return true
	}
	if len(c.next.commit.Entries) > 0 && (known && !c.next.takes(district) || c.next.bytes+weight(a.event) > maxCommitBytes) {
		return false
	}
	c.decideInto(c.next, a, district)
	return true
}

// mixes tells whether the next commit takes entries of several districts: when there
// are too few of each that waits for a commit of its own.
func (c *committer) mixes() bool {
	seen := map[domain.District]bool{}
	for _, a := range c.waiting {
		switch s := a.submission.(type) {
		case domain.Registration:
			seen[s.District] = true
		case domain.DoseGiven:
			seen[s.District] = true
		}
		if len(c.waiting) <= c.mixing*max(1, len(seen)) {
			return true
		}
	}
	return false
}

// pass notes that a waits, and so must what comes later about the same.
func (c *committer) pass(a *ask) {
	for about := range a.about {
		c.blocked[about] = true
	}
}

// about yields what the verdict on a may depend on, or change: the submission's
// id, the person, the registration that names the person, the photo ID and
// mobile number, the request.
func (a *ask) about(yield func([domain.TokenSize]byte) bool) {
	var nothing [domain.TokenSize]byte
	if a.submission == nil || a.refused != nil || !yield(a.id) ||
		a.person != nothing && !yield(a.person) || a.registered != nothing && !yield(a.registered) {
		return
	}
	switch s := a.submission.(type) {
	case domain.Registration:
		_ = yield(a.tokens.PhotoID) && yield(a.tokens.Mobile)
	case domain.ReversalRequest:
		yield(s.ID)
	case domain.ReversalDecision:
		yield(s.Request)
	}
}

// when is the time that the sender gave.
func (a *ask) when() time.Time {
	if a.submission == nil {
		return a.at
	}
	return a.submission.Head().At
}

func (c *committer) newFlight() *flight {
	sequence, parent := c.register.Folded()+1, (*projections.Draft)(nil)
	if c.inflight != nil {
		sequence, parent = sequence+1, c.inflight.draft
	}
	f := &flight{outcome: make(chan error, 1)}
	if c.landed != nil {
		f.commit.Entries, f.answers, f.seals = c.landed.commit.Entries[:0], c.landed.answers[:0], c.landed.seals[:0]
		c.landed = nil
	}
	f.draft = c.register.Draft(sequence, parent, min(len(c.waiting), maxCommitEntries))
	if _, err := rand.Read(f.commit.ID[:]); err != nil {
		panic(err) // crypto/rand does not fail on the systems Go supports
	}
	return f
}

// takes tells whether events of a district may join those of the commit. Orders
// stand alone, for every rebuild reads all of them first.
func (f *flight) takes(district domain.District) bool {
	return district == f.commit.District || f.mixes && district != 0 && f.commit.District != 0
}

func (f *flight) full() bool {
	return len(f.commit.Entries) >= maxCommitEntries || f.bytes >= maxCommitBytes || len(f.answers) >= 4*maxCommitEntries
}

// route tells on which district's subject the event of a belongs; 0 is the
// orders'. What names no district goes by the person's home; about a person that
// is not registered there will be no event, so no district is known.
func (c *committer) route(d *projections.Draft, a *ask) (district domain.District, known bool, err error) {
	switch s := a.submission.(type) {
	case nil:
		return a.district, true, nil
	case domain.Freeze:
		return 0, true, nil
	case domain.Registration:
		return s.District, true, nil
	case domain.DoseGiven:
		return s.District, true, nil
	}
	person, err := d.Person(a.person)
	return person.Cohort.District, person.IsRegistered(), err
}

// decideInto decides a and adds the outcome to f.
func (c *committer) decideInto(f *flight, a *ask, district domain.District) {
	made, err := c.decide(f.draft, a, c.recorded(f.draft, a))
	if err == nil && made.entry.Event != nil {
		if err = f.draft.Add(made.entry, made.tokens); err != nil {
			a.fault = err
			f.answers = append(f.answers, answer{ask: a})
			f.spoiled = true
			return
		}
		if len(f.commit.Entries) > 0 && district != f.commit.District {
			district = eventstore.Several
		}
		f.commit.District = district
		if made.seals.how != 0 {
			made.seals.entry, made.seals.ask = len(f.commit.Entries), a
			f.seals = append(f.seals, made.seals)
			f.bytes += made.seals.bytes()
		}
		f.commit.Entries = append(f.commit.Entries, made.entry)
		if e, ok := made.entry.Event.(domain.PersonRegistered); ok && e.Closed {
			f.keep(e.Cohort, made.tokens.PhotoID)
		}
		f.bytes += entryBytes + weight(made.entry.Event)
	}
	a.batch.verdicts[a.place] = made.verdict
	f.answers = append(f.answers, answer{ask: a, err: err})
}

// recorded is the time at which a is recorded: never before what was recorded
// already, and in a sandbox the submission's own.
func (c *committer) recorded(d *projections.Draft, a *ask) time.Time {
	at, now := a.when(), c.now()
	if !c.sandbox.Load() || at.After(now) {
		at = now
	}
	if last := d.LastRecorded(); at.Before(last) {
		return last
	}
	return at.Truncate(time.Millisecond)
}
