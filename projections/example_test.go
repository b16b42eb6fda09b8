package projections_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/projections"
)

// What was known of 16 January on its evening, and what is known of it after a
// registration was withdrawn as a duplicate.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "bahi")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ledger, err := eventstore.Open(ctx, eventstore.Config{Dir: filepath.Join(dir, "ledger")})
	if err != nil {
		log.Fatal(err)
	}
	defer ledger.Close()

	cohort := domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1}
	day := domain.Date(2021, time.January, 16)
	commits := []eventstore.Commit{
		{ID: [16]byte{1}, District: 208, Entries: []eventstore.Entry{
			{Recorded: day.Start().Add(9 * time.Hour), Event: domain.PersonRegistered{Person: domain.PersonToken{1}, Cohort: cohort, Sex: domain.Female, Day: day}},
			{Recorded: day.Start().Add(10 * time.Hour), Event: domain.PersonRegistered{Person: domain.PersonToken{2}, Cohort: cohort, Sex: domain.Female, Day: day}},
		}},
		{ID: [16]byte{2}, District: 208, Entries: []eventstore.Entry{
			{Recorded: day.Start().Add(48 * time.Hour), Event: domain.RegistrationWithdrawn{
				Person: domain.PersonToken{2}, Cohort: cohort, Sex: domain.Female, Registered: day, Day: day + 2, Reason: domain.ReasonDuplicate,
			}},
		}},
	}
	for i, c := range commits {
		if _, err := ledger.Append(ctx, c, uint64(i)); err != nil {
			log.Fatal(err)
		}
	}

	counts, err := projections.OpenCounts(filepath.Join(dir, "counts"))
	if err != nil {
		log.Fatal(err)
	}
	defer counts.Close()
	if err := projections.CatchUp(ctx, ledger, counts, nil); err != nil {
		log.Fatal(err)
	}
	for _, known := range []time.Time{day.End(), day.Start().Add(72 * time.Hour)} {
		r, err := counts.Query(ctx, projections.CountsQuery{District: 208, AsOf: day, AsKnown: known}, nil)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("of %s, known on %s: %d registered\n", r.AsOf, domain.DayOf(r.AsKnown), r.Registered)
	}
	// Output:
	// of 2021-01-16, known on 2021-01-16: 2 registered
	// of 2021-01-16, known on 2021-01-19: 1 registered
}
