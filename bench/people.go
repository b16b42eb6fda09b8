package bench

import (
	"slices"
	"time"

	"bahi/domain"
)

// population is the numbered people of a benchmark: each is registered and gets two
// doses. Everything about one follows from the number, so that a history of any length
// is made while it is submitted.
type population struct {
	districts []domain.District
	together  int // so many people, one after another, live in one district
}

const (
	submissionsEach = 3 // a registration and two doses
	bundlePeople    = ledgerBundle / submissionsEach
	singleDistrict  = domain.District(208)
)

// Populations. A bundle is of one district, as a centre's are; singles come from
// everywhere at once.
var (
	muzaffarpur = &population{[]domain.District{singleDistrict}, 1}
	bihar       = &population{districtsOf("BIHAR"), bundlePeople}
	scattered   = &population{districtsOf("BIHAR"), 1}
)

func districtsOf(state string) []domain.District {
	return slices.DeleteFunc(domain.Districts(), func(d domain.District) bool { return domain.StateName(d) != state })
}

// History goes on by a day every so many people, for as many days as every rule about
// the doses stays the same, and then begins again.
const (
	peopleADay = 2_000
	historyOf  = 90 // days
	doseGap    = 35 // days
)

var firstDay = domain.Date(2021, time.January, 16)

func (p *population) district(n int) domain.District {
	return p.districts[(n-1)/p.together%len(p.districts)]
}

// submission is the i-th of the population, from 0: three a person, who are numbered
// from 1.
func (p *population) submission(i int) domain.Submission {
	n := 1 + i/submissionsEach
	if i%submissionsEach == 0 {
		return p.registration(n)
	}
	return p.dose(n, domain.DoseNumber(i%submissionsEach))
}

func (p *population) registration(n int) domain.Registration {
	return domain.Registration{
		Heading: heading(1, n, dayOf(n).Start()), Person: reference(n), District: p.district(n), Group: domain.HealthCareWorker,
		Name: "Sunita Kumari", BirthYear: 1960 + n%40, Sex: domain.Sex(1 + n%2), Mobile: digits('9', n, 10),
		PhotoID: domain.PhotoID{Type: domain.Aadhaar, Number: digits('1', n, 12)},
	}
}

func (p *population) dose(n int, number domain.DoseNumber) domain.DoseGiven {
	day := dayOf(n) + domain.Day(number-1)*doseGap
	return domain.DoseGiven{
		Heading: heading(1+byte(number), n, day.Start()), Person: reference(n), District: p.district(n),
		Centre: "208001", Vaccine: domain.Covaxin, Batch: "4120Z001", Number: number,
	}
}

func dayOf(n int) domain.Day { return firstDay + domain.Day(n/peopleADay%historyOf) }

func heading(kind byte, n int, at time.Time) domain.Heading {
	return domain.Heading{ID: id(kind, n), At: at}
}

func id(kind byte, n int) (u domain.UUID) {
	u[0], u[6], u[8] = kind, 0x70, 0x80
	for i := 15; i > 8; i-- {
		u[i] = byte(n)
		n >>= 8
	}
	return u
}

func reference(n int) domain.Reference {
	return domain.MakeReference(digits('3', n, domain.ReferenceLength-1))
}

// digits writes n behind a first digit, with zeros between.
func digits(first byte, n, width int) string {
	var b [16]byte
	for i := width - 1; i > 0; i-- {
		b[i] = '0' + byte(n%10)
		n /= 10
	}
	b[0] = first
	return string(b[:width])
}
