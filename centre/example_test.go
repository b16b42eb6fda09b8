package centre_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bahi/centre"
	"bahi/domain"
)

// A centre takes submissions in while there is no link: what it says is kept is on
// its disk, sealed, and waits.
func ExampleCentre_Keep() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "bahi")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	c, err := centre.Open(ctx, centre.Config{
		Dir: filepath.Join(dir, "centre"), District: 208, Centre: "208001", Server: "tls://ledger.example:4222",
	})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	items, err := c.Read(strings.NewReader(`{"type":"dose","id":"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a002","at":"2021-01-16T10:05:00+05:30","person":"21679381234566","district":208,"centre":"208001","vaccine":"COVISHIELD","batch":"4120Z001","dose":1}
{"type":"dose","id":"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a003","at":"2021-01-16T10:09:00+05:30","person":"21679381234566","district":208,"centre":"208001","vaccine":"COVISHIELD","batch":"4120Z001","dose":9}
`), 0)
	if err != nil {
		log.Fatal(err)
	}
	var bundle domain.UUID
	err = c.Keep(ctx, items, func(k centre.Kept) error {
		bundle = k.Bundle // under which the verdicts will be found
		fmt.Printf("line %d: %s\n", k.Line, k.Verdict)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	status, err := c.Status(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("waiting:", status.Waiting.Bundles)
	var answer strings.Builder
	if err := c.Verdicts(ctx, bundle, false, &answer); err != nil {
		log.Fatal(err)
	}
	fmt.Println(strings.Contains(answer.String(), `"verdict":"waiting"`))
	// Output:
	// line 1: kept
	// line 2: rejected
	// waiting: 1
	// true
}
