package ledger

import (
	"errors"

	"bahi/domain"
	"bahi/projections"
)

// subject is who a submission is about, beyond what the domain needs to know.
type subject struct {
	issued  domain.Reference // the number that the ledger issues, or issued, for this registration or the one that it names
	counter uint8            // 1 + its counter when it is this one's; 0 when the submission brought the number
}

// told is the number that a duplicate may tell. Of a restated registration it is
// told to whoever repeats what was registered: ids of foreign systems can be
// guessed, and a guess must not yield a number.
func (w subject) told(a *ask, k domain.Known) domain.Reference {
	if s, ok := a.submission.(domain.Registration); ok && s.Restated && !k.SameRegistration && !(k.Earlier != nil && k.Earlier.SameContent) {
		return ""
	}
	return w.issued
}

// identify finds out whom an ask is about that does not say so by number: the
// person of the registration that it names, or of the request that it decides.
// Who that is depends on the draft, for the registration may be in it.
func (l *Ledger) identify(d *projections.Draft, a *ask) error {
	if s, ok := a.submission.(domain.ReversalDecision); ok {
		var err error
		a.person, _, err = d.Request(s.Request)
		return err
	}
	if a.registered == (domain.SubmissionToken{}) {
		return nil
	}
	a.person, a.issued = domain.PersonToken{}, ""
	held, ok, err := d.Submission(a.registered)
	if err != nil || !ok || held.Issued == 0 {
		return err
	}
	a.issued = l.vault.IssueReference(domain.RegistrationOf(a.submission), held.Issued-1)
	a.person = l.vault.PersonToken(a.issued)
	return nil
}

// known gathers what the register knows that bears on the submission of a.
func (l *Ledger) known(d *projections.Draft, a *ask) (domain.Known, subject, error) {
	k := domain.Known{Authority: a.caller.Authority, Token: a.person}
	who := subject{}
	if !isDerived(domain.RegistrationOf(a.submission)) {
		who.issued = a.issued
	}

	record, again, err := d.Submission(a.id)
	if err != nil {
		return k, who, err
	}
	if again {
		k.Earlier = &domain.Earlier{Commit: record.Commit, SameContent: record.Digest == a.digest}
		if record.Issued > 0 {
			who.issued = l.vault.IssueReference(a.submission.Head().ID, record.Issued-1)
			k.Token = l.vault.PersonToken(who.issued)
		}
	}

	switch s := a.submission.(type) {
	case domain.Registration:
		if !a.named && !again {
			if who, k.Token, err = l.issue(d, s.ID); err != nil {
				return k, who, err
			}
		}
		if err := l.knownRegistration(d, a, s, &k); err != nil {
			return k, who, err
		}
		return k, who, nil
	case domain.ReversalDecision:
		if _, k.Request, err = d.Request(s.Request); err != nil {
			return k, who, err
		}
	case domain.Freeze:
		_, k.AuthorityKey = d.AuthorityKey()
		if len(a.listed) > 0 && !again {
			return k, who, l.knownListed(d, a, &k)
		}
		k.Open = d.Open(s.District, s.Groups)
		return k, who, nil
	}
	k.Person, err = d.Person(k.Token)
	k.Frozen = k.Person.IsRegistered() && d.Closed(k.Person.Cohort)
	return k, who, err
}

// isDerived tells an id that was made of a record, as those of foreign formats
// are, by its version. Whoever guesses a photo ID can make it, so naming a person
// by it yields no number.
func isDerived(id domain.UUID) bool { return id[6]>>4 == 8 }

func (l *Ledger) knownRegistration(d *projections.Draft, a *ask, r domain.Registration, k *domain.Known) error {
	var err error
	if k.Person, err = d.Person(k.Token); err != nil {
		return err
	}
	if k.Person.IsRegistered() {
		if k.Frozen = d.Closed(k.Person.Cohort); k.Frozen {
			return nil
		}
		tokens, ok, err := d.Tokens(k.Person.Cohort, k.Token)
		k.SameRegistration = ok && tokens.Content == a.tokens.Content
		return err
	}
	held, err := d.PhotoID(a.tokens.PhotoID)
	if err != nil {
		return err
	}
	if held {
		k.PhotoID = domain.HeldByAnother
	}
	if k.Household, err = d.Household(a.tokens.Mobile); err != nil {
		return err
	}
	k.Cohort, k.BornClosed = d.CohortFor(r.District, r.Group)
	return nil
}

// issue finds the reference number for a registration that brought none: derived
// from its id under the pepper, so that a retry gets the same answer, with a
// counter for the rare number that is taken.
func (l *Ledger) issue(d *projections.Draft, id domain.UUID) (subject, domain.PersonToken, error) {
	for counter := range uint8(255) {
		number := l.vault.IssueReference(id, counter)
		token := l.vault.PersonToken(number)
		holder, err := d.Person(token)
		if err != nil {
			return subject{}, token, err
		}
		if !holder.IsRegistered() {
			return subject{issued: number, counter: counter + 1}, token, nil
		}
	}
	return subject{}, domain.PersonToken{}, errNumbersTaken
}

var errNumbersTaken = errors.New("every reference number derived for this submission is taken; send it under a new id")
