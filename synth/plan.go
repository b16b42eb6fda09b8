package synth

import (
	"fmt"

	"bahi/domain"
)

// The two vaccines of the public counters, as indices.
const (
	covishield = 0
	covaxin    = 1
)

var vaccines = [2]domain.Vaccine{domain.Covishield, domain.Covaxin}

// plan is numbers of events a day for one district: what there is to do, without
// regard to who does it. Every second dose in it has somebody due.
type plan struct {
	place        place
	days         []dayPlan
	visitors     []visitor // who come for a second dose only, in order of that dose
	takesBack    bool      // second doses are withdrawn at some time
	sexed        bool      // the file says how many of each sex
	covaxinShare int       // percent of first doses, where the file does not say
	vaccineOff   gap       // how far the columns by vaccine are missed
}

// dayPlan is a day's events. Withdrawals come first in the day.
type dayPlan struct {
	day                  domain.Day
	withdrawSecond       [2]int64
	withdrawFirst        [2]int64
	withdrawRegistration int64
	register             int64
	first                [2]int64
	second               [2]int64 // to people of the district
	visiting             int64    // second doses of Covishield to people from elsewhere
	bySex                [3]int64 // standing first doses at the end of the day, where the file says
	sexed                bool
}

// visitor is somebody registered and first vaccinated elsewhere.
type visitor struct {
	first  domain.Day
	second domain.Day
}

// gap is how far a counter that is not promised is missed.
type gap struct {
	days int   // on which it is missed
	most int64 // by so much at most
}

func (g *gap) add(missed int64) {
	if missed = max(missed, -missed); missed != 0 {
		g.days++
		g.most = max(g.most, missed)
	}
}

// The shares of Covaxin that are tried, in percent of first doses. The first
// with which the fewest second doses are left to visitors is taken: the longer
// interval of Covishield from May 2021 on makes the difference in few places.
const (
	leastCovaxin = 10
	mostCovaxin  = 40
)

// makePlan plans a district.
func makePlan(d demand, seed uint64) (*plan, error) {
	best, err := planWith(d, leastCovaxin, seed)
	if err != nil || len(best.visitors) == 0 || d.days[0].registered != unstated {
		return best, err
	}
	floor, err := planWith(d, mostCovaxin, seed)
	if err != nil {
		return nil, err
	}
	for share := leastCovaxin + 1; share <= mostCovaxin && len(best.visitors) > len(floor.visitors); share++ {
		p, err := planWith(d, share, seed)
		if err != nil {
			return nil, err
		}
		if len(p.visitors) < len(best.visitors) {
			best = p
		}
	}
	return best, nil
}

// stock is the people of the district who have had one dose, and those who have
// had two, of one vaccine.
type stock struct {
	waiting []int64 // with one dose, by its day since the drive began
	total   int64   // of waiting
	done    []batch // second doses, oldest first, for taking back
}

type batch struct {
	first int // day of the first dose
	n     int64
}

// due returns how many have had their first dose on or before a day.
func (s *stock) due(last int) (n int64) {
	for _, w := range s.waiting[:max(0, min(last+1, len(s.waiting)))] {
		n += w
	}
	return n
}

func (s *stock) giveSecond(n int64) {
	for day := 0; n > 0; day++ {
		if k := min(n, s.waiting[day]); k > 0 {
			s.waiting[day] -= k
			s.total -= k
			n -= k
			s.done = append(s.done, batch{day, k})
		}
	}
}

func (s *stock) takeBackSecond(n int64) {
	for n > 0 {
		last := &s.done[len(s.done)-1]
		k := min(n, last.n)
		s.waiting[last.first] += k
		s.total += k
		n -= k
		if last.n -= k; last.n == 0 {
			s.done = s.done[:len(s.done)-1]
		}
	}
}

// takeBackFirst takes back the latest first doses: whoever had one long ago is
// soon due for the second.
func (s *stock) takeBackFirst(n int64) {
	for day := len(s.waiting) - 1; n > 0; day-- {
		k := min(n, s.waiting[day])
		s.waiting[day] -= k
		s.total -= k
		n -= k
	}
}

func (s *stock) seconds() (n int64) {
	for _, b := range s.done {
		n += b.n
	}
	return n
}

