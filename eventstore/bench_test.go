package eventstore

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func openBench(b *testing.B) *Store {
	b.Helper()
	s, err := Open(b.Context(), Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

// BenchmarkAppend appends commits one after the other, each flushed to disk,
// beside messages of the same size published by the client alone.
func BenchmarkAppend(b *testing.B) {
	for _, entries := range []int{1, 500} {
		c := bundle(1, entries)
		data, err := Encode(c)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%d/bahi", entries), func(b *testing.B) {
			s := openBench(b)
			var head uint64
			for b.Loop() {
				if head, err = s.Append(b.Context(), c, head); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(entries*b.N)/b.Elapsed().Seconds(), "events/s")
		})
		b.Run(fmt.Sprintf("%d/jetstream", entries), func(b *testing.B) {
			s := openBench(b)
			for b.Loop() {
				if _, err := s.js.Publish(b.Context(), "ledger.208", data); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(entries*b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkRead reads a ledger from its beginning, beside the same messages
// received by the client alone, neither checked nor decoded.
func BenchmarkRead(b *testing.B) {
	for _, size := range []struct{ entries, commits int }{{1, 20_000}, {500, 1_000}} {
		s := openBench(b)
		data, err := Encode(bundle(1, size.entries))
		if err != nil {
			b.Fatal(err)
		}
		for i := range size.commits {
			if i%500 == 0 {
				<-s.js.PublishAsyncComplete() // the client stalls with more under way
			}
			if _, err := s.js.PublishAsync("ledger.208", data); err != nil {
				b.Fatal(err)
			}
		}
		<-s.js.PublishAsyncComplete()

		report := func(b *testing.B, read int) {
			if read != size.commits*b.N {
				b.Fatalf("read %d of %d", read, size.commits*b.N)
			}
			b.ReportMetric(float64(read*size.entries)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "commits/s")
		}
		b.Run(fmt.Sprintf("%d/bahi", size.entries), func(b *testing.B) {
			read := 0
			for b.Loop() {
				for c, err := range s.Read(b.Context(), Reading{}) {
					if err != nil || len(c.Entries) != size.entries {
						b.Fatal(err)
					}
					read++
				}
			}
			report(b, read)
		})
		b.Run(fmt.Sprintf("%d/jetstream", size.entries), func(b *testing.B) {
			read := 0
			for b.Loop() {
				consumer, err := s.ledger.OrderedConsumer(b.Context(), jetstream.OrderedConsumerConfig{})
				if err != nil {
					b.Fatal(err)
				}
				messages, err := consumer.Messages(jetstream.PullMaxBytes(pullBytes))
				if err != nil {
					b.Fatal(err)
				}
				for range size.commits {
					if _, err := messages.Next(); err != nil {
						b.Fatal(err)
					}
					read++
				}
				messages.Stop()
			}
			report(b, read)
		})
	}
}

// BenchmarkTail reads the last commit, as a writer does after a conflict.
func BenchmarkTail(b *testing.B) {
	s := openBench(b)
	for i := range uint64(100) {
		if _, err := s.Append(b.Context(), bundle(i, 500), i); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("Read", func(b *testing.B) {
		for b.Loop() {
			for _, err := range s.Read(b.Context(), Reading{After: 99}) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("At", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.At(b.Context(), 100); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Head", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.Head(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
