package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bahi/synth"
)

// fixture is a daily file of the project's own, with counters that fall.
const fixture = "testdata/daily.csv"

// realFile names a file of real counters. They are not part of the project; a
// test that wants one says so and is skipped where it is absent.
func realFile(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("BAHI_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("the real counters are not here (BAHI_DATA says where): %v", err)
	}
	return path
}

// table reads a file of counters by itself: rows of named columns.
func table(t *testing.T, path string) (rows []map[string]string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records[1:] {
		row := map[string]string{}
		for i, name := range records[0] {
			row[name] = record[i]
		}
		rows = append(rows, row)
	}
	return rows
}

func number(t *testing.T, row map[string]string, column string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(row[column], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// published is a row of `counts --by day-known --json`.
type published struct {
	Day                         string
	Registered, Dose1, Dose2    int64
	Unvaccinated, Partial, Full int64
}

// reproduce has synth make the submissions of a file and a new ledger take them.
func reproduce(t *testing.T, file string, synthArgs ...string) (data string) {
	t.Helper()
	data = filepath.Join(t.TempDir(), "ledger")
	made, submitted := pipe(t, append([]string{"synth", "--counts", file}, synthArgs...), []string{"submit", "--data", data, "--sandbox", "-"})
	if made.code != exitDone || submitted.code != exitDone {
		t.Fatalf("synth: %d %s\nsubmit: %d %s", made.code, made.stderr, submitted.code, submitted.stderr)
	}
	t.Log(strings.TrimSpace(made.stderr + submitted.stderr))
	return data
}

// curve asks for the counts of a district as they were published.
func curve(t *testing.T, data string, district any, through string) map[string]published {
	t.Helper()
	o := mustExit(t, exitDone, nil, "counts", "--data", data, "--district", fmt.Sprint(district), "--by", "day-known", "--as-of", through, "--json")
	var answer struct{ By []published }
	if err := json.Unmarshal([]byte(o.stdout), &answer); err != nil {
		t.Fatal(err)
	}
	days := map[string]published{}
	for _, row := range answer.By {
		if row.Unvaccinated+row.Partial+row.Full != row.Registered {
			t.Errorf("%s: the statuses do not add up to the registered: %+v", row.Day, row)
		}
		days[row.Day] = row
	}
	return days
}

// compareDaily holds the published curve to a daily file, on each of its days.
func compareDaily(t *testing.T, file, data, through string) {
	t.Helper()
	days, compared, falls := curve(t, data, 208, through), 0, 0
	var before int64
	for _, row := range table(t, file) {
		if row["date"] > through {
			continue
		}
		got := days[row["date"]]
		want := published{
			Registered: number(t, row, "total_individuals_registered"),
			Dose1:      number(t, row, "first_dose_administered"),
			Dose2:      number(t, row, "second_dose_administered"),
		}
		if got.Registered != want.Registered || got.Dose1 != want.Dose1 || got.Dose2 != want.Dose2 {
			t.Errorf("%s: %d registered, %d and %d doses; the file has %d, %d and %d",
				row["date"], got.Registered, got.Dose1, got.Dose2, want.Registered, want.Dose1, want.Dose2)
		}
		if want.Registered < before {
			falls++
		}
		before = want.Registered
		compared++
	}
	t.Logf("%d days compared, %d on which the registered fall", compared, falls)
	if compared == 0 || falls == 0 {
		t.Error("the file does not test what it should")
	}
}

func TestFixtureOfCountersIsReproduced(t *testing.T) {
	t.Parallel()
	data := reproduce(t, fixture, "--district", "BR_Muzaffarpur", "--seed", "3")
	compareDaily(t, fixture, data, "2021-03-31")
	mustExit(t, exitDone, nil, "ledger", "verify", "--data", data)
}

func TestRealDailyCountersAreReproduced(t *testing.T) {
	t.Parallel()
	file := realFile(t, "bihar_muzaffarpur_daily_2021-01-16_2021-04-17.csv")
	data := reproduce(t, file, "--district", "BR_Muzaffarpur")
	compareDaily(t, file, data, "2021-04-03")

	// The contract's own example, to the letter; 508 of the second doses went to
	// people who are registered elsewhere.
	o := mustExit(t, exitDone, nil, "counts", "--data", data, "--district", "208", "--as-of", "2021-03-04", "--as-known", "2021-03-04T23:59:59+05:30", "--json")
	want := `{"district":208,"as_of":"2021-03-04","as_known":"2021-03-04T23:59:59+05:30","registered":34959,"dose1":25430,"dose2":5161,"dose3":0,"precaution":0,"unvaccinated":9529,"partial":20777,"full":4653,"frozen":0,"pending_reversals":0}` + "\n"
	if o.stdout != want {
		t.Errorf("%s\nwant\n%s", o.stdout, want)
	}
	if visitors := 5161 - 4653; visitors != 508 {
		t.Error(visitors)
	}
}

func TestRealWeeklyCountersAreReproduced(t *testing.T) {
	t.Parallel()
	file := realFile(t, "bihar_district_weekly_doses_2021-01-16_2021-08-14.csv")
	for _, c := range []struct {
		name, district, scale string
		districts             int
	}{
		{"one district", "BR_Muzaffarpur", "0.02", 1},
		{"all 38 districts", "", "0.0003", 38},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--scale", c.scale, "--seed", "5"}
			if c.district != "" {
				args = append(args, "--district", c.district)
			}
			compareWeekly(t, file, reproduce(t, file, args...), c.district, c.scale, c.districts)
		})
	}
}

// compareWeekly holds the curves to a weekly file, at every end of a week. The
// file's differences are added up, and the sums scaled.
func compareWeekly(t *testing.T, file, data, only, scale string, districts int) {
	t.Helper()
	factor, err := strconv.ParseFloat(scale, 64)
	if err != nil {
		t.Fatal(err)
	}
	scaled := func(n int64) int64 { return int64(math.Floor(float64(n)*factor + 0.5)) }
	curves, sums := map[string]map[string]published{}, map[string][2]int64{}
	compared := 0
	for _, row := range table(t, file) {
		key := row["district_key"]
		if only != "" && key != only {
			continue
		}
		if curves[key] == nil {
			code, ok := synth.DistrictOf(key)
			if !ok {
				t.Fatalf("no directory code for %s", key)
			}
			curves[key] = curve(t, data, code, "2021-08-14")
		}
		sum := sums[key]
		sum[0] += number(t, row, "dose1_delta")
		sum[1] += number(t, row, "dose2_delta")
		sums[key] = sum
		got := curves[key][row["week_end"]]
		if got.Dose1 != scaled(sum[0]) || got.Dose2 != scaled(sum[1]) {
			t.Errorf("%s %s: %d and %d doses; the file has %d and %d", key, row["week_end"], got.Dose1, got.Dose2, scaled(sum[0]), scaled(sum[1]))
		}
		compared++
	}
	if len(curves) != districts || compared != 31*districts {
		t.Errorf("%d districts and %d ends of a week compared", len(curves), compared)
	}
}
