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

// Authority is what opens a frozen person's details: the authority's private key
// and the handover of the person's freeze. Who was born closed needs the key
// alone; Handover may be nil for them.
type Authority struct {
	Key      *vault.AuthorityKey
	Handover *vault.Handover
}

// OpenRegistration opens a sealed registration.
func (a Authority) OpenRegistration(c domain.Cohort, p domain.PersonToken, sealed []byte, wrapped ...[]byte) (domain.Details, domain.RegistrationTokens, error) {
	switch {
	case vault.SealedToAuthority(sealed):
		return a.Key.OpenRegistration(c, p, sealed)
	case a.Handover == nil:
		return domain.Details{}, domain.RegistrationTokens{}, vault.ErrKeyMissing
	}
	return a.Handover.OpenRegistration(c, p, sealed, wrapped...)
}

// OpenDose opens the sealed particulars of a dose.
func (a Authority) OpenDose(c domain.Cohort, p domain.PersonToken, sealed []byte, wrapped ...[]byte) (domain.DoseParticulars, error) {
	if a.Handover == nil {
		return domain.DoseParticulars{}, vault.ErrKeyMissing
	}
	return a.Handover.OpenDose(c, p, sealed, wrapped...)
}

// OpenFrozen answers a frozen citizen who asks the authority for a certificate:
// with what only the authority has, and the ledger that only counts. It reads the
// whole ledger. The reading is recorded before it is answered, like every other.
//
// Errors: ErrNotFound when nobody has that number; vault.ErrKeyMissing when the
// handover is of another freeze than the person's, or the person is not frozen.
func (l *Ledger) OpenFrozen(ctx context.Context, keys Authority, number domain.Reference, officer string) (PersonDetails, error) {
	if err := number.Check(); err != nil {
		return PersonDetails{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if err := domain.CheckOfficer(officer); err != nil {
		return PersonDetails{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if keys.Handover != nil && keys.Handover.PepperID != l.vault.PepperID() {
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
	return show(keys, number, token, record)
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
