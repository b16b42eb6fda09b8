package export

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"bahi/domain"
	"bahi/ledger"
)

// made makes n events of commits of 7, about people who register and get two doses,
// a day every 1,000 events, told as a ledger tells them.
func made(n int) []ledger.ReplayEvent {
	random := rand.New(rand.NewPCG(1, 2))
	events := make([]ledger.ReplayEvent, 0, n)
	approved := true
	frozen := int64(34829)
	for i := range n {
		day := domain.Date(2021, 1, 16) + domain.Day(i/1000)
		at := day.Start().Add(10*time.Hour + time.Duration(i%1000)*time.Second).In(domain.IndianStandardTime)
		e := ledger.ReplayEvent{
			Type: "registered", Day: day, Recorded: day, Person: fmt.Sprintf("%016x%08x", uint64(i/3)*0x9e3779b97f4a7c15, i/3),
			District: domain.District(188 + i%38), Group: domain.Group(1 + i/3%7), Sex: domain.Sex(1 + i/3%3), StatusAfter: domain.Unvaccinated,
			Commit: uint64(i/7 + 1), RecordedAt: &at,
		}
		if k := i % 3; k > 0 {
			e.Type, e.Dose, e.Vaccine, e.DoseDistrict = "dose", fmt.Sprint(k), domain.Vaccine(1+random.IntN(2)), e.District
			e.StatusBefore, e.StatusAfter = domain.Status(k), domain.Status(k+1)
		}
		switch i % 1000 {
		case 996:
			e.Type, e.Counted, e.RequestEnded = "registration_withdrawn", day-3, true
		case 997:
			e.Type, e.Approved, e.TakenBack = "reversal_decided", &approved, []string{"2:208:COVISHIELD", "precaution:212:COVAXIN"}
		case 998:
			e = ledger.ReplayEvent{Type: "frozen", Day: day, Recorded: day, District: 208, Mode: domain.Handover, FrozenPeople: &frozen, Commit: e.Commit, RecordedAt: &at}
		}
		if i%7 == 6 || i == n-1 {
			e.Through = e.Commit
		}
		events = append(events, e)
	}
	return events
}

// told yields events, as far as the query asks, and as far as they go.
func told(events []ledger.ReplayEvent, q ledger.ReplayQuery) iter.Seq2[ledger.ReplayEvent, error] {
	return func(yield func(ledger.ReplayEvent, error) bool) {
		for _, e := range events {
			if e.Commit < q.FromSequence || q.ToSequence != 0 && e.Commit > q.ToSequence {
				continue
			}
			if !q.Exact {
				e.Commit, e.RecordedAt = 0, nil
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}
