package synth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"bahi/domain"
)

// Options say what of a file is reproduced, and how.
type Options struct {
	District string     // its key, such as BR_Muzaffarpur, or its directory code; empty: every district of the file
	Scale    float64    // of every cumulative counter, rounded half up; 0 means 1
	Seed     uint64     // other seeds make other people; seeds that differ modulo 900 share no reference number
	Through  domain.Day // the last day; 0 means all of a weekly file, and of a daily one up to [LastDailyDay]
}

// Summary tells what was made.
type Summary struct {
	Districts   int
	First, Last domain.Day // of the file's days that were reproduced
	Cut         bool       // the file goes on after Last

	Submissions   int64
	Registrations int64 // of the districts' own people
	Doses         int64 // given in the districts
	Withdrawals   int64
	Elsewhere     int64 // second doses to people registered and first vaccinated outside the districts

	// Registered, first and second doses are met exactly on every day (of a
	// weekly file, doses at every end of a week). First doses by sex and doses
	// by vaccine are met where the rules and the file's own sums allow it: on so
	// many days of districts they are not, and by at most so many.
	SexDaysOff, VaccineDaysOff int
	SexMostOff, VaccineMostOff int64
}

// String returns the summary as a few sentences.
func (s Summary) String() string {
	var b strings.Builder
	districts := "districts"
	if s.Districts == 1 {
		districts = "district"
	}
	fmt.Fprintf(&b, "%d submissions of %d %s, %s to %s: %d registrations, %d doses, %d withdrawals.",
		s.Submissions, s.Districts, districts, s.First, s.Last, s.Registrations, s.Doses, s.Withdrawals)
	if s.Elsewhere > 0 {
		fmt.Fprintf(&b, " %d second doses went to people registered and first vaccinated in another district, for nobody here was due.", s.Elsewhere)
	}
	if s.SexDaysOff > 0 {
		fmt.Fprintf(&b, " First doses by sex differ from the file on %d days, by at most %d.", s.SexDaysOff, s.SexMostOff)
	}
	if s.VaccineDaysOff > 0 {
		fmt.Fprintf(&b, " Doses by vaccine differ from the file on %d days, by at most %d.", s.VaccineDaysOff, s.VaccineMostOff)
	}
	if s.Cut {
		fmt.Fprintf(&b, " The file goes on after %s", s.Last)
		if s.Last == LastDailyDay {
			b.WriteString(", from when its registered people are those with a first dose")
		}
		b.WriteByte('.')
	}
	return b.String()
}

