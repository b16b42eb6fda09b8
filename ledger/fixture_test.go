package ledger

import (
	"context"
	"fmt"
	"testing"
	"time"

	"bahi/domain"
)

// The fixture's people are numbered; everything about one follows from the number.

func uuidOf(kind byte, n int) domain.UUID {
	var u domain.UUID
	u[0] = kind
	u[6], u[8] = 0x70, 0x80
	for i := 15; n > 0 && i > 8; i-- {
		u[i] = byte(n)
		n >>= 8
	}
	return u
}

func referenceOf(n int) domain.Reference { return domain.MakeReference(fmt.Sprintf("2%012d", n)) }

func at(day string) time.Time {
	t, err := domain.ParseTime(day)
	if err != nil {
		panic(err)
	}
	return t
}

func registrationOf(n int, district domain.District, group domain.Group, when string) domain.Registration {
	born := map[domain.Group]int{domain.HealthCareWorker: 1980, domain.FrontLineWorker: 1985, domain.Age45To60: 1970, domain.Age60Plus: 1950}[group]
	return domain.Registration{
		Heading:   domain.Heading{ID: uuidOf(1, n), At: at(when)},
		Person:    referenceOf(n),
		District:  district,
		Group:     group,
		Name:      fmt.Sprintf("Canary Kumari %d", n),
		BirthYear: born,
		Sex:       domain.Sex(1 + n%2),
		Mobile:    fmt.Sprintf("9%09d", 700_000_000+n),
		PhotoID:   domain.PhotoID{Type: domain.Aadhaar, Number: fmt.Sprintf("1%011d", 77_000_000_000+n)},
	}
}

func doseOf(n int, number domain.DoseNumber, district domain.District, when string) domain.DoseGiven {
	return domain.DoseGiven{
		Heading:  domain.Heading{ID: uuidOf(1+byte(number), n), At: at(when)},
		Person:   referenceOf(n),
		District: district,
		Centre:   "208001",
		Vaccine:  domain.Covishield,
		Batch:    "4120Z001",
		Number:   number,
	}
}

func freezeOf(n int, district domain.District, when string) domain.Freeze {
	return domain.Freeze{
		Heading:  domain.Heading{ID: uuidOf(9, n), At: at(when)},
		District: district,
		Mode:     domain.Handover,
		Order:    "DL/2021/117",
		By:       "authority",
	}
}

var (
	centre    = Caller{Name: "centre"}
	authority = Caller{Name: "authority", Authority: true}
)

// open opens a sandbox ledger in a directory of the test's own.
func open(t testing.TB, dir string) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), Config{Data: dir + "/data", Keys: dir + "/keys", Sandbox: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, l) })
	return l
}

func shut(t testing.TB, l *Ledger) {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Errorf("close the ledger: %v", err)
	}
}

func submit(t testing.TB, l *Ledger, as Caller, submissions ...domain.Submission) []domain.Verdict {
	t.Helper()
	var all []domain.Verdict
	for len(submissions) > 0 {
		n := min(len(submissions), MaxBundle)
		verdicts, err := l.Submit(t.Context(), as, submissions[:n])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, verdicts...)
		submissions = submissions[n:]
	}
	return all
}

func want(t testing.TB, verdicts []domain.Verdict, outcome domain.Outcome) {
	t.Helper()
	for i, v := range verdicts {
		if v.Outcome != outcome {
			t.Fatalf("verdict %d: %s %v, want %s", i, v.Outcome, v.Reject, outcome)
		}
	}
}

func wantCode(t testing.TB, v domain.Verdict, code domain.Code) {
	t.Helper()
	if v.Outcome != domain.Rejected || v.Reject.Code != code {
		t.Fatalf("verdict: %s %v, want rejected %s", v.Outcome, v.Reject, code)
	}
}
