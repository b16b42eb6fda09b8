package synth_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bahi/domain"
	"bahi/synth"
)

// TestRandomCounters reproduces counters that rise and fall at random: whatever
// can be planned is accepted in full and meets the file on each of its days.
// With no fall of second doses and none of first doses below what second doses
// need, everything can be.
func TestRandomCounters(t *testing.T) {
	t.Parallel()
	planned, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		var file strings.Builder
		file.WriteString("date,district_key,total_individuals_registered,first_dose_administered,second_dose_administered," +
			"male_individuals_vaccinated,female_individuals_vaccinated,transgender_individuals_vaccinated,total_covaxin_administered,total_covishield_administered\n")
		day := domain.Date(2021, 1, 16)
		var registered, first, second int
		columns := rapid.SampledFrom([]string{"exact", "wrong sums", "jumping"}).Draw(rt, "columns")
		male, covaxin := 0, 0
		for range rapid.IntRange(1, 40).Draw(rt, "rows") {
			step := func(name string, up, down int) int {
				if rapid.IntRange(0, 4).Draw(rt, name+" falls") == 0 {
					return -rapid.IntRange(0, down).Draw(rt, name)
				}
				return rapid.IntRange(0, up).Draw(rt, name)
			}
			change := step("first", 12, 4)
			first = max(0, first+change)
			registered = max(first, registered+step("registered", 20, 10))
			if day >= domain.Date(2021, 2, 13) {
				second = min(first, max(0, second+step("second", 12, 5)))
			}
			first = max(first, second)
			registered = max(first, registered)
			if columns == "jumping" {
				male, covaxin = rapid.IntRange(0, first).Draw(rt, "male"), rapid.IntRange(0, first).Draw(rt, "covaxin")
			} else {
				male, covaxin = min(first, max(0, male+change/2)), min(first, max(0, covaxin+change/5))
			}
			wrong := 0
			if columns == "wrong sums" {
				wrong = rapid.IntRange(0, 1).Draw(rt, "wrong")
			}
			fmt.Fprintf(&file, "%s,BR_Muzaffarpur,%d,%d,%d,%d,%d,%d,%d,%d\n", day, registered, first, second,
				male, first-male, wrong, covaxin, first-covaxin+wrong)
			day += domain.Day(rapid.IntRange(1, 4).Draw(rt, "days"))
		}
		counters, err := synth.ReadCounts(strings.NewReader(file.String()))
		if err != nil {
			rt.Fatal(err)
		}
		var ndjson bytes.Buffer
		summary, err := synth.Write(context.Background(), &ndjson, counters, synth.Options{Seed: rapid.Uint64().Draw(rt, "seed"), Through: day}, nil)
		if err != nil {
			if !strings.Contains(err.Error(), "fall by") && !strings.Contains(err.Error(), "sooner after the drive") {
				rt.Fatal(err)
			}
			refused++
			return
		}
		planned++
		if columns == "exact" && summary.SexMostOff > 12 {
			rt.Errorf("sexes off by %d", summary.SexMostOff)
		}
		checkDaily(rt, []byte(file.String()), ndjson.Bytes(), 208, day.String(), nil)
	})
	t.Logf("%d planned, %d refused", planned, refused)
	if planned < refused {
		t.Errorf("%d planned and %d refused: the test tests little", planned, refused)
	}
}