// planner carries the counters of a district from day to day.
type planner struct {
	plan   *plan
	rules  domain.Rules
	share  int
	chance draws

	registered, waitlist int64    // waitlist: registered and not vaccinated
	first, second        [2]int64 // standing doses given here, by vaccine
	home                 [2]stock
}

func planWith(d demand, share int, seed uint64) (*plan, error) {
	p := planner{
		plan:   &plan{place: d.place, days: make([]dayPlan, 0, len(d.days)), covaxinShare: share},
		rules:  domain.BuiltInRules(),
		share:  share,
		chance: draws{hash(seed, uint64(d.place.district), 'p')},
	}
	if len(d.days) > 0 {
		span := int(d.days[len(d.days)-1].day-driveBegins) + 1
		for v := range p.home {
			p.home[v].waiting = make([]int64, span)
		}
	}
	for i, t := range d.days {
		var next target
		if i+1 < len(d.days) {
			next = d.days[i+1]
		}
		if err := p.day(t, next); err != nil {
			return nil, fmt.Errorf("line %d: %s on %s: %w", t.line, d.place.key, t.day, err)
		}
	}
	return p.plan, nil
}

func (p *planner) day(t, next target) error {
	today := dayPlan{day: t.day, bySex: t.bySex, sexed: t.sexed}
	p.plan.sexed = p.plan.sexed || t.sexed
	if err := p.seconds(&today, t); err != nil {
		return err
	}
	if err := p.firsts(&today, t); err != nil {
		return err
	}
	if err := p.registrations(&today, t, next); err != nil {
		return err
	}
	switch t.split {
	case splitFirst:
		p.plan.vaccineOff.add(p.first[covaxin] - t.covaxin)
	case splitAll:
		p.plan.vaccineOff.add(p.first[covaxin] + p.second[covaxin] - t.covaxin)
	}
	p.plan.days = append(p.plan.days, today)
	return nil
}

// seconds plans second doses. They go to the people of the district who are due,
// of both vaccines alike; what is wanted beyond that goes to visitors, once it
// cannot wait for another day.
func (p *planner) seconds(today *dayPlan, t target) error {
	want := t.second - p.second[0] - p.second[1]
	if want < 0 {
		return p.takeBackSeconds(today, -want)
	}
	var due [2]int64
	for v := range due {
		due[v] = p.home[v].due(int(t.day-driveBegins) - p.interval(v, t.day))
	}
	here := min(want, due[0]+due[1])
	give := [2]int64{covaxin: share(here, due[covaxin], due[0]+due[1])}
	if t.split == splitAll {
		left := t.covaxin - p.first[covaxin] - p.second[covaxin]
		firsts := max(0, t.first-p.first[0]-p.first[1])
		give[covaxin] = min(max(give[covaxin], left-firsts), max(left, 0), due[covaxin], here)
	}
	give[covaxin] = max(give[covaxin], here-due[covishield])
	give[covishield] = here - give[covaxin]
	for v, n := range give {
		p.home[v].giveSecond(n)
		p.second[v] += n
	}
	today.second = give
	if !t.due || here == want {
		return nil
	}
	return p.visits(today, want-here)
}

// visits lets people come from elsewhere who had their first dose there in the
// fortnight before they fell due.
func (p *planner) visits(today *dayPlan, n int64) error {
	latest := today.day - domain.Day(p.interval(covishield, today.day))
	if latest < driveBegins {
		return fmt.Errorf("%d second doses, sooner after the drive began than the interval between doses allows", n)
	}
	if int64(len(p.plan.visitors))+n > maxVisitors {
		return fmt.Errorf("more than %d second doses that nobody in the district can have been due for; is this a file of counters?", maxVisitors)
	}
	window := min(14, int64(latest-driveBegins)+1)
	for range n {
		first := latest - domain.Day(p.chance.below(window))
		p.plan.visitors = append(p.plan.visitors, visitor{first: first, second: today.day})
	}
	today.visiting = n
	p.second[covishield] += n
	return nil
}

func (p *planner) takeBackSeconds(today *dayPlan, n int64) error {
	done := [2]int64{p.home[0].seconds(), p.home[1].seconds()}
	if n > done[0]+done[1] {
		return fmt.Errorf("second doses fall by %d, more than the district's people were given", n)
	}
	back := [2]int64{covaxin: share(n, done[covaxin], done[0]+done[1])}
	back[covishield] = n - back[covaxin]
	for v, k := range back {
		p.home[v].takeBackSecond(k)
		p.second[v] -= k
	}
	today.withdrawSecond = back
	p.plan.takesBack = true
	return nil
}

