package synth

import (
	"fmt"
	"math"

	"bahi/domain"
)

// demand is what a district's counters shall be at the end of each day.
type demand struct {
	place place
	days  []target
}

// target is the counters at the end of one day, cumulative and scaled.
type target struct {
	day        domain.Day
	line       int   // of the file, for errors
	registered int64 // or unstated
	first      int64
	second     int64
	due        bool // second is to be met today, rather than by the next day that is due

	bySex   [3]int64 // first doses by sex: F, M, T
	sexed   bool
	covaxin int64 // doses of Covaxin, of the kind that split says
	split   splitOf
}

const unstated = -1

// splitOf says what the columns by vaccine count: until 3 April 2021 first
// doses, afterwards all of them.
type splitOf uint8

const (
	splitUnknown splitOf = iota
	splitFirst
	splitAll
)

// driveBegins is the first day of the drive.
var driveBegins = domain.Date(2021, 1, 16)

// LastDailyDay is where a daily file is left by default: from the next day, 4
// April 2021, on the public counter "registered" is that of first doses.
var LastDailyDay = domain.Date(2021, 4, 3)

// demandOf turns a series into daily targets, up to a day.
func demandOf(s series, weekly bool, scale float64, seed uint64, through domain.Day) (demand, error) {
	rows := s.rows
	for i, r := range rows {
		if r.day > through {
			rows = rows[:i]
			break
		}
		if r.day < driveBegins {
			return demand{}, fmt.Errorf("line %d: %s is before the drive began, on %s", r.line, r.day, driveBegins)
		}
		if r.day-driveBegins >= maxDays {
			return demand{}, fmt.Errorf("line %d: %s is more than %d days after the drive began", r.line, r.day, maxDays)
		}
	}
	if weekly {
		return weeklyDemand(s.place, rows, scale, seed)
	}
	d := demand{place: s.place}
	for _, r := range rows {
		d.days = append(d.days, dailyTarget(r, scale))
	}
	return d, nil
}

// scaled is the rule of rounding: a cumulative counter is multiplied and rounded
// to the nearest whole number, half up. Rounding keeps order: what was not less
// than another counter still is not.
func scaled(n int64, scale float64) int64 { return int64(math.Floor(float64(n)*scale + 0.5)) }

func dailyTarget(r row, scale float64) target {
	t := target{
		day:        r.day,
		line:       r.line,
		registered: scaled(r.registered, scale),
		first:      scaled(r.first, scale),
		second:     scaled(r.second, scale),
		due:        true,
	}
	if r.sexed && r.bySex[0]+r.bySex[1]+r.bySex[2] == r.first {
		t.sexed = true
		male := scaled(r.bySex[1], scale)
		transgender := min(scaled(r.bySex[2], scale), t.first-male) // two halves may have been rounded up
		t.bySex = [3]int64{t.first - male - transgender, male, transgender}
	}
	if !r.split {
		return t
	}
	t.covaxin = scaled(r.shared[1], scale)
	switch r.shared[0] + r.shared[1] {
	case r.first:
		t.split = splitFirst
	case r.first + r.second:
		t.split = splitAll
	}
	return t
}

// weekdays weighs the days of a week from Sunday on: few come on Sundays.
var weekdays = [7]uint64{30, 100, 105, 100, 110, 105, 90}

func weeklyDemand(p place, rows []row, scale float64, seed uint64) (demand, error) {
	d := demand{place: p}
	var first, second int64 // of the file
	day := driveBegins
	for i, r := range rows {
		if i == 0 {
			day = max(day, r.day-6)
		}
		was := target{registered: unstated, first: scaled(first, scale), second: scaled(second, scale)}
		first, second = first+r.first, second+r.second
		if first < 0 || second < 0 || second > first || first > maxCount {
			return d, fmt.Errorf("line %d: with this week %s has %d first and %d second doses, which cannot be", r.line, p.key, first, second)
		}
		is := target{day: r.day, line: r.line, registered: unstated, first: scaled(first, scale), second: scaled(second, scale)}
		d.fill(day, was, is, seed)
		day = r.day + 1
	}
	return d, nil
}

// fill adds the days from one on until that of is, on which the counters go from
// those of was to those of is.
func (d *demand) fill(from domain.Day, was, is target, seed uint64) {
	var all, sofar uint64
	for day := from; day <= is.day; day++ {
		all += weight(d.place, seed, day)
	}
	for day := from; day <= is.day; day++ {
		sofar += weight(d.place, seed, day)
		d.days = append(d.days, target{
			day:        day,
			line:       is.line,
			registered: spread(was.registered, is.registered, sofar, all),
			first:      spread(was.first, is.first, sofar, all),
			second:     spread(was.second, is.second, sofar, all),
			due:        day == is.day,
		})
	}
}

// weight is a day's share of its week, a fifth more or less by chance.
func weight(p place, seed uint64, day domain.Day) uint64 {
	chance := hash(seed, uint64(p.district), uint64(day)) % 400
	return weekdays[day.Start().Weekday()] * (800 + chance)
}

// spread is a counter that goes from one value to another over a week, when
// sofar parts of all are over. A fall is booked on the last day.
func spread(from, to int64, sofar, all uint64) int64 {
	switch {
	case sofar == all:
		return to
	case to < from:
		return from
	}
	return from + int64(float64(to-from)*float64(sofar)/float64(all)+0.5)
}
