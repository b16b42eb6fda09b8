package projections

import (
	"crypto/sha256"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"bahi/domain"
	"bahi/eventstore"
)

// rebuildCommits is how many commits of 500 events the rebuilds of the benchmarks
// read.
const rebuildCommits = 1200

// storedLoad is a ledger on disk with the benchmark's commits.
func storedLoad(b *testing.B) *eventstore.Store {
	b.Helper()
	s, err := eventstore.Open(b.Context(), eventstore.Config{Dir: filepath.Join(b.TempDir(), "ledger")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	l := newLoad()
	for head := uint64(0); head < rebuildCommits; {
		c, _ := l.commit()
		if head, err = s.Append(b.Context(), c, head); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// freeKeys open tokens as fast as nothing.
type freeKeys struct{}

func (freeKeys) OpenTokens(_ domain.Cohort, p domain.PersonToken, sealed []byte, _ ...[]byte) (domain.RegistrationTokens, error) {
	sum := sha256.Sum256(p[:])
	return domain.RegistrationTokens{Mobile: domain.MobileToken(sum[:]), PhotoID: domain.PhotoIDToken(sum[16:]), Content: [16]byte(sealed)}, nil
}

// processorTime is what the process has used of all processors: on a machine that
// others use too, it says more than a clock.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkRebuild reads a ledger from disk and folds each view anew from it,
// beside a live one that has folded everything.
func BenchmarkRebuild(b *testing.B) {
	s := storedLoad(b)
	dir := b.TempDir()
	people, err := OpenPeople(filepath.Join(dir, "people"))
	if err != nil {
		b.Fatal(err)
	}
	counts, err := OpenCounts(filepath.Join(dir, "counts"))
	if err != nil {
		b.Fatal(err)
	}
	merkle, err := OpenMerkle(filepath.Join(dir, "merkle"))
	if err != nil {
		b.Fatal(err)
	}
	register, err := OpenRegister(filepath.Join(dir, "register"), freeKeys{})
	if err != nil {
		b.Fatal(err)
	}
	for _, v := range []View{people, counts, merkle, register} {
		b.Cleanup(func() { v.Close() })
		b.Run(v.Name(), func(b *testing.B) {
			if err := CatchUp(b.Context(), s, v, nil); err != nil {
				b.Fatal(err)
			}
			r := NewRunner(s, v)
			b.ReportAllocs()
			b.ResetTimer()
			before := processorTime(b)
			for range b.N {
				if _, err := r.Rebuild(b.Context(), v.Name(), RebuildOptions{}, nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N*rebuildCommits*benchEntries), "cpu-ns/event")
			perSecond(b, rebuildCommits)
		})
	}
}

// BenchmarkVerify reads a ledger from disk and recomputes the tree and the counts, as
// a verification of the whole ledger does.
func BenchmarkVerify(b *testing.B) {
	s := storedLoad(b)
	dir := b.TempDir()
	counts, err := OpenCounts(filepath.Join(dir, "counts"))
	if err != nil {
		b.Fatal(err)
	}
	defer counts.Close()
	merkle, err := OpenMerkle(filepath.Join(dir, "merkle"))
	if err != nil {
		b.Fatal(err)
	}
	defer merkle.Close()
	r := NewRunner(s, counts, merkle)
	for _, v := range []View{counts, merkle} {
		if err := CatchUp(b.Context(), s, v, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime(b)
	for range b.N {
		for _, name := range []string{"merkle", "counts"} {
			if v, err := r.Verify(b.Context(), name, nil); err != nil || len(v.Mismatches) > 0 {
				b.Fatal(v, err)
			}
		}
	}
	b.ReportMetric(float64((processorTime(b)-before).Nanoseconds())/float64(b.N*rebuildCommits*benchEntries), "cpu-ns/event")
	perSecond(b, rebuildCommits)
}
