package domain

import "slices"

// Rules are the dated rules of the vaccination drive: which group may come from
// when, which vaccine, at what interval, with which document, how many people
// on one mobile number. They are looked up for the day in question, so that a
// dose reported late is judged by the rule of the day on which it was given.
//
// A Rules is a value and never changes; [BuiltInRules] makes one. The zero value
// opens the drive to nobody. The tables have a dozen rows each and are scanned:
// a look-up takes some ten nanoseconds and allocates nothing.
type Rules struct {
	version    string
	intervals  []Interval
	openings   []Opening
	photoIDs   []photoIDRule
	households []householdRule
	remarks    []Remark
}

// Interval is how long a dose waits after the one before it.
type Interval struct {
	Vaccine Vaccine    // of the later dose; 0 means any vaccine, the same as before
	Dose    DoseNumber // the later dose
	After   []Vaccine  // the primary series after which Vaccine may follow as another one; none when it must be the same
	From    Day        // in force from here until a later row of the same vaccine and dose
	MinDays int        // a dose sooner than this is refused
	MaxDays int        // what was advised; 0 when nothing was. It informs and never refuses
}

// Opening is the first day on which a group may be given doses.
type Opening struct {
	Group      Group
	Precaution bool    // precaution doses, rather than the primary series
	Only       Vaccine // the one vaccine given to the group; 0 means any
	From       Day
}

type photoIDRule struct {
	document       PhotoIDType
	from           Day
	minAge, maxAge int
}

type householdRule struct {
	from  Day
	limit int
}

// Remark is a dated row of the rules that informs and never refuses: an
// announced end of registration or of first doses (the real counts rose after
// each of them), a correction that the portal offered, a document that was never
// identified.
type Remark struct {
	Kind   string
	Code   string
	From   string // as announced: a day, a month, or nothing
	Detail string
}

// maxAge is beyond the age of anybody on record.
const maxAge = 125

// ageYear is the year on whose first day ages are reckoned: groups were defined
// by the age as on 1 January 2022 throughout.
const ageYear = 2022

// Version names the rules: the same version gives the same answers.
func (r Rules) Version() string { return r.version }

// Intervals returns every interval, in force or not, oldest first by vaccine
// and dose.
func (r Rules) Intervals() []Interval { return slices.Clone(r.intervals) }

// Openings returns every opening.
func (r Rules) Openings() []Opening { return slices.Clone(r.openings) }

// Remarks returns the rows that inform and never refuse.
func (r Rules) Remarks() []Remark { return slices.Clone(r.remarks) }

// SeriesLength returns how many doses the primary series of v has, and 0 for a
// vaccine that the rules do not know.
func (r Rules) SeriesLength(v Vaccine) DoseNumber {
	var length DoseNumber
	for i := range r.intervals {
		if row := &r.intervals[i]; row.Vaccine == v && row.Dose != Precaution {
			length = max(length, row.Dose)
		}
	}
	return length
}

// InUse tells whether v was given on that day.
func (r Rules) InUse(v Vaccine, on Day) bool {
	for i := range r.intervals {
		if row := &r.intervals[i]; row.Vaccine == v && row.From <= on {
			return true
		}
	}
	return false
}

// Open tells whether doses of the primary series are given to g on that day.
func (r Rules) Open(g Group, on Day) bool { return r.open(g, false, on) }

// OpenForPrecaution tells whether g is given precaution doses on that day, of
// the vaccine of the primary series. [Rules.FollowsAnother] tells of another.
func (r Rules) OpenForPrecaution(g Group, on Day) bool { return r.open(g, true, on) }

func (r Rules) open(g Group, precaution bool, on Day) bool {
	for i := range r.openings {
		if row := &r.openings[i]; row.Group == g && row.Precaution == precaution && row.From <= on {
			return true
		}
	}
	return false
}

