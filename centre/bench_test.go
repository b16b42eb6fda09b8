package centre

import (
	"testing"
	"time"

	"bahi/domain"
)

// BenchmarkKeep keeps single doses, as a clerk's program does: each is sealed and
// flushed before it is answered.
func BenchmarkKeep(b *testing.B) {
	centre, err := open(b.Context(), config(b), steady)
	if err != nil {
		b.Fatal(err)
	}
	defer centre.Close()
	n := 0
	for b.Loop() {
		keep(b, centre, dose(n, 1))
		n++
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "submissions/s")
}

// BenchmarkForward keeps bundles, forwards them to a real ledger on the same
// machine, and keeps the verdicts: single doses, and as many as fit.
func BenchmarkForward(b *testing.B) {
	for name, size := range map[string]int{"singly": 1, "bundles": steady.bundle} {
		b.Run(name, func(b *testing.B) {
			ledger := openUpstream(b)
			c := config(b)
			c.Server, c.NATS, c.MaxBytes = "nats://"+ledger.address(), ledger.signIn(), DefaultMaxBytes
			p := brisk
			p.bundle, p.exchange = steady.bundle, steady.exchange
			working := runAt(b, c, p)
			n, begun := 0, time.Now()
			for b.Loop() {
				var s []domain.Submission
				for range size {
					s = append(s, registration(n))
					n++
				}
				keep(b, working.Centre, s...)
			}
			working.drained(patience)
			b.ReportMetric(float64(n)/time.Since(begun).Seconds(), "submissions/s")
		})
	}
}
