package synth_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"bahi/domain"
	"bahi/synth"
)

const (
	dailyHeader  = "date,district_key,total_individuals_registered,first_dose_administered,second_dose_administered\n"
	weeklyHeader = "district_key,week_end,dose1_delta,dose2_delta\n"
)

func TestReadCounts(t *testing.T) {
	t.Parallel()
	daily, err := synth.ReadCounts(strings.NewReader(dailyFixture))
	if err != nil || daily.Weekly() || strings.Join(daily.Districts(), " ") != "BR_Muzaffarpur" {
		t.Errorf("%v %v %v", daily.Weekly(), daily.Districts(), err)
	}
	weekly, err := synth.ReadCounts(strings.NewReader("\ufeff" + weeklyFixture))
	if err != nil || !weekly.Weekly() || strings.Join(weekly.Districts(), " ") != "BR_Sheohar BR_Patna" {
		t.Errorf("%v %v %v", weekly.Weekly(), weekly.Districts(), err)
	}
}

func TestReadCountsRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", "empty"},
		{"no rows", dailyHeader, "no rows"},
		{"other columns", "a,b\n1,2\n", "line 1: neither daily counters"},
		{"a day", dailyHeader + "16.01.2021,BR_Gaya,1,0,0\n", "line 2: a day is written YYYY-MM-DD"},
		{"a number", dailyHeader + "2021-01-16,BR_Gaya,1,x,0\n", "line 2: first_dose_administered is a whole number"},
		{"negative", dailyHeader + "2021-01-16,BR_Gaya,-1,0,0\n", "line 2: total_individuals_registered is a whole number"},
		{"more doses than people", dailyHeader + "2021-01-16,BR_Gaya,1,2,0\n", "line 2: more first doses than people"},
		{"district", dailyHeader + "2021-01-16,BR_Nowhere,1,0,0\n", `line 2: no district of the directory has the key "BR_Nowhere"`},
		{"order", dailyHeader + "2021-01-17,BR_Gaya,1,0,0\n2021-01-16,BR_Gaya,1,0,0\n", "line 3: 2021-01-16 of BR_Gaya comes after 2021-01-17"},
		{"twice", weeklyHeader + "BR_Gaya,2021-01-16,1,0\n196,2021-01-16,1,0\n", "line 3: 2021-01-16 of 196 comes after"},
		{"fields", weeklyHeader + "BR_Gaya,2021-01-16,1\n", "wrong number of fields"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := synth.ReadCounts(strings.NewReader(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// FuzzReadCounts reads anything, and what it can read it tries to write: an
// error is an answer, a panic is not. What is written is accepted by the judge.
func FuzzReadCounts(f *testing.F) {
	f.Add([]byte(dailyFixture))
	f.Add([]byte(weeklyFixture))
	f.Add([]byte(dailyHeader + "2021-01-16,BR_Gaya,1,1,1\n"))
	f.Add([]byte(weeklyHeader + "196,2021-03-20,7,7\nBR_Gaya,2021-03-27,-7,-7\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		counters, err := synth.ReadCounts(bytes.NewReader(file))
		if err != nil {
			return
		}
		summary, err := synth.Write(context.Background(), io.Discard, counters, synth.Options{Scale: 0.001}, nil)
		if err != nil || summary.Submissions > 20_000 {
			return
		}
		var out bytes.Buffer
		if _, err := synth.Write(context.Background(), &out, counters, synth.Options{Scale: 0.001}, nil); err != nil {
			t.Fatal(err)
		}
		j := newJudge()
		n := read(t, &out, func(s domain.Submission) {
			if err := j.submit(s); err != nil {
				t.Fatal(err)
			}
		})
		if int64(n) != summary.Submissions {
			t.Errorf("%d submissions, the summary has %d", n, summary.Submissions)
		}
	})
}
