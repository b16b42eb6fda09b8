package projections

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
	"bahi/eventstore"
)

// listedHistory is a ledger in which people of one cohort are registered, and
// then some of them listed by an order.
type listedHistory struct {
	commits []eventstore.Commit
	sealed  map[domain.PersonToken][]byte
	people  []domain.PersonToken
	listed  []domain.PersonToken
	from    domain.Cohort
	to      domain.Cohort
	freeze  domain.UUID
}

func newListedHistory(people int) *listedHistory {
	h := &listedHistory{
		sealed: map[domain.PersonToken][]byte{},
		from:   domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 1},
		to:     domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 2},
		freeze: domain.UUID{9, 15: 9},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	at := time.Date(2021, 1, 16, 4, 0, 0, 0, time.UTC)
	commit := func(district domain.District, events ...domain.Event) {
		c := eventstore.Commit{Sequence: uint64(len(h.commits)) + 1, District: district}
		for _, e := range events {
			c.Entries = append(c.Entries, eventstore.Entry{Recorded: at, Event: e})
		}
		h.commits = append(h.commits, c)
	}
	commit(0, domain.LedgerFounded{Origin: "test"})
	var bundle []domain.Event
	for range people {
		var p domain.PersonToken
		binary.BigEndian.PutUint64(p[:], rng.Uint64())
		sealed := make([]byte, 300)
		for i := range sealed {
			sealed[i] = byte(rng.Uint32())
		}
		h.people, h.sealed[p] = append(h.people, p), sealed
		bundle = append(bundle, domain.PersonRegistered{Person: p, Cohort: h.from, Sex: domain.Female, Day: domain.DayOf(at), Sealed: sealed})
		if len(bundle) == 500 {
			commit(208, bundle...)
			bundle = nil
		}
	}
	commit(208, bundle...)
	h.listed = []domain.PersonToken{h.people[people/3], h.people[people/2]}
	order := domain.FreezeOrdered{
		Freeze: h.freeze, District: 208, Mode: domain.Erase, Listed: 2, Day: domain.DayOf(at),
		Cohorts: []domain.CohortSize{{Cohort: h.to, People: 2}}, Rekeyed: []domain.CohortEpoch{{Cohort: h.from, Epoch: 2}},
	}
	for _, p := range h.listed {
		order.Moved = append(order.Moved, domain.PersonMoved{Person: p, From: h.from, To: h.to, Sex: domain.Female, Status: domain.Unvaccinated, Day: domain.DayOf(at)})
	}
	commit(0, order)
	return h
}

// check asks for everybody.
func (h *listedHistory) check(t *testing.T, p *People, when string) {
	t.Helper()
	for i, token := range h.people {
		record, err := p.Person(token)
		if slices.Contains(h.listed, token) {
			if !errors.Is(err, ErrFrozen) {
				t.Errorf("%s: person %d, who is listed: %v", when, i, err)
			}
			continue
		}
		if err != nil || !slices.Equal(record.Sealed, h.sealed[token]) {
			t.Fatalf("%s: person %d: %v", when, i, err)
		}
	}
}

// found counts the files that hold the ends of what was sealed of the listed.
func (h *listedHistory) found(t *testing.T, disk vfs.FS, dir string) int {
	t.Helper()
	var needles [][]byte
	for _, p := range h.listed {
		needles = append(needles, h.sealed[p][280:])
	}
	files, err := search(disk, dir, needles)
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// The rows of two among thousands go from every table, and only theirs, whatever
// the view had folded when it was told: everything, a part, or nothing.
func TestListedPersonsArePurged(t *testing.T) {
	t.Parallel()
	h := newListedHistory(8_000)
	order := h.commits[len(h.commits)-1]
	for name, told := range map[string]int{"in its time": len(h.commits) - 1, "before its time": len(h.commits) * 2 / 3, "first": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := vfs.NewMem()
			p, err := OpenPeople("people", small(disk))
			if err != nil {
				t.Fatal(err)
			}
			rows := (*peopleRows)(p.live.Load())
			foretell := func() {
				if err := p.Foresee(order); err != nil {
					t.Fatal(err)
				}
			}
			for i, c := range h.commits {
				if i == told {
					if err := rows.flush(t.Context()); err != nil {
						t.Fatal(err)
					}
					if told > 0 && h.found(t, disk, rows.dir) == 0 {
						t.Fatal("what is to go is in no file")
					}
					if c.District != 0 {
						foretell()
						foretell()
					}
				}
				if told == 0 && i == 0 {
					foretell()
				}
				if err := p.Fold(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			h.check(t, p, "folded")
			purged, err := p.Purge(t.Context(), h.freeze)
			if err != nil || purged != (Purged{Rows: 2}) {
				t.Errorf("purged %+v, %v", purged, err)
			}
			if n := h.found(t, disk, rows.dir); n != 0 {
				t.Errorf("%d files hold what was purged", n)
			}
			h.check(t, p, "purged")
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
			if p, err = OpenPeople("people", small(disk)); err != nil {
				t.Fatal(err)
			}
			h.check(t, p, "opened again")
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A freeze cut off before its purge still knows what must not be found.
func TestSamplesOfListedOutliveACrash(t *testing.T) {
	t.Parallel()
	h := newListedHistory(200)
	disk := vfs.NewMem()
	p, err := OpenPeople("people", small(disk))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range h.commits {
		if i == len(h.commits)-1 {
			if err := (*peopleRows)(p.live.Load()).flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.Fold(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if p, err = OpenPeople("people", small(disk)); err != nil {
		t.Fatal(err)
	}
	rows := (*peopleRows)(p.live.Load())
	if f := rows.freezes[h.freeze]; len(f.samples) != 2 || f.purged || f.rows != 2 || !slices.Equal(f.within, []domain.Cohort{h.from}) {
		t.Errorf("after a crash the view remembers %+v", f)
	}
	if purged, err := p.Purge(t.Context(), h.freeze); err != nil || purged != (Purged{Rows: 2}) {
		t.Errorf("purged %+v, %v", purged, err)
	}
	if f := rows.freezes[h.freeze]; len(f.samples) != 0 {
		t.Error("samples outlive what they are of")
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
}

// A register is told orders one by one as they come: what a later one says of a freeze
// that is not folded yet is noted all the same.
func TestOrdersForeseenOneByOne(t *testing.T) {
	t.Parallel()
	h := newListedHistory(20)
	order := h.commits[len(h.commits)-1]
	r, err := OpenRegister("register", nil, small(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for i, event := range []domain.Event{order.Entries[0].Event, domain.PhotoIDsComplete{Freeze: h.freeze}, domain.SurvivorsRekeyed{Freeze: h.freeze}} {
		c := eventstore.Commit{Sequence: order.Sequence + uint64(10*i), Entries: []eventstore.Entry{{Event: event}}}
		if err := r.Foresee(c); err != nil {
			t.Fatal(err)
		}
	}
	rows := (*registerRows)(r.live.Load())
	if !rows.foresaw(h.to, h.people[0], 2) || !rows.foresaw(h.from, h.listed[0], 2) || rows.foresaw(h.from, h.people[0], 2) {
		t.Error("whose tokens are kept as a set is not noted")
	}
	if got := rows.rekeyedFrom(h.from); got != order.Sequence+20 {
		t.Errorf("rekeyed from %d", got)
	}
}