// firsts plans first doses. Where the count of one vaccine or of one sex falls
// while the whole does not, entries are corrected: withdrawn, and made again.
func (p *planner) firsts(today *dayPlan, t target) error {
	change := t.first - p.first[0] - p.first[1]
	var byVaccine [2]int64
	switch t.split {
	case splitFirst:
		byVaccine[covaxin] = t.covaxin - p.first[covaxin]
	case splitAll:
		byVaccine[covaxin] = min(max(t.covaxin-p.first[covaxin]-p.second[covaxin], 0), max(change, 0))
	default:
		wanted := scaled(t.first, float64(p.share)/100) - p.first[covaxin]
		byVaccine[covaxin] = min(max(wanted, min(change, 0)), max(change, 0))
	}
	byVaccine[covishield] = change - byVaccine[covaxin]
	var give, back [2]int64
	for v, n := range byVaccine {
		give[v], back[v] = max(n, 0), max(-n, 0)
	}
	if extra := p.sexFalls(t) - back[0] - back[1]; t.sexed && extra > 0 {
		extra = min(extra, p.home[covishield].total-back[covishield])
		give[covishield], back[covishield] = give[covishield]+max(extra, 0), back[covishield]+max(extra, 0)
	}
	for v := range vaccines {
		if back[v] > p.home[v].total {
			return fmt.Errorf("first doses of %s fall by %d, and only %d people have had no other dose since", vaccines[v], back[v], p.home[v].total)
		}
		p.home[v].takeBackFirst(back[v])
		p.home[v].waiting[t.day-driveBegins] += give[v]
		p.home[v].total += give[v]
		p.first[v] += give[v] - back[v]
	}
	today.first, today.withdrawFirst = give, back
	return nil
}

// sexFalls returns by how much the counts of the sexes fall, those that do.
func (p *planner) sexFalls(t target) (n int64) {
	var before [3]int64
	if last := len(p.plan.days) - 1; last >= 0 {
		if !p.plan.days[last].sexed {
			return 0
		}
		before = p.plan.days[last].bySex
	}
	for s := range before {
		n += max(0, before[s]-t.bySex[s])
	}
	return n
}

// registrations plans who comes into the register and leaves it. Where the file
// does not say, people register on the day of their first dose or, every
// seventh, on the day before.
func (p *planner) registrations(today *dayPlan, t, next target) error {
	given := today.first[0] + today.first[1] - today.withdrawFirst[0] - today.withdrawFirst[1]
	registered := t.registered
	if registered == unstated {
		ahead := max(0, next.first-t.first) / 7
		registered = max(p.registered, p.first[0]+p.first[1]+ahead)
	}
	today.register = max(0, registered-p.registered)
	today.withdrawRegistration = max(0, p.registered-registered)
	back := today.withdrawFirst[0] + today.withdrawFirst[1]
	if today.withdrawRegistration > p.waitlist+back {
		return fmt.Errorf("registrations fall by %d, and only %d people have had no dose", today.withdrawRegistration, p.waitlist+back)
	}
	p.waitlist += registered - p.registered - given
	p.registered = registered
	if p.waitlist < 0 {
		return fmt.Errorf("more first doses than people registered, by %d", -p.waitlist)
	}
	if p.registered > maxPeople {
		return fmt.Errorf("more than %d people in a district; choose a smaller scale", maxPeople)
	}
	return nil
}

func (p *planner) interval(v int, day domain.Day) int {
	rule, ok := p.rules.Interval(vaccines[v], 2, day)
	if !ok {
		return maxDays
	}
	return rule.MinDays
}

// share returns n × part / whole, rounded down, and 0 of nothing.
func share(n, part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	return int64(float64(n) * float64(part) / float64(whole))
}

// count returns how many submissions the plan makes.
func (p *plan) count() (n int64) {
	for i := range p.days {
		d := &p.days[i]
		for v := range vaccines {
			n += d.withdrawSecond[v] + d.withdrawFirst[v] + d.first[v] + d.second[v]
		}
		n += d.withdrawRegistration + d.register + 3*d.visiting
	}
	return n
}
