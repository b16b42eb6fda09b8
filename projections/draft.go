package projections

import (
	"encoding/binary"
	"slices"

	"bahi/domain"
	"bahi/eventstore"
)

// Draft is a commit being decided: what the register will know when the commit
// is acknowledged. It lies on top of the register, or of another draft that is
// being flushed, and is thrown away when the commit is refused.
//
// Reading and adding are for one goroutine, the one that accepts. Once another
// draft lies on top, nothing is added.
type Draft struct {
	register *Register // nil in a fold
	rows     *registerRows
	parent   *Draft
	sequence uint64
	accepted bool
	writes   *writes // the rows to write, nil while there are none

	submissions map[domain.SubmissionToken]SubmissionRecord
	people      map[domain.PersonToken]*draftPerson
	mobiles     map[domain.MobileToken][]byte // operands
	photoIDs    map[domain.PhotoIDToken]photoID
	tokens      map[domain.PersonToken]*domain.RegistrationTokens // nil: taken back
	cohorts     map[domain.Cohort]cohortState
	requests    map[domain.UUID]request
	parked      map[domain.PersonToken]*parked // nil: not any more
	parkings    int                            // rows of keyParked that come, less those that go
	orders      *orders                        // nil while there are none of its own
	orderly     eventstore.Commit              // the last of them
	entries     int
	last        eventstore.Entry
	key, value  []byte // scratch
}

// SubmissionRecord is what the ledger keeps of an accepted submission, for ever.
type SubmissionRecord struct {
	Digest domain.Digest
	Commit uint64 // the ledger sequence that holds it
	Issued uint8  // as in [eventstore.Entry]
}

// draftPerson is a person on top of what lies below: events not yet applied, or,
// when known, the person itself.
type draftPerson struct {
	known   bool
	person  domain.Person
	pending []byte // records
}

// photoID says who holds a photo ID: somebody of a cohort, somebody frozen, or,
// the zero value, nobody.
type photoID struct {
	cohort domain.Cohort
	frozen bool
}

// request is a reversal request and who asked.
type request struct {
	person domain.PersonToken
	state  domain.RequestState
}

func (r *registerRows) draft(sequence uint64, parent *Draft, entries int) *Draft {
	return &Draft{
		rows:        r,
		parent:      parent,
		sequence:    sequence,
		submissions: make(map[domain.SubmissionToken]SubmissionRecord, entries),
		people:      make(map[domain.PersonToken]*draftPerson, entries/2),
		mobiles:     map[domain.MobileToken][]byte{},
		photoIDs:    map[domain.PhotoIDToken]photoID{},
		tokens:      map[domain.PersonToken]*domain.RegistrationTokens{},
		cohorts:     map[domain.Cohort]cohortState{},
		requests:    map[domain.UUID]request{},
		parked:      map[domain.PersonToken]*parked{},
	}
}

// Sequence is the ledger sequence that the commit will have.
func (d *Draft) Sequence() uint64 { return d.sequence }

