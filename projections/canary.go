package projections

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"bahi/domain"
)

// Canaries are rows without a person, spread over a cohort's span. They follow
// from the cohort alone, so that a purge resumed after a crash still knows what
// must not be found. The register has them among its tokens too.
const canaries = 16

// canaryMark begins every canary: files are searched for one string.
var canaryMark = [8]byte{0xb4, 'c', 'a', 'n', 'a', 'r', 'y', 0xb4}

func isCanary(value []byte) bool { return bytes.HasPrefix(value, canaryMark[:]) }

func canary(c domain.Cohort, i int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "bahi people %s %d", c, i))
	return append(canaryMark[:len(canaryMark):len(canaryMark)], sum[:24]...)
}

// setCanaries puts a cohort's canaries among rows whose keys are cohort and
// person.
func setCanaries(batch rowWriter, kind byte, c domain.Cohort) {
	eachCanary(kind, c, func(key, value []byte) { _ = batch.Set(key, value, nil) })
}

func eachCanary(kind byte, c domain.Cohort, set func(key, value []byte)) {
	for i := range canaries {
		place := domain.PersonToken{byte(i * 256 / canaries)}
		set(append(appendCohort([]byte{kind}, c), place[:]...), canary(c, i))
	}
}
