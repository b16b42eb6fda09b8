package ledger

import (
	"context"
	"fmt"

	"bahi/domain"
	"bahi/projections"
	"bahi/vault"
)

// wrappedChunk is how many wrapped keys one event holds: 430 kB.
const wrappedChunk = 5_000

// handedOver are the persons of an order by the cohorts they come from, with the
// key epoch that ends there.
func handedOver(o domain.FreezeOrdered) []vault.Listed {
	listed := make([]vault.Listed, len(o.Rekeyed))
	for i, c := range o.Rekeyed {
		listed[i].CohortEpoch = domain.CohortEpoch{Cohort: c.Cohort, Epoch: c.Epoch - 1}
		for _, m := range o.Moved {
			if m.From == c.Cohort {
				listed[i].Persons = append(listed[i].Persons, m.Person)
			}
		}
	}
	return listed
}

// rekey begins a new epoch of the keys of the cohorts that listed persons come
// from, and puts the keys of who stays, wrapped under it, into the ledger. Cut off
// by a crash it wraps everybody again: of two wrapped keys either does.
func (l *Ledger) rekey(ctx context.Context, f projections.FreezeState) error {
	if !f.Order.ListsPersons() || f.Rekeyed > 0 {
		return nil
	}
	for _, c := range f.Order.Rekeyed {
		if err := l.vault.NextEpoch(c.Cohort, c.Epoch); err != nil {
			return err
		}
	}
	if err := l.settle(ctx, f); err != nil {
		return err
	}
	var people int64
	for _, c := range f.Order.Rekeyed {
		n, err := l.rewrap(ctx, f, c)
		if err != nil {
			return fmt.Errorf("wrap the keys of cohort %s: %w", c.Cohort, err)
		}
		people += n
	}
	return l.note(ctx, 0, f.Recorded, domain.SurvivorsRekeyed{Freeze: f.Order.Freeze, People: people})
}

// settle waits until the register has everything that was sealed before now,
// perhaps under a key that is about to end. It asks the committer to append what
// the ledger holds, which is answered in its turn and appends nothing.
func (l *Ledger) settle(ctx context.Context, f projections.FreezeState) error {
	return l.note(ctx, 0, f.Recorded, f.Order)
}

// rewrap wraps the keys of a cohort's people, chunk by chunk.
func (l *Ledger) rewrap(ctx context.Context, f projections.FreezeState, c domain.CohortEpoch) (people int64, err error) {
	persons, err := l.register.Persons(c.Cohort)
	if err != nil {
		return 0, err
	}
	people = int64(len(persons))
	for len(persons) > 0 {
		n := min(len(persons), wrappedChunk)
		keys, err := l.vault.WrapKeys(c, persons[:n])
		if err != nil {
			return 0, err
		}
		wrapped := domain.KeysRewrapped{Freeze: f.Order.Freeze, Cohort: c.Cohort, Epoch: c.Epoch, Keys: keys}
		if err := l.note(ctx, c.Cohort.District, f.Recorded, wrapped); err != nil {
			return 0, err
		}
		persons = persons[n:]
	}
	return people, nil
}

// knownListed gathers what the register knows of the persons that a freeze lists.
func (l *Ledger) knownListed(d *projections.Draft, a *ask, k *domain.Known) error {
	k.Listed = make([]domain.Listed, len(a.listed))
	split := map[domain.Cohort]bool{}
	for i, token := range a.listed {
		person, err := d.Person(token)
		if err != nil {
			return err
		}
		frozen := person.IsRegistered() && d.Closed(person.Cohort)
		k.Listed[i] = domain.Listed{Token: token, Person: person, Frozen: frozen}
		if c := person.Cohort; person.IsRegistered() && !frozen && !split[c] {
			split[c] = true
			k.Splits = append(k.Splits, d.Split(c))
		}
	}
	return nil
}
