package synth_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"bahi/synth"
)

// BenchmarkWrite writes the project's own fixtures enlarged, a few hundred
// thousand submissions a round.
func BenchmarkWrite(b *testing.B) {
	for _, c := range []struct {
		name, file string
		scale      float64
	}{{"daily", dailyFixture, 500}, {"weekly", weeklyFixture, 100}} {
		b.Run(c.name, func(b *testing.B) {
			counters, err := synth.ReadCounts(bytes.NewReader([]byte(c.file)))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			var submissions int64
			for b.Loop() {
				s, err := synth.Write(context.Background(), io.Discard, counters, synth.Options{Scale: c.scale, Seed: 1}, nil)
				if err != nil {
					b.Fatal(err)
				}
				submissions += s.Submissions
			}
			b.ReportMetric(float64(submissions)/b.Elapsed().Seconds(), "submissions/s")
		})
	}
}

func BenchmarkDemo(b *testing.B) {
	for b.Loop() {
		synth.Demo(1)
	}
}