// Gives tells whether v is a vaccine for g: children were given one each.
func (r Rules) Gives(g Group, v Vaccine) bool {
	for i := range r.openings {
		if row := &r.openings[i]; row.Group == g && row.Only != 0 && row.Only != v {
			return false
		}
	}
	return true
}

// Interval returns the rule in force on that day for dose n of v after the dose
// before it of the same vaccine, and false when there is none.
func (r Rules) Interval(v Vaccine, n DoseNumber, on Day) (Interval, bool) {
	return r.latest(on, func(row *Interval) bool {
		return row.Dose == n && len(row.After) == 0 && (row.Vaccine == v || row.Vaccine == 0)
	})
}

// FollowsAnother returns the rule in force on that day for a precaution dose of
// v after a primary series of another vaccine. Only adults are given one. It is
// false when v does not follow primary.
func (r Rules) FollowsAnother(primary, v Vaccine, g Group, on Day) (Interval, bool) {
	if !g.adult() {
		return Interval{}, false
	}
	return r.latest(on, func(row *Interval) bool {
		return row.Vaccine == v && slices.Contains(row.After, primary)
	})
}

// followsSome tells whether v follows any other vaccine on that day.
func (r Rules) followsSome(v Vaccine, g Group, on Day) bool {
	_, ok := r.latest(on, func(row *Interval) bool {
		return row.Vaccine == v && len(row.After) > 0
	})
	return ok && g.adult()
}

// latest returns the row that came into force last, on or before a day, among
// those that match.
func (r Rules) latest(on Day, match func(*Interval) bool) (found Interval, ok bool) {
	for i := range r.intervals {
		if row := &r.intervals[i]; row.From <= on && match(row) && (!ok || row.From >= found.From) {
			found, ok = *row, true
		}
	}
	return found, ok
}

// AcceptsPhotoID tells whether the document is accepted on that day from a
// person of that age.
func (r Rules) AcceptsPhotoID(t PhotoIDType, age int, on Day) bool {
	for _, row := range r.photoIDs {
		if row.document == t && row.from <= on && row.minAge <= age && age <= row.maxAge {
			return true
		}
	}
	return false
}

// HouseholdLimit returns how many people may be registered on one mobile number
// on that day.
func (r Rules) HouseholdLimit(on Day) int {
	limit, from := 0, Day(0)
	for _, row := range r.households {
		if row.from <= on && row.from >= from {
			limit, from = row.limit, row.from
		}
	}
	return limit
}

// AgeFromBirthYear returns the age that the drive reckons with: as on
// 1 January 2022, from the year of birth alone.
func AgeFromBirthYear(year int) int { return ageYear - year }

// Ages returns the least and the greatest age of the group, both included.
// Groups that go by occupation have an adult of any age.
func (g Group) Ages() (least, greatest int) {
	switch g {
	case HealthCareWorker, FrontLineWorker:
		return 18, maxAge
	case Age60Plus:
		return 60, maxAge
	case Age45To60:
		return 45, 60
	case Age18To44:
		return 18, 44
	case Age15To17:
		return 15, 17
	case Age12To14:
		return 12, 14
	}
	return 0, -1
}

func (g Group) adult() bool {
	least, greatest := g.Ages()
	return least >= 18 && greatest >= least
}

// The waiting time of a reversal, in calendar days of Indian Standard Time
// since the request was recorded.
const (
	reversalWaits   = 3 // approved on the third day at the earliest
	reversalOverdue = 7 // listed as overdue after the seventh
)

// ReversalDue tells whether a reversal requested (as recorded) on one day may be
// approved on another, and whether its decision is overdue by then. Who asked
// may change their mind in the first days; after a week somebody waits for an
// answer.
func ReversalDue(requested, now Day) (due, overdue bool) {
	return now >= ReversalDueFrom(requested), now-requested > reversalOverdue
}

// ReversalDueFrom returns the first day on which a reversal may be approved that
// was requested (as recorded) on the given day.
func ReversalDueFrom(requested Day) Day { return requested + reversalWaits }
