package bench

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"bahi/domain"
)

// Every measure runs, in small, and says how much it measured.
func TestEveryMeasureRuns(t *testing.T) {
	t.Parallel()
	names := Names()
	if testing.Short() {
		names = slices.DeleteFunc(names, func(n string) bool { return n == "freeze_34829" })
	}
	seen := map[string]Measure{}
	err := Run(t.Context(), Options{Events: 3_000, Rounds: 1, Only: names, Dir: t.TempDir()}, func(m Measure) error {
		seen[m.Name] = m
		if m.Events == 0 || m.PerSecond <= 0 || m.P50 <= 0 || m.P99 < m.P50 || m.Unit == "" || m.Limit != "" && m.LimitRate <= 0 {
			t.Errorf("%+v", m)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if _, ok := seen[name]; !ok {
			t.Errorf("%s was not measured", name)
		}
	}
	if m, ok := seen["freeze_34829"]; ok && m.Events != 34_829 {
		t.Errorf("%d people were frozen", m.Events)
	}
	if m := seen["append_bundles"]; m.RSS <= 0 {
		t.Errorf("the memory is not told: %+v", m)
	}
	if m := seen["counts_query"]; m.Load <= 0 {
		t.Errorf("no load ran beside %+v", m)
	}
}

// The first fields of a line are those that others read it by.
func TestLineOfAMeasure(t *testing.T) {
	t.Parallel()
	line, err := json.Marshal(Measure{Name: "append_bundles", Events: 1, PerSecond: 2, P50: 3, P99: 4, Limit: "raw", LimitRate: 5, RSS: 6, Unit: "events"})
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"measure":"append_bundles","events":1,"per_second":2,"p50_us":3,"p99_us":4,"limit":"raw","limit_per_second":5,"rss_mib":6,"unit":"events"}`
	if string(line) != want {
		t.Errorf("%s\nwant %s", line, want)
	}
}

func TestUnknownMeasure(t *testing.T) {
	t.Parallel()
	if err := Run(context.Background(), Options{Only: []string{"nonsense"}}, nil); err == nil {
		t.Error("a measure that is not there is not an error")
	}
}

func TestMedianOfRounds(t *testing.T) {
	t.Parallel()
	var samples []sample
	for _, ms := range []int{5, 1, 2, 100, 4} {
		samples = append(samples, sample{events: 1_000, took: time.Duration(ms) * time.Millisecond, memory: int64(ms), limit: float64(ms)})
	}
	m := measure{name: "m"}.median(samples)
	if m.PerSecond != 250_000 || m.LimitRate != 4 || m.RSS != 100 {
		t.Errorf("%+v", m)
	}
	near(t, m.P50, 4_000)
	near(t, m.P99, 100_000)
}

func near(t *testing.T, got, want float64) {
	t.Helper()
	if got < want*63/64 || got > want*65/64 {
		t.Errorf("%v, want about %v", got, want)
	}
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	var one, all histogram
	for i := range 1_000 {
		one.add(time.Duration(i+1) * time.Microsecond)
	}
	all.merge(&one)
	all.merge(nil)
	near(t, float64(all.quantile(0.5)), 500_000)
	near(t, float64(all.quantile(0.99)), 990_000)
	for _, d := range []time.Duration{0, 1, 127, 128, time.Second, 1<<63 - 1} {
		var h histogram
		h.add(d)
		if got := h.quantile(0.5); got < d-d/64 || float64(got) > float64(d)*65/64 {
			t.Errorf("%d is told as %d", d, got)
		}
	}
}

// People are told apart by everything that a registration may be refused for, and live
// where their population does.
func TestPopulations(t *testing.T) {
	t.Parallel()
	if n := len(bihar.districts); n != 38 {
		t.Errorf("Bihar has %d districts", n)
	}
	homes, told := map[domain.District]int{}, map[string]bool{}
	for i := range 3 * 38 * bundlePeople {
		s := bihar.submission(i)
		if err := domain.Check(s); err != nil {
			t.Fatal(i, err)
		}
		told[s.Head().ID.String()] = true
		if r, ok := s.(domain.Registration); ok {
			homes[r.District]++
			told[string(r.Person)], told[r.Mobile], told[r.PhotoID.Number] = true, true, true
		}
	}
	if want := 6 * 38 * bundlePeople; len(told) != want {
		t.Errorf("%d ids and numbers, want %d", len(told), want)
	}
	for district, n := range homes {
		if n != bundlePeople {
			t.Errorf("%d people live in %s", n, strings.ToLower(domain.DistrictName(district)))
		}
	}
}

func TestOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a", "b/c"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, 3<<19), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := onDisk(dir); n != 3 || err != nil {
		t.Errorf("%d MiB, %v", n, err)
	}
}
