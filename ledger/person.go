package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/projections"
	"bahi/vault"
)

// Purposes are the codes that a reading of details may be for.
var Purposes = []string{"verification", "second_dose", "grievance", "medical", "legal"}

// PersonDetails is one person's record, opened.
type PersonDetails struct {
	Person    domain.Reference `json:"person"`
	Name      string           `json:"name"`
	BirthYear int              `json:"birth_year"`
	Sex       domain.Sex       `json:"sex"`
	Mobile    string           `json:"mobile"`
	PhotoID   PhotoIDShown     `json:"photo_id"`
	District  domain.District  `json:"district"`
	Group     domain.Group     `json:"group"`
	Status    domain.Status    `json:"status"`
	Doses     []DoseShown      `json:"doses"`
	Reversals []ReversalShown  `json:"reversals"`
	// AsOf is the day that status, doses and reversals are told as of, when it was
	// asked for.
	AsOf domain.Day `json:"as_of,omitzero"`
}

// PhotoIDShown is what the ledger keeps of a photo ID.
type PhotoIDShown struct {
	Type  domain.PhotoIDType `json:"type"`
	Last4 string             `json:"last4"`
}

// DoseShown is one standing dose.
type DoseShown struct {
	Dose    any            `json:"dose"` // 1, 2, 3 or "precaution"
	At      domain.Day     `json:"at"`
	Vaccine domain.Vaccine `json:"vaccine"`
	Batch   string         `json:"batch"`
	Centre  string         `json:"centre"`
}

// ReversalShown is one request for a lower status.
type ReversalShown struct {
	Request   domain.UUID   `json:"request"`
	To        domain.Status `json:"to"`
	Requested domain.Day    `json:"requested"`
	State     string        `json:"state"` // pending, approved or rejected
}

// Reader is who asks about a person, and as of when.
type Reader struct {
	Officer  string          // the officer's id
	Purpose  string          // one of Purposes
	District domain.District // whose people the officer may ask about; 0: anybody's

	// AsOf asks for status, doses and reversals as they were by the end of that day,
	// as known now: what was withdrawn since never was, a reversal acts on the day of
	// its decision. The details are the record's as they are. 0 asks for the present.
	AsOf domain.Day
}

func (r Reader) check() error {
	if err := domain.CheckOfficer(r.Officer); err != nil {
		return fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if !slices.Contains(Purposes, r.Purpose) {
		return fmt.Errorf("%w: the purpose is one of %s", ErrBadRequest, strings.Join(Purposes, ", "))
	}
	return nil
}

// Person opens one person's details for an officer. The reading is recorded, who
// and for which purpose, before anything is answered; no record, no answer.
//
// An officer has so many readings a day, and a refused one counts: who tries
// numbers runs out of them. There is no other way to ask: not by name, mobile
// number or photo ID, and not for many people at once.
//
// Errors: ErrFrozen; ErrNotFound, also about a person of another district than the
// reader's, and one who was not registered by the day that is asked for; ErrBadRequest; ErrTooManyReads; vault.ErrKeyMissing when the key of an
// open cohort is not there.
func (l *Ledger) Person(ctx context.Context, number domain.Reference, reader Reader) (PersonDetails, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return PersonDetails{}, err
	}
	defer leave()
	token, record, err := l.look(ctx, number, reader, l.readsPerDay())
	if err != nil {
		return PersonDetails{}, err
	}
	if reader.AsOf != 0 && record.Registered > reader.AsOf {
		return PersonDetails{}, ErrNotFound
	}
	details, err := l.show(number, token, record)
	if err == nil {
		details.AsOf = reader.AsOf
	}
	return details, err
}

