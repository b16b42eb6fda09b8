package eventstore

import (
	"bahi/domain"
	"bahi/eventstore/wire"
)

// fromWire returns the event of an entry. Sealed bytes share the entry's
// memory; everything else is copied. The error is [ErrNewer] or [ErrMalformed].
func fromWire(from *wire.Entry) (domain.Event, error) {
	var n narrowing
	var event domain.Event
	switch from := from.Event.(type) {
	case *wire.Entry_PersonRegistered:
		m := from.PersonRegistered
		event = domain.PersonRegistered{
			Person: n.token(m.Person), Cohort: n.cohort(m.District, m.Group, m.Generation), Sex: n.sex(m.Sex),
			Day: domain.Day(m.Day), Closed: m.Closed, Sealed: shared(m.Sealed),
		}
	case *wire.Entry_DoseAdministered:
		m := from.DoseAdministered
		event = domain.DoseAdministered{
			Person: n.token(m.Person), Cohort: n.cohort(m.District, m.Group, m.Generation), Sex: n.sex(m.Sex),
			Dose:   n.dose(m.Number, m.Vaccine, m.DoseDay, m.DoseDistrict),
			Before: n.status(m.Before), After: n.status(m.After), Sealed: shared(m.Sealed),
		}
	case *wire.Entry_RegistrationWithdrawn:
		m := from.RegistrationWithdrawn
		event = domain.RegistrationWithdrawn{
			Person: n.token(m.Person), Cohort: n.cohort(m.District, m.Group, m.Generation), Sex: n.sex(m.Sex),
			Registered: domain.Day(m.RegisteredDay), Day: domain.Day(m.Day), Pending: m.Pending, Reason: n.reason(m.Reason),
		}
	case *wire.Entry_DoseWithdrawn:
		m := from.DoseWithdrawn
		event = domain.DoseWithdrawn{
			Person: n.token(m.Person), Cohort: n.cohort(m.District, m.Group, m.Generation), Sex: n.sex(m.Sex),
			Dose: n.dose(m.Number, m.Vaccine, m.DoseDay, m.DoseDistrict),
			Day:  domain.Day(m.Day), Before: n.status(m.Before), After: n.status(m.After), Reason: n.reason(m.Reason),
		}
	case *wire.Entry_ReversalRequested:
		m := from.ReversalRequested
		event = domain.ReversalRequested{
			Request: n.uuid(m.Request), Person: n.token(m.Person), Cohort: n.cohort(m.District, m.Group, m.Generation), Sex: n.sex(m.Sex),
			Day: domain.Day(m.Day), From: n.status(m.From), To: n.status(m.To), Reason: n.reason(m.Reason),
		}
	case *wire.Entry_ReversalDecided:
		m := from.ReversalDecided
		decided := domain.ReversalDecided{
			Request: n.uuid(m.Request), Person: n.token(m.Person), Cohort: n.cohort(m.District, m.Group, m.Generation), Sex: n.sex(m.Sex),
			Day: domain.Day(m.Day), Approved: m.Approved, Before: n.status(m.Before), After: n.status(m.After), By: n.text(m.By),
		}
		for _, d := range m.TakenBack {
			decided.TakenBack = append(decided.TakenBack, n.dose(d.Number, d.Vaccine, d.Day, d.District))
		}
		event = decided

	case *wire.Entry_LedgerFounded:
		m := from.LedgerFounded
		event = domain.LedgerFounded{Origin: n.text(m.Origin), Sandbox: m.Sandbox, Pepper: n.uuid(m.Pepper)}
	case *wire.Entry_FreezeOrdered:
		m := from.FreezeOrdered
		ordered := domain.FreezeOrdered{
			Freeze: n.uuid(m.Freeze), District: n.district(m.District), Standing: m.Standing, Mode: n.mode(m.Mode),
			Order: n.text(m.Order), By: n.text(m.By), Day: domain.Day(m.Day), Listed: m.Listed,
		}
		for _, g := range m.Groups {
			ordered.Groups = append(ordered.Groups, n.group(g))
		}
		for _, c := range m.Cohorts {
			ordered.Cohorts = append(ordered.Cohorts, domain.CohortSize{Cohort: n.cohort(c.District, c.Group, c.Generation), People: c.People})
		}
		for _, m := range m.Moved {
			ordered.Moved = append(ordered.Moved, domain.PersonMoved{
				Person: n.token(m.Person), From: n.cohort(m.District, m.Group, m.From), To: n.cohort(m.District, m.Group, m.To),
				Sex: n.sex(m.Sex), Status: n.status(m.Status), Day: domain.Day(m.Day), Pending: m.Pending,
			})
		}
		for _, c := range m.Rekeyed {
			ordered.Rekeyed = append(ordered.Rekeyed, domain.CohortEpoch{Cohort: n.cohort(c.District, c.Group, c.Generation), Epoch: n.epoch(c.Epoch)})
		}
		event = ordered
	case *wire.Entry_PhotoIdsKept:
		m := from.PhotoIdsKept
		event = domain.PhotoIDsKept{Freeze: n.uuid(m.Freeze), Cohort: n.cohort(m.District, m.Group, m.Generation), Tokens: n.tokens(m.Tokens)}
	case *wire.Entry_PhotoIdsComplete:
		m := from.PhotoIdsComplete
		event = domain.PhotoIDsComplete{Freeze: n.uuid(m.Freeze), Tokens: m.Tokens}
	case *wire.Entry_KeysRewrapped:
		m := from.KeysRewrapped
		rewrapped := domain.KeysRewrapped{Freeze: n.uuid(m.Freeze), Cohort: n.cohort(m.District, m.Group, m.Generation), Epoch: n.epoch(m.Epoch)}
		for _, k := range m.Keys {
			rewrapped.Keys = append(rewrapped.Keys, domain.WrappedKey{Person: n.token(k.Person), Sealed: shared(k.Sealed)})
		}
		event = rewrapped
	case *wire.Entry_SurvivorsRekeyed:
		m := from.SurvivorsRekeyed
		event = domain.SurvivorsRekeyed{Freeze: n.uuid(m.Freeze), People: m.People}
	case *wire.Entry_HandoverMade:
		m := from.HandoverMade
		event = domain.HandoverMade{Freeze: n.uuid(m.Freeze), SHA256: n.hash(m.Sha256), Key: n.hash(m.Key)}
	case *wire.Entry_Purged:
		m := from.Purged
		event = domain.Purged{Freeze: n.uuid(m.Freeze), Holder: n.text(m.Holder), Rows: m.Rows, Residue: m.Residue, Keys: m.Keys}
	case *wire.Entry_HolderEnrolled:
		event = domain.HolderEnrolled{Holder: n.text(from.HolderEnrolled.Holder)}
	case *wire.Entry_AuthorityKeyAdopted:
		m := from.AuthorityKeyAdopted
		event = domain.AuthorityKeyAdopted{Key: n.hash(m.Key), Public: shared(m.Public)}
	default:
		return nil, ErrMalformed // an unknown event was found as an unknown field
	}
	return event, n.err()
}
