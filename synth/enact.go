package synth

import (
	"slices"

	"bahi/domain"
)

// A person is a number within the district: its people count from 0 up, its
// visitors from the top down. Whoever waits for a second dose is kept as one
// word, the number and the day of the first dose since the drive began.
const (
	personBits  = 22
	dayBits     = 10
	maxVisitors = 1 << 18
	maxPeople   = 1<<personBits - maxVisitors
	maxDays     = 1 << dayBits
)

func isVisitor(person uint32) bool { return person >= maxPeople }

func visitorNumber(i int) uint32 { return 1<<personBits - 1 - uint32(i) }

func waits(person uint32, day domain.Day) uint32 {
	return person<<dayBits | uint32(day-driveBegins)
}

func personOf(waiting uint32) uint32 { return waiting >> dayBits }

func dayOf(waiting uint32) uint32 { return waiting & (maxDays - 1) }

// op is one submission to be made.
type op struct {
	person  uint32
	kind    kind
	vaccine uint8 // index
}

type kind uint8

const (
	opRegister kind = iota
	opFirst
	opSecond
	opWithdrawRegistration
	opWithdrawFirst
	opWithdrawSecond
)

// mark is what is fixed about a person by what happens to them later: the sex,
// where the file counts the sexes, and whether the entry turns out a duplicate.
type mark uint8

const (
	markSex       mark = 3 // a domain.Sex, or 0
	markDuplicate mark = 4
)

// enactment carries out a plan person by person. It trusts the plan: there is
// somebody for everything that is to be done.
type enactment struct {
	plan      *plan
	people    people
	rehearsal bool
	sexOff    gap

	chance   draws    // of the day
	next     int      // day of the plan
	entered  uint32   // people registered so far, the number of the next
	waitlist queue    // registered, without a dose
	waiting  [2]queue // with one dose, by vaccine; see waits
	done     [2]queue // with two, if any is taken back later
	standing [3]int64 // first doses by sex
	arrivals []int    // visitors in order of their first dose
	arrived  int      // of those
	visited  int      // visitors who had their second dose
	ops      []op     // of the day

	// Of the day: first doses still to be given by sex, people passed over
	// because theirs is not wanted, and people whose entry is to be corrected.
	wanted   [3]int64
	held     []uint32
	returned int
}

// enact prepares a plan to be carried out. What a registration says can depend
// on what comes later (whom a first dose finds, where the file counts the sexes;
// which entries turn out duplicates), and then the plan is gone through once in
// advance.
func enact(p *plan, who people) *enactment {
	e := &enactment{plan: p, people: who}
	e.arrivals = make([]int, len(p.visitors))
	for i := range e.arrivals {
		e.arrivals[i] = i
	}
	slices.SortStableFunc(e.arrivals, func(a, b int) int { return int(p.visitors[a].first - p.visitors[b].first) })
	if !p.sexed && !slices.ContainsFunc(p.days, func(d dayPlan) bool { return d.withdrawRegistration > 0 }) {
		return e
	}
	rehearsal := *e
	rehearsal.rehearsal = true
	for i := range p.days {
		rehearsal.day(p.days[i].day)
	}
	e.people.marks, e.sexOff = rehearsal.people.marks, rehearsal.sexOff
	return e
}

// day returns what is to be submitted on a day, in order, valid until the next
// call. Days are asked for in order; those without a plan may be left out unless
// visitors had a first dose on them.
func (e *enactment) day(day domain.Day) []op {
	e.ops = e.ops[:0]
	e.chance = draws{hash(e.people.seed, uint64(e.plan.place.district), uint64(day), 'e')}
	var today dayPlan
	if e.next < len(e.plan.days) && e.plan.days[e.next].day == day {
		today = e.plan.days[e.next]
		e.next++
	}
	e.withdraw(&today, day)
	e.serve(&today, day)
	if today.sexed {
		var most int64
		for s, n := range e.standing {
			most = max(most, n-today.bySex[s], today.bySex[s]-n)
		}
		e.sexOff.add(most)
	}
	return e.ops
}

func (e *enactment) do(k kind, person uint32, vaccine int) {
	e.ops = append(e.ops, op{person: person, kind: k, vaccine: uint8(vaccine)})
}

