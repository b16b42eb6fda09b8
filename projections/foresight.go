package projections

import (
	"maps"
	"slices"

	"bahi/domain"
	"bahi/eventstore"
)

// foresight is what orders of the ledger say of registrations that the register
// has not folded yet. In a rebuild the keys to many of them are gone.
type foresight struct {
	forgotten map[domain.Cohort]bool        // the ledger keeps their tokens as a set without persons
	listed    map[domain.PersonToken]uint64 // likewise, of registrations before that order, which lists the person
	rekeyed   map[domain.Cohort]uint64      // registrations before that commit may need keys that are wrapped until then

	told map[uint64][]eventstore.Entry // orders by their sequence, until they are folded: a later one is about an earlier
}

// foresee notes what a rebuild may lack keys for.
func (r *registerRows) foresee(commits []eventstore.Commit) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.told == nil {
		r.told = map[uint64][]eventstore.Entry{}
	}
	for _, c := range commits {
		r.told[c.Sequence] = slices.DeleteFunc(slices.Clone(c.Entries), func(e eventstore.Entry) bool { return !isOrder(e.Event) })
	}
	all := r.orders
	for _, sequence := range slices.Sorted(maps.Keys(r.told)) {
		for _, e := range r.told[sequence] {
			if !all.holds(e.Event) {
				all = all.with(e, sequence)
			}
		}
		if sequence <= r.last.sequence {
			delete(r.told, sequence)
		}
	}
	for _, f := range all.freezes {
		if f.PhotoIDsComplete {
			for _, c := range f.Order.Cohorts {
				r.forgotten[c.Cohort] = true
			}
			for i := range f.Order.Moved {
				if person := f.Order.Moved[i].Person; f.Sequence > r.last.sequence {
					r.listed[person] = max(r.listed[person], f.Sequence)
				}
			}
		}
		for _, c := range f.Order.Rekeyed {
			r.rekeyed[c.Cohort] = max(r.rekeyed[c.Cohort], f.Rekeyed)
		}
	}
	return nil
}

// foresaw tells whether a registration that the commit of that sequence holds is
// one whose tokens the ledger keeps as a set already.
func (r *registerRows) foresaw(c domain.Cohort, p domain.PersonToken, sequence uint64) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.forgotten[c] || r.listed[p] > sequence
}

// rekeyedFrom returns the sequence of the last commit that is known to complete
// the wrapped keys of a cohort, 0 when there is none.
func (r *registerRows) rekeyedFrom(c domain.Cohort) uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.rekeyed[c]
}
