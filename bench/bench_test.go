package bench

import (
	"context"
	"testing"
)

// Every measure runs, in small, and says how much it measured.
func TestEveryMeasureRuns(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	err := Run(t.Context(), Options{Events: 1_500, Rounds: 1, Dir: t.TempDir()}, func(m Measure) error {
		seen[m.Name] = true
		if m.Events == 0 || m.PerSecond <= 0 || m.Limit != "" && m.LimitRate <= 0 {
			t.Errorf("%+v", m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Names() {
		if !seen[name] {
			t.Errorf("%s was not measured", name)
		}
	}
}

func TestUnknownMeasure(t *testing.T) {
	t.Parallel()
	if err := Run(context.Background(), Options{Only: []string{"nonsense"}}, nil); err == nil {
		t.Error("a measure that is not there is not an error")
	}
}
