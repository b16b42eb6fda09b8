package eventstore

import (
	"fmt"

	"bahi/domain"
	"bahi/eventstore/wire"
)

// toWire puts event into an entry. The tokens and sealed bytes of the result
// share the event's memory.
func toWire(to *wire.Entry, event domain.Event) error {
	var w widening
	switch e := event.(type) {
	case domain.PersonRegistered:
		to.Event = &wire.Entry_PersonRegistered{PersonRegistered: &wire.PersonRegistered{
			Person: e.Person[:], District: uint32(e.Cohort.District), Group: w.group(e.Cohort.Group), Generation: uint32(e.Cohort.Generation),
			Sex: w.sex(e.Sex), Day: int32(e.Day), Closed: e.Closed, Sealed: e.Sealed,
		}}
	case domain.DoseAdministered:
		w.unplaced(e.Dose)
		to.Event = &wire.Entry_DoseAdministered{DoseAdministered: &wire.DoseAdministered{
			Person: e.Person[:], District: uint32(e.Cohort.District), Group: w.group(e.Cohort.Group), Generation: uint32(e.Cohort.Generation), Sex: w.sex(e.Sex),
			Number: w.number(e.Dose.Number), Vaccine: w.vaccine(e.Dose.Vaccine), DoseDay: int32(e.Dose.Day), DoseDistrict: uint32(e.Dose.District),
			Before: w.status(e.Before), After: w.status(e.After), Sealed: e.Sealed,
		}}
	case domain.RegistrationWithdrawn:
		to.Event = &wire.Entry_RegistrationWithdrawn{RegistrationWithdrawn: &wire.RegistrationWithdrawn{
			Person: e.Person[:], District: uint32(e.Cohort.District), Group: w.group(e.Cohort.Group), Generation: uint32(e.Cohort.Generation), Sex: w.sex(e.Sex),
			RegisteredDay: int32(e.Registered), Day: int32(e.Day), Pending: e.Pending, Reason: w.reason(e.Reason),
		}}
	case domain.DoseWithdrawn:
		w.unplaced(e.Dose)
		to.Event = &wire.Entry_DoseWithdrawn{DoseWithdrawn: &wire.DoseWithdrawn{
			Person: e.Person[:], District: uint32(e.Cohort.District), Group: w.group(e.Cohort.Group), Generation: uint32(e.Cohort.Generation), Sex: w.sex(e.Sex),
			Number: w.number(e.Dose.Number), Vaccine: w.vaccine(e.Dose.Vaccine), DoseDay: int32(e.Dose.Day), DoseDistrict: uint32(e.Dose.District),
			Before: w.status(e.Before), After: w.status(e.After), Day: int32(e.Day), Reason: w.reason(e.Reason),
		}}
	case domain.ReversalRequested:
		to.Event = &wire.Entry_ReversalRequested{ReversalRequested: &wire.ReversalRequested{
			Person: e.Person[:], District: uint32(e.Cohort.District), Group: w.group(e.Cohort.Group), Generation: uint32(e.Cohort.Generation), Sex: w.sex(e.Sex),
			Request: e.Request[:], Day: int32(e.Day), From: w.status(e.From), To: w.status(e.To), Reason: w.reason(e.Reason),
		}}
	case domain.ReversalDecided:
		decided := &wire.ReversalDecided{
			Person: e.Person[:], District: uint32(e.Cohort.District), Group: w.group(e.Cohort.Group), Generation: uint32(e.Cohort.Generation), Sex: w.sex(e.Sex),
			Request: e.Request[:], Day: int32(e.Day), Approved: e.Approved, Before: w.status(e.Before), After: w.status(e.After), By: w.text(e.By),
		}
		for _, d := range e.TakenBack {
			w.unplaced(d)
			decided.TakenBack = append(decided.TakenBack, &wire.Dose{
				Number: w.number(d.Number), Vaccine: w.vaccine(d.Vaccine), Day: int32(d.Day), District: uint32(d.District),
			})
		}
		to.Event = &wire.Entry_ReversalDecided{ReversalDecided: decided}

	case domain.LedgerFounded:
		to.Event = &wire.Entry_LedgerFounded{LedgerFounded: &wire.LedgerFounded{Origin: w.text(e.Origin), Sandbox: e.Sandbox, Pepper: e.Pepper[:]}}
	case domain.FreezeOrdered:
		ordered := &wire.FreezeOrdered{
			Freeze: e.Freeze[:], District: uint32(e.District), Standing: e.Standing, Mode: w.mode(e.Mode),
			Order: w.text(e.Order), By: w.text(e.By), Day: int32(e.Day), Listed: e.Listed,
		}
		for _, g := range e.Groups {
			ordered.Groups = append(ordered.Groups, w.group(g))
		}
		for _, c := range e.Cohorts {
			ordered.Cohorts = append(ordered.Cohorts, &wire.CohortSize{
				District: uint32(c.Cohort.District), Group: w.group(c.Cohort.Group), Generation: uint32(c.Cohort.Generation), People: c.People,
			})
		}
		for i := range e.Moved {
			m := &e.Moved[i]
			if m.From.District != m.To.District || m.From.Group != m.To.Group {
				w.refuse("a person moves within a district and group")
			}
			ordered.Moved = append(ordered.Moved, &wire.PersonMoved{
				Person: m.Person[:], District: uint32(m.From.District), Group: w.group(m.From.Group), From: uint32(m.From.Generation), To: uint32(m.To.Generation),
				Sex: w.sex(m.Sex), Status: w.status(m.Status), Day: int32(m.Day), Pending: m.Pending,
			})
		}
		for _, c := range e.Rekeyed {
			ordered.Rekeyed = append(ordered.Rekeyed, &wire.CohortEpoch{
				District: uint32(c.Cohort.District), Group: w.group(c.Cohort.Group), Generation: uint32(c.Cohort.Generation), Epoch: uint32(c.Epoch),
			})
		}
		to.Event = &wire.Entry_FreezeOrdered{FreezeOrdered: ordered}
	case domain.PhotoIDsKept:
		tokens := make([]byte, 0, len(e.Tokens)*domain.TokenSize)
		for _, t := range e.Tokens {
			tokens = append(tokens, t[:]...)
		}
		to.Event = &wire.Entry_PhotoIdsKept{PhotoIdsKept: &wire.PhotoIDsKept{
			Freeze: e.Freeze[:], District: uint32(e.Cohort.District), Group: w.group(e.Cohort.Group), Generation: uint32(e.Cohort.Generation), Tokens: tokens,
		}}
	case domain.PhotoIDsComplete:
		to.Event = &wire.Entry_PhotoIdsComplete{PhotoIdsComplete: &wire.PhotoIDsComplete{Freeze: e.Freeze[:], Tokens: e.Tokens}}
	case domain.KeysRewrapped:
		rewrapped := &wire.KeysRewrapped{
			Freeze: e.Freeze[:], District: uint32(e.Cohort.District), Group: w.group(e.Cohort.Group), Generation: uint32(e.Cohort.Generation),
			Epoch: uint32(e.Epoch), Keys: make([]*wire.WrappedKey, len(e.Keys)),
		}
		keys := make([]wire.WrappedKey, len(e.Keys))
		for i := range e.Keys {
			keys[i].Person, keys[i].Sealed = e.Keys[i].Person[:], e.Keys[i].Sealed
			rewrapped.Keys[i] = &keys[i]
		}
		to.Event = &wire.Entry_KeysRewrapped{KeysRewrapped: rewrapped}
	case domain.SurvivorsRekeyed:
		to.Event = &wire.Entry_SurvivorsRekeyed{SurvivorsRekeyed: &wire.SurvivorsRekeyed{Freeze: e.Freeze[:], People: e.People}}
	case domain.HandoverMade:
		to.Event = &wire.Entry_HandoverMade{HandoverMade: &wire.HandoverMade{Freeze: e.Freeze[:], Sha256: e.SHA256[:], Key: e.Key[:]}}
	case domain.Purged:
		to.Event = &wire.Entry_Purged{Purged: &wire.Purged{
			Freeze: e.Freeze[:], Holder: w.text(e.Holder), Rows: e.Rows, Residue: e.Residue, Keys: e.Keys,
		}}
	case domain.HolderEnrolled:
		to.Event = &wire.Entry_HolderEnrolled{HolderEnrolled: &wire.HolderEnrolled{Holder: w.text(e.Holder)}}
	case domain.AuthorityKeyAdopted:
		to.Event = &wire.Entry_AuthorityKeyAdopted{AuthorityKeyAdopted: &wire.AuthorityKeyAdopted{Key: e.Key[:], Public: e.Public}}
	default:
		return fmt.Errorf("the wire format has no event %T", event)
	}
	return w.err
}
