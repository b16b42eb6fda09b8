package eventstore_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// A writer appends where it believes the end to be, and is told when it is
// wrong. A reader goes through the commits with a range loop.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "bahi")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := eventstore.Open(ctx, eventstore.Config{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	recorded := time.Date(2021, time.January, 16, 4, 35, 0, 0, time.UTC)
	founded := eventstore.Commit{
		ID:      [16]byte{1},
		Entries: []eventstore.Entry{{Recorded: recorded, Event: domain.LedgerFounded{Origin: "bihar"}}},
	}
	head, err := store.Append(ctx, founded, 0)
	if err != nil {
		log.Fatal(err)
	}
	registered := eventstore.Commit{
		ID:       [16]byte{2},
		District: 208,
		Entries: []eventstore.Entry{{Recorded: recorded, Event: domain.PersonRegistered{
			Cohort: domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1},
			Sex:    domain.Female,
			Day:    domain.DayOf(recorded),
		}}},
	}
	if _, err = store.Append(ctx, registered, 0); errors.Is(err, eventstore.ErrConflict) {
		fmt.Println("conflict:", err)
	}
	if _, err := store.Append(ctx, registered, head); err != nil {
		log.Fatal(err)
	}

	for commit, err := range store.Read(ctx, eventstore.Reading{}) {
		if err != nil {
			log.Fatal(err)
		}
		for _, entry := range commit.Entries {
			fmt.Printf("%d %T\n", commit.Sequence, entry.Event)
		}
	}
	// Output:
	// conflict: another commit was appended first: the ledger has gone beyond 0
	// 1 domain.LedgerFounded
	// 2 domain.PersonRegistered
}
