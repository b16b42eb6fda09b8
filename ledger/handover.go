package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
		return domain.Details{}, domain.RegistrationTokens{}, vault.ErrNotHandedOver
	}
	return a.Handover.OpenRegistration(c, p, sealed, wrapped...)
}

// OpenDose opens the sealed particulars of a dose.
func (a Authority) OpenDose(c domain.Cohort, p domain.PersonToken, sealed []byte, wrapped ...[]byte) (domain.DoseParticulars, error) {
	if a.Handover == nil {
		return domain.DoseParticulars{}, vault.ErrNotHandedOver
	}
	return a.Handover.OpenDose(c, p, sealed, wrapped...)
}

// HandoverError says why the authority cannot open a person's details with what it
// brought. What a freeze destroyed is never put back: the key comes from the handover,
// or from nowhere.
type HandoverError struct {
	Freeze domain.UUID // the person's; the zero value of who is not frozen, and of who was born closed
	Erased bool        // nothing was handed over
}

func (e *HandoverError) Error() string {
	switch {
	case e.Erased:
		return "the freeze of this person erases: nothing was handed over, and no key opens their details any more"
	case e.Freeze == domain.UUID{}:
		return "this person is not frozen: no handover has the key of their details, and `bahi person` shows them"
	}
	return fmt.Sprintf("the details of this person open with the handover of their freeze alone; give its file, %s.handover, with --handover", e.Freeze)
}

// errOtherHandover: the handover's tokens are of another pepper than the ledger's.
var errOtherHandover = errors.New("this handover is another ledger's; give that of the person's freeze in this one")

// OpenFrozen answers a frozen citizen who asks the authority for a certificate:
// with what only the authority has, and the ledger that only counts. It reads the
// whole ledger. The reading is recorded before it is answered, like every other.
//
// Errors: ErrNotFound when nobody has that number; a [*HandoverError].
func (l *Ledger) OpenFrozen(ctx context.Context, keys Authority, number domain.Reference, officer string) (PersonDetails, error) {
	if err := number.Check(); err != nil {
		return PersonDetails{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if err := domain.CheckOfficer(officer); err != nil {
		return PersonDetails{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if keys.Handover != nil && keys.Handover.PepperID != l.vault.PepperID() {
		return PersonDetails{}, errOtherHandover
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
	details, err := show(keys, number, token, record)
	if errors.Is(err, vault.ErrNotHandedOver) || len(record.Sealed) == 0 {
		return PersonDetails{}, l.notHandedOver(token, record)
	}
	return details, err
}

// notHandedOver finds the freeze whose handover has the keys of a record, if any has.
func (l *Ledger) notHandedOver(token domain.PersonToken, record projections.PersonRecord) *HandoverError {
	why := &HandoverError{Erased: len(record.Sealed) == 0} // of who was born closed where nothing is kept
	for _, f := range l.register.Freezes() {
		listed := slices.ContainsFunc(f.Order.Moved, func(m domain.PersonMoved) bool { return m.Person == token && m.From == record.Cohort })
		if f.Sequence > record.Commit && (listed || slices.Contains(cohorts(f.Order), record.Cohort)) {
			why.Freeze, why.Erased = f.Order.Freeze, f.Order.Mode == domain.Erase
			break // of who was listed before the rest of the cohort was frozen, the first has them
		}
	}
	return why
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
