package projections

import (
	"slices"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// FreezeState is how far a freeze has come, as the ledger tells it.
type FreezeState struct {
	Order            domain.FreezeOrdered
	Sequence         uint64    // of the commit that holds the order
	Recorded         time.Time // of the order
	Holders          []string  // enrolled when it was ordered: each has to acknowledge
	PhotoIDsComplete bool
	Rekeyed          uint64 // of the commit from which on who stays has their keys under a new epoch; 0 before it, and for whole cohorts
	Handover         *domain.HandoverMade
	Purged           []domain.Purged // one a holder, in ledger order
	Completed        time.Time       // when the last of what is here was recorded
}

// PurgedBy tells whether that holder has acknowledged the freeze.
func (f FreezeState) PurgedBy(holder string) bool {
	return slices.ContainsFunc(f.Purged, func(p domain.Purged) bool { return p.Holder == holder })
}

// Awaits returns the holders that have not acknowledged the freeze.
func (f FreezeState) Awaits() (holders []string) {
	for _, h := range f.Holders {
		if !f.PurgedBy(h) {
			holders = append(holders, h)
		}
	}
	return holders
}

// orders is what the events of ledger.order and the founding add up to. A value
// is never changed once it is shared: folding an order makes the next one. There
// are few orders.
type orders struct {
	founded   *domain.LedgerFounded
	authority *domain.AuthorityKeyAdopted
	holders   []string
	freezes   []FreezeState
}

// isOrder tells whether an event is kept in [orders].
func isOrder(e domain.Event) bool {
	switch e.(type) {
	case domain.LedgerFounded, domain.AuthorityKeyAdopted, domain.HolderEnrolled,
		domain.FreezeOrdered, domain.PhotoIDsComplete, domain.SurvivorsRekeyed, domain.HandoverMade, domain.Purged:
		return true
	}
	return false
}

// with returns the orders after e, which the commit of that sequence holds.
func (o *orders) with(e eventstore.Entry, sequence uint64) *orders {
	next := *o
	next.freezes = slices.Clone(o.freezes)
	freeze := func(id domain.UUID) *FreezeState {
		for i := range next.freezes {
			if next.freezes[i].Order.Freeze == id {
				next.freezes[i].Completed = e.Recorded
				return &next.freezes[i]
			}
		}
		return &FreezeState{} // of an order that is not there: nothing to note it at
	}
	switch event := e.Event.(type) {
	case domain.LedgerFounded:
		next.founded = &event
	case domain.AuthorityKeyAdopted:
		next.authority = &event
	case domain.HolderEnrolled:
		if !slices.Contains(o.holders, event.Holder) {
			next.holders = append(slices.Clone(o.holders), event.Holder)
		}
	case domain.FreezeOrdered:
		next.freezes = append(next.freezes, FreezeState{
			Order: event, Sequence: sequence, Recorded: e.Recorded, Holders: o.holders, Completed: e.Recorded,
		})
	case domain.PhotoIDsComplete:
		freeze(event.Freeze).PhotoIDsComplete = true
	case domain.SurvivorsRekeyed:
		freeze(event.Freeze).Rekeyed = sequence
	case domain.HandoverMade:
		freeze(event.Freeze).Handover = &event
	case domain.Purged:
		if f := freeze(event.Freeze); !f.PurgedBy(event.Holder) {
			f.Purged = append(slices.Clone(f.Purged), event)
		}
	}
	return &next
}

// holds tells whether e would add nothing.
func (o *orders) holds(e domain.Event) bool {
	freeze := func(id domain.UUID) FreezeState {
		for _, f := range o.freezes {
			if f.Order.Freeze == id {
				return f
			}
		}
		return FreezeState{}
	}
	switch e := e.(type) {
	case domain.LedgerFounded:
		return o.founded != nil
	case domain.AuthorityKeyAdopted:
		return o.authority != nil && o.authority.Key == e.Key
	case domain.HolderEnrolled:
		return slices.Contains(o.holders, e.Holder)
	case domain.FreezeOrdered:
		return freeze(e.Freeze).Sequence > 0
	case domain.PhotoIDsKept:
		return freeze(e.Freeze).PhotoIDsComplete
	case domain.PhotoIDsComplete:
		return freeze(e.Freeze).PhotoIDsComplete
	case domain.KeysRewrapped:
		return freeze(e.Freeze).Rekeyed > 0
	case domain.SurvivorsRekeyed:
		return freeze(e.Freeze).Rekeyed > 0
	case domain.HandoverMade:
		return freeze(e.Freeze).Handover != nil
	case domain.Purged:
		return freeze(e.Freeze).PurgedBy(e.Holder)
	}
	return false
}

// standing tells whether a standing freeze covers later registrations of a
// district and group.
func (o *orders) standing(d domain.District, g domain.Group) bool { return o.standingMode(d, g) != 0 }

// standingMode returns the mode of the standing freeze over a district and
// group, 0 when there is none. Where one hands over and one erases, what comes
// is erased.
func (o *orders) standingMode(d domain.District, g domain.Group) (mode domain.FreezeMode) {
	for _, f := range o.freezes {
		if f.Order.Standing && f.Order.District == d && (len(f.Order.Groups) == 0 || slices.Contains(f.Order.Groups, g)) {
			mode = max(mode, f.Order.Mode)
		}
	}
	return mode
}

// order returns the order of a freeze.
func (o *orders) order(freeze domain.UUID) domain.FreezeOrdered {
	for _, f := range o.freezes {
		if f.Order.Freeze == freeze {
			return f.Order
		}
	}
	return domain.FreezeOrdered{}
}
