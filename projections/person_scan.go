package projections

import (
	"context"

	"bahi/domain"
	"bahi/eventstore"
)

// ReadPerson makes one person's record from the ledger itself, whether the
// person is frozen or not: what an authority opens with a handover. It reads the
// whole ledger. Sealed parts are as they came; those of a frozen person open
// under no key that a node has.
//
// The error is [ErrUnknown] when nobody is registered under the token.
func ReadPerson(ctx context.Context, ledger Ledger, token domain.PersonToken) (PersonRecord, error) {
	var history []byte
	for commit, err := range ledger.Read(ctx, eventstore.Reading{}) {
		if err != nil {
			return PersonRecord{}, err
		}
		for _, entry := range commit.Entries {
			if e, ok := entry.Event.(domain.KeysRewrapped); ok && len(history) > 0 {
				for _, k := range e.Keys {
					if k.Person == token {
						history = appendWrapped(history, k, commit.Sequence, domain.DayOf(entry.Recorded))
					}
				}
				continue
			}
			who, ok := personIn(entry.Event)
			if !ok || who != token {
				continue
			}
			if _, withdrawn := entry.Event.(domain.RegistrationWithdrawn); withdrawn {
				history = history[:0]
				continue
			}
			history = appendRecord(history, entry.Event, commit.Sequence, domain.DayOf(entry.Recorded), true)
		}
	}
	if len(history) == 0 {
		return PersonRecord{}, ErrUnknown
	}
	return personRecord(history)
}

// personIn returns whom an event is about.
func personIn(e domain.Event) (domain.PersonToken, bool) {
	switch e := e.(type) {
	case domain.PersonRegistered:
		return e.Person, true
	case domain.RegistrationWithdrawn:
		return e.Person, true
	case domain.DoseAdministered:
		return e.Person, true
	case domain.DoseWithdrawn:
		return e.Person, true
	case domain.ReversalRequested:
		return e.Person, true
	case domain.ReversalDecided:
		return e.Person, true
	}
	return domain.PersonToken{}, false
}
