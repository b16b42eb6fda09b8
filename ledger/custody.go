package ledger

import (
	"context"
	"errors"
	"fmt"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/projections"
)

// Custody tells, of submissions that were refused, in which district's keeping each
// may wait for a further attempt: in that of whom it is about, whose freeze then
// ends it. About somebody whom the ledger does not know that is the district of the
// registration or dose, otherwise the sender's.
//
// 0 means that it may be kept nowhere: it is about somebody who is frozen or would
// be born closed; its photo ID is somebody else's, so that nobody knows whose freeze
// should end it; or it was no centre's to send.
func (l *Ledger) Custody(ctx context.Context, from domain.District, submissions []domain.Submission) ([]domain.District, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := l.refresh(ctx); err != nil { // orders of other nodes count
		return nil, err
	}
	now := l.register.Now()
	districts := make([]domain.District, len(submissions))
	for i, s := range submissions {
		var err error
		if districts[i], _, err = l.custodyOf(now, from, s); err != nil {
			return nil, err
		}
	}
	return districts, nil
}

// custodyOf tells besides whom the submission names, if it names somebody.
func (l *Ledger) custodyOf(d *projections.Draft, from domain.District, s domain.Submission) (domain.District, domain.PersonToken, error) {
	at := from
	switch s := s.(type) {
	case domain.Freeze, domain.ReversalDecision:
		return 0, domain.PersonToken{}, nil
	case domain.Registration:
		at = s.District
	case domain.DoseGiven:
		at = s.District
	}
	a := l.prepare(Caller{}, s)
	if a.refused != nil {
		return 0, a.person, nil
	}
	if err := l.identify(d, a); err != nil {
		return 0, a.person, err
	}
	known, _, err := l.known(d, a)
	switch {
	case err != nil || known.Frozen || known.BornClosed || known.PhotoID != domain.HeldByNobody:
		at = 0
	case known.Person.IsRegistered():
		at = known.Person.Cohort.District
	case !domain.KnownDistrict(at):
		at = from
	}
	return at, a.person, err
}

// ReadRefused records that somebody is shown refused submissions that lie in the
// quarantine of a district under an id, and tells which of them may be shown: not
// those about people who are frozen by now, or known in another district. Each that
// may be is recorded, and each that is asked for counts as one of the reader's
// readings of today. No record, no answer.
//
// Errors: ErrBadRequest; ErrNotFound when the reader may not ask about the
// district's people; ErrTooManyReads.
func (l *Ledger) ReadRefused(ctx context.Context, reader Reader, district domain.District, id domain.UUID, submissions []domain.Submission) (may []bool, err error) {
	if err := reader.check(); err != nil {
		return nil, err
	}
	if reader.District != 0 && reader.District != district {
		return nil, ErrNotFound
	}
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	for range submissions {
		if err := l.takeReading(ctx, reader.Officer, l.readsPerDay()); err != nil {
			return nil, err
		}
	}
	for {
		may, err := l.recordRefused(ctx, reader, district, id, submissions)
		if !errors.Is(err, eventstore.ErrBarrier) {
			return may, err
		}
		if err := l.learnBarrier(ctx); err != nil {
			return nil, err
		}
	}
}

// recordRefused records under the barrier that this node knows; when a newer one
// stands, whoever was frozen meanwhile has to be found first.
func (l *Ledger) recordRefused(ctx context.Context, reader Reader, district domain.District, id domain.UUID, submissions []domain.Submission) ([]bool, error) {
	barrier := l.knownBarrier()
	if err := l.refresh(ctx); err != nil {
		return nil, err
	}
	now := l.register.Now()
	may := make([]bool, len(submissions))
	for i, s := range submissions {
		at, person, err := l.custodyOf(now, district, s)
		if err != nil {
			return nil, err
		}
		if at != district {
			continue
		}
		if err := l.store.AppendRead(ctx, eventstore.AuditRead{
			At: l.now(), Officer: reader.Officer, Purpose: reader.Purpose, Person: person, District: district, Item: id,
		}, barrier); err != nil {
			return nil, fmt.Errorf("the reading could not be recorded, so nothing is shown: %w", err)
		}
		l.metrics.reads.WithLabelValues(reader.Purpose).Inc()
		may[i] = true
	}
	return may, nil
}
