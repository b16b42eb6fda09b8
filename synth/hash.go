package synth

import "math/bits"

// mix is the finaliser of SplitMix64: a bijection of 64 bits in which every bit
// of the input moves every bit of the output.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

const golden = 0x9e3779b97f4a7c15

// hash depends on all of its arguments and on their order.
func hash(seed uint64, parts ...uint64) uint64 {
	for _, p := range parts {
		seed = mix(seed + golden ^ mix(p+golden))
	}
	return seed
}

// draws is a stream of pseudorandom numbers.
type draws struct{ state uint64 }

func (d *draws) next() uint64 {
	d.state += golden
	return mix(d.state)
}

// below returns a number in [0, n). The bias of at most n/2^64 is of no matter.
func (d *draws) below(n int64) int64 {
	high, _ := bits.Mul64(d.next(), uint64(n))
	return int64(high)
}

// permute maps [0, n) onto itself, one to one, in an order that key shuffles. It
// scrambles the next power of two and walks on until it is back in range, twice
// on average at most.
func permute(x, n, key uint64) uint64 {
	width := bits.Len64(n - 1)
	mask := uint64(1)<<width - 1
	for {
		for round := range uint64(3) {
			x = (x + mix(key+round)) & mask
			x ^= x >> (width/2 + 1)
			x = x * 0xd6e8feb86659fd93 & mask
		}
		x ^= x >> (width/2 + 1)
		if x < n {
			return x
		}
	}
}