// Add drafts one more entry. Tokens are those of a [domain.PersonRegistered]; a
// fold has none and opens them with its [Keys], unless the person is born closed. After
// an error the draft may hold half of the event and has to be thrown away.
func (d *Draft) Add(e eventstore.Entry, tokens *domain.RegistrationTokens) error {
	if e.Submission != (domain.SubmissionToken{}) {
		s := SubmissionRecord{Digest: e.Digest, Commit: d.sequence, Issued: e.Issued}
		d.submissions[e.Submission] = s
		d.set(d.at(keySubmission, e.Submission[:]), s.append(d.value[:0]))
	}
	d.entries++
	d.last = e
	recorded := domain.DayOf(e.Recorded)
	switch event := e.Event.(type) {
	case domain.PersonRegistered:
		d.append(event.Person, event, recorded)
		return d.registered(event, tokens)
	case domain.RegistrationWithdrawn:
		return d.withdrawn(event)
	case domain.DoseAdministered:
		d.append(event.Person, event, recorded)
	case domain.DoseWithdrawn:
		d.append(event.Person, event, recorded)
	case domain.ReversalRequested:
		d.append(event.Person, event, recorded)
		d.setRequest(event.Request, request{event.Person, domain.RequestPending})
		waits := PendingReversal{Cohort: event.Cohort, From: event.From, To: event.To, Day: event.Day, Recorded: recorded}
		d.set(d.at(keyPending, event.Request[:]), waits.encode())
	case domain.ReversalDecided:
		d.append(event.Person, event, recorded)
		d.setRequest(event.Request, request{event.Person, domain.RequestDecided})
		d.delete(d.at(keyPending, event.Request[:]))
	case domain.PhotoIDsKept:
		for _, t := range event.Tokens {
			d.photoIDs[t] = photoID{frozen: true}
			d.set(d.at(keyPhotoID, t[:]), nil)
		}
	case domain.FreezeOrdered:
		for _, c := range event.Cohorts {
			state := d.cohort(c.Cohort)
			state.closed = true
			d.setCohort(c.Cohort, state)
		}
		if err := d.listed(event, recorded); err != nil {
			return err
		}
		return d.order(e)
	case domain.PhotoIDsComplete:
		for _, c := range d.allOrders().order(event.Freeze).Cohorts {
			state := d.cohort(c.Cohort)
			state.forgotten = true
			d.setCohort(c.Cohort, state)
			span := appendCohort([]byte{keyTokens}, c.Cohort)
			d.add(span, rowsGone, nil)
		}
		return d.order(e)
	case domain.KeysRewrapped:
		return d.rewrapped(event)
	case domain.SurvivorsRekeyed:
		if err := d.rekeyed(event); err != nil {
			return err
		}
		return d.order(e)
	case domain.LedgerFounded, domain.AuthorityKeyAdopted, domain.HolderEnrolled, domain.HandoverMade, domain.Purged:
		return d.order(e)
	}
	return nil
}

func (d *Draft) registered(e domain.PersonRegistered, tokens *domain.RegistrationTokens) error {
	state := d.cohort(e.Cohort)
	opens := state.people == 0
	state.people++
	if e.Closed {
		state.closed, state.born, state.forgotten = true, true, true
	}
	d.setCohort(e.Cohort, state)
	if e.Closed {
		if tokens != nil { // the commit keeps its photo IDs as a set of its own
			d.photoIDs[tokens.PhotoID] = photoID{frozen: true}
		}
		return nil
	}
	if tokens == nil {
		if d.rows.foresaw(e.Cohort, e.Person, d.sequence) {
			return nil
		}
		opened, err := d.rows.keys.OpenTokens(e.Cohort, e.Person, e.Sealed)
		if err != nil && d.rows.rekeyedFrom(e.Cohort) > d.sequence {
			d.park(e.Person, &parked{cohort: e.Cohort, commit: d.sequence, sealed: [][]byte{e.Sealed}})
			return nil
		}
		if err != nil {
			return &TokensError{Cohort: e.Cohort, Commit: d.sequence, Err: err}
		}
		tokens = &opened
	}
	if opens {
		eachCanary(keyTokens, e.Cohort, d.set)
	}
	d.hold(e.Cohort, e.Person, tokens)
	return nil
}

// hold keeps the tokens of a registration: the photo ID and the mobile number are
// the person's.
func (d *Draft) hold(c domain.Cohort, person domain.PersonToken, tokens *domain.RegistrationTokens) {
	d.tokens[person] = tokens
	d.value = append(append(append(d.value[:0], tokens.Mobile[:]...), tokens.PhotoID[:]...), tokens.Content[:]...)
	d.set(d.tokensKey(c, person), d.value)

	d.photoIDs[tokens.PhotoID] = photoID{cohort: c}
	d.value = appendCohort(d.value[:0], c)
	d.set(d.at(keyPhotoID, tokens.PhotoID[:]), d.value)
	d.mobile(tokens.Mobile, c, 1)
}

