package eventstore

import (
	"fmt"
	"slices"
	"sync"

	"bahi/domain"
	"bahi/eventstore/wire"
)

// desk is where the messages of a commit lie while it is encoded: pooled, since
// there are many, all of two kinds.
type desk struct {
	list       []*wire.Entry
	entries    []wire.Entry
	registered []registeredMessage
	doses      []doseMessage
}

type registeredMessage struct {
	entry   wire.Entry_PersonRegistered
	message wire.PersonRegistered
	person  domain.PersonToken
}

type doseMessage struct {
	entry   wire.Entry_DoseAdministered
	message wire.DoseAdministered
	person  domain.PersonToken
}

var desks = sync.Pool{New: func() any { return new(desk) }}

// lay makes place for the messages of so many entries.
func (d *desk) lay(entries []Entry) {
	registered, doses := 0, 0
	for i := range entries {
		switch entries[i].Event.(type) {
		case domain.PersonRegistered:
			registered++
		case domain.DoseAdministered:
			doses++
		}
	}
	d.registered = slices.Grow(d.registered, registered)
	d.doses = slices.Grow(d.doses, doses)
	d.entries = slices.Grow(d.entries, len(entries))[:len(entries)]
	for i := range d.entries {
		d.list = append(d.list, &d.entries[i])
	}
}

// clear lets go of what the messages refer to, and of the desk.
func (d *desk) clear() {
	clear(d.registered)
	clear(d.doses)
	clear(d.entries)
	d.list, d.entries, d.registered, d.doses = d.list[:0], d.entries[:0], d.registered[:0], d.doses[:0]
	desks.Put(d)
}

// toWire puts event into an entry. The tokens and sealed bytes of the result
// share the event's memory, or the desk's.
func toWire(to *wire.Entry, event domain.Event, d *desk) error {
	switch e := event.(type) {
	case domain.PersonRegistered:
		return d.personRegistered(to, e)
	case domain.DoseAdministered:
		return d.doseAdministered(to, e)
	}
	return otherToWire(to, event)
}

func (d *desk) personRegistered(to *wire.Entry, e domain.PersonRegistered) error {
	var w widening
	d.registered = d.registered[:len(d.registered)+1] // as lay has counted
	on := &d.registered[len(d.registered)-1]
	on.person = e.Person
	m := &on.message
	m.Person, m.District, m.Group, m.Generation = on.person[:], uint32(e.Cohort.District), w.group(e.Cohort.Group), uint32(e.Cohort.Generation)
	m.Sex, m.Day, m.Closed, m.Sealed = w.sex(e.Sex), int32(e.Day), e.Closed, e.Sealed
	on.entry.PersonRegistered = m
	to.Event = &on.entry
	return w.err
}

func (d *desk) doseAdministered(to *wire.Entry, e domain.DoseAdministered) error {
	var w widening
	w.unplaced(e.Dose)
	d.doses = d.doses[:len(d.doses)+1]
	on := &d.doses[len(d.doses)-1]
	on.person = e.Person
	m := &on.message
	m.Person, m.District, m.Group, m.Generation = on.person[:], uint32(e.Cohort.District), w.group(e.Cohort.Group), uint32(e.Cohort.Generation)
	m.Sex, m.Number, m.Vaccine = w.sex(e.Sex), w.number(e.Dose.Number), w.vaccine(e.Dose.Vaccine)
	m.DoseDay, m.DoseDistrict = int32(e.Dose.Day), uint32(e.Dose.District)
	m.Before, m.After, m.Sealed = w.status(e.Before), w.status(e.After), e.Sealed
	on.entry.DoseAdministered = m
	to.Event = &on.entry
	return w.err
}

func otherToWire(to *wire.Entry, event domain.Event) error {
	var w widening
	switch e := event.(type) {
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
