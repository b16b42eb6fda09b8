package projections

import (
	"context"
	"encoding/binary"
	"maps"
	"math"
	"sync"
	"sync/atomic"

	"bahi/domain"
	"bahi/eventstore"
)

// People keeps the details of open cohorts, sealed as they came. It holds no
// key. A cohort is one span of keys; a freeze closes it in the fold of the order
// and [People.Purge] removes its bytes from the files.
//
// Methods are safe for concurrent use; folding is for one goroutine.
type People struct {
	generations[peopleRows, *peopleRows]
}

// peopleVersion changes with the meaning of the rows.
const peopleVersion = 2

const (
	keyDetails = 'd' // cohort, person → history with sealed parts; open cohorts only
	keyHome    = 'h' // person → cohort
	keySize    = 'n' // cohort → people; open cohorts only
	keyFrozen  = 'z' // freeze → what was removed
	keyBorn    = 'b' // cohort: closed from birth
)

// peopleRows is one generation of the people view.
type peopleRows struct {
	*database
	closed atomic.Pointer[map[domain.Cohort]bool] // replaced, never changed

	// mu protects what follows: the fold writes it, a purge reads it beside.
	mu      sync.Mutex
	sizes   map[domain.Cohort]int64
	freezes map[domain.UUID]frozen

	// listings are the persons of orders that were told before their time: the
	// fold's own.
	listings map[domain.PersonToken][]listing
}

// OpenPeople opens the people view in dir, or makes an empty one.
//
// What cannot be read is not an error: see [View.Unusable]. Errors: [ErrLocked].
func OpenPeople(dir string, options ...Options) (*People, error) {
	p := &People{}
	p.keeping = keeping{name: "people", version: peopleVersion, reads: peopleVersion, sorts: true, root: dir, options: only(options)}
	p.open = loadPeople
	if err := p.load(); err != nil {
		return nil, err
	}
	return p, nil
}