// withdrawn takes a registration back: the person, photo ID and mobile number
// are free again, unless a freeze has cut them off.
func (d *Draft) withdrawn(e domain.RegistrationWithdrawn) error {
	if e.Pending {
		person, err := d.Person(e.Person)
		if err != nil {
			return err
		}
		d.setRequest(person.Pending.Request, request{e.Person, domain.RequestDecided})
		d.delete(d.at(keyPending, person.Pending.Request[:]))
	}
	state := d.cohort(e.Cohort)
	state.people--
	d.setCohort(e.Cohort, state)
	d.people[e.Person] = &draftPerson{known: true}
	d.delete(d.at(keyPerson, e.Person[:]))

	if err := d.unpark(e.Cohort, e.Person); err != nil {
		return err
	}
	tokens, ok, err := d.Tokens(e.Cohort, e.Person)
	if err != nil || !ok {
		return err
	}
	d.tokens[e.Person] = nil
	d.delete(d.tokensKey(e.Cohort, e.Person))
	d.mobile(tokens.Mobile, e.Cohort, -1)
	holder, err := d.photoID(tokens.PhotoID)
	if err != nil || holder.frozen {
		return err
	}
	d.photoIDs[tokens.PhotoID] = photoID{}
	d.delete(d.at(keyPhotoID, tokens.PhotoID[:]))
	return nil
}

// append adds an event to a person's history.
func (d *Draft) append(token domain.PersonToken, e domain.Event, recorded domain.Day) {
	d.value = appendRecord(d.value[:0], e, d.sequence, recorded, false)
	d.add(d.at(keyPerson, token[:]), rowMerged, d.value)
	p := d.people[token]
	switch {
	case p == nil:
		d.people[token] = &draftPerson{pending: slices.Clone(d.value)}
	case p.known:
		p.person = domain.Evolve(p.person, e, d.sequence, recorded)
	default:
		p.pending = append(p.pending, d.value...)
	}
}

func (d *Draft) mobile(t domain.MobileToken, c domain.Cohort, n int8) {
	d.value = append(appendCohort(d.value[:0], c), byte(n))
	d.mobiles[t] = append(d.mobiles[t], d.value...)
	d.add(d.at(keyMobile, t[:]), rowMerged, d.value)
}

func (d *Draft) setRequest(id domain.UUID, r request) {
	d.requests[id] = r
	d.value = append(append(d.value[:0], byte(r.state)), r.person[:]...)
	d.set(d.at(keyRequest, id[:]), d.value)
}

func (d *Draft) setCohort(c domain.Cohort, s cohortState) { d.cohorts[c] = s }

// order keeps an order as the ledger has it.
func (d *Draft) order(e eventstore.Entry) error {
	d.orders = d.allOrders().with(e, d.sequence)
	if d.orderly.Sequence != d.sequence {
		d.orderly = eventstore.Commit{Sequence: d.sequence}
	}
	d.orderly.Entries = append(d.orderly.Entries, e)
	row, err := eventstore.Encode(d.orderly)
	if err != nil {
		return err
	}
	d.key = binary.BigEndian.AppendUint64(append(d.key[:0], keyOrder), d.sequence)
	d.set(d.key, row)
	return nil
}

// finish adds the rows of what the draft keeps whole.
func (d *Draft) finish() {
	for c, state := range d.cohorts {
		d.set(appendCohort([]byte{keyCohort}, c), state.encode())
	}
}

func (d *Draft) add(key []byte, kind rowKind, value []byte) {
	if d.writes == nil {
		d.writes = spare.Get().(*writes)
	}
	d.writes.add(key, kind, value)
}

func (d *Draft) set(key, value []byte) { d.add(key, rowSet, value) }
func (d *Draft) delete(key []byte)     { d.add(key, rowDeleted, nil) }

// at makes a key in the draft's scratch memory.
func (d *Draft) at(kind byte, token []byte) []byte {
	d.key = append(append(d.key[:0], kind), token...)
	return d.key
}

func (d *Draft) tokensKey(c domain.Cohort, p domain.PersonToken) []byte {
	d.key = append(appendCohort(append(d.key[:0], keyTokens), c), p[:]...)
	return d.key
}

func (s SubmissionRecord) append(b []byte) []byte {
	return append(binary.AppendUvarint(append(b, s.Digest[:]...), s.Commit), s.Issued)
}
