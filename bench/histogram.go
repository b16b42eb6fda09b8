package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets that grow with what is in them, and tells
// quantiles to within one part in 64. It has the same size however much it counts.
// Its zero value is empty; adding is safe for concurrent use.
type histogram struct {
	buckets [(64 - halfBits) * half]atomic.Uint64
}

const (
	halfBits = 6
	half     = 1 << halfBits // buckets from one power of two to the next
)

func (h *histogram) add(d time.Duration) { h.buckets[bucketOf(uint64(max(d, 0)))].Add(1) }

// merge adds what another counted, which may be nil.
func (h *histogram) merge(other *histogram) {
	if other == nil {
		return
	}
	for i := range other.buckets {
		if n := other.buckets[i].Load(); n > 0 {
			h.buckets[i].Add(n)
		}
	}
}

// quantile returns the middle of the bucket in which the quantile q lies, 0 when
// nothing was counted.
func (h *histogram) quantile(q float64) time.Duration {
	total := uint64(0)
	for i := range h.buckets {
		total += h.buckets[i].Load()
	}
	rank := uint64(q * float64(total))
	for i := range h.buckets {
		n := h.buckets[i].Load()
		if n > rank {
			return time.Duration(middleOf(i))
		}
		rank -= n
	}
	return 0
}

// bucketOf keeps the leading bits of v: small ones have a bucket each.
func bucketOf(v uint64) int {
	shift := max(0, bits.Len64(v)-halfBits-1)
	return shift<<halfBits + int(v>>shift)
}

// middleOf is the middle of what is in a bucket.
func middleOf(bucket int) uint64 {
	shift := max(0, bucket>>halfBits-1)
	lowest := uint64(bucket-shift<<halfBits) << shift
	return lowest + 1<<shift/2
}
