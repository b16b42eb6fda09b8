package synth_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"bahi/domain"
	"bahi/synth"
)

// realFile opens a file of real counters. They are not part of the project; a
// test that wants one says so and is skipped where it is absent.
func realFile(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("BAHI_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("the real counters are not here (BAHI_DATA says where): %v", err)
	}
	return b
}

const (
	dailyFile  = "bihar_muzaffarpur_daily_2021-01-16_2021-04-17.csv"
	weeklyFile = "bihar_district_weekly_doses_2021-01-16_2021-08-14.csv"
)

// table reads a file by itself, as the generator is not to be believed: rows of
// named columns.
func table(t reporter, file []byte) (rows []map[string]string) {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(file)).ReadAll()
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

func number(t reporter, row map[string]string, column string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(row[column], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func generate(t testing.TB, file []byte, o synth.Options) (ndjson []byte, s synth.Summary) {
	t.Helper()
	c, err := synth.ReadCounts(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s, err = synth.Write(context.Background(), &out, c, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), s
}

// checkDaily submits everything to the judge and compares at the end of each day
// of the file. It returns the judge for further questions, with atEnd called at
// the end of every day.
func checkDaily(t reporter, file, ndjson []byte, district domain.District, through string, atEnd func(day string, j *judge, c counts)) {
	t.Helper()
	j := newJudge()
	rows := table(t, file)
	endOf := func(row map[string]string) {
		c := *j.of(district)
		for _, want := range []struct {
			column string
			got    int64
		}{
			{"total_individuals_registered", c.registered},
			{"first_dose_administered", c.first},
			{"second_dose_administered", c.second},
		} {
			if n := number(t, row, want.column); n != want.got {
				t.Errorf("%s %s: %d, the file has %d", row["date"], want.column, want.got, n)
			}
		}
		if c.unvaccinated+c.partial+c.full != c.registered {
			t.Errorf("%s: statuses do not add up: %+v", row["date"], c)
		}
		if atEnd != nil {
			atEnd(row["date"], j, c)
		}
	}
	next := 0
	read(t, bytes.NewReader(ndjson), func(s domain.Submission) {
		for day := s.Head().Day().String(); rows[next]["date"] < day; next++ {
			endOf(rows[next])
		}
		if err := j.submit(s); err != nil {
			t.Fatal(err)
		}
	})
	for ; next < len(rows) && rows[next]["date"] <= through; next++ {
		endOf(rows[next])
	}
	if j.most > 4 {
		t.Errorf("%d people on one mobile number", j.most)
	}
}

func TestRealDailyCounters(t *testing.T) {
	t.Parallel()
	file := realFile(t, dailyFile)
	ndjson, summary := generate(t, file, synth.Options{District: "BR_Muzaffarpur", Seed: 1})
	t.Log(summary)
	if summary.Elsewhere != 508 || !summary.Cut || summary.Last != synth.LastDailyDay || summary.SexDaysOff+summary.VaccineDaysOff != 0 {
		t.Errorf("summary: %+v", summary)
	}
	rows := map[string]map[string]string{}
	for _, row := range table(t, file) {
		rows[row["date"]] = row
	}
	days := 0
	checkDaily(t, file, ndjson, 208, "2021-04-03", func(day string, j *judge, c counts) {
		days++
		for column, got := range map[string]int64{
			"female_individuals_vaccinated":      c.bySex[domain.Female],
			"male_individuals_vaccinated":        c.bySex[domain.Male],
			"transgender_individuals_vaccinated": c.bySex[domain.Transgender],
			"total_covaxin_administered":         c.byVaccine[1][domain.Covaxin],
			"total_covishield_administered":      c.byVaccine[1][domain.Covishield],
		} {
			if want := number(t, rows[day], column); got != want {
				t.Errorf("%s %s: %d, the file has %d", day, column, got, want)
			}
		}
		if day == "2021-03-04" {
			want := counts{registered: 34959, first: 25430, second: 5161, unvaccinated: 9529, partial: 20777, full: 4653, fromOtherPlaces: 508}
			got := c
			got.bySex, got.byVaccine, got.withdrawals = want.bySex, want.byVaccine, 0
			if got != want {
				t.Errorf("the contract's example: %+v, want %+v", got, want)
			}
		}
	})
	if days != 78 {
		t.Errorf("%d days compared, want 78", days)
	}
}

func TestRealDailyCountersBeyondTheChange(t *testing.T) {
	t.Parallel()
	file := realFile(t, dailyFile)
	ndjson, summary := generate(t, file, synth.Options{Seed: 2, Through: domain.Date(2021, 4, 17)})
	t.Log(summary)
	if summary.Cut || summary.Elsewhere != 508 {
		t.Errorf("summary: %+v", summary)
	}
	checkDaily(t, file, ndjson, 208, "2021-04-17", nil)
}

func TestRealWeeklyCounters(t *testing.T) {
	t.Parallel()
	file := realFile(t, weeklyFile)
	for _, c := range []struct {
		name, district string
		scale          float64
	}{{"one district", "BR_Muzaffarpur", 0.05}, {"Patna", "BR_Patna", 0.02}, {"the state", "", 0.002}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ndjson, summary := generate(t, file, synth.Options{District: c.district, Scale: c.scale, Seed: 3})
			t.Log(summary)
			checkWeekly(t, file, ndjson, c.district, c.scale)
		})
	}
}

func checkWeekly(t *testing.T, file, ndjson []byte, district string, scale float64) {
	t.Helper()
	type goal struct {
		key           string
		code          domain.District
		first, second int64
	}
	sums := map[string]*goal{}
	goals := map[string][]goal{}
	var last string
	for _, row := range table(t, file) {
		if district != "" && row["district_key"] != district {
			continue
		}
		g := sums[row["district_key"]]
		if g == nil {
			code, ok := synth.DistrictOf(row["district_key"])
			if !ok {
				t.Fatal(row)
			}
			g = &goal{key: row["district_key"], code: code}
			sums[g.key] = g
		}
		g.first += number(t, row, "dose1_delta")
		g.second += number(t, row, "dose2_delta")
		goals[row["week_end"]] = append(goals[row["week_end"]], *g)
		last = max(last, row["week_end"])
	}
	j := newJudge()
	endOf := func(day string) {
		for _, g := range goals[day] {
			c := j.of(g.code)
			first, second := int64(float64(g.first)*scale+0.5), int64(float64(g.second)*scale+0.5)
			if c.first != first || c.second != second {
				t.Errorf("%s %s: %d and %d doses, the file has %d and %d", day, g.key, c.first, c.second, first, second)
			}
		}
	}
	current := domain.Date(2021, 1, 16)
	read(t, bytes.NewReader(ndjson), func(s domain.Submission) {
		for ; current < s.Head().Day(); current++ {
			endOf(current.String())
		}
		if err := j.submit(s); err != nil {
			t.Fatal(err)
		}
	})
	for ; current.String() <= last; current++ {
		endOf(current.String())
	}
}
