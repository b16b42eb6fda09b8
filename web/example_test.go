package web_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"bahi/access"
	"bahi/domain"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
	"bahi/web"
)

// Example serves a ledger, submits over HTTP, counts, freezes, and is refused a
// frozen person's details.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	dir, err := os.MkdirTemp("", "bahi")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	l, err := ledger.Open(ctx, ledger.Config{Data: dir + "/data", Keys: dir + "/keys", Sandbox: true})
	if err != nil {
		panic(err)
	}
	defer l.Close(context.Background())

	who, err := access.Open(ctx, access.Config{Store: l.Store(), Vault: l.Vault(), Origin: l.Origin()})
	if err != nil {
		panic(err)
	}
	defer who.Close()

	listener, err := web.Listen("127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ended := make(chan error)
	go func() { ended <- web.NewServer(web.Config{Ledger: l, Access: who}).Serve(ctx, listener) }()

	dial := func(role string) *web.Client {
		token, err := l.Vault().RoleToken(role)
		if err != nil {
			panic(err)
		}
		client, err := web.Dial("http://"+listener.Addr().String(), token)
		if err != nil {
			panic(err)
		}
		return client
	}
	client, officer := dial(vault.RoleAuthority), dial(vault.RoleOfficer)
	defer client.Close()
	defer officer.Close()

	number := domain.MakeReference("2167938123456")
	verdicts, err := client.Submit(ctx, []domain.Submission{domain.Registration{
		Heading: domain.Heading{ID: domain.UUID{15: 1}, At: time.Date(2021, 1, 16, 10, 0, 0, 0, domain.IndianStandardTime)},
		Person:  number, District: 208, Group: domain.HealthCareWorker,
		Name: "Sita Devi", BirthYear: 1961, Sex: domain.Female, Mobile: "9000000001",
		PhotoID: domain.PhotoID{Type: domain.VoterID, Number: "BRX0000001"},
	}})
	fmt.Println(verdicts[0].Outcome, err)

	counts, err := client.Counts(ctx, projections.CountsQuery{District: 208})
	fmt.Println(counts.Registered, "registered", err)

	receipt, err := client.Freeze(ctx, domain.Freeze{
		Heading:  domain.Heading{ID: domain.UUID{15: 2}, At: time.Date(2021, 3, 4, 18, 0, 0, 0, domain.IndianStandardTime)},
		District: 208, Mode: domain.Erase, Order: "DL/2021/117", By: "authority",
	})
	fmt.Println(receipt.People, "frozen", err)

	_, err = officer.Person(ctx, number, ledger.Reader{Officer: "officer-7", Purpose: "verification"})
	fmt.Println(errors.Is(err, ledger.ErrFrozen))

	stop()
	fmt.Println(<-ended)

	// Output:
	// accepted <nil>
	// 1 registered <nil>
	// 1 frozen <nil>
	// true
	// <nil>
}
