package formats

import (
	"strconv"
	"strings"
	"time"

	"bahi/domain"
)

var (
	errDay        = badValue("a date is written 2021-01-16, 16-01-2021 or 16-Jan-2021")
	errMonthFirst = badValue("the date has the month before the day; write the day first, 16-01-2021, or 2021-01-16")
	errShortYear  = badValue("the date has a year of two digits; write all four")
	errNoSuchDay  = badValue("there is no such day in that month")
	errJustYear   = badValue("this is a year, not a date; write day, month and year")
	errClock      = badValue("a time of day is written 10:05 or 10:05:30")
)

// readDay reads when something happened: a day, or a time as RFC 3339 has it. A
// day means its first moment in Indian Standard Time, and a time of day without a
// zone is Indian. Days are written year first or day first, with dashes, slashes,
// dots or spaces, the month also by its English name. A date that can be read
// both ways is read day first, as India writes it; one that cannot be but month
// first is refused. A number of five digits is a day as spreadsheets count them.
func readDay(s string) (time.Time, *reason) {
	s = westernDigits(trimmed(s))
	if s == "" {
		return time.Time{}, errEmpty
	}
	if len(s) >= len(time.DateOnly) && s[4] == '-' {
		if t, err := domain.ParseTime(s); err == nil {
			return t, nil
		}
	}
	if t, isSerial := readSerialDay(s); isSerial {
		return t, nil
	}
	date, clock := s, ""
	if colon := strings.IndexByte(s, ':'); colon > 0 {
		i := strings.LastIndexAny(s[:colon], " T")
		if i < 0 {
			return time.Time{}, errDay
		}
		date, clock = trimmed(s[:i]), s[i+1:]
	}
	day, wrong := readDate(date)
	if wrong != nil {
		return time.Time{}, wrong
	}
	since, wrong := readClock(clock)
	return day.Start().Add(since), wrong
}

// readSerialDay reads a day of the 1900 system: 44212 is 16 January 2021, and
// 44212.5 its noon. Days before 1927 and after this century have other than five
// digits, or are no days of this drive and of those vaccinated in it.
func readSerialDay(s string) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	if len(whole) != 5 || !allDigits(whole) || fraction != "" && !allDigits(fraction) {
		return time.Time{}, false
	}
	days, err := strconv.Atoi(whole)
	if err != nil || days < 10000 || days > 73050 {
		return time.Time{}, false
	}
	var since time.Duration
	if fraction != "" {
		part, err := strconv.ParseFloat("0."+fraction, 64)
		if err != nil {
			return time.Time{}, false
		}
		since = time.Duration(part * float64(24*time.Hour)).Round(time.Second)
	}
	return (domain.Date(1899, time.December, 30) + domain.Day(days)).Start().Add(since), true
}

func readDate(s string) (domain.Day, *reason) {
	var part [3]string
	n := 0
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune("-/. ,", r) }) {
		if n == len(part) {
			return 0, errDay
		}
		part[n] = word
		n++
	}
	switch {
	case n == 1 && len(s) == 4 && allDigits(s):
		return 0, errJustYear
	case n != 3:
		return 0, errDay
	case len(part[0]) == 4:
		return makeDay(part[0], part[1], part[2])
	}
	return makeDay(part[2], part[1], part[0])
}

func makeDay(year, month, day string) (domain.Day, *reason) {
	if len(day) > 2 || !allDigits(day) || !allDigits(year) {
		return 0, errDay
	}
	m, named := monthNamed(month)
	if !named && (len(month) > 2 || !allDigits(month)) {
		return 0, errDay
	}
	if len(year) == 2 {
		return 0, errShortYear
	}
	if len(year) != 4 {
		return 0, errDay
	}
	// Digits alone, of at most four: Atoi cannot fail.
	y, _ := strconv.Atoi(year)
	d, _ := strconv.Atoi(day)
	if !named {
		m, _ = strconv.Atoi(month)
		if m > 12 && m <= 31 && d <= 12 {
			return 0, errMonthFirst
		}
	}
	first, next := domain.Date(y, time.Month(m), 1), domain.Date(y, time.Month(m+1), 1)
	if m < 1 || m > 12 || d < 1 || d > int(next-first) {
		return 0, errNoSuchDay
	}
	return first + domain.Day(d-1), nil
}

// monthNamed reads January or Jan.
func monthNamed(s string) (int, bool) {
	if len(s) < 3 {
		return 0, false
	}
	for m := time.January; m <= time.December; m++ {
		if name := m.String(); strings.EqualFold(s, name) || strings.EqualFold(s, name[:3]) {
			return int(m), true
		}
	}
	return int(time.September), strings.EqualFold(s, "Sept")
}

// readClock reads a time of day, and nothing as its beginning.
func readClock(s string) (time.Duration, *reason) {
	if s == "" {
		return 0, nil
	}
	for _, layout := range [...]string{"15:04:05", "15:04", "3:04:05 PM", "3:04 PM", "3:04:05PM", "3:04PM"} {
		if t, err := time.Parse(layout, strings.ToUpper(trimmed(s))); err == nil {
			return t.Sub(t.Truncate(24 * time.Hour)), nil
		}
	}
	return 0, errClock
}

var (
	errBirthYear = badValue("a year of birth has four digits; a date of birth is written 1961-04-30 or 30-04-1961")
	errAge       = badValue("an age is a number of years")
)

// readBirthYear reads a year of birth from the year or from the date.
func readBirthYear(s string) (int, *reason) {
	s = wholeNumber(westernDigits(trimmed(s)))
	if len(s) == 4 && allDigits(s) {
		year, err := strconv.Atoi(s)
		if err != nil {
			return 0, errBirthYear
		}
		return year, nil
	}
	born, wrong := readDay(s)
	switch {
	case wrong == nil:
		return domain.DayOf(born).Year(), nil
	case wrong == errDay:
		wrong = errBirthYear
	}
	return 0, wrong
}

// birthYearOfAge reckons a year of birth from an age in years on a day, where a
// record has no date of birth. It may be one year too late: who is 60 in March
// turns 61 in that year or not.
func birthYearOfAge(age string, on time.Time) (int, *reason) {
	s := wholeNumber(westernDigits(trimmed(age)))
	if s == "" {
		return 0, errEmpty
	}
	years, err := strconv.Atoi(s)
	if err != nil || !allDigits(s) || years > 130 {
		return 0, errAge
	}
	return domain.DayOf(on).Year() - years, nil
}
