package domain

import (
	"cmp"
	"slices"
)

// Next is the dose that comes next for a person.
type Next struct {
	Number   DoseNumber    // 0: none does
	Vaccines []VaccineFrom // with which it may be given, the soonest first; none only when no dose is next
}

// VaccineFrom is a vaccine and the first day on which it may be given.
type VaccineFrom struct {
	Vaccine Vaccine
	From    Day
}

// NextDose tells which dose a person is to be given next, with which vaccines,
// and for each the first day, the day asked or later, on which [Decide] would
// accept it: a rule that changes meanwhile is looked up for the day of the dose.
// None is next for who is not registered, has had a precaution dose, or belongs
// to a group that is given no more.
func NextDose(p Person, r Rules, day Day) Next {
	next := Next{Number: p.nextNumber()}
	if next.Number == 0 {
		return Next{}
	}
	turns := append(r.turns(p), day)
	slices.Sort(turns)
	for v := range vaccineCodes[1:] {
		vaccine := Vaccine(v + 1)
		for _, from := range turns {
			if from >= day && r.accepts(p, next.Number, vaccine, from) {
				next.Vaccines = append(next.Vaccines, VaccineFrom{vaccine, from})
				break
			}
		}
	}
	if len(next.Vaccines) == 0 {
		return Next{}
	}
	slices.SortStableFunc(next.Vaccines, func(a, b VaccineFrom) int { return cmp.Compare(a.From, b.From) })
	return next
}

func (p Person) nextNumber() DoseNumber {
	last, _ := p.Latest()
	switch {
	case !p.IsRegistered() || last.Number == Precaution:
		return 0
	case p.Status == Full:
		return Precaution
	}
	return last.Number + 1
}

func (r Rules) accepts(p Person, n DoseNumber, v Vaccine, on Day) bool {
	s := DoseGiven{Heading: Heading{At: on.Start()}, District: p.Cohort.District, Vaccine: v, Number: n}
	_, err := decideDose(Known{Person: p}, r, s)
	return err == nil
}

// turns are the days on which a dose of this person that was refused may begin to
// be accepted: the person's registration, a rule's first day, the end of an
// interval.
func (r Rules) turns(p Person) []Day {
	days := []Day{p.Registered}
	last, _ := p.Latest()
	for i := range r.intervals {
		days = append(days, r.intervals[i].From, last.Day+Day(r.intervals[i].MinDays))
	}
	for i := range r.openings {
		days = append(days, r.openings[i].From)
	}
	return days
}
