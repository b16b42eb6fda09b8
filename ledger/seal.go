package ledger

import (
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"bahi/domain"
	"bahi/projections"
	"bahi/vault"
)

// Details are sealed when everything of a commit is decided, while the next one is
// being decided: it is a good part of the work on an event, and no decision hangs
// on it.

// sealing says which entry of a commit lacks its sealed part, and what seals it.
type sealing struct {
	how       sealedHow
	authority vault.AuthorityPublicKey
	entry     int // its place in the commit
	ask       *ask
}

type sealedHow uint8

const (
	underCohortKey sealedHow = iota + 1
	forAuthority
)

// readyToSeal says how a registration is to be sealed. The key of a new cohort is
// on disk before this returns, and so before the first registration that needs it
// is appended. Somebody who is born closed is sealed to the authority; under a
// standing freeze that erases, details are kept nowhere.
func (l *Ledger) readyToSeal(d *projections.Draft, e domain.PersonRegistered) (s sealing, err error) {
	if !e.Closed {
		s.how = underCohortKey
		if !d.Known(e.Cohort) {
			if err := l.vault.EnsureKeys(e.Cohort); err != nil {
				return s, fmt.Errorf("make the key of cohort %s: %w", e.Cohort, err)
			}
		}
		return s, nil
	}
	adopted, ok := d.AuthorityKey()
	if mode := d.StandingMode(e.Cohort.District, e.Cohort.Group); mode != domain.Handover || !ok {
		return s, nil
	}
	s.how = forAuthority
	s.authority, err = vault.NewAuthorityPublicKey(adopted.Public)
	return s, err
}

// sealAtLeast is how many entries are worth a goroutine.
const sealAtLeast = 128

// seal puts the sealed parts into the entries of a commit, once.
func (c *committer) seal(f *flight) error {
	var workers errgroup.Group
	share := max(sealAtLeast, (len(f.seals)-1)/runtime.GOMAXPROCS(0)+1)
	for rest := f.seals; len(rest) > 0; {
		n := min(share, len(rest))
		some := rest[:n]
		rest = rest[n:]
		workers.Go(func() error {
			sealer := c.vault.Sealer()
			for _, s := range some {
				if err := sealEntry(sealer, s, &f.commit.Entries[s.entry].Event); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := workers.Wait(); err != nil {
		return err
	}
	clear(f.seals)
	f.seals = f.seals[:0]
	return nil
}

func sealEntry(sealer *vault.Sealer, s sealing, event *domain.Event) (err error) {
	switch e := (*event).(type) {
	case domain.PersonRegistered:
		details := detailsOf(s.ask.submission.(domain.Registration))
		if s.how == forAuthority {
			e.Sealed, err = vault.SealForAuthority(s.authority, e.Cohort, e.Person, details, s.ask.tokens)
		} else {
			e.Sealed, err = sealer.Registration(e.Cohort, e.Person, details, s.ask.tokens)
		}
		if err != nil {
			return fmt.Errorf("seal a registration of cohort %s: %w", e.Cohort, err)
		}
		*event = e
	case domain.DoseAdministered:
		dose := s.ask.submission.(domain.DoseGiven)
		e.Sealed, err = sealer.Dose(e.Cohort, e.Person, domain.DoseParticulars{Centre: dose.Centre, Batch: dose.Batch})
		if err != nil {
			return fmt.Errorf("seal a dose of cohort %s: %w", e.Cohort, err)
		}
		*event = e
	}
	return nil
}

// bytes is a bound of what the sealed part weighs.
func (s sealing) bytes() int {
	switch submission := s.ask.submission.(type) {
	case domain.Registration:
		bound := 256 + len(submission.Name)
		if s.how == forAuthority {
			bound += 1_200
		}
		return bound
	default:
		return 128
	}
}
