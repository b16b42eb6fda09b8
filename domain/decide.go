package domain

import (
	"fmt"
	"slices"
	"time"
)

// Decide answers one submission with the one event to append. The error is a
// *[Rejection] when the submission is refused and an *[AlreadyHeld] when the
// ledger holds it: the same id with the same content, or the same registration
// or dose under a new id.
//
// It is a pure function: recorded, the time at which the event will be recorded,
// is a value like the others. The submission has passed [Check]. Sealed fields
// of the event are left empty; who holds the keys fills them.
//
// About a frozen person a rejection is bare: its code and nothing else.
func Decide(k Known, r Rules, s Submission, recorded time.Time) (Event, error) {
	event, err := decide(k, r, s, recorded)
	if rejection, ok := err.(*Rejection); ok && k.Frozen {
		return nil, rejection.Bare()
	}
	return event, err
}

// The questions that every submission answers come first: is it here already,
// may the caller, has it happened yet. A repeated submission is held even when
// it would be refused today.
func decide(k Known, r Rules, s Submission, recorded time.Time) (Event, error) {
	if k.Earlier != nil {
		if k.Earlier.SameContent || restated(s) {
			return nil, &AlreadyHeld{Commit: k.Earlier.Commit}
		}
		return nil, reject(CodeIDReused, "id", "another submission bore this id; give each submission an id of its own")
	}
	switch s.(type) {
	case Freeze, ReversalDecision:
		if !k.Authority {
			return nil, reject(CodeNotAllowed, "", "only the authority orders a freeze or decides a reversal; use its credential")
		}
	}
	// A day in the future; within the day centres' clocks may be ahead.
	if day := s.Head().Day(); day > DayOf(recorded) {
		return nil, reject(CodeInFuture, "at", "%s is still to come; check the date", day)
	}
	switch s := s.(type) {
	case Registration:
		return decideRegistration(k, r, s)
	case DoseGiven:
		return decideDose(k, r, s)
	case RegistrationWithdrawal:
		return decideRegistrationWithdrawal(k, s)
	case DoseWithdrawal:
		return decideDoseWithdrawal(k, r, s)
	case ReversalRequest:
		return decideReversalRequest(k, s)
	case ReversalDecision:
		return decideReversalDecision(k, s, DayOf(recorded))
	case Freeze:
		return decideFreeze(k, s)
	}
	return nil, reject(CodeUnknownType, "type", "the ledger knows no submission of this type")
}

func restated(s Submission) bool {
	r, ok := s.(Registration)
	return ok && r.Restated
}

func decideRegistration(k Known, r Rules, s Registration) (Event, error) {
	if k.Person.IsRegistered() {
		if k.SameRegistration {
			return nil, &AlreadyHeld{Commit: k.Person.Commit}
		}
		return nil, reject(CodeAlreadyRegistered, "person", "a person is registered under this number, with other particulars")
	}
	day := s.Day()
	age := AgeFromBirthYear(s.BirthYear)
	least, greatest := s.Group.Ages()
	switch {
	case !KnownDistrict(s.District):
		return nil, rejectDistrict()
	case age < least || age > greatest:
		return nil, reject(CodeAgeOutsideGroup, "birth_year",
			"%s is for %s, as on 1 January %d; check the group and the year of birth", s.Group, inYears(least, greatest), ageYear)
	case !r.AcceptsPhotoID(s.PhotoID.Type, age, day):
		return nil, reject(CodePhotoIDNotAccepted, "photo_id",
			"%s was not accepted from a person of this age on %s; use another document", s.PhotoID.Type, day)
	case k.PhotoID != HeldByNobody:
		return nil, reject(CodePhotoIDTaken, "photo_id",
			"another person is registered with this photo ID; check its number, or whether the person is registered already")
	}
	if limit := r.HouseholdLimit(day); k.Household >= limit {
		return nil, reject(CodeMobileFull, "mobile",
			"%d people are registered on this mobile number, and the limit on %s was %d; use another number", k.Household, day, limit)
	}
	return PersonRegistered{Person: k.Token, Cohort: k.Cohort, Sex: s.Sex, Day: day, Closed: k.BornClosed}, nil
}

func decideRegistrationWithdrawal(k Known, s RegistrationWithdrawal) (Event, error) {
	p := k.Person
	switch {
	case !p.IsRegistered():
		return nil, rejectPerson(s)
	case len(p.Doses()) > 0:
		return nil, reject(CodeHasDoses, "person", "doses of this person stand; withdraw them first, the latest before the others")
	case p.hasPending() && s.Day() < p.Pending.Day:
		return nil, reject(CodeTooEarly, "at",
			"a reversal was asked for on %s, and the withdrawal ends it; date it on that day or later", p.Pending.Day)
	}
	return RegistrationWithdrawn{
		Person:     k.Token,
		Cohort:     p.Cohort,
		Sex:        p.Sex,
		Registered: p.Registered,
		Day:        s.Day(),
		Pending:    p.hasPending(),
		Reason:     s.Reason,
	}, nil
}

func decideFreeze(k Known, s Freeze) (Event, error) {
	mode := s.Mode
	if mode == 0 {
		mode = Handover
	}
	switch {
	case !KnownDistrict(s.District):
		return nil, rejectDistrict()
	case mode == Handover && !k.AuthorityKey:
		return nil, reject(CodeAuthorityKeyMissing, "mode",
			"no authority key is adopted, so a handover has nobody to go to; adopt one (bahi authority adopt) or order the keys erased")
	}
	if len(s.Persons) > 0 {
		return decideFreezeOfListed(k, s, mode)
	}
	groups := Groups()
	if len(s.Groups) > 0 {
		groups = slices.Clone(s.Groups)
		slices.Sort(groups)
		groups = slices.Compact(groups)
	}
	return FreezeOrdered{
		Freeze:   s.ID,
		District: s.District,
		Groups:   groups,
		Cohorts:  slices.Clone(k.Open),
		Standing: s.Standing,
		Mode:     mode,
		Order:    s.Order,
		By:       s.By,
		Day:      s.Day(),
	}, nil
}

func inYears(least, greatest int) string {
	if greatest == maxAge {
		return fmt.Sprintf("ages from %d", least)
	}
	return fmt.Sprintf("ages %d to %d", least, greatest)
}

// rejectPerson refuses what is about somebody who is not registered.
func rejectPerson(s Submission) *Rejection {
	if RegistrationOf(s) != (UUID{}) {
		return reject(CodeUnknownPerson, "registration",
			"no registration stands under this id that the ledger issued a number for; send it first, under another id if that one was withdrawn, or name the person by number")
	}
	return reject(CodeUnknownPerson, "person", "nobody is registered under this number; check it, or register the person first")
}

func rejectDistrict() *Rejection {
	return reject(CodeUnknownDistrict, "district", "the Local Government Directory has no district with this code")
}
