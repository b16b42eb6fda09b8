package projections

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// Keys opens the tokens of registrations. The vault does.
type Keys interface {
	OpenTokens(c domain.Cohort, person domain.PersonToken, sealed []byte, wrapped ...[]byte) (domain.RegistrationTokens, error)
}

// Register is the write side's own view of every submission and person:
// pseudonymous, never shown to anybody. It stores acknowledged commits only; what
// is being decided lies in a [Draft] on top of it.
//
// Methods are safe for concurrent use. Drafts are made and accepted by one
// goroutine.
type Register struct {
	generations[registerRows, *registerRows]
}

// registerVersion changes with the meaning of the rows.
const registerVersion = 2

// The register's rows. A mobile's row is a list of operands, each a cohort and
// plus or minus one, appended by merging; a photo ID's row holds the cohort of
// its holder, or nothing once a freeze has cut it off from its person.
const (
	keySubmission = 's' // submission token → digest, commit, issued
	keyPerson     = 'p' // person token → history
	keyMobile     = 'm' // mobile token → cohort ± 1, …
	keyPhotoID    = 'i' // photo-ID token → cohort, or empty: frozen
	keyTokens     = 't' // cohort, person → registration tokens; open cohorts only
	keyCohort     = 'g' // cohort → people, state, key epoch
	keyParked     = 'k' // cohort, person → a registration that waits for a wrapped key; in a rebuild only
	keyRequest    = 'r' // request → person, state
	keyPending    = 'w' // request → what waits for a decision
	keyOrder      = 'o' // sequence → commit of its orders
	keyForgotten  = 'f' // freeze → its tokens are gone from the files
)

// registerRows is one generation of the register.
type registerRows struct {
	*database
	keys Keys

	// mu protects what follows, and makes a draft's acceptance one step for the
	// drafts on top of it.
	mu       sync.RWMutex
	cohorts  map[domain.Cohort]cohortState
	newest   map[phase]uint16 // generation
	open     map[phase]uint16 // generation that is not closed; there is at most one
	orders   *orders
	recorded time.Time
	parked   int // rows of keyParked
	foresight
}

// phase is a district's priority group.
type phase struct {
	district domain.District
	group    domain.Group
}

// cohortState is what the register keeps of a cohort.
type cohortState struct {
	people    int64
	closed    bool   // by a freeze, or from birth
	born      bool   // closed from birth
	forgotten bool   // its tokens are kept as a set without persons
	epoch     uint16 // of its key; 0 stands for the first
}

// OpenRegister opens the register in dir, or makes an empty one. Keys opens the
// tokens of registrations that it folds.
//
// What cannot be read is not an error: see [View.Unusable]. Errors: [ErrLocked].
func OpenRegister(dir string, keys Keys, options ...Options) (*Register, error) {
	r := &Register{}
	o := only(options)
	o.CacheBytes = cmp.Or(o.CacheBytes, registerCache)
	r.keeping = keeping{name: "register", version: registerVersion, reads: registerVersion, root: dir, options: o.withDefaults()}
	r.open = func(db *database) (*registerRows, error) { return loadRegister(db, keys, r.options) }
	if err := r.load(); err != nil {
		return nil, err
	}
	return r, nil
}

// registerCache is for the blocks that hold persons: every dose asks for one that may
// have been registered at any time.
const registerCache = 128 << 20

func only(options []Options) Options {
	if len(options) == 0 {
		return Options{}
	}
	return options[0]
}

