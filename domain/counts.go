package domain

// Measure is something that the ledger counts. People are counted by their home
// district, doses by the district where they were given.
type Measure uint8

// The measures. How many are frozen is not counted event by event: it is
// [Registered], summed over closed cohorts.
const (
	CountRegistered Measure = iota + 1
	CountUnvaccinated
	CountPartial
	CountFull
	CountPendingReversals
	CountDose1
	CountDose2
	CountDose3
	CountPrecaution
)

// Cell is a place in the count view, without the day it was recorded, which is
// the commit's to say. Generation and Vaccine are 0 where they do not apply:
// doses are counted by the person's group, not their cohort, and people
// without regard to vaccine.
type Cell struct {
	Measure    Measure
	District   District
	Group      Group
	Generation uint16
	Sex        Sex
	Vaccine    Vaccine
	Day        Day // on which it happened
}

// Counts says what an event adds to the count view: the cells, each with the
// amount, 1 or -1. It is the whole of that view's logic, a sum over events with
// no look-up and no allocation.
//
// A withdrawal retracts on the day of what it withdraws: it never was. A
// reversal acts on the day of its decision: until then the doses counted. In
// every district, unvaccinated, partial and full together are the registered, on
// each day.
//
// The two do not mix well in one person's past: when, after a reversal, a dose is
// reported or withdrawn that is dated before it, or the registration is
// withdrawn, the days in between hold that person in one status twice and in another minus once. From the day of the
// decision on, every count is right again.
func Counts(e Event, yield func(Cell, int64)) {
	switch e := e.(type) {
	case PersonRegistered:
		yield(home(CountRegistered, e.Cohort, e.Sex, e.Day), 1)
		yield(home(CountUnvaccinated, e.Cohort, e.Sex, e.Day), 1)
	case RegistrationWithdrawn:
		yield(home(CountRegistered, e.Cohort, e.Sex, e.Registered), -1)
		yield(home(CountUnvaccinated, e.Cohort, e.Sex, e.Registered), -1)
		if e.Pending {
			yield(home(CountPendingReversals, e.Cohort, e.Sex, e.Day), -1)
		}
	case DoseAdministered:
		yield(place(e.Dose, e.Cohort.Group, e.Sex, e.Dose.Day), 1)
		changed(e.Cohort, e.Sex, e.Dose.Day, e.Before, e.After, yield)
	case DoseWithdrawn:
		yield(place(e.Dose, e.Cohort.Group, e.Sex, e.Dose.Day), -1)
		changed(e.Cohort, e.Sex, e.Dose.Day, e.Before, e.After, yield)
	case ReversalRequested:
		yield(home(CountPendingReversals, e.Cohort, e.Sex, e.Day), 1)
	case ReversalDecided:
		yield(home(CountPendingReversals, e.Cohort, e.Sex, e.Day), -1)
		for i := range e.TakenBack {
			yield(place(e.TakenBack[i], e.Cohort.Group, e.Sex, e.Day), -1)
		}
		changed(e.Cohort, e.Sex, e.Day, e.Before, e.After, yield)
	case FreezeOrdered:
		for i := range e.Moved {
			moved(e.Moved[i], yield)
		}
	case PersonMoved:
		moved(e, yield)
	case LedgerFounded, PhotoIDsKept, PhotoIDsComplete, KeysRewrapped, SurvivorsRekeyed, HandoverMade, Purged, HolderEnrolled, AuthorityKeyAdopted:
	}
}

// moved takes a person out of one cohort's cells and puts them into another's of
// the same district and group: no total of either changes.
func moved(e PersonMoved, yield func(Cell, int64)) {
	for _, m := range [...]Measure{CountRegistered, statusMeasures[e.Status&3], CountPendingReversals} {
		if m == CountPendingReversals && !e.Pending {
			continue
		}
		yield(home(m, e.From, e.Sex, e.Day), -1)
		yield(home(m, e.To, e.Sex, e.Day), 1)
	}
}

// home is a cell of the person's own cohort.
func home(m Measure, c Cohort, sex Sex, day Day) Cell {
	return Cell{Measure: m, District: c.District, Group: c.Group, Generation: c.Generation, Sex: sex, Day: day}
}

// place is a cell of the district where a dose was given.
func place(d Dose, group Group, sex Sex, day Day) Cell {
	return Cell{Measure: doseMeasures[d.Number&7], District: d.District, Group: group, Sex: sex, Vaccine: d.Vaccine, Day: day}
}

var doseMeasures = [8]Measure{1: CountDose1, 2: CountDose2, 3: CountDose3, Precaution: CountPrecaution}

var statusMeasures = [4]Measure{Unvaccinated: CountUnvaccinated, Partial: CountPartial, Full: CountFull}

func changed(c Cohort, sex Sex, day Day, before, after Status, yield func(Cell, int64)) {
	if before == after {
		return
	}
	yield(home(statusMeasures[before&3], c, sex, day), -1)
	yield(home(statusMeasures[after&3], c, sex, day), 1)
}
