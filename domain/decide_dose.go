package domain

import "fmt"

// decideDose goes from what the ledger holds (the same dose again) over what
// holds for everybody (the series, the group, the vaccine) to what holds for
// this person's next dose (the one before it, its vaccine, the interval), so
// that the code names the first thing to mend.
func decideDose(k Known, r Rules, s DoseGiven) (Event, error) {
	p, day := k.Person, s.Day()
	if !p.IsRegistered() {
		return nil, rejectPerson(s)
	}
	if held, ok := p.Dose(s.Number); ok {
		if held.Day == day && held.Vaccine == s.Vaccine {
			return nil, &AlreadyHeld{Commit: held.Commit}
		}
		return nil, reject(CodeDoseExists, "dose",
			"the %s dose is held, on another day or of another vaccine; withdraw that one if it is wrong", s.Number.Ordinal())
	}
	series := r.SeriesLength(s.Vaccine)
	switch {
	case !KnownDistrict(s.District):
		return nil, rejectDistrict()
	case s.Number != Precaution && s.Number > series:
		return nil, reject(CodeNotInSeries, "dose", "the series of %s has %d doses; a later one is a precaution dose", s.Vaccine, series)
	case day < p.Registered:
		return nil, reject(CodeBeforeRegistration, "at", "the dose is dated %s, before the person's registration on %s", day, p.Registered)
	case !eligible(r, p, s):
		return nil, reject(CodeNotEligible, "at", "%s doses were not yet open to %s on %s", seriesName(s.Number), p.Cohort.Group, day)
	case !r.InUse(s.Vaccine, day):
		return nil, reject(CodeVaccineNotInUse, "vaccine", "%s was not yet in use on %s", s.Vaccine, day)
	case !r.Gives(p.Cohort.Group, s.Vaccine):
		return nil, reject(CodeVaccineNotForGroup, "vaccine", "%s is not given to %s", s.Vaccine, p.Cohort.Group)
	}
	if refusal := checkAfter(r, p, s); refusal != nil {
		return nil, refusal
	}
	return DoseAdministered{
		Person: k.Token,
		Cohort: p.Cohort,
		Sex:    p.Sex,
		Dose:   Dose{Number: s.Number, Vaccine: s.Vaccine, Day: day, District: s.District},
		Before: p.Status,
		After:  statusWith(r, s.Number, s.Vaccine),
	}, nil
}

// eligible tells whether the drive was open to the person's group on the day.
// Some groups were given a precaution dose of another vaccine only.
func eligible(r Rules, p Person, s DoseGiven) bool {
	group, day := p.Cohort.Group, s.Day()
	if s.Number != Precaution {
		return r.Open(group, day)
	}
	if r.OpenForPrecaution(group, day) {
		return true
	}
	if last, ok := p.Latest(); ok && last.Vaccine == s.Vaccine {
		return false
	}
	return r.followsSome(s.Vaccine, group, day)
}

// checkAfter judges a dose by the one before it.
func checkAfter(r Rules, p Person, s DoseGiven) *Rejection {
	var last Dose
	switch s.Number {
	case 1:
		return nil
	case Precaution:
		if p.Status != Full {
			return reject(CodeDoseMissing, "dose", "a precaution dose comes after a full primary series, which is not held")
		}
		last, _ = p.Latest()
	default:
		var ok bool
		if last, ok = p.Dose(s.Number - 1); !ok {
			return reject(CodeDoseMissing, "dose", "the %s dose is not held; report it first", (s.Number - 1).Ordinal())
		}
	}
	day := s.Day()
	rule, ok := r.Interval(s.Vaccine, s.Number, day)
	if last.Vaccine != s.Vaccine {
		rule, ok = Interval{}, false
		if s.Number == Precaution {
			rule, ok = r.FollowsAnother(last.Vaccine, s.Vaccine, p.Cohort.Group, day)
		}
		if !ok {
			return reject(CodeVaccineMismatch, "vaccine", "the person's series is of %s; %s does not continue it on %s", last.Vaccine, s.Vaccine, day)
		}
	}
	if !ok {
		return reject(CodeNotEligible, "at", "no %s dose of %s was given yet on %s", s.Number.Ordinal(), s.Vaccine, day)
	}
	switch days := int(day - last.Day); {
	case days < 0:
		return reject(CodeIntervalTooShort, "at", "%s dose of %s on %s comes before the %s, of %s",
			s.Number.Ordinal(), s.Vaccine, day, last.Number.Ordinal(), last.Day)
	case days < rule.MinDays:
		return reject(CodeIntervalTooShort, "at", "%s dose of %s on %s comes %s after the %s; the rule in force asks for %d",
			s.Number.Ordinal(), s.Vaccine, day, inDays(days), last.Number.Ordinal(), rule.MinDays)
	}
	return nil
}

func inDays(n int) string {
	if n == 1 {
		return "1 day"
	}
	return fmt.Sprintf("%d days", n)
}

// statusWith returns the status of a person whose latest dose is number n of v.
func statusWith(r Rules, n DoseNumber, v Vaccine) Status {
	switch {
	case n == 0:
		return Unvaccinated
	case n == Precaution || n == r.SeriesLength(v):
		return Full
	}
	return Partial
}

func seriesName(n DoseNumber) string {
	if n == Precaution {
		return "precaution"
	}
	return "primary"
}

func decideDoseWithdrawal(k Known, r Rules, s DoseWithdrawal) (Event, error) {
	p := k.Person
	if !p.IsRegistered() {
		return nil, rejectPerson(s)
	}
	dose, ok := p.Dose(s.Number)
	if !ok {
		return nil, reject(CodeUnknownDose, "dose", "no %s dose of this person is held", s.Number.Ordinal())
	}
	switch {
	case s.Given != 0 && s.Given != dose.Day:
		return nil, reject(CodeUnknownDose, "given", "the %s dose that is held is of another day", s.Number.Ordinal())
	case s.Vaccine != 0 && s.Vaccine != dose.Vaccine:
		return nil, reject(CodeUnknownDose, "vaccine", "the %s dose that is held is of another vaccine", s.Number.Ordinal())
	}
	doses := p.Doses()
	if latest := doses[len(doses)-1]; latest.Number != s.Number {
		return nil, reject(CodeNotLatest, "dose", "a later dose stands, the %s; withdraw that one first", latest.Number.Ordinal())
	}
	var before Dose
	if len(doses) > 1 {
		before = doses[len(doses)-2]
	}
	dose.Commit = 0
	return DoseWithdrawn{
		Person: k.Token,
		Cohort: p.Cohort,
		Sex:    p.Sex,
		Dose:   dose,
		Day:    s.Day(),
		Before: p.Status,
		After:  statusWith(r, before.Number, before.Vaccine),
		Reason: s.Reason,
	}, nil
}
