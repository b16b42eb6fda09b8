package projections

import (
	"encoding/binary"
	"slices"

	"bahi/domain"
)

// frozen is what a freeze removed from the view, or kept from ever coming into it: a
// generation that is told the order before it has folded the people never has them.
type frozen struct {
	cohorts []domain.Cohort
	within  []domain.Cohort // of which it removed listed persons only
	rows    int64           // people of the order
	purged  bool            // and the bytes are gone from the files
	residue int64
	samples [][]byte // ends of sealed bytes that it removed, until they are gone
}

// sampleSize is the length of a sample: the tag of a sealed record.
const sampleSize = 16

// listing is that an order of that sequence lists a person of the cohort from.
type listing struct {
	sequence uint64
	from, to domain.Cohort
}

// list remembers the persons of an order that is still to be folded.
func (p *peopleRows) list(o domain.FreezeOrdered, sequence uint64) {
	if sequence <= p.last.sequence {
		return
	}
	for _, m := range o.Moved {
		l := listing{sequence, m.From, m.To}
		if known := p.listings[m.Person]; !slices.Contains(known, l) {
			p.listings[m.Person] = append(known, l)
		}
	}
}

// listed tells whether an order behind that commit lists a person, and where it
// moves them to: nothing of them is kept until then.
func (p *peopleRows) listed(t domain.PersonToken, sequence uint64) (to domain.Cohort, ok bool) {
	for _, l := range p.listings[t] { // in order of their sequence
		if l.sequence > sequence {
			return l.to, true
		}
	}
	return to, false
}

// freeze closes the cohorts of an order and deletes their spans, and the rows of
// the persons that it lists.
func (c *peopleChange) freeze(batch rowWriter, o domain.FreezeOrdered, listed func(domain.PersonMoved) (domain.Cohort, error)) error {
	c.rows.mu.Lock()
	_, known := c.rows.freezes[o.Freeze]
	c.rows.mu.Unlock()
	if _, here := c.freezes[o.Freeze]; known || here {
		return nil
	}
	if err := c.rows.drain(); err != nil { // what is here is looked for
		return err
	}
	f := frozen{purged: true} // unless something of them is here
	c.closed = c.closing(o)
	for _, size := range o.Cohorts {
		cohort := size.Cohort
		samples, err := c.rows.sample(cohort)
		if err != nil {
			return err
		}
		f.samples = append(f.samples, samples...)
		f.cohorts = append(f.cohorts, cohort)
		_, here := c.sizes[cohort]
		f.rows += size.People
		f.purged = f.purged && !here
		delete(c.sizes, cohort)
		delete(c.touched, cohort)
		_ = batch.Delete(appendCohort([]byte{keySize}, cohort), nil)
		from, to := detailsSpan(cohort)
		if err := batch.DeleteRange(from, to, nil); err != nil {
			return err
		}
	}
	for _, m := range o.Moved {
		if err := c.move(batch, &f, m, listed); err != nil {
			return err
		}
	}
	c.freezes[o.Freeze] = f
	return batch.Set(frozenKey(o.Freeze), f.encode(), nil)
}

// closing returns the closed cohorts with those of an order.
func (c *peopleChange) closing(o domain.FreezeOrdered) map[domain.Cohort]bool {
	closed := make(map[domain.Cohort]bool, len(c.closed)+len(o.Cohorts))
	for cohort := range c.closed {
		closed[cohort] = true
	}
	for _, size := range o.Cohorts {
		closed[size.Cohort] = true
	}
	return closed
}

// move takes a listed person's details out of the view. Listed says in which
// cohort they are, the zero value when they are not here.
func (c *peopleChange) move(batch rowWriter, f *frozen, m domain.PersonMoved, listed func(domain.PersonMoved) (domain.Cohort, error)) error {
	from, err := listed(m)
	if err != nil || from == (domain.Cohort{}) {
		return err
	}
	f.purged = false
	if !slices.Contains(f.within, from) {
		f.within = append(f.within, from)
	}
	key := detailsKey(nil, from, m.Person)
	if len(f.samples) < canaries {
		history, err := c.rows.get(key)
		if err != nil {
			return err
		}
		if end := sealedEnd(history); end != nil {
			f.samples = append(f.samples, end)
		}
	}
	_ = batch.Delete(key, nil)
	_ = batch.Set(homeKey(m.Person), appendCohort(nil, m.To), nil)
	c.size(from, -1)
	return nil
}

// listedNow is for an order in its own time: everybody it lists is here.
func (c *peopleChange) listedNow(m domain.PersonMoved) (domain.Cohort, error) { return m.From, nil }

// listedBefore is for an order before its time: whoever it lists may not be here
// yet, or be somewhere else.
func (c *peopleChange) listedBefore(m domain.PersonMoved) (domain.Cohort, error) {
	home, err := c.rows.get(homeKey(m.Person))
	if err != nil || len(home) != cohortSize || c.closed[cohortAt(home)] {
		return domain.Cohort{}, err
	}
	return cohortAt(home), nil
}

// rewrapped appends wrapped keys to the rows of who stayed. Somebody whose
// registration was withdrawn meanwhile gets a row of nothing else, which nobody
// reads: a registration begins a row anew.
func (c *peopleChange) rewrapped(batch rowWriter, e domain.KeysRewrapped, sequence uint64, recorded domain.Day) {
	if c.closed[e.Cohort] {
		return
	}
	for _, k := range e.Keys {
		if c.rows.listedFrom(k.Person, e.Cohort, sequence) {
			continue
		}
		c.key = detailsKey(c.key[:0], e.Cohort, k.Person)
		c.value = appendWrapped(c.value[:0], k, sequence, recorded)
		_ = batch.Merge(c.key, c.value, nil)
	}
}

// listedFrom tells whether an order behind that commit takes the person out of
// the cohort.
func (p *peopleRows) listedFrom(t domain.PersonToken, from domain.Cohort, sequence uint64) bool {
	return slices.ContainsFunc(p.listings[t], func(l listing) bool { return l.sequence > sequence && l.from == from })
}

func frozenKey(freeze domain.UUID) []byte { return append([]byte{keyFrozen}, freeze[:]...) }

func (f frozen) encode() []byte {
	b := binary.AppendVarint([]byte{flag(f.purged)}, f.rows)
	b = binary.AppendVarint(b, f.residue)
	for _, cohorts := range [][]domain.Cohort{f.cohorts, f.within} {
		b = binary.AppendUvarint(b, uint64(len(cohorts)))
		for _, c := range cohorts {
			b = appendCohort(b, c)
		}
	}
	for _, s := range f.samples {
		b = append(b, inverted(s)...)
	}
	return b
}

func decodeFrozen(b []byte) (f frozen, ok bool) {
	r := recordReader{b: b}
	f.purged, f.rows, f.residue = r.octet() != 0, r.varint(), r.varint()
	for _, cohorts := range []*[]domain.Cohort{&f.cohorts, &f.within} {
		for n := r.uvarint(); n > 0 && !r.bad; n-- {
			*cohorts = append(*cohorts, r.cohort())
		}
	}
	for !r.bad && len(r.b) > 0 {
		f.samples = append(f.samples, inverted(r.take(sampleSize)))
	}
	return f, !r.bad
}

// inverted keeps a sample from being found in the row that remembers it.
func inverted(sample []byte) []byte {
	out := make([]byte, len(sample))
	for i, b := range sample {
		out[i] = ^b
	}
	return out
}