// look finds a person for a reader, who has so many readings a day, and records
// the reading.
func (l *Ledger) look(ctx context.Context, number domain.Reference, reader Reader, perDay int) (token domain.PersonToken, record projections.PersonRecord, err error) {
	if err := number.Check(); err != nil {
		return token, record, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	if err := reader.check(); err != nil {
		return token, record, err
	}
	if err := l.takeReading(ctx, reader.Officer, perDay); err != nil {
		return token, record, err
	}
	if err := l.caughtUp(ctx, l.people); err != nil {
		return token, record, err
	}
	token = l.vault.PersonToken(number)
	record, err = l.recordedRead(ctx, token, reader)
	return token, record, err
}

// show opens a record, and when its key has ended since it was read, looks again:
// a freeze of other persons of the cohort has wrapped this one's key meanwhile.
func (l *Ledger) show(number domain.Reference, token domain.PersonToken, record projections.PersonRecord) (PersonDetails, error) {
	for {
		details, err := show(l.vault, number, token, record)
		if !errors.Is(err, ErrFrozen) {
			return details, err
		}
		again, missing := l.people.Person(token)
		if missing != nil || len(again.Wrapped) <= len(record.Wrapped) {
			return details, err
		}
		record.Wrapped = again.Wrapped
	}
}

// recordedRead looks the person up and records the reading under the barrier
// that this node knows. When a newer barrier stands, a freeze was ordered
// meanwhile: the node folds its order and looks again.
func (l *Ledger) recordedRead(ctx context.Context, token domain.PersonToken, reader Reader) (projections.PersonRecord, error) {
	for {
		barrier := l.knownBarrier()
		record, err := l.personFor(reader, token)
		if err != nil {
			return record, err
		}
		err = l.store.AppendRead(ctx, eventstore.AuditRead{
			At: l.now(), Officer: reader.Officer, Purpose: reader.Purpose, Person: token, District: record.Cohort.District,
		}, barrier)
		if err == nil {
			l.metrics.reads.WithLabelValues(reader.Purpose).Inc()
			return record, nil
		}
		if !errors.Is(err, eventstore.ErrBarrier) {
			return record, fmt.Errorf("the reading could not be recorded, so nothing is shown: %w", err)
		}
		if err := l.learnBarrier(ctx); err != nil {
			return record, err
		}
	}
}

// personFor answers about a person whom the reader may not ask about as about a
// number that nobody has. Neither is recorded, which takes a flush to disk and
// would tell them apart; what is left between them is one more row read.
func (l *Ledger) personFor(reader Reader, token domain.PersonToken) (projections.PersonRecord, error) {
	record, err := l.people.PersonAsOf(token, reader.AsOf)
	if err == nil && reader.District != 0 && reader.District != record.Cohort.District {
		record, err = projections.PersonRecord{}, projections.ErrUnknown
	}
	switch {
	case errors.Is(err, projections.ErrFrozen) || errors.Is(err, projections.ErrUnknown) && l.people.AnyFreeze():
		return record, ErrFrozen
	case errors.Is(err, projections.ErrUnknown):
		return record, ErrNotFound
	}
	return record, err
}

func (l *Ledger) knownBarrier() uint64 {
	l.reading.Lock()
	defer l.reading.Unlock()
	return l.barrier
}

// learnBarrier folds the ledger through the order that the last barrier carries;
// only then may this node read under it.
func (l *Ledger) learnBarrier(ctx context.Context) error {
	barrier, order, err := l.store.LastBarrier(ctx)
	if err != nil {
		return err
	}
	if err := l.runner.Wait(ctx, order, l.people); err != nil {
		return err
	}
	l.reading.Lock()
	defer l.reading.Unlock()
	l.barrier = max(l.barrier, barrier)
	return nil
}

// opener opens sealed parts: the vault for open cohorts, and for frozen ones the
// authority with a handover.
type opener interface {
	OpenRegistration(c domain.Cohort, p domain.PersonToken, sealed []byte, wrapped ...[]byte) (domain.Details, domain.RegistrationTokens, error)
	OpenDose(c domain.Cohort, p domain.PersonToken, sealed []byte, wrapped ...[]byte) (domain.DoseParticulars, error)
}

// show opens what is sealed of a record. About doses that were given after a
// freeze nothing is sealed: only that they were given is known.
func show(keys opener, number domain.Reference, token domain.PersonToken, r projections.PersonRecord) (PersonDetails, error) {
	details, _, err := keys.OpenRegistration(r.Cohort, token, r.Sealed, r.Wrapped...)
	if err != nil {
		return PersonDetails{}, cannotOpen(r.Cohort, err)
	}
	p := PersonDetails{
		Person:    number,
		Name:      details.Name,
		BirthYear: details.BirthYear,
		Sex:       r.Sex,
		Mobile:    details.Mobile,
		PhotoID:   PhotoIDShown{Type: details.PhotoIDType, Last4: details.PhotoIDLast4},
		District:  r.Cohort.District,
		Group:     r.Cohort.Group,
		Status:    r.Status,
		Doses:     []DoseShown{},
		Reversals: []ReversalShown{},
	}
	for _, d := range r.Doses {
		var told domain.DoseParticulars
		if len(d.Sealed) > 0 {
			if told, err = keys.OpenDose(r.Cohort, token, d.Sealed, r.Wrapped...); err != nil {
				return PersonDetails{}, cannotOpen(r.Cohort, err)
			}
		}
		p.Doses = append(p.Doses, DoseShown{Dose: doseShown(d.Number), At: d.Day, Vaccine: d.Vaccine, Batch: told.Batch, Centre: told.Centre})
	}
	for _, v := range r.Reversals {
		p.Reversals = append(p.Reversals, ReversalShown{Request: v.Request, To: v.To, Requested: v.Requested, State: v.State.String()})
	}
	return p, nil
}

func doseShown(n domain.DoseNumber) any {
	if n == domain.Precaution {
		return n.String()
	}
	return int(n)
}

// cannotOpen answers for a record whose key is gone. A freeze may have landed
// since the record was read; then the answer is the freeze's.
func cannotOpen(c domain.Cohort, err error) error {
	if errors.Is(err, vault.ErrKeyDestroyed) {
		return ErrFrozen
	}
	return fmt.Errorf("open details of cohort %s: %w", c, err)
}
