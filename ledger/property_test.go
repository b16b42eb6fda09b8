package ledger

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"bahi/domain"
	"bahi/projections"
)

// Random histories, submitted in bundles of random sizes, with restarts and
// freezes at random points, give the same counts incrementally, rebuilt and
// recomputed naively from the verdicts alone.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	histories := 12
	if testing.Short() {
		histories = 3
	}
	for seed := range uint64(histories) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			h := &history{T: t, rand: rand.New(rand.NewPCG(seed, 7)), dir: t.TempDir(), naive: map[domain.District]*projections.Figures{}, people: map[int]*somebody{}}
			h.l = open(t, h.dir)
			for range 40 {
				h.step()
			}
			h.compare("incremental")
			h.asked("incremental")
			check(t, h.l)
			if err := h.l.Rebuild(t.Context(), Views(), nil); err != nil {
				t.Fatal(err)
			}
			h.compare("rebuilt")
			h.asked("rebuilt")
			h.restart()
			h.compare("after a restart")
			h.asked("after a restart")
			check(t, h.l)
		})
	}
}

// history is a ledger and a naive model of it: a map of people, moved by
// verdicts.
type history struct {
	*testing.T
	rand   *rand.Rand
	dir    string
	l      *Ledger
	day    domain.Day
	next   int
	people map[int]*somebody
	naive  map[domain.District]*projections.Figures
	ids    int
}

type somebody struct {
	number domain.Reference
	id     domain.UUID // of the registration, when the ledger issued the number
	home   domain.District
	group  domain.Group
	doses  []placed
	frozen bool
	last   domain.Day
}

type placed struct{ where domain.District }

func (h *history) of(d domain.District) *projections.Figures {
	if h.naive[d] == nil {
		h.naive[d] = &projections.Figures{}
	}
	return h.naive[d]
}

// status moves a person between the counts of their home by how many doses stand.
func (h *history) status(p *somebody, doses int, by int64) {
	f := h.of(p.home)
	switch doses {
	case 0:
		f.Unvaccinated += by
	case 1:
		f.Partial += by
	default:
		f.Full += by
	}
}

func (h *history) dosed(where domain.District, number int, by int64) {
	if number == 1 {
		h.of(where).Dose1 += by
	} else {
		h.of(where).Dose2 += by
	}
}

func (h *history) step() {
	if h.day == 0 {
		h.day = domain.Date(2021, 3, 1)
	}
	switch n := h.rand.IntN(20); {
	case n == 0:
		h.restart()
	case n <= 2:
		h.freeze()
	default:
		h.bundle()
	}
	h.day += domain.Day(h.rand.IntN(10))
}

func (h *history) restart() {
	h.Helper()
	shut(h.T, h.l)
	if h.rand.IntN(2) == 0 { // a view is lost
		if err := DiscardView(Config{Data: h.dir + "/data"}, Views()[h.rand.IntN(3)]); err != nil {
			h.Fatal(err)
		}
	}
	h.l = open(h.T, h.dir)
}

func (h *history) heading() domain.Heading {
	h.ids++
	return domain.Heading{ID: uuidOf(100, h.ids), At: h.day.Start()}
}

// bundle submits random things, some of them wrong, and moves the model by what
// the verdicts say.
func (h *history) bundle() {
	h.Helper()
	var submissions []domain.Submission
	var effects []func(number domain.Reference)
	add := func(s domain.Submission, effect func(domain.Reference)) {
		submissions, effects = append(submissions, s), append(effects, effect)
	}
	touched := map[int]bool{}
	for range 1 + h.rand.IntN(60) {
		if h.rand.IntN(3) == 0 || len(h.people) == 0 {
			h.next++
			n, p := h.next, &somebody{home: []domain.District{muzaffarpur, patna}[h.rand.IntN(2)], group: domain.Group(1 + h.rand.IntN(2)), last: h.day}
			r := registrationOf(n, p.home, p.group, "2021-01-16")
			r.Heading = h.heading()
			touched[n] = true
			issued := h.rand.IntN(3) == 0
			if issued {
				r.Person, p.id = "", r.ID
			}
			add(r, func(number domain.Reference) {
				p.number = number
				h.people[n] = p
				h.of(p.home).Registered++
				h.status(p, 0, +1)
			})
			if issued && h.rand.IntN(2) == 0 {
				h.dose(n, p, add) // before anybody knows the number, perhaps elsewhere
			}
			continue
		}
		n := 1 + h.rand.IntN(h.next)
		p := h.people[n]
		if p == nil || touched[n] {
			continue
		}
		touched[n] = true
		h.about(n, p, add)
	}
	for len(submissions) > 0 {
		size := 1 + h.rand.IntN(len(submissions))
		verdicts := submit(h.T, h.l, centre, submissions[:size]...)
		for i, v := range verdicts {
			if v.Outcome == domain.Accepted {
				effects[i](v.Person)
			}
		}
		submissions, effects = submissions[size:], effects[size:]
	}
}

