package domain

import (
	"fmt"
	"time"
)

// IndianStandardTime is UTC+05:30, without daylight saving. Every [Day] is a
// calendar day there, wherever the machine stands.
var IndianStandardTime = time.FixedZone("IST", 5*60*60+30*60)

// Day is a calendar day in Indian Standard Time, counted from 1970-01-01 (day
// 0). Differences of days are differences of dates.
type Day int32

const dayLayout = "2006-01-02"

// DayOf returns the calendar day of t in Indian Standard Time.
func DayOf(t time.Time) Day {
	const ist = 5*60*60 + 30*60
	seconds := t.Unix() + ist
	day := seconds / 86400
	if seconds%86400 < 0 {
		day--
	}
	return Day(day)
}

// Date returns the Day of a year, month and day of month.
func Date(year int, month time.Month, day int) Day {
	return DayOf(time.Date(year, month, day, 0, 0, 0, 0, IndianStandardTime))
}

// ParseDay reads YYYY-MM-DD.
func ParseDay(s string) (Day, error) {
	t, err := time.ParseInLocation(dayLayout, s, IndianStandardTime)
	if err != nil {
		return 0, fmt.Errorf("a day is written YYYY-MM-DD")
	}
	return DayOf(t), nil
}

// ParseTime reads an RFC 3339 time, or a day, which means its first moment
// (00:00) in Indian Standard Time. What it reads can be told in that zone as RFC 3339.
func ParseTime(s string) (time.Time, error) {
	if len(s) == len(dayLayout) {
		d, err := ParseDay(s)
		return d.Start(), err
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("a time is written as RFC 3339 (2021-01-16T10:05:00+05:30) or as a day (2021-01-16)")
	}
	if year := t.In(IndianStandardTime).Year(); year < 0 || year > 9999 {
		return time.Time{}, fmt.Errorf("a time lies in the years 0 to 9999, in India, too")
	}
	return t, nil
}

// Start returns the first moment of the day, 00:00 Indian Standard Time.
func (d Day) Start() time.Time {
	return time.Unix(int64(d)*86400, 0).In(IndianStandardTime).Add(-(5*time.Hour + 30*time.Minute))
}

// End returns the last millisecond of the day; recorded times have
// millisecond resolution.
func (d Day) End() time.Time { return (d + 1).Start().Add(-time.Millisecond) }

// Year returns the calendar year of the day.
func (d Day) Year() int { return d.Start().Year() }

// String returns the day as YYYY-MM-DD.
func (d Day) String() string { return d.Start().Format(dayLayout) }

// MarshalText writes YYYY-MM-DD.
func (d Day) MarshalText() ([]byte, error) { return d.Start().AppendFormat(nil, dayLayout), nil }

// UnmarshalText reads YYYY-MM-DD.
func (d *Day) UnmarshalText(b []byte) error {
	v, err := ParseDay(string(b))
	if err == nil {
		*d = v
	}
	return err
}
