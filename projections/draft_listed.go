package projections

import (
	"encoding/binary"
	"errors"
	"slices"

	"bahi/domain"
)

// listed moves the persons that a freeze lists, with their tokens, into the
// cohorts that it closes; from then on these are frozen like any other.
func (d *Draft) listed(o domain.FreezeOrdered, recorded domain.Day) error {
	if !o.ListsPersons() {
		return nil
	}
	for _, c := range o.Cohorts {
		eachCanary(keyTokens, c.Cohort, d.set)
	}
	for _, c := range o.Rekeyed {
		state := d.cohort(c.Cohort)
		state.epoch = c.Epoch
		d.setCohort(c.Cohort, state)
	}
	for _, m := range o.Moved {
		d.append(m.Person, m, recorded)
		for c, n := range map[domain.Cohort]int64{m.From: -1, m.To: 1} {
			state := d.cohort(c)
			state.people += n
			d.setCohort(c, state)
		}
		tokens, ok, err := d.Tokens(m.From, m.Person)
		if err != nil {
			return err
		}
		if !ok {
			continue // in a rebuild, foreseen
		}
		d.delete(d.tokensKey(m.From, m.Person))
		d.mobile(tokens.Mobile, m.From, -1)
		d.hold(m.To, m.Person, &tokens)
	}
	return nil
}

// parked is a registration whose tokens cannot be opened yet: it was sealed in an
// epoch that has ended, and the keys of who stayed were wrapped later in the
// ledger. Rebuilding a register meets the registration first.
type parked struct {
	cohort domain.Cohort
	commit uint64   // that holds the registration
	sealed [][]byte // the registration, then the wrapped keys met so far
}

func (d *Draft) parkedKey(c domain.Cohort, p domain.PersonToken) []byte {
	d.key = append(appendCohort(append(d.key[:0], keyParked), c), p[:]...)
	return d.key
}

func (d *Draft) park(person domain.PersonToken, p *parked) {
	if len(p.sealed) == 1 {
		d.parkings++
	}
	d.parked[person] = p
	d.set(d.parkedKey(p.cohort, person), p.encode())
}

// unpark removes a registration that is withdrawn, or opened at last.
func (d *Draft) unpark(c domain.Cohort, person domain.PersonToken) error {
	p, err := d.parkedOf(c, person)
	if err != nil || p == nil {
		return err
	}
	d.parkings--
	d.parked[person] = nil
	d.delete(d.parkedKey(c, person))
	return nil
}

// anyParked tells whether a registration waits at all: hardly ever.
func (d *Draft) anyParked() bool {
	rows := d.generation()
	defer rows.release()
	for p := range d.below {
		if len(p.parked) > 0 {
			return true
		}
	}
	return rows.parked > 0
}

// parkedOf returns the person's registration if it waits, or nil.
func (d *Draft) parkedOf(c domain.Cohort, person domain.PersonToken) (*parked, error) {
	if !d.anyParked() {
		return nil, nil
	}
	rows := d.generation()
	defer rows.release()
	for p := range d.below {
		if waits, here := p.parked[person]; here {
			return waits, nil
		}
	}
	value, err := rows.get(d.parkedKey(c, person))
	if err != nil || value == nil {
		return nil, err
	}
	p, ok := decodeParked(c, value)
	if !ok {
		return nil, &ViewError{View: rows.view, Err: ErrCorrupt}
	}
	return p, nil
}

// rewrapped tries the registrations that wait for these keys.
func (d *Draft) rewrapped(e domain.KeysRewrapped) error {
	if !d.anyParked() {
		return nil
	}
	for _, k := range e.Keys {
		p, err := d.parkedOf(e.Cohort, k.Person)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		sealed := append(slices.Clone(p.sealed), k.Sealed)
		tokens, err := d.rows.keys.OpenTokens(e.Cohort, k.Person, sealed[0], sealed[1:]...)
		if err != nil { // a later epoch's keys lead to it
			d.park(k.Person, &parked{cohort: p.cohort, commit: p.commit, sealed: sealed})
			continue
		}
		if err := d.unpark(e.Cohort, k.Person); err != nil {
			return err
		}
		d.hold(e.Cohort, k.Person, &tokens)
	}
	return nil
}

var errNotWrapped = errors.New("no wrapped key leads to it")

// rekeyed holds a register to its word when the last wrapped keys of a cohort
// that anybody knows of are folded: whoever still waits now would wait for ever.
func (d *Draft) rekeyed(e domain.SurvivorsRekeyed) error {
	if !d.anyParked() {
		return nil
	}
	for _, c := range d.allOrders().order(e.Freeze).Rekeyed {
		if d.rows.rekeyedFrom(c.Cohort) > d.sequence {
			continue
		}
		left, err := d.leftParked(c.Cohort)
		if err != nil {
			return err
		}
		if left != nil {
			return &TokensError{Cohort: c.Cohort, Commit: left.commit, Err: errNotWrapped}
		}
	}
	return nil
}

// leftParked returns some registration of the cohort that waits, or nil. The
// draft is a fold's, with none below it.
func (d *Draft) leftParked(c domain.Cohort) (left *parked, err error) {
	for _, p := range d.parked {
		if p != nil && p.cohort == c {
			return p, nil
		}
	}
	prefix := appendCohort([]byte{keyParked}, c)
	err = d.rows.scan(prefix, func(key, value []byte) error {
		if _, here := d.parked[domain.PersonToken(key[len(prefix):])]; here || left != nil {
			return nil
		}
		p, ok := decodeParked(c, value)
		if !ok {
			return &ViewError{View: d.rows.view, Err: ErrCorrupt}
		}
		left = p
		return nil
	})
	return left, err
}

func (p *parked) encode() []byte {
	b := binary.AppendUvarint(nil, p.commit)
	for _, s := range p.sealed {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return b
}

func decodeParked(c domain.Cohort, value []byte) (*parked, bool) {
	r := recordReader{b: value}
	p := &parked{cohort: c, commit: r.uvarint()}
	for !r.bad && len(r.b) > 0 {
		p.sealed = append(p.sealed, r.bytes())
	}
	return p, !r.bad && len(p.sealed) > 0
}

// Split says what a freeze of listed persons would make of an open cohort.
func (d *Draft) Split(c domain.Cohort) domain.Split {
	rows := d.generation()
	defer rows.release()
	to := c
	to.Generation, _ = d.generationsOf(rows, phase{c.District, c.Group})
	to.Generation++
	return domain.Split{From: c, To: to, Epoch: max(1, d.cohortIn(rows, c).epoch) + 1}
}