// withdraw takes back what was entered by mistake, at the beginning of the day.
func (e *enactment) withdraw(today *dayPlan, day domain.Day) {
	for v := range vaccines {
		for range today.withdrawSecond[v] {
			w := e.done[v].popBack()
			e.waiting[v].pushFront(w)
			e.do(opWithdrawSecond, personOf(w), v)
		}
	}
	e.returned = 0
	for v := range vaccines {
		for range today.withdrawFirst[v] {
			latest := dayOf(e.waiting[v].back())
			person := personOf(e.waiting[v].takeBack(
				func(w uint32) bool { return dayOf(w) == latest },
				func(w uint32) bool {
					s := e.people.sex(personOf(w)) - 1
					return !today.sexed || e.standing[s] > today.bySex[s]
				}))
			e.standing[e.people.sex(person)-1]--
			e.waitlist.pushFront(person)
			e.returned++
			e.do(opWithdrawFirst, person, v)
		}
	}
	for range today.withdrawRegistration {
		person := e.waitlist.popBack()
		if e.rehearsal && !e.people.settled(person) { // else it is somebody whose dose was an error, too
			e.people.marks[person] |= markDuplicate
		}
		e.do(opWithdrawRegistration, person, 0)
	}
	for s := range e.wanted {
		e.wanted[s] = max(0, today.bySex[s]-e.standing[s])
	}
}

// serve registers and vaccinates, in a random order in which everybody is
// registered first.
func (e *enactment) serve(today *dayPlan, day domain.Day) {
	register, first, second := today.register, today.first, today.second
	visiting := today.visiting
	arriving := int64(0)
	for e.arrived+int(arriving) < len(e.arrivals) && e.plan.visitors[e.arrivals[e.arrived+int(arriving)]].first == day {
		arriving++
	}
	for {
		firsts, seconds := first[0]+first[1], second[0]+second[1]
		all := register + firsts + seconds + visiting + arriving
		if all == 0 {
			break
		}
		turn := e.chance.below(all)
		switch {
		case turn < firsts:
			v := covishield
			if turn >= first[covishield] {
				v = covaxin
			}
			person, ok := e.draw(today, register == 0)
			if !ok {
				e.register()
				register--
				continue
			}
			first[v]--
			e.waiting[v].pushBack(waits(person, day))
			e.do(opFirst, person, v)
		case turn < firsts+seconds:
			v := covishield
			if turn-firsts >= second[covishield] {
				v = covaxin
			}
			second[v]--
			w := e.waiting[v].popFront()
			if e.plan.takesBack {
				e.done[v].pushBack(w)
			}
			e.do(opSecond, personOf(w), v)
		case turn < firsts+seconds+register:
			e.register()
			register--
		case turn < firsts+seconds+register+visiting:
			e.do(opSecond, visitorNumber(e.visited), covishield)
			e.visited++
			visiting--
		default:
			person := visitorNumber(e.arrivals[e.arrived])
			e.do(opRegister, person, 0)
			e.do(opFirst, person, covishield)
			e.arrived++
			arriving--
		}
	}
	for i := len(e.held) - 1; i >= 0; i-- {
		e.waitlist.pushFront(e.held[i])
	}
	e.held = e.held[:0]
}

func (e *enactment) register() {
	if e.rehearsal {
		e.people.marks = append(e.people.marks, 0)
	}
	e.waitlist.pushBack(e.entered)
	e.do(opRegister, e.entered, 0)
	e.entered++
}

// draw chooses whom a first dose is given to: whose entry is being corrected,
// else more often who has just come in than who has waited longest. Where the
// file counts the sexes and the person's is settled and not wanted today, another
// is chosen; must says that one has to be found. The second result is false when
// somebody has to register first.
//
// It takes the same numbers from chance whether sexes are settled or not, so
// that a rehearsal goes the same way.
func (e *enactment) draw(today *dayPlan, must bool) (person uint32, ok bool) {
	for e.waitlist.len() > 0 {
		turn := e.chance.next()
		if e.returned > 0 || turn%100 < 40 {
			person = e.waitlist.popFront()
			e.returned = max(0, e.returned-1)
		} else {
			person = e.waitlist.popBack()
		}
		if e.settle(today, person) {
			return person, true
		}
		e.held = append(e.held, person)
	}
	if !must || len(e.held) == 0 {
		return 0, false
	}
	person, e.held = e.held[0], e.held[1:]
	e.standing[e.people.sex(person)-1]++
	return person, true
}

// settle counts a first dose under the person's sex, which it settles if it is
// not, or says that the sex is not wanted.
func (e *enactment) settle(today *dayPlan, person uint32) bool {
	sex := e.people.sex(person)
	if !e.plan.sexed {
		e.standing[sex-1]++
		return true
	}
	if all := e.wanted[0] + e.wanted[1] + e.wanted[2]; today.sexed && all > 0 {
		turn := e.chance.below(all)
		if e.rehearsal && !e.people.settled(person) {
			for sex = 1; turn >= e.wanted[sex-1]; sex++ {
				turn -= e.wanted[sex-1]
			}
		}
		if e.wanted[sex-1] == 0 {
			return false
		}
		e.wanted[sex-1]--
	}
	if e.rehearsal {
		e.people.marks[person] |= mark(sex)
	}
	e.standing[sex-1]++
	return true
}