func loadPeople(db *database) (*peopleRows, error) {
	p := &peopleRows{
		database: db,
		sizes:    map[domain.Cohort]int64{},
		freezes:  map[domain.UUID]frozen{},
		listings: map[domain.PersonToken][]listing{},
	}
	closed := map[domain.Cohort]bool{}
	err := db.scan([]byte{keyFrozen}, func(key, value []byte) error {
		f, ok := decodeFrozen(value)
		if !ok {
			return &ViewError{View: db.view, Err: ErrCorrupt}
		}
		p.freezes[domain.UUID(key[1:])] = f
		for _, c := range f.cohorts {
			closed[c] = true
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = db.scan([]byte{keyBorn}, func(key, _ []byte) error {
		closed[cohortAt(key[1:])] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	p.closed.Store(&closed)
	return p, db.scan([]byte{keySize}, func(key, value []byte) error {
		n, _ := binary.Varint(value)
		p.sizes[cohortAt(key[1:])] = n
		return nil
	})
}

func (p *peopleRows) base() *database { return p.database }

// AnyFreeze tells whether any freeze is known. From then on a caller answers for
// an unknown number as for a frozen one.
func (p *People) AnyFreeze() bool {
	rows := p.reading()
	defer rows.readers.RUnlock()
	return len(*rows.closed.Load()) > 0 || rows.frozenAny()
}

func (p *peopleRows) frozenAny() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.freezes) > 0
}

// Person returns the record of a person of an open cohort. It shares no memory
// with the view.
//
// Errors: [ErrFrozen]; [ErrUnknown].
func (p *People) Person(t domain.PersonToken) (PersonRecord, error) { return p.PersonAsOf(t, 0) }

// PersonAsOf is Person as of the end of a day, as known now; day 0 is the present.
func (p *People) PersonAsOf(t domain.PersonToken, day domain.Day) (PersonRecord, error) {
	if day == 0 {
		day = math.MaxInt32
	}
	rows := p.reading()
	defer rows.readers.RUnlock()
	home, err := rows.get(homeKey(t))
	if err != nil {
		return PersonRecord{}, err
	}
	if home == nil {
		return PersonRecord{}, ErrUnknown
	}
	if len(home) != cohortSize {
		return PersonRecord{}, &ViewError{View: p.name, Err: ErrCorrupt}
	}
	cohort := cohortAt(home)
	if rows.isClosed(cohort) {
		return PersonRecord{}, ErrFrozen
	}
	history, err := rows.get(detailsKey(nil, cohort, t))
	switch {
	case err != nil:
		return PersonRecord{}, err
	case rows.isClosed(cohort), history == nil: // a freeze landed since we looked
		return PersonRecord{}, ErrFrozen
	}
	record, err := personRecordAsOf(history, day)
	if err != nil {
		return PersonRecord{}, &ViewError{View: p.name, Err: ErrCorrupt, Cause: err}
	}
	return record, nil
}

func (p *peopleRows) isClosed(c domain.Cohort) bool { return (*p.closed.Load())[c] }

func homeKey(t domain.PersonToken) []byte { return append([]byte{keyHome}, t[:]...) }

func detailsKey(b []byte, c domain.Cohort, t domain.PersonToken) []byte {
	return append(appendCohort(append(b, keyDetails), c), t[:]...)
}

func detailsSpan(c domain.Cohort) (from, to []byte) {
	from = appendCohort([]byte{keyDetails}, c)
	return from, prefixEnd(from)
}

// foresee closes the cohorts of freezes that the ledger holds, and bars the
// persons that they list. What a directory put back from before the freeze still
// has of them is deleted at once.
func (p *peopleRows) foresee(commits []eventstore.Commit) error {
	batch := p.NewBatch()
	defer batch.Close()
	change := p.change()
	err := freezeOrders(commits, func(o domain.FreezeOrdered, sequence uint64) error {
		p.list(o, sequence)
		return change.freeze(batch, o, change.listedBefore)
	})
	if err != nil || batch.Empty() {
		return err
	}
	change.setSizes(batch)
	if err := p.apply(batch); err != nil {
		return err
	}
	change.done()
	return nil
}

func (p *peopleRows) fold(ctx context.Context, commits []eventstore.Commit) error {
	if p.sorter != nil {
		return p.foldSorted(ctx, commits)
	}
	batch := p.NewBatch()
	defer batch.Close()
	change, to, entries, err := p.changes(ctx, batch, commits)
	if err != nil {
		return err
	}
	if err := p.write(batch, to, len(commits), entries); err != nil {
		return err
	}
	change.done()
	return nil
}

func (p *peopleRows) foldSorted(ctx context.Context, commits []eventstore.Commit) error {
	change, to, _, err := p.changes(ctx, p.sorter, commits)
	if err != nil {
		p.sorter.undo()
		return err
	}
	if err := p.gather(to); err != nil {
		return err
	}
	change.done()
	return nil
}

// changes adds the rows of commits, and returns what else becomes of them once the
// rows are written, and the checkpoint that they lead to.
func (p *peopleRows) changes(ctx context.Context, rows rowWriter, commits []eventstore.Commit) (change *peopleChange, to checkpoint, entries int, err error) {
	change, to = p.change(), p.last
	for _, c := range commits {
		if err := ctx.Err(); err != nil {
			return nil, to, 0, err
		}
		for _, e := range c.Entries {
			if err := change.add(rows, c.Sequence, e); err != nil {
				return nil, to, 0, err
			}
		}
		to, entries = to.after(c), entries+len(c.Entries)
	}
	change.setSizes(rows)
	return change, to, entries, nil
}

// peopleChange is what a fold changes in memory once its batch is applied.
type peopleChange struct {
	rows    *peopleRows
	closed  map[domain.Cohort]bool
	sizes   map[domain.Cohort]int64
	touched map[domain.Cohort]bool
	freezes map[domain.UUID]frozen

	key, value []byte // scratch
}

func (p *peopleRows) change() *peopleChange {
	return &peopleChange{
		rows:    p,
		closed:  *p.closed.Load(),
		sizes:   maps.Clone(p.sizes),
		touched: map[domain.Cohort]bool{},
		freezes: map[domain.UUID]frozen{},
	}
}

func (c *peopleChange) done() {
	p := c.rows
	p.closed.Store(&c.closed)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sizes = c.sizes
	maps.Copy(p.freezes, c.freezes)
}

func (c *peopleChange) setSizes(batch rowWriter) {
	for cohort := range c.touched {
		if !c.closed[cohort] {
			value := binary.AppendVarint(nil, c.sizes[cohort])
			_ = batch.Set(appendCohort([]byte{keySize}, cohort), value, nil)
		}
	}
}

// add adds the rows of one entry.
func (c *peopleChange) add(batch rowWriter, sequence uint64, e eventstore.Entry) error {
	recorded := domain.DayOf(e.Recorded)
	switch event := e.Event.(type) {
	case domain.PersonRegistered:
		home := event.Cohort
		to, listed := c.rows.listed(event.Person, sequence)
		if listed {
			home = to
		}
		c.value = appendCohort(c.value[:0], home)
		_ = batch.Set(homeKey(event.Person), c.value, nil)
		if event.Closed {
			c.born(batch, event.Cohort)
		}
		if c.closed[event.Cohort] {
			return nil
		}
		if _, known := c.sizes[event.Cohort]; !known {
			setCanaries(batch, keyDetails, event.Cohort)
		}
		if listed {
			c.size(event.Cohort, 0)
			return nil
		}
		c.size(event.Cohort, 1)
		c.append(batch, event.Cohort, event.Person, event, sequence, recorded)
	case domain.RegistrationWithdrawn:
		_ = batch.Delete(homeKey(event.Person), nil)
		if !c.closed[event.Cohort] {
			if _, listed := c.rows.listed(event.Person, sequence); !listed {
				c.size(event.Cohort, -1)
			}
			c.key = detailsKey(c.key[:0], event.Cohort, event.Person)
			_ = batch.Delete(c.key, nil)
		}
	case domain.DoseAdministered:
		c.append(batch, event.Cohort, event.Person, event, sequence, recorded)
	case domain.DoseWithdrawn:
		c.append(batch, event.Cohort, event.Person, event, sequence, recorded)
	case domain.ReversalRequested:
		c.append(batch, event.Cohort, event.Person, event, sequence, recorded)
	case domain.ReversalDecided:
		c.append(batch, event.Cohort, event.Person, event, sequence, recorded)
	case domain.KeysRewrapped:
		c.rewrapped(batch, event, sequence, recorded)
	case domain.FreezeOrdered:
		return c.freeze(batch, event, c.listedNow)
	}
	return nil
}

// born closes a cohort under a standing freeze: nothing of it is ever kept.
func (c *peopleChange) born(batch rowWriter, cohort domain.Cohort) {
	if !c.closed[cohort] {
		c.closed = maps.Clone(c.closed)
		c.closed[cohort] = true
		_ = batch.Set(appendCohort([]byte{keyBorn}, cohort), nil, nil)
	}
}

func (c *peopleChange) size(cohort domain.Cohort, n int64) {
	c.sizes[cohort] += n
	c.touched[cohort] = true
}

// append adds an event to a person's history, when the cohort is open and no
// later order lists the person.
func (c *peopleChange) append(batch rowWriter, cohort domain.Cohort, t domain.PersonToken, e domain.Event, sequence uint64, recorded domain.Day) {
	if c.closed[cohort] {
		return
	}
	if _, listed := c.rows.listed(t, sequence); listed {
		return
	}
	c.key = detailsKey(c.key[:0], cohort, t)
	c.value = appendRecord(c.value[:0], e, sequence, recorded, true)
	_ = batch.Merge(c.key, c.value, nil)
}
