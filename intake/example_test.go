package intake_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nkeys"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/intake"
	"bahi/ledger"
)

// A centre publishes a bundle and reads its verdicts.
func ExampleClient_Publish() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	url, seed, shut := service(ctx)
	defer shut()

	centre, err := intake.Dial(url, intake.ClientOptions{
		InboxPrefix: intake.InboxPrefix(208, "208001"),
		Seed:        seed,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer centre.Close()

	at := time.Date(2021, 1, 16, 10, 5, 0, 0, domain.IndianStandardTime)
	verdicts, err := centre.Publish(ctx, 208, "208001", []domain.Submission{
		domain.Registration{
			Heading: domain.Heading{ID: domain.UUID{1}, At: at}, Person: "21679381234566", District: 208, Group: domain.HealthCareWorker,
			Name: "Sunita Devi", BirthYear: 1961, Sex: domain.Female, Mobile: "9000000001",
			PhotoID: domain.PhotoID{Type: domain.Aadhaar, Number: "234567890123"},
		},
		domain.DoseGiven{
			Heading: domain.Heading{ID: domain.UUID{2}, At: at}, Person: "21679381234566", District: 208,
			Centre: "208001", Vaccine: domain.Covishield, Batch: "4120Z001", Number: 1,
		},
		domain.DoseGiven{
			Heading: domain.Heading{ID: domain.UUID{3}, At: at.AddDate(0, 0, 5)}, Person: "21679381234566", District: 208,
			Centre: "208001", Vaccine: domain.Covishield, Batch: "4120Z001", Number: 2,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, v := range verdicts {
		if v.Reject != nil {
			fmt.Println(v.Outcome, v.Reject.Code)
			continue
		}
		fmt.Println(v.Outcome)
	}
	// Output:
	// accepted
	// accepted
	// rejected interval_too_short
}

// service is what bahi serve does: a ledger, its embedded NATS server and the
// door. It lets one centre in, by the nkey whose seed is in a file.
func service(ctx context.Context) (url, seed string, shut func()) {
	dir, err := os.MkdirTemp("", "bahi")
	if err != nil {
		log.Fatal(err)
	}
	l, err := ledger.Open(ctx, ledger.Config{
		Data: filepath.Join(dir, "ledger"), Keys: filepath.Join(dir, "keys"), ListenNATS: "127.0.0.1:0", Sandbox: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	seed = filepath.Join(dir, "208001.nkey")
	if err := l.Store().SetCentres([]eventstore.CentreUser{{District: 208, Centre: "208001", NKey: newNKey(seed)}}); err != nil {
		log.Fatal(err)
	}
	conn, err := l.Store().Connect("intake")
	if err != nil {
		log.Fatal(err)
	}
	config, err := intake.For(ctx, l, conn, nil)
	if err != nil {
		log.Fatal(err)
	}
	door, err := intake.OpenDoor(ctx, config)
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- door.Serve(ctx) }()
	return "nats://" + l.Store().Address(), seed, func() {
		stop()
		if err := <-ended; err != nil {
			log.Fatal(err)
		}
		conn.Close()
		if err := l.Close(context.Background()); err != nil {
			log.Fatal(err)
		}
		os.RemoveAll(dir)
	}
}

// newNKey writes the seed of a new nkey to a file and returns its public half, as
// bahi centre add --make-nkey does.
func newNKey(file string) (public string) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		log.Fatal(err)
	}
	if public, err = pair.PublicKey(); err != nil {
		log.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(file, seed, 0o600); err != nil {
		log.Fatal(err)
	}
	return public
}
