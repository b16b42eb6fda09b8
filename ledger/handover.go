package ledger

import (
	"context"
	"errors"
	"fmt"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/projections"
	"bahi/vault"
)

// OpenHandover answers a frozen citizen who asks the authority for a
// certificate: with the handover that only the authority's key opens, and the
// ledger that only counts. It reads the whole ledger. The reading is recorded
// before it is answered, like every other.
//
// Errors: ErrNotFound when nobody has that number; vault.ErrKeyMissing when the
// handover is of another freeze than the person's, or the person is not frozen.
func (l *Ledger) OpenHandover(ctx context.Context, h *vault.Handover, number domain.Reference, officer string) (PersonDetails, error) {
	if err := number.Check(); err != nil {
		return PersonDetails{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if err := domain.CheckOfficer(officer); err != nil {
		return PersonDetails{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if h.PepperID != l.vault.PepperID() {
		return PersonDetails{}, ErrOtherKeys
	}
	token := l.vault.PersonToken(number)
	record, err := projections.ReadPerson(ctx, l.store, token)
	if errors.Is(err, projections.ErrUnknown) {
		return PersonDetails{}, ErrNotFound
	}
	if err != nil {
		return PersonDetails{}, err
	}
	if err := l.recordHandoverRead(ctx, token, record.Cohort.District, officer); err != nil {
		return PersonDetails{}, err
	}
	return show(h, number, token, record)
}

func (l *Ledger) recordHandoverRead(ctx context.Context, token domain.PersonToken, district domain.District, officer string) error {
	for {
		err := l.store.AppendRead(ctx, eventstore.AuditRead{
			At: l.now(), Officer: officer, Purpose: "legal", Person: token, District: district,
		}, l.knownBarrier())
		if !errors.Is(err, eventstore.ErrBarrier) {
			return err
		}
		if err := l.learnBarrier(ctx); err != nil {
			return err
		}
	}
}
