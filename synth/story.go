package synth

import (
	"time"

	"bahi/domain"
)

// Story is the demonstration: a district of health-care workers, front-line
// workers and people of 45 to 60, whose records an authority freezes, and what
// is reported about them afterwards. Nobody in it is real, and its curve is the
// project's own.
type Story struct {
	District domain.District
	Groups   []domain.Group // whose people there are
	People   []int64        // of each group, at the freeze

	Before   []domain.Submission // in order of time
	FreezeAt time.Time           // after everything in Before, before everything in After
	After    []domain.Submission // second doses of the frozen people

	LookUp   domain.Reference        // somebody with one dose at the freeze and the second in After
	Request  domain.ReversalRequest  // of somebody who was full at the freeze
	Decision domain.ReversalDecision // approves it, on the fourth day

	AtFreeze Tally // the district's counts after Before
	AtEnd    Tally // after After
	Reversed Tally // after the decision
}

// Tally is a district's counts.
type Tally struct {
	Registered, Dose1, Dose2    int64
	Unvaccinated, Partial, Full int64
}

func tally(registered, first, second int64) Tally {
	return Tally{
		Registered: registered, Dose1: first, Dose2: second,
		Unvaccinated: registered - first, Partial: first - second, Full: second,
	}
}

// storyLine is the story's counters at some days, with the days between filled
// in like those of a week. They fall once: duplicates are found.
var storyLine = []target{
	{day: domain.Date(2021, 1, 16), registered: 9_120, first: 170},
	{day: domain.Date(2021, 1, 24), registered: 13_400, first: 1_950},
	{day: domain.Date(2021, 2, 1), registered: 21_329, first: 4_700},
	{day: domain.Date(2021, 2, 12), registered: 27_000, first: 15_300},
	{day: domain.Date(2021, 2, 16), registered: 29_260, first: 18_050, second: 350},
	{day: domain.Date(2021, 2, 17), registered: 29_120, first: 18_600, second: 480},
	{day: domain.Date(2021, 2, 28), registered: 32_329, first: 22_750, second: 2_900},
	{day: storyFreeze, registered: 34_829, first: 24_180, second: 4_210},
	{day: domain.Date(2021, 3, 31), registered: 34_829, first: 24_180, second: 12_640},
}

var (
	storyFreeze   = domain.Date(2021, 3, 4)
	storyReversal = domain.Date(2022, 1, 22)
)

// Demo tells the story of Muzaffarpur, March 2021, with other people for another
// seed: 34,829 of them, some seventy thousand submissions, in a fraction of a
// second.
func Demo(seed uint64) Story {
	muzaffarpur, _ := findPlace("BR_Muzaffarpur")
	p, err := planWith(storyDemand(muzaffarpur, seed), leastCovaxin, seed)
	if err != nil || len(p.visitors) > 0 {
		panic("synth: the story's own counters cannot come about")
	}
	who := people{seed: seed, place: muzaffarpur, elsewhere: muzaffarpur, group: storyGroup}
	var r run
	r.add(p, who)

	knot := len(storyLine) - 2
	atFreeze, atEnd := storyLine[knot], storyLine[knot+1]
	s := Story{
		District: muzaffarpur.district,
		Groups:   []domain.Group{domain.HealthCareWorker, domain.FrontLineWorker, domain.Age45To60},
		People:   []int64{21_329, 11_000, 2_500},
		Before:   make([]domain.Submission, 0, p.count()),
		FreezeAt: storyFreeze.Start().Add(18 * time.Hour),
		AtFreeze: tally(atFreeze.registered, atFreeze.first, atFreeze.second),
		AtEnd:    tally(atEnd.registered, atEnd.first, atEnd.second),
		Reversed: tally(atEnd.registered, atEnd.first, atEnd.second-1),
	}
	for _, d := range p.days {
		// No error: nothing is written.
		_ = r.day(d.day, func(w *writer, o op, second int) error {
			if d.day > storyFreeze {
				s.After = append(s.After, w.submission(o, second))
			} else {
				s.Before = append(s.Before, w.submission(o, second))
			}
			return nil
		})
	}
	s.LookUp = domain.PersonOf(s.After[0])
	s.reverse(seed)
	return s
}

// reverse lets the first who was full ask for a lower status.
func (s *Story) reverse(seed uint64) {
	for _, given := range s.Before {
		if dose, ok := given.(domain.DoseGiven); ok && dose.Number == 2 {
			at := storyReversal.Start().Add(9 * time.Hour)
			s.Request = domain.ReversalRequest{
				Heading: domain.Heading{ID: storyID(seed, at, 1), At: at},
				Person:  dose.Person,
				To:      domain.Partial,
				Reason:  domain.ReasonIssuedByMistake,
			}
			at = at.AddDate(0, 0, 4)
			s.Decision = domain.ReversalDecision{
				Heading: domain.Heading{ID: storyID(seed, at, 2), At: at},
				Request: s.Request.ID,
				Approve: true,
				By:      "officer-7",
			}
			return
		}
	}
}

func storyID(seed uint64, at time.Time, n uint32) domain.UUID {
	p := people{seed: seed, place: places()[0]}
	day := domain.DayOf(at)
	return p.uuid(op{person: n}, day, int(at.Sub(day.Start())/time.Second))
}

func storyGroup(day domain.Day, _ uint32) domain.Group {
	switch {
	case day < domain.Date(2021, 2, 2):
		return domain.HealthCareWorker
	case day < domain.Date(2021, 3, 1):
		return domain.FrontLineWorker
	}
	return domain.Age45To60
}

func storyDemand(p place, seed uint64) demand {
	d := demand{place: p}
	var was target
	for _, is := range storyLine {
		from := is.day
		if len(d.days) > 0 {
			from = was.day + 1
		}
		d.fill(from, was, is, seed)
		was = is
	}
	return d
}
