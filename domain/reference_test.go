package domain_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"bahi/domain"
)

func TestReference(t *testing.T) {
	t.Parallel()
	if err := domain.Reference("21679381234566").Check(); err != nil {
		t.Errorf("the number of the contract's examples: %v", err)
	}
	for _, wrong := range []domain.Reference{"", "2167938123456", "216793812345660", "2167938123456x", "21679381234567", "२१६७९३८१२३४५६६", " 1679381234566"} {
		if wrong.Check() == nil {
			t.Errorf("%q passes", wrong)
		}
	}
}

// TestReferenceCatchesSlips tries every wrong digit in every place and every
// swap of different neighbours, for whatever number.
func TestReferenceCatchesSlips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		good := domain.MakeReference(fmt.Sprintf("%013d", rapid.Int64Range(0, 9_999_999_999_999).Draw(t, "body")))
		if err := good.Check(); err != nil {
			t.Fatalf("%s: %v", good, err)
		}
		for i := range len(good) {
			slip := []byte(good)
			for d := byte('0'); d <= '9'; d++ {
				slip[i] = d
				if d != good[i] && domain.Reference(slip).Check() == nil {
					t.Fatalf("%s for %s passes", slip, good)
				}
			}
			if i > 0 && good[i] != good[i-1] {
				swap := []byte(good)
				swap[i], swap[i-1] = swap[i-1], swap[i]
				if domain.Reference(swap).Check() == nil {
					t.Fatalf("%s for %s passes", swap, good)
				}
			}
		}
	})
}
