package bench

import (
	"fmt"
	"time"

	"bahi/domain"
)

// The people of a benchmark are numbered: one registration and two doses each.

const district domain.District = 208

var (
	registered = domain.Date(2021, 1, 16).Start()
	second     = domain.Date(2021, 2, 20).Start()
)

func id(kind byte, n int) (u domain.UUID) {
	u[0], u[6], u[8] = kind, 0x70, 0x80
	for i := 15; i > 8; i-- {
		u[i] = byte(n)
		n >>= 8
	}
	return u
}

func reference(n int) domain.Reference { return domain.MakeReference(fmt.Sprintf("3%012d", n)) }

func heading(kind byte, n int, at time.Time) domain.Heading {
	return domain.Heading{ID: id(kind, n), At: at}
}

func registration(n int) domain.Registration {
	return domain.Registration{
		Heading: heading(1, n, registered), Person: reference(n), District: district, Group: domain.HealthCareWorker,
		Name: "Sunita Kumari", BirthYear: 1980, Sex: domain.Female, Mobile: fmt.Sprintf("9%09d", n),
		PhotoID: domain.PhotoID{Type: domain.Aadhaar, Number: fmt.Sprintf("1%011d", n)},
	}
}

func dose(n int, number domain.DoseNumber, at time.Time) domain.DoseGiven {
	return domain.DoseGiven{
		Heading: heading(1+byte(number), n, at), Person: reference(n), District: district,
		Centre: "208001", Vaccine: domain.Covishield, Batch: "4120Z001", Number: number,
	}
}

// submissions are those of people first to first+people-1, in an order in which
// all are accepted.
func submissions(first, people int) []domain.Submission {
	out := make([]domain.Submission, 0, 3*people)
	for n := first; n < first+people; n++ {
		out = append(out, registration(n), dose(n, 1, registered), dose(n, 2, second))
	}
	return out
}
