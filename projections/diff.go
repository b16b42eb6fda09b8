package projections

import (
	"cmp"
	"slices"

	"bahi/domain"
)

// CountsChange is what one row of an answer is in another: the same question at two
// states of knowledge. Keys are as in [CountsRow].
type CountsChange struct {
	CountsRow         // its keys, and by how much the figures changed
	Before    Figures `json:"before"`
	After     Figures `json:"after"`
}

// Diff compares two answers to the same question, row by row with the same keys.
// Rows that did not change are left out; a row that only one of them has counts as
// nothing in the other. The first value is the change of the whole.
func Diff(before, after CountsResult) (whole CountsChange, rows []CountsChange) {
	type pair struct{ before, after *CountsRow }
	pairs := map[rowKey]*pair{}
	of := func(row *CountsRow) *pair {
		k := row.key()
		if pairs[k] == nil {
			pairs[k] = &pair{}
		}
		return pairs[k]
	}
	for i := range before.By {
		of(&before.By[i]).before = &before.By[i]
	}
	for i := range after.By {
		of(&after.By[i]).after = &after.By[i]
	}
	keys := make([]rowKey, 0, len(pairs))
	for k := range pairs {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b rowKey) int {
		return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.district, b.district), cmp.Compare(a.group, b.group),
			cmp.Compare(a.sex, b.sex), cmp.Compare(a.vaccine, b.vaccine))
	})
	rows = []CountsChange{}
	for _, k := range keys {
		p := pairs[k]
		named, was, is := p.after, Figures{}, Figures{}
		if p.before != nil {
			named, was = p.before, p.before.Figures
		}
		if p.after != nil {
			is = p.after.Figures
		}
		if was != is {
			rows = append(rows, change(*named, was, is))
		}
	}
	return change(CountsRow{}, before.Figures, after.Figures), rows
}

func change(keys CountsRow, was, is Figures) CountsChange {
	keys.Figures = is
	keys.Figures.sum(was.negative())
	return CountsChange{CountsRow: keys, Before: was, After: is}
}

func (r *CountsRow) key() (k rowKey) {
	if r.Day != nil {
		k.day = *r.Day
	}
	if r.District != nil {
		k.district = *r.District
	}
	if r.Group != nil {
		k.group = *r.Group
	}
	if r.Sex != nil {
		k.sex = *r.Sex
	}
	if r.Vaccine != nil {
		k.vaccine, _ = domain.ParseVaccine(*r.Vaccine) // "" is the row that counts people
	}
	return k
}

// Plus returns the sums of two counts' figures.
func (f Figures) Plus(g Figures) Figures {
	f.sum(g)
	return f
}

func (f Figures) negative() Figures {
	return Figures{
		Registered: -f.Registered, Dose1: -f.Dose1, Dose2: -f.Dose2, Dose3: -f.Dose3, Precaution: -f.Precaution,
		Unvaccinated: -f.Unvaccinated, Partial: -f.Partial, Full: -f.Full, Frozen: -f.Frozen, PendingReversals: -f.PendingReversals,
	}
}