// named names a person: by number or, when the ledger issued that, sometimes by
// registration.
func (h *history) named(p *somebody) (domain.Reference, domain.UUID) {
	if p.id != (domain.UUID{}) && (p.number == "" || h.rand.IntN(2) == 0) {
		return "", p.id
	}
	return p.number, domain.UUID{}
}

func (h *history) about(n int, p *somebody, add func(domain.Submission, func(domain.Reference))) {
	given := len(p.doses)
	who, registration := h.named(p)
	switch h.rand.IntN(6) {
	case 0:
		add(domain.RegistrationWithdrawal{Heading: h.heading(), Person: who, Registration: registration, Reason: domain.ReasonDuplicate}, func(domain.Reference) {
			h.of(p.home).Registered--
			if p.frozen {
				h.of(p.home).Frozen--
			}
			h.status(p, 0, -1)
			delete(h.people, n)
		})
	case 1:
		number := domain.DoseNumber(max(1, given))
		add(domain.DoseWithdrawal{Heading: h.heading(), Person: who, Registration: registration, Number: number, Reason: domain.ReasonEnteredInError}, func(domain.Reference) {
			h.dosed(p.doses[given-1].where, given, -1)
			h.status(p, given, -1)
			h.status(p, given-1, +1)
			p.doses = p.doses[:given-1]
		})
	default:
		h.dose(n, p, add)
	}
}

func (h *history) dose(n int, p *somebody, add func(domain.Submission, func(domain.Reference))) {
	given := len(p.doses)
	where := []domain.District{muzaffarpur, patna}[h.rand.IntN(2)]
	d := doseOf(n, domain.DoseNumber(given+1), where, "2021-03-01")
	d.Heading = h.heading()
	d.Person, d.Registration = h.named(p)
	add(d, func(domain.Reference) {
		p.doses = append(p.doses, placed{where})
		h.dosed(where, given+1, +1)
		h.status(p, given, -1)
		h.status(p, given+1, +1)
	})
}

func (h *history) freeze() {
	h.Helper()
	f := freezeOf(h.ids+1, muzaffarpur, "2021-03-01")
	f.Heading = h.heading()
	f.Mode = domain.FreezeMode(1 + h.rand.IntN(2))
	if h.rand.IntN(2) == 0 {
		h.freezeSome(f)
		return
	}
	f.Groups = []domain.Group{domain.Group(1 + h.rand.IntN(2))}
	if _, err := h.l.Freeze(h.Context(), f); err != nil {
		h.Fatal(err)
	}
	for _, p := range h.people {
		if p.home == muzaffarpur && p.group == f.Groups[0] && !p.frozen {
			p.frozen = true
			h.of(muzaffarpur).Frozen++
		}
	}
}

// freezeSome freezes listed people of the district, some of them perhaps frozen
// already.
func (h *history) freezeSome(f domain.Freeze) {
	h.Helper()
	var listed []*somebody
	for n := 1; n <= h.next; n++ {
		if p := h.people[n]; p != nil && p.home == muzaffarpur && h.rand.IntN(10) == 0 {
			f.Persons = append(f.Persons, p.number)
			listed = append(listed, p)
		}
	}
	if len(listed) == 0 {
		return
	}
	if _, err := h.l.Freeze(h.Context(), f); err != nil {
		h.Fatal(err)
	}
	for _, p := range listed {
		if !p.frozen {
			p.frozen = true
			h.of(muzaffarpur).Frozen++
		}
	}
}

// asked looks at everybody: the frozen are refused, the others are shown.
func (h *history) asked(when string) {
	h.Helper()
	for n, p := range h.people {
		_, err := h.l.Person(h.Context(), p.number, Reader{Officer: fmt.Sprintf("officer-%d", n), Purpose: "medical"})
		if p.frozen && !errors.Is(err, ErrFrozen) || !p.frozen && err != nil {
			h.Errorf("%s: person %d, frozen %t: %v", when, n, p.frozen, err)
		}
	}
}

func (h *history) compare(when string) {
	h.Helper()
	for _, d := range []domain.District{muzaffarpur, patna} {
		got := countsOf(h.T, h.l, d, "2024-01-01").Figures
		if got != *h.of(d) {
			h.Errorf("%s, district %d: counts %+v, want %+v", when, d, got, *h.of(d))
		}
	}
}
