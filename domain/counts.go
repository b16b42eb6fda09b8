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
