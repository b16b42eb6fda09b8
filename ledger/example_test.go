package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"bahi/domain"
	"bahi/ledger"
	"bahi/projections"
)

// A person is registered and vaccinated; the authority freezes the district; the
// counts stay right, and the person's details are gone.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "bahi-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := ledger.Open(ctx, ledger.Config{Data: filepath.Join(dir, "data"), Sandbox: true})
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close(ctx)

	day := func(d int) domain.Heading {
		return domain.Heading{ID: domain.UUID{15: byte(d)}, At: time.Date(2021, 1, d, 10, 0, 0, 0, domain.IndianStandardTime)}
	}
	verdicts, err := l.Submit(ctx, ledger.Caller{Name: "centre"}, []domain.Submission{
		domain.Registration{
			Heading: day(16), Person: "21679381234566", District: 208, Group: domain.HealthCareWorker,
			Name: "Sunita Kumari", BirthYear: 1961, Sex: domain.Female, Mobile: "9000000001",
			PhotoID: domain.PhotoID{Type: domain.Aadhaar, Number: "123412341234"},
		},
		domain.DoseGiven{
			Heading: day(17), Person: "21679381234566", District: 208,
			Centre: "208001", Vaccine: domain.Covishield, Batch: "4120Z001", Number: 1,
		},
		domain.DoseGiven{
			Heading: day(20), Person: "21679381234566", District: 208,
			Centre: "208001", Vaccine: domain.Covishield, Batch: "4120Z001", Number: 2,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, v := range verdicts {
		fmt.Println(v.Outcome)
	}
	fmt.Println(verdicts[2].Reject.Message)

	before, err := l.Person(ctx, "21679381234566", ledger.Reader{Officer: "dio-208-3", Purpose: "verification"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(before.Name, before.Status)

	receipt, err := l.Freeze(ctx, domain.Freeze{
		Heading: day(30), District: 208, Mode: domain.Handover, Order: "DL/2021/117", By: "authority",
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(receipt.People, "frozen")

	_, err = l.Person(ctx, "21679381234566", ledger.Reader{Officer: "dio-208-3", Purpose: "verification"})
	fmt.Println(errors.Is(err, ledger.ErrFrozen))

	counts, err := l.Counts(ctx, projections.CountsQuery{District: 208})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(counts.Registered, counts.Dose1, counts.Partial, counts.Frozen)
	// Output:
	// accepted
	// accepted
	// rejected
	// second dose of COVISHIELD on 2021-01-20 comes 3 days after the first; the rule in force asks for 28
	// Sunita Kumari partial
	// 1 frozen
	// true
	// 1 1 1 1
}
