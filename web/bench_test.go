package web

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"bahi/domain"
	"bahi/ledger"
	"bahi/vault"
)

// BenchmarkSubmit compares submitting over HTTP with submitting to the ledger in
// this process, in bundles and one by one from 64 clients at a time.
func BenchmarkSubmit(b *testing.B) {
	type submitter = func(context.Context, []domain.Submission) ([]domain.Verdict, error)
	for _, size := range []int{500, 1} {
		for _, door := range []string{"ledger", "http"} {
			b.Run(fmt.Sprintf("door=%s/bundle=%d", door, size), func(b *testing.B) {
				s := start(b)
				c := s.client(b, vault.RoleCentre)
				var submit submitter = c.Submit
				if door == "ledger" {
					submit = func(ctx context.Context, bundle []domain.Submission) ([]domain.Verdict, error) {
						return s.ledger.Submit(ctx, ledger.Caller{Name: vault.RoleCentre}, bundle)
					}
				}
				var next atomic.Int64
				if size == 1 {
					b.SetParallelism(32) // times GOMAXPROCS
				}
				b.ResetTimer()
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						bundle := make([]domain.Submission, size)
						first := int(next.Add(int64(size)))
						for i := range bundle {
							bundle[i] = registrationOf(first + i)
						}
						verdicts, err := submit(b.Context(), bundle)
						if err != nil || verdicts[size-1].Outcome != domain.Accepted {
							b.Error(verdicts, err)
							return
						}
					}
				})
				b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "submissions/s")
			})
		}
	}
}