func loadRegister(db *database, keys Keys, options Options) (*registerRows, error) {
	memory := options.MemTableBytes
	if !db.unread { // there are two at once while one is built
		memory *= layers
	}
	db.memory = newMemory(int(memory / rowMemory))
	r := &registerRows{
		database: db,
		keys:     keys,
		cohorts:  map[domain.Cohort]cohortState{},
		newest:   map[phase]uint16{},
		open:     map[phase]uint16{},
		orders:   &orders{},
		recorded: db.last.recordedAt(),
		foresight: foresight{
			forgotten: map[domain.Cohort]bool{}, listed: map[domain.PersonToken]uint64{}, rekeyed: map[domain.Cohort]uint64{},
		},
	}
	err := db.scan([]byte{keyCohort}, func(key, value []byte) error {
		c, state, ok := decodeCohort(key, value)
		if !ok {
			return &ViewError{View: db.view, Err: ErrCorrupt}
		}
		r.know(c, state)
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = db.scan([]byte{keyOrder}, func(key, value []byte) error {
		commit, err := eventstore.Decode(bytes.Clone(value))
		if err != nil || len(key) != 9 {
			return &ViewError{View: db.view, Err: ErrCorrupt, Cause: err}
		}
		for _, e := range commit.Entries {
			r.orders = r.orders.with(e, binary.BigEndian.Uint64(key[1:]))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return r, db.scan([]byte{keyParked}, func([]byte, []byte) error {
		r.parked++
		return nil
	})
}

func (r *registerRows) base() *database { return r.database }

// fold drafts the commits' entries, as the committer does, and accepts the
// draft.
func (r *registerRows) fold(ctx context.Context, commits []eventstore.Commit) error {
	d := r.draft(commits[0].Sequence, nil, len(commits[0].Entries))
	for _, c := range commits {
		if err := ctx.Err(); err != nil {
			return err
		}
		d.sequence = c.Sequence
		for _, e := range c.Entries {
			if err := d.Add(e, nil); err != nil {
				return err
			}
		}
	}
	return r.accept(d, len(commits))
}

// Draft returns an empty draft of the commit that will have that sequence and about
// so many entries, on top of what is folded, or of a draft that is being flushed.
func (r *Register) Draft(sequence uint64, parent *Draft, entries int) *Draft {
	rows := (*registerRows)(r.live.Load())
	d := rows.draft(sequence, parent, entries)
	d.register = r
	return d
}

// Now returns an empty draft for reading what is folded.
func (r *Register) Now() *Draft { return r.Draft(r.Folded()+1, nil, 0) }

// Accept writes the rows of a draft whose commit is acknowledged. The draft
// follows what is folded; drafts on top of it stay good. The error is a
// [SequenceError] when it does not follow.
func (r *Register) Accept(d *Draft) error {
	r.folding.Lock()
	defer r.folding.Unlock()
	rows := (*registerRows)(r.live.Load())
	if d.sequence != rows.last.sequence+1 || d.parent != nil && !d.parent.accepted {
		return &SequenceError{View: r.name, Folded: rows.last.sequence, Got: d.sequence}
	}
	if d.orders != nil {
		if err := r.foretold([]eventstore.Commit{d.orderly}); err != nil {
			return err
		}
	}
	return rows.accept(d, 1)
}

func (r *registerRows) accept(d *Draft, commits int) error {
	d.finish()
	if d.writes == nil {
		d.writes = spare.Get().(*writes)
	}
	if err := r.makeRoom(); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	to := r.last
	to.sequence = d.sequence
	if d.entries > 0 {
		to.recorded, to.submission = d.last.Recorded.UnixMilli(), d.last.Submission
	}
	if d.writes.spans {
		rows := d.writes.batch(r.DB)
		defer rows.Close()
		if err := r.write(rows, to, commits, d.entries); err != nil {
			return err
		}
	} else {
		r.remember(d.writes, to)
	}
	d.writes.release()
	d.writes = nil
	d.accepted = true
	d.parent = nil // let go of the chain behind it
	for c, state := range d.cohorts {
		r.know(c, state)
	}
	r.parked += d.parkings
	if d.orders != nil {
		r.orders = d.orders
	}
	if d.entries > 0 {
		r.recorded = d.last.Recorded
	}
	return nil
}

// know keeps a cohort's state in memory.
func (r *registerRows) know(c domain.Cohort, state cohortState) {
	r.cohorts[c] = state
	p := phase{c.District, c.Group}
	r.newest[p] = max(r.newest[p], c.Generation)
	if !state.closed {
		r.open[p] = c.Generation
	} else if r.open[p] == c.Generation {
		delete(r.open, p)
	}
}

func decodeCohort(key, value []byte) (c domain.Cohort, s cohortState, ok bool) {
	if len(key) != 1+cohortSize || len(value) < 2 {
		return c, s, false
	}
	v := recordReader{b: value}
	flags := v.octet()
	s = cohortState{people: v.varint(), closed: flags&1 != 0, born: flags&2 != 0, forgotten: flags&4 != 0, epoch: uint16(v.uvarint())}
	return cohortAt(key[1:]), s, !v.bad
}

func (s cohortState) encode() []byte {
	b := binary.AppendVarint([]byte{flag(s.closed) | flag(s.born)<<1 | flag(s.forgotten)<<2}, s.people)
	return binary.AppendUvarint(b, uint64(s.epoch))
}

// LastRecorded is when the last folded entry was recorded, the zero time of an
// empty ledger.
func (r *Register) LastRecorded() time.Time { return r.Now().LastRecorded() }

// Founded returns the first event of the ledger.
func (r *Register) Founded() (domain.LedgerFounded, bool) { return r.Now().Founded() }

// AuthorityKey returns the authority's key that was adopted last.
func (r *Register) AuthorityKey() (domain.AuthorityKeyAdopted, bool) { return r.Now().AuthorityKey() }

// Freezes returns how far every freeze has come, in ledger order.
func (r *Register) Freezes() []FreezeState { return r.Now().Freezes() }

// Holders returns the enrolled holders of details, in ledger order.
func (r *Register) Holders() []string { return r.Now().Holders() }

// PhotoIDTokens returns the photo-ID tokens of a cohort, sorted: what a freeze
// keeps of them.
func (r *Register) PhotoIDTokens(c domain.Cohort) ([]domain.PhotoIDToken, error) {
	rows := r.reading()
	defer rows.readers.RUnlock()
	var tokens []domain.PhotoIDToken
	err := rows.scan(appendCohort([]byte{keyTokens}, c), func(key, value []byte) error {
		if isCanary(value) {
			return nil
		}
		t, ok := decodeTokens(value)
		if !ok {
			return &ViewError{View: r.name, Err: ErrCorrupt}
		}
		tokens = append(tokens, t.PhotoID)
		return nil
	})
	slices.SortFunc(tokens, func(a, b domain.PhotoIDToken) int { return bytes.Compare(a[:], b[:]) })
	return tokens, err
}

// Persons returns the persons of an open cohort, in order of their tokens.
func (r *Register) Persons(c domain.Cohort) (persons []domain.PersonToken, err error) {
	rows := r.reading()
	defer rows.readers.RUnlock()
	prefix := appendCohort([]byte{keyTokens}, c)
	return persons, rows.scan(prefix, func(key, value []byte) error {
		if !isCanary(value) {
			persons = append(persons, domain.PersonToken(key[len(prefix):]))
		}
		return nil
	})
}

// PendingReversal is a request for a lower status that waits for its decision.
// It names no person.
type PendingReversal struct {
	Request  domain.UUID
	Cohort   domain.Cohort
	From     domain.Status
	To       domain.Status
	Day      domain.Day // on which it was asked for
	Recorded domain.Day // on which that was recorded: the waiting time runs by it
}

// PendingReversals returns the requests of a district (of its people, wherever
// they asked) that wait for a decision, oldest first; district 0 means all.
func (r *Register) PendingReversals(district domain.District) ([]PendingReversal, error) {
	rows := r.reading()
	defer rows.readers.RUnlock()
	var pending []PendingReversal
	err := rows.scan([]byte{keyPending}, func(key, value []byte) error {
		p := PendingReversal{}
		v := recordReader{b: value}
		copy(p.Request[:], key[1:])
		p.Cohort, p.From, p.To = v.cohort(), domain.Status(v.octet()), domain.Status(v.octet())
		p.Day, p.Recorded = v.day(), v.day()
		if v.bad {
			return &ViewError{View: r.name, Err: ErrCorrupt}
		}
		if district == 0 || p.Cohort.District == district {
			pending = append(pending, p)
		}
		return nil
	})
	slices.SortStableFunc(pending, func(a, b PendingReversal) int { return int(a.Recorded) - int(b.Recorded) })
	return pending, err
}

func (p PendingReversal) encode() []byte {
	b := append(appendCohort(nil, p.Cohort), byte(p.From), byte(p.To))
	return binary.AppendVarint(binary.AppendVarint(b, int64(p.Day)), int64(p.Recorded))
}

func decodeTokens(value []byte) (t domain.RegistrationTokens, ok bool) {
	if len(value) != 3*domain.TokenSize {
		return t, false
	}
	copy(t.Mobile[:], value)
	copy(t.PhotoID[:], value[domain.TokenSize:])
	copy(t.Content[:], value[2*domain.TokenSize:])
	return t, true
}
