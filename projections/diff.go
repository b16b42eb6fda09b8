package projections

import "iter"

// CountsChange is what one row of an answer is in another: the same question at two
// states of knowledge. Keys are as in [CountsRow].
type CountsChange struct {
	CountsRow         // its keys, and by how much the figures changed
	Before    Figures `json:"before"`
	After     Figures `json:"after"`
}

// Diff compares two answers to the same question, row by row with the same keys.
// Rows that did not change are left out; a row that only one of them has counts as
// nothing in the other. The first value is the change of the whole; the rows come in
// the order of those of the answers.
func Diff(before, after *CountsTable) (whole CountsChange, rows iter.Seq[CountsChange]) {
	return change(CountsRow{}, before.Head.Figures, after.Head.Figures), func(yield func(CountsChange) bool) {
		was, is := before.read(), after.read()
		for was.more || is.more {
			code := is.code
			if !is.more || was.more && was.code < is.code {
				code = was.code
			}
			old, new := was.take(code), is.take(code)
			if old != new && !yield(change(after.named(code, Figures{}), old, new)) {
				return
			}
		}
	}
}

// take returns the figures of the row of a code and goes on, when the reader stands
// there; otherwise nothing.
func (r *tableReader) take(code rowCode) (f Figures) {
	if r.more && r.code == code {
		f = *r.figures
		r.next()
	}
	return f
}

func change(keys CountsRow, was, is Figures) CountsChange {
	keys.Figures = is
	keys.Figures.sum(was.negative())
	return CountsChange{CountsRow: keys, Before: was, After: is}
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
