package bench_test

import (
	"context"
	"fmt"
	"log"

	"bahi/bench"
)

// Two measures in small; how fast they are depends on the machine.
func Example() {
	options := bench.Options{Events: 3_000, Rounds: 1, Only: []string{"append_bundles", "rebuild_counts"}}
	err := bench.Run(context.Background(), options, func(m bench.Measure) error {
		fmt.Println(m.Name, m.PerSecond > 0, "beside", m.Limit, m.LimitRate > 0)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// append_bundles true beside raw JetStream, same messages, fsynced true
	// rebuild_counts true beside raw JetStream, one event a message, delivered true
}
