package ledger

import (
	"context"
	"slices"

	"bahi/domain"
)

// PendingReversal is a request that waits for its decision. It names no person.
type PendingReversal struct {
	Request   domain.UUID     `json:"request"`
	District  domain.District `json:"district"`
	Group     domain.Group    `json:"group"`
	From      domain.Status   `json:"from"`
	To        domain.Status   `json:"to"`
	Requested domain.Day      `json:"requested"`
	DueFrom   domain.Day      `json:"due_from"` // the first day on which it can be approved
	Overdue   bool            `json:"overdue"`  // past the seventh day
}

// PendingReversals lists the requests that wait, oldest first; district 0 means
// all. On is the day for which due and overdue are told; the zero day is today.
func (l *Ledger) PendingReversals(ctx context.Context, district domain.District, on domain.Day) ([]PendingReversal, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := l.refresh(ctx); err != nil { // requests and decisions of other nodes count
		return nil, err
	}
	if on == 0 {
		on = domain.DayOf(l.now())
	}
	pending, err := l.register.PendingReversals(district)
	if err != nil {
		return nil, err
	}
	out := make([]PendingReversal, 0, len(pending))
	for _, p := range pending {
		_, overdue := domain.ReversalDue(p.Recorded, on)
		out = append(out, PendingReversal{
			Request: p.Request, District: p.Cohort.District, Group: p.Cohort.Group,
			From: p.From, To: p.To, Requested: p.Recorded,
			DueFrom: domain.ReversalDueFrom(p.Recorded), Overdue: overdue,
		})
	}
	slices.SortFunc(out, func(a, b PendingReversal) int {
		if a.Requested != b.Requested {
			return int(a.Requested - b.Requested)
		}
		return slices.Compare(a.Request[:], b.Request[:])
	})
	return out, nil
}