// Write writes submissions as NDJSON, in order of time over all districts, whose
// counts are those of the file at the end of every day (of a weekly file: every
// week). They are all accepted, in this order, by a ledger whose recorded times
// follow theirs and that holds nothing of the same districts and seed.
//
// It plans everything before it writes; errors of the plan name the file's line.
// It holds four bytes for everybody who waits for a second dose, and a byte for
// each person of a file that counts the sexes. progress, if not nil, is called
// now and then, and at the end, with how many submissions are done, of how many.
func Write(ctx context.Context, w io.Writer, c Counters, o Options, progress func(done, total int64)) (Summary, error) {
	r, err := prepare(c, o)
	if err != nil {
		return Summary{}, err
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	const flushAt = 256 << 10
	buf := make([]byte, 0, flushAt+4096)
	var done int64
	for day := driveBegins; day <= r.summary.Last; day++ {
		err := r.day(day, func(w2 *writer, o op, second int) error {
			buf = w2.appendLine(buf, o, second)
			done++
			if len(buf) < flushAt {
				return nil
			}
			if _, err := w.Write(buf); err != nil {
				return fmt.Errorf("write submissions: %w", err)
			}
			buf = buf[:0]
			progress(done, r.summary.Submissions)
			return ctx.Err()
		})
		if err != nil {
			return Summary{}, err
		}
	}
	if _, err := w.Write(buf); err != nil {
		return Summary{}, fmt.Errorf("write submissions: %w", err)
	}
	progress(done, r.summary.Submissions)
	return r.summary, nil
}

// run is every district of a file, ready to go from day to day.
type run struct {
	districts []*enactment
	writers   []writer
	summary   Summary
}

func prepare(c Counters, o Options) (*run, error) {
	if o.Scale == 0 {
		o.Scale = 1
	}
	if !(o.Scale > 0) || o.Scale > 1000 {
		return nil, errors.New("a scale is greater than 0 and at most 1000")
	}
	if o.Through == 0 {
		if o.Through = LastDailyDay; c.weekly {
			o.Through = math.MaxInt32
		}
	}
	chosen, err := c.choose(o.District)
	if err != nil {
		return nil, err
	}
	generated := map[domain.District]bool{}
	for _, s := range chosen {
		generated[s.place.district] = true
	}
	r := &run{}
	for _, s := range chosen {
		d, err := demandOf(s, c.weekly, o.Scale, o.Seed, o.Through)
		if err != nil {
			return nil, err
		}
		if len(d.days) == 0 {
			continue
		}
		p, err := makePlan(d, o.Seed)
		if err != nil {
			return nil, err
		}
		who := people{seed: o.Seed, place: s.place, elsewhere: s.place}
		if len(p.visitors) > 0 {
			if who.elsewhere, err = elsewhereOf(s.place, generated); err != nil {
				return nil, err
			}
		}
		r.add(p, who)
		r.summary.Cut = r.summary.Cut || s.rows[len(s.rows)-1].day > d.days[len(d.days)-1].day
	}
	if len(r.districts) == 0 {
		return nil, fmt.Errorf("the file has no day up to %s", o.Through)
	}
	return r, nil
}

func (c Counters) choose(district string) ([]series, error) {
	if district == "" {
		return c.series, nil
	}
	for _, s := range c.series {
		if p, ok := findPlace(district); ok && s.place.district == p.district {
			return []series{s}, nil
		}
	}
	return nil, fmt.Errorf("the file has no district %.40q; its districts are %s", district, abridged(c.Districts(), 5))
}

func abridged(all []string, n int) string {
	if len(all) <= n {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:n], ", "), len(all)-n)
}

func (r *run) add(p *plan, who people) {
	e := enact(p, who)
	r.districts = append(r.districts, e)
	r.writers = append(r.writers, writer{people: &e.people})
	s := &r.summary
	if s.Districts == 0 {
		s.First = p.days[0].day
	}
	s.Districts++
	s.First, s.Last = min(s.First, p.days[0].day), max(s.Last, p.days[len(p.days)-1].day)
	s.Submissions += p.count()
	s.Elsewhere += int64(len(p.visitors))
	for i := range p.days {
		d := &p.days[i]
		s.Registrations += d.register
		s.Withdrawals += d.withdrawRegistration
		s.Doses += d.visiting
		for v := range vaccines {
			s.Doses += d.first[v] + d.second[v]
			s.Withdrawals += d.withdrawFirst[v] + d.withdrawSecond[v]
		}
	}
	s.SexDaysOff, s.SexMostOff = s.SexDaysOff+e.sexOff.days, max(s.SexMostOff, e.sexOff.most)
	s.VaccineDaysOff, s.VaccineMostOff = s.VaccineDaysOff+p.vaccineOff.days, max(s.VaccineMostOff, p.vaccineOff.most)
}

// day makes the submissions of a day: each district's in its order, spread
// evenly over the hours of work, all of them in order of time.
func (r *run) day(day domain.Day, do func(*writer, op, int) error) error {
	ops := make([][]op, len(r.districts))
	next := make([]int, len(r.districts))
	for i, e := range r.districts {
		ops[i] = e.day(day)
		r.writers[i].begin(day)
	}
	for second := opens; second < closes; second++ {
		for i := range ops {
			for n := len(ops[i]); next[i] < n && opens+next[i]*(closes-opens)/n <= second; next[i]++ {
				if err := do(&r.writers[i], ops[i][next[i]], second); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func secondsOf(n int) time.Duration { return time.Duration(n) * time.Second }
