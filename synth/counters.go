package synth

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"bahi/domain"
)

// Counters is a file of public counters of one or more districts. The zero
// value has none.
type Counters struct {
	weekly bool
	series []series
}

// series is the counters of one district, oldest first.
type series struct {
	place place
	rows  []row
}

// row is one line of a file. In a weekly one day is the last of the week, and
// first and second are differences, which may be negative.
type row struct {
	line       int
	day        domain.Day
	registered int64
	first      int64
	second     int64

	bySex  [3]int64 // F, M, T; when sexed
	sexed  bool
	shared [2]int64 // by vaccine, Covishield and Covaxin; when split
	split  bool
}

// Weekly tells whether the file holds weekly differences rather than daily
// cumulative counters.
func (c Counters) Weekly() bool { return c.weekly }

// Districts returns the keys of the file's districts, such as BR_Muzaffarpur, in
// the order in which they first appear.
func (c Counters) Districts() []string {
	keys := make([]string, len(c.series))
	for i := range c.series {
		keys[i] = c.series[i].place.key
	}
	return keys
}

// The bounds of a file: a country's districts for five years of days are a
// million rows.
const (
	maxFile  = 256 << 20
	maxRows  = 2_000_000
	maxCount = 1_000_000_000
)

// ReadCounts reads a file of counters in CSV. Its header tells which kind it is:
//
//   - daily, cumulative: date, district_key, total_individuals_registered,
//     first_dose_administered, second_dose_administered, and if present
//     male_, female_ and transgender_individuals_vaccinated, total_covaxin_administered
//     and total_covishield_administered;
//   - weekly differences: district_key, week_end, dose1_delta, dose2_delta. A week
//     runs from the day after the week before it; the first has seven days, and
//     begins no sooner than the drive.
//
// Other columns are passed over. Within a district rows are in order of time.
// Errors name the line, and what is wrong with it.
func ReadCounts(r io.Reader) (Counters, error) {
	reader := csv.NewReader(&boundedReader{r: r, left: maxFile})
	reader.ReuseRecord = true
	header, err := reader.Read()
	if err == io.EOF {
		return Counters{}, errors.New("the file of counters is empty")
	}
	if err != nil {
		return Counters{}, fmt.Errorf("read the counters' header: %w", err)
	}
	columns, err := findColumns(header)
	if err != nil {
		return Counters{}, err
	}
	c := Counters{weekly: columns.weekly}
	index := map[string]int{}
	for rows := 0; ; rows++ {
		record, err := reader.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			return Counters{}, fmt.Errorf("read the counters: %w", err)
		}
		line, _ := reader.FieldPos(0)
		if rows == maxRows {
			return Counters{}, fmt.Errorf("line %d: a file of counters has at most %d rows", line, maxRows)
		}
		if err := c.add(columns, record, line, index); err != nil {
			return Counters{}, fmt.Errorf("line %d: %w", line, err)
		}
	}
	if len(c.series) == 0 {
		return Counters{}, errors.New("the file of counters has a header and no rows")
	}
	return c, nil
}

func (c *Counters) add(columns columns, record []string, line int, index map[string]int) error {
	parsed, err := columns.row(record)
	if err != nil {
		return err
	}
	parsed.line = line
	key := strings.Clone(record[columns.key])
	i, ok := index[key]
	if !ok {
		p, known := findPlace(key)
		if !known {
			return fmt.Errorf("no district of the directory has the key %.40q", key)
		}
		i = len(c.series)
		for j := range c.series {
			if c.series[j].place.district == p.district { // by key in one row and by code in another
				i = j
			}
		}
		if i == len(c.series) {
			c.series = append(c.series, series{place: p})
		}
		index[key] = i
	}
	s := &c.series[i]
	if n := len(s.rows); n > 0 && s.rows[n-1].day >= parsed.day {
		return fmt.Errorf("%s of %s comes after %s; sort the rows by day, one row each", parsed.day, key, s.rows[n-1].day)
	}
	s.rows = append(s.rows, parsed)
	return nil
}

// columns says where in a record each field stands; -1 for an absent one.
type columns struct {
	weekly                    bool
	key, day                  int
	registered, first, second int
	female, male, transgender int
	covishield, covaxin       int
}

func findColumns(header []string) (columns, error) {
	at := func(name string) int {
		return slices.IndexFunc(header, func(h string) bool {
			return strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")) == name
		})
	}
	c := columns{
		key: at("district_key"), day: at("date"),
		registered: at("total_individuals_registered"), first: at("first_dose_administered"), second: at("second_dose_administered"),
		female: at("female_individuals_vaccinated"), male: at("male_individuals_vaccinated"), transgender: at("transgender_individuals_vaccinated"),
		covishield: at("total_covishield_administered"), covaxin: at("total_covaxin_administered"),
	}
	if c.key >= 0 && c.day >= 0 && c.registered >= 0 && c.first >= 0 && c.second >= 0 {
		return c, nil
	}
	weekly := columns{weekly: true, key: c.key, day: at("week_end"), first: at("dose1_delta"), second: at("dose2_delta")}
	if weekly.key >= 0 && weekly.day >= 0 && weekly.first >= 0 && weekly.second >= 0 {
		return weekly, nil
	}
	return c, errors.New("line 1: neither daily counters (date, district_key, total_individuals_registered, first_dose_administered, " +
		"second_dose_administered) nor weekly ones (district_key, week_end, dose1_delta, dose2_delta)")
}

func (c columns) row(record []string) (r row, err error) {
	if r.day, err = domain.ParseDay(record[c.day]); err != nil {
		return row{}, err
	}
	number := func(what string, column int, least int64) int64 {
		n, parseErr := strconv.ParseInt(strings.TrimSpace(record[column]), 10, 64)
		if err == nil && (parseErr != nil || n < least || n > maxCount) {
			err = fmt.Errorf("%s is a whole number from %d to %d", what, least, maxCount)
		}
		return n
	}
	if c.weekly {
		r.first = number("dose1_delta", c.first, -maxCount)
		r.second = number("dose2_delta", c.second, -maxCount)
		return r, err
	}
	r.registered = number("total_individuals_registered", c.registered, 0)
	r.first = number("first_dose_administered", c.first, 0)
	r.second = number("second_dose_administered", c.second, 0)
	if err == nil && r.first > r.registered {
		err = errors.New("more first doses than people registered")
	}
	if r.sexed = c.female >= 0 && c.male >= 0 && c.transgender >= 0; r.sexed {
		r.bySex = [3]int64{
			number("female_individuals_vaccinated", c.female, 0),
			number("male_individuals_vaccinated", c.male, 0),
			number("transgender_individuals_vaccinated", c.transgender, 0),
		}
	}
	if r.split = c.covishield >= 0 && c.covaxin >= 0; r.split {
		r.shared = [2]int64{
			number("total_covishield_administered", c.covishield, 0),
			number("total_covaxin_administered", c.covaxin, 0),
		}
	}
	return r, err
}

// boundedReader fails, rather than ends, where a file is longer than allowed.
type boundedReader struct {
	r    io.Reader
	left int64
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a file of counters has at most %d MB", maxFile>>20)
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
