package ledger

import "context"

// FreezeStatus is how far a freeze is.
type FreezeStatus struct {
	FreezeReceipt
	Awaited []string `json:"awaited,omitempty"` // the holders that have not acknowledged it; none when it is complete
}

// Freezes tells how far every freeze is, in the order in which they were ordered.
func (l *Ledger) Freezes(ctx context.Context) ([]FreezeStatus, error) {
	_, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	states := l.register.Freezes()
	freezes := make([]FreezeStatus, len(states))
	for i, f := range states {
		freezes[i] = FreezeStatus{FreezeReceipt: l.receipt(f), Awaited: f.Awaits()}
	}
	return freezes, nil
}
