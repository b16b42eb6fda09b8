package projections

import (
	"cmp"
	"slices"
	"time"

	"bahi/domain"
)

// Every reading goes down from the draft through the drafts below it that are
// not accepted yet to the register's rows. The register's lock is held
// meanwhile, so that a draft's acceptance is seen whole or not at all.

// below returns the drafts to look through, d itself first. The register's lock
// is held.
func (d *Draft) below(yield func(*Draft) bool) {
	for p := d; p != nil && !p.accepted && yield(p); p = p.parent {
	}
}

// generation returns the register's rows: those of the live generation, held
// with their lock until release.
func (d *Draft) generation() *registerRows {
	rows := d.rows
	if d.register != nil {
		rows = d.register.reading()
	} else {
		rows.readers.RLock()
	}
	rows.mu.RLock()
	return rows
}

func (r *registerRows) release() {
	r.mu.RUnlock()
	r.readers.RUnlock()
}

// Submission returns what the ledger keeps of an accepted submission.
func (d *Draft) Submission(t domain.SubmissionToken) (s SubmissionRecord, ok bool, err error) {
	rows := d.generation()
	defer rows.release()
	for p := range d.below {
		if s, ok = p.submissions[t]; ok {
			return s, true, nil
		}
	}
	value, err := rows.get(d.at(keySubmission, t[:]))
	if err != nil || value == nil {
		return s, false, err
	}
	v := recordReader{b: value}
	copy(s.Digest[:], v.take(len(s.Digest)))
	s.Commit, s.Issued = v.uvarint(), v.octet()
	if v.bad {
		return s, false, &ViewError{View: rows.view, Err: ErrCorrupt}
	}
	return s, true, nil
}

// Person returns what is known of a person, the zero value of who is not
// registered.
func (d *Draft) Person(t domain.PersonToken) (domain.Person, error) {
	if p := d.people[t]; p != nil && p.known {
		return p.person, nil
	}
	rows := d.generation()
	person, err := d.person(rows, t, d.at(keyPerson, t[:]))
	rows.release()
	if err != nil {
		return domain.Person{}, err
	}
	d.people[t] = &draftPerson{known: true, person: person}
	return person, nil
}

// person looks without keeping what it finds: drafts below d are not changed.
func (d *Draft) person(rows *registerRows, t domain.PersonToken, key []byte) (person domain.Person, err error) {
	if d == nil || d.accepted {
		err = rows.find(key, func(history []byte) error {
			if person, err = evolve(person, history); err != nil {
				return &ViewError{View: rows.view, Err: ErrCorrupt, Cause: err}
			}
			return nil
		})
		return person, err
	}
	p := d.people[t]
	if p != nil && p.known {
		return p.person, nil
	}
	if person, err = d.parent.person(rows, t, key); err != nil || p == nil {
		return person, err
	}
	return evolve(person, p.pending)
}

// Tokens returns the tokens of a person's registration, while the cohort is
// open.
func (d *Draft) Tokens(c domain.Cohort, person domain.PersonToken) (t domain.RegistrationTokens, ok bool, err error) {
	rows := d.generation()
	defer rows.release()
	if d.cohortIn(rows, c).forgotten {
		return t, false, nil
	}
	for p := range d.below {
		if tokens, here := p.tokens[person]; here {
			if tokens == nil {
				return t, false, nil
			}
			return *tokens, true, nil
		}
	}
	value, err := rows.get(d.tokensKey(c, person))
	if err != nil || value == nil {
		return t, false, err
	}
	if t, ok = decodeTokens(value); !ok {
		return t, false, &ViewError{View: rows.view, Err: ErrCorrupt}
	}
	return t, true, nil
}

// PhotoID tells whether somebody holds a photo ID: a person of an open cohort,
// or a frozen one, of whom no more is known.
func (d *Draft) PhotoID(t domain.PhotoIDToken) (held bool, err error) {
	holder, err := d.photoID(t)
	return holder != photoID{}, err
}

func (d *Draft) photoID(t domain.PhotoIDToken) (holder photoID, err error) {
	rows := d.generation()
	defer rows.release()
	for p := range d.below {
		if holder, ok := p.photoIDs[t]; ok {
			return holder, nil
		}
	}
	value, err := rows.get(d.at(keyPhotoID, t[:]))
	switch {
	case err != nil || value == nil:
		return photoID{}, err
	case len(value) == 0:
		return photoID{frozen: true}, nil
	case len(value) != cohortSize:
		return photoID{}, &ViewError{View: rows.view, Err: ErrCorrupt}
	}
	return photoID{cohort: cohortAt(value)}, nil
}

// mobileOperand is the length of an operand in a mobile's row.
const mobileOperand = cohortSize + 1

// Household returns how many people of open cohorts are registered on a mobile
// number.
func (d *Draft) Household(t domain.MobileToken) (people int, err error) {
	rows := d.generation()
	defer rows.release()
	sum := func(operands []byte) {
		for ; len(operands) >= mobileOperand; operands = operands[mobileOperand:] {
			if !d.cohortIn(rows, cohortAt(operands)).forgotten {
				people += int(int8(operands[cohortSize]))
			}
		}
	}
	for p := range d.below {
		sum(p.mobiles[t])
	}
	value, err := rows.get(d.at(keyMobile, t[:]))
	sum(value)
	return people, err
}

// cohort returns the state of a cohort, the zero value of one that nobody was
// registered in.
func (d *Draft) cohort(c domain.Cohort) cohortState {
	rows := d.generation()
	defer rows.release()
	return d.cohortIn(rows, c)
}

