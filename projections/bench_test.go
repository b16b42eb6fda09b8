package projections

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
	"bahi/eventstore"
)

// load makes commits of 500 entries in 38 districts, two doses to a registration,
// with sealed parts of the size that the vault makes.
type load struct {
	rng    *rand.Rand
	serial uint64
	day    domain.Day
	at     time.Time
}

func newLoad() *load {
	return &load{rng: rand.New(rand.NewPCG(1, 1)), day: domain.Date(2021, 4, 5), at: domain.Date(2021, 4, 5).Start()}
}

func (l *load) token() (t [domain.TokenSize]byte) {
	binary.BigEndian.PutUint64(t[:], l.rng.Uint64())
	binary.BigEndian.PutUint64(t[8:], l.rng.Uint64())
	return t
}

const benchEntries = 500

// commit returns the next commit, and the tokens of its registrations.
func (l *load) commit() (eventstore.Commit, []domain.RegistrationTokens) {
	l.serial++
	if l.serial%200 == 0 { // a day has 100,000 events
		l.day++
		l.at = l.day.Start()
	}
	l.at = l.at.Add(100 * time.Millisecond)
	district := domain.District(188 + l.serial%38)
	c := eventstore.Commit{Sequence: l.serial, District: district, Entries: make([]eventstore.Entry, 0, benchEntries)}
	var tokens []domain.RegistrationTokens
	var person domain.PersonToken
	var cohort domain.Cohort
	sex := domain.Female
	for i := range benchEntries {
		e := eventstore.Entry{Submission: l.token(), Digest: l.token(), Recorded: l.at}
		switch i % 3 {
		case 0:
			sealed := make([]byte, 160)
			l.fill(sealed)
			person, sex = l.token(), domain.Sex(1+l.rng.IntN(2))
			cohort = domain.Cohort{District: district, Group: domain.Group(1 + l.rng.IntN(4)), Generation: 1}
			e.Event = domain.PersonRegistered{Person: person, Cohort: cohort, Sex: sex, Day: l.day - domain.Day(l.rng.IntN(2)), Sealed: sealed}
			tokens = append(tokens, domain.RegistrationTokens{Mobile: l.token(), PhotoID: l.token(), Content: l.token()})
		default:
			sealed := make([]byte, 64)
			l.fill(sealed)
			n := domain.DoseNumber(i % 3)
			dose := domain.Dose{Number: n, Vaccine: domain.Vaccine(1 + l.rng.IntN(2)), Day: l.day - domain.Day(l.rng.IntN(2)), District: district}
			e.Event = domain.DoseAdministered{Person: person, Cohort: cohort, Sex: sex, Dose: dose, Before: domain.Status(n), After: domain.Status(n + 1), Sealed: sealed}
		}
		c.Entries = append(c.Entries, e)
	}
	return c, tokens
}

func (l *load) fill(b []byte) {
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], l.rng.Uint64())
	}
}

func perSecond(b *testing.B, commits int) {
	b.ReportMetric(float64(b.N*commits*benchEntries)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRegister decides on nothing: it drafts and accepts commits of 500
// entries, with the readings that deciding takes.
func BenchmarkRegister(b *testing.B) {
	r, err := OpenRegister(b.TempDir(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	l := newLoad()
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		c, tokens := l.commit()
		b.StartTimer()
		d := r.Draft(c.Sequence, nil, len(c.Entries))
		for _, e := range c.Entries {
			if _, _, err := d.Submission(e.Submission); err != nil {
				b.Fatal(err)
			}
			var told *domain.RegistrationTokens
			switch event := e.Event.(type) {
			case domain.PersonRegistered:
				told, tokens = &tokens[0], tokens[1:]
				if _, err := d.Person(event.Person); err != nil {
					b.Fatal(err)
				}
				if _, err := d.PhotoID(told.PhotoID); err != nil {
					b.Fatal(err)
				}
				if _, err := d.Household(told.Mobile); err != nil {
					b.Fatal(err)
				}
				d.CohortFor(event.Cohort.District, event.Cohort.Group)
			case domain.DoseAdministered:
				p, err := d.Person(event.Person)
				if err != nil || !p.IsRegistered() || d.Closed(p.Cohort) {
					b.Fatal(p, err)
				}
			}
			if err := d.Add(e, told); err != nil {
				b.Fatal(err)
			}
		}
		if err := r.Accept(d); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, 1)
}

func benchmarkFold(b *testing.B, v View) {
	l := newLoad()
	b.ReportAllocs()
	b.ResetTimer()
	const together = 32
	for i := 0; i < b.N; i += together {
		b.StopTimer()
		var batch []eventstore.Commit
		for range min(together, b.N-i) {
			c, _ := l.commit()
			batch = append(batch, c)
		}
		b.StartTimer()
		if err := v.Fold(b.Context(), batch...); err != nil {
			b.Fatal(err)
		}
	}
	perSecond(b, 1)
}

func BenchmarkFoldPeople(b *testing.B) {
	p, err := OpenPeople(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	benchmarkFold(b, p)
}

func BenchmarkFoldCounts(b *testing.B) {
	c, err := OpenCounts(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	benchmarkFold(b, c)
}

// BenchmarkFoldCountsSingles folds commits of one event, as they come when
// nobody bundles.
func BenchmarkFoldCountsSingles(b *testing.B) {
	c, err := OpenCounts(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	l := newLoad()
	var entries []eventstore.Entry
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if len(entries) == 0 {
			b.StopTimer()
			commit, _ := l.commit()
			entries = commit.Entries
			b.StartTimer()
		}
		one := eventstore.Commit{Sequence: uint64(i + 1), District: 208, Entries: entries[:1]}
		entries = entries[1:]
		if err := c.Fold(b.Context(), one); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkQuery asks for one district of 38, 80 days in.
func BenchmarkQuery(b *testing.B) {
	c, err := OpenCounts("counts", Options{FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	l := newLoad()
	for range 80 {
		l.serial = (l.serial/200+1)*200 - 1 // one round of districts on each day
		var batch []eventstore.Commit
		for range 38 {
			commit, _ := l.commit()
			commit.Sequence = c.Folded() + uint64(len(batch)) + 1
			batch = append(batch, commit)
		}
		if err := c.Fold(b.Context(), batch...); err != nil {
			b.Fatal(err)
		}
	}
	now := CountsQuery{District: 208, AsOf: l.day, AsKnown: l.at.Add(time.Hour)}
	then := CountsQuery{District: 208, AsOf: l.day - 40, AsKnown: (l.day - 20).End()}
	for name, by := range map[string][]Dimension{"total": nil, "by group": {ByGroup}, "by day": {ByDay}, "total then": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				q := now
				if name == "total then" {
					q = then
				}
				q.By = by
				r, err := c.Query(b.Context(), q, nil)
				if err != nil || r.Registered == 0 {
					b.Fatal(r, err)
				}
			}
		})
	}
}

func BenchmarkPerson(b *testing.B) {
	p, err := OpenPeople(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	l := newLoad()
	var people []domain.PersonToken
	for range 200 {
		c, _ := l.commit()
		if err := p.Fold(b.Context(), c); err != nil {
			b.Fatal(err)
		}
		for _, e := range c.Entries {
			if r, ok := e.Event.(domain.PersonRegistered); ok {
				people = append(people, r.Person)
			}
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, err := p.Person(people[(i*7919)%len(people)]); err != nil {
			b.Fatal(err)
		}
	}
}
