package ledger

import (
	"cmp"
	"context"
	"errors"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/projections"
)

// ask is one thing that waits for the committer: a submission with its tokens,
// or an event of the ledger's own.
type ask struct {
	batch *batch
	place int

	// A submission. Tokens are made before it queues, in the caller's goroutine.
	caller     Caller
	submission domain.Submission
	id         domain.SubmissionToken
	digest     domain.Digest
	named      bool                      // by reference number
	person     domain.PersonToken        // zero as long as nobody knows whom it is about; see identify
	registered domain.SubmissionToken    // of the registration that names the person instead
	issued     domain.Reference          // the number that was issued for it
	tokens     domain.RegistrationTokens // of a registration
	listed     []domain.PersonToken      // of a freeze of listed persons

	// An event of the ledger's own.
	event    domain.Event
	district domain.District
	at       time.Time // sandbox time of the event; zero: now

	refused error // the form is wrong; found before it queued
	fault   error // the register could not take it
	tries   int
	turn    time.Time // the latest time given by this ask and those queued before it
}

// prepare makes an ask of a submission.
func (l *Ledger) prepare(as Caller, s domain.Submission) *ask {
	a := new(ask)
	l.prepareAt(a, as, s)
	return a
}

// prepareAt makes the tokens of a submission; a is empty before.
func (l *Ledger) prepareAt(a *ask, as Caller, s domain.Submission) {
	s = domain.Normalise(s)
	a.caller, a.submission, a.refused = as, s, domain.Check(s)
	if a.refused != nil {
		return
	}
	a.id = l.vault.SubmissionToken(s.Head().ID)
	a.digest = l.vault.SubmissionDigest(s)
	if ref := domain.PersonOf(s); ref != "" {
		a.person, a.named = l.vault.PersonToken(ref), true
	}
	if id := domain.RegistrationOf(s); id != (domain.UUID{}) {
		a.registered = l.vault.SubmissionToken(id)
	}
	if f, ok := s.(domain.Freeze); ok {
		for _, r := range f.Persons {
			a.listed = append(a.listed, l.vault.PersonToken(r))
		}
	}
	if r, ok := s.(domain.Registration); ok {
		a.tokens = domain.RegistrationTokens{
			Mobile:  l.vault.MobileToken(r.Mobile),
			PhotoID: l.vault.PhotoIDToken(r.PhotoID),
			Content: l.vault.RegistrationDigest(r),
		}
	}
}

// decision is what became of an ask: an entry to append, or, when that has no
// event, a verdict alone.
type decision struct {
	entry   eventstore.Entry
	tokens  *domain.RegistrationTokens
	seals   sealing
	verdict domain.Verdict
}

// decide asks the domain about one submission, as the draft knows the register.
// An error is a fault (of the register or the vault), not a refusal.
func (l *Ledger) decide(d *projections.Draft, a *ask, recorded time.Time) (decision, error) {
	if a.fault != nil {
		return decision{}, a.fault
	}
	if a.event != nil {
		if d.Holds(a.event) {
			return decision{}, nil
		}
		return decision{entry: eventstore.Entry{Recorded: recorded, Event: a.event}}, nil
	}
	s := a.submission
	verdict := domain.Verdict{ID: s.Head().ID.String(), Person: domain.PersonOf(s)}
	if a.refused != nil {
		return refuse(verdict, a.refused)
	}
	known, who, err := l.known(d, a)
	if err != nil {
		return decision{}, err
	}
	event, err := domain.Decide(known, l.rules, s, recorded)
	if held := (*domain.AlreadyHeld)(nil); errors.As(err, &held) {
		verdict.Outcome = domain.Duplicate
		if !known.Frozen {
			verdict.Commit = held.Commit
			verdict.Person = cmp.Or(verdict.Person, who.told(a, known))
		}
		return decision{verdict: verdict}, nil
	}
	if err != nil {
		return refuse(verdict, err) // nor is a number told that was not named
	}
	if !known.Frozen {
		verdict.Person = cmp.Or(verdict.Person, who.issued)
	}
	made := decision{verdict: verdict}
	switch e := event.(type) {
	case domain.PersonRegistered:
		made.tokens = &a.tokens
		if made.seals, err = l.readyToSeal(d, e); err != nil {
			return decision{}, err
		}
	case domain.DoseAdministered:
		if !known.Frozen {
			made.seals = sealing{how: underCohortKey}
		}
	}
	made.verdict.Outcome = domain.Accepted
	if registered, ok := event.(domain.PersonRegistered); !known.Frozen && !(ok && registered.Closed) {
		made.verdict.Commit = d.Sequence()
	}
	made.entry = eventstore.Entry{Submission: a.id, Digest: a.digest, Issued: who.counter, Recorded: recorded, Event: event}
	return made, nil
}

func detailsOf(r domain.Registration) domain.Details {
	return domain.Details{
		Name:         r.Name,
		BirthYear:    r.BirthYear,
		Mobile:       r.Mobile,
		PhotoIDType:  r.PhotoID.Type,
		PhotoIDLast4: lastFour(r.PhotoID.Number),
	}
}

func lastFour(s string) string { return s[max(0, len(s)-4):] }

// refuse answers with a rejection; any other error is a fault.
func refuse(v domain.Verdict, err error) (decision, error) {
	if !errors.As(err, &v.Reject) {
		return decision{}, err
	}
	v.Outcome = domain.Rejected
	return decision{verdict: v}, nil
}

func (l *Ledger) enqueue(ctx context.Context, asks []*ask) error {
	select {
	case l.queue <- asks:
		return nil
	case <-l.stopping:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refresh brings the register to the head of the ledger, where other nodes may
// have written.
func (l *Ledger) refresh(ctx context.Context) error {
	done := make(chan error, 1)
	select {
	case l.refreshes <- done:
	case <-l.stopped:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-l.stopped:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