func (d *Draft) cohortIn(rows *registerRows, c domain.Cohort) cohortState {
	for p := range d.below {
		if s, ok := p.cohorts[c]; ok {
			return s
		}
	}
	return rows.cohorts[c]
}

// Known tells whether anybody was ever registered in a cohort.
func (d *Draft) Known(c domain.Cohort) bool {
	rows := d.generation()
	defer rows.release()
	for p := range d.below {
		if _, ok := p.cohorts[c]; ok {
			return true
		}
	}
	_, ok := rows.cohorts[c]
	return ok
}

// Closed tells whether a cohort is closed: by a freeze, or from birth.
func (d *Draft) Closed(c domain.Cohort) bool { return d.cohort(c).closed }

// CohortFor returns the cohort that a registration in a district and group goes
// to: the open one, or the next generation when all are closed. Under a standing
// freeze it is born closed.
func (d *Draft) CohortFor(district domain.District, group domain.Group) (c domain.Cohort, bornClosed bool) {
	standing := d.allOrders().standing(district, group)
	rows := d.generation()
	defer rows.release()
	newest, open := d.generationsOf(rows, phase{district, group})
	c = domain.Cohort{District: district, Group: group, Generation: open}
	if open > 0 {
		return c, standing
	}
	c.Generation = newest
	if newest == 0 || !(standing && d.cohortIn(rows, c).born) {
		c.Generation++
	}
	return c, standing
}

// generationsOf returns the newest generation of a district and group, and the
// one that is not closed: freezes of listed persons make closed ones that are
// newer. Both are 0 when there is none.
func (d *Draft) generationsOf(rows *registerRows, p phase) (newest, open uint16) {
	newest, open = rows.newest[p], rows.open[p]
	for below := range d.below {
		for c := range below.cohorts {
			if c.District != p.district || c.Group != p.group {
				continue
			}
			newest = max(newest, c.Generation)
			if !d.cohortIn(rows, c).closed {
				open = c.Generation
			} else if open == c.Generation {
				open = 0
			}
		}
	}
	return newest, open
}

// StandingMode returns the mode of the standing freeze over a district and
// group, 0 when there is none.
func (d *Draft) StandingMode(district domain.District, group domain.Group) domain.FreezeMode {
	return d.allOrders().standingMode(district, group)
}

// Open returns the open cohorts of a district and groups (all, when there are
// none), with how many people are in each, in order of group and generation:
// what a freeze closes. A cohort whose people are all withdrawn is among them:
// its key still opens what the ledger holds of them.
func (d *Draft) Open(district domain.District, groups []domain.Group) []domain.CohortSize {
	rows := d.generation()
	defer rows.release()
	states := map[domain.Cohort]cohortState{}
	for c, s := range rows.cohorts {
		states[c] = s
	}
	for p := range d.below {
		for c := range p.cohorts {
			states[c] = d.cohortIn(rows, c)
		}
	}
	var open []domain.CohortSize
	for c, s := range states {
		if c.District == district && !s.closed && (len(groups) == 0 || slices.Contains(groups, c.Group)) {
			open = append(open, domain.CohortSize{Cohort: c, People: s.people})
		}
	}
	slices.SortFunc(open, func(a, b domain.CohortSize) int {
		return cmp.Or(cmp.Compare(a.Cohort.Group, b.Cohort.Group), cmp.Compare(a.Cohort.Generation, b.Cohort.Generation))
	})
	return open
}

// Request returns who asked for a reversal and what became of it.
func (d *Draft) Request(id domain.UUID) (domain.PersonToken, domain.RequestState, error) {
	rows := d.generation()
	defer rows.release()
	for p := range d.below {
		if r, ok := p.requests[id]; ok {
			return r.person, r.state, nil
		}
	}
	var r request
	value, err := rows.get(d.at(keyRequest, id[:]))
	if err != nil || value == nil {
		return r.person, domain.RequestUnknown, err
	}
	v := recordReader{b: value}
	r.state = domain.RequestState(v.octet())
	copy(r.person[:], v.take(len(r.person)))
	if v.bad {
		err = &ViewError{View: rows.view, Err: ErrCorrupt}
	}
	return r.person, r.state, err
}

// Holds tells whether the ledger has what an event of the ledger's own would
// say: an order carried out twice says nothing new.
func (d *Draft) Holds(e domain.Event) bool { return d.allOrders().holds(e) }

// LastRecorded is when the last entry was recorded, the zero time of an empty
// ledger.
func (d *Draft) LastRecorded() time.Time {
	rows := d.generation()
	defer rows.release()
	for p := range d.below {
		if p.entries > 0 {
			return p.last.Recorded
		}
	}
	return rows.recorded
}

// Founded returns the first event of the ledger.
func (d *Draft) Founded() (founded domain.LedgerFounded, ok bool) {
	if f := d.allOrders().founded; f != nil {
		return *f, true
	}
	return founded, false
}

// AuthorityKey returns the authority's key that was adopted last.
func (d *Draft) AuthorityKey() (adopted domain.AuthorityKeyAdopted, ok bool) {
	if a := d.allOrders().authority; a != nil {
		return *a, true
	}
	return adopted, false
}

// Freezes returns how far every freeze has come, in ledger order.
func (d *Draft) Freezes() []FreezeState { return slices.Clone(d.allOrders().freezes) }

// Holders returns the enrolled holders of details, in ledger order.
func (d *Draft) Holders() []string { return slices.Clone(d.allOrders().holders) }

func (d *Draft) allOrders() *orders {
	rows := d.generation()
	defer rows.release()
	for p := range d.below {
		if p.orders != nil {
			return p.orders
		}
	}
	return rows.orders
}
