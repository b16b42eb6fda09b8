package ledger

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"sync"

	"bahi/domain"
	"bahi/eventstore"
)

// DefaultReadsPerDay is how many people's details an officer may open in a day
// when the operator set nothing else: more than a help desk needs, far fewer
// than a district has.
const DefaultReadsPerDay = 200

// readings counts what each officer has read today, as this node recorded it or
// found it recorded when it first looked.
type readings struct {
	mu     sync.Mutex
	day    domain.Day
	known  bool // what was recorded today before this node looked is counted
	counts map[string]int
}

func (l *Ledger) readsPerDay() int { return cmp.Or(l.config.ReadsPerDay, DefaultReadsPerDay) }

// takeReading counts one more reading of an officer, or answers ErrTooManyReads
// when there were as many as limit today.
func (l *Ledger) takeReading(ctx context.Context, officer string, limit int) error {
	r := &l.readings
	r.mu.Lock()
	defer r.mu.Unlock()
	today := domain.DayOf(l.now())
	if r.counts == nil || r.day != today {
		r.day, r.counts = today, map[string]int{}
	}
	if !r.known {
		recorded := map[string]int{}
		for read, err := range l.store.Audit(ctx, 0) {
			if err != nil {
				return err
			}
			if domain.DayOf(read.At) == today {
				recorded[read.Officer]++
			}
		}
		r.counts, r.known = recorded, true
	}
	if r.counts[officer] >= limit {
		return ErrTooManyReads
	}
	r.counts[officer]++
	return nil
}

// AuditList yields every recorded reading, oldest first.
func (l *Ledger) AuditList(ctx context.Context) iter.Seq2[eventstore.AuditRead, error] {
	return l.store.Audit(ctx, 0)
}

// AccessList yields every recorded access event, oldest first: tokens issued,
// revoked, locked and unlocked, centres added and removed.
func (l *Ledger) AccessList(ctx context.Context) iter.Seq2[eventstore.AuditAccess, error] {
	return l.store.Access(ctx, 0)
}

// AuditRow is how many readings an officer made on a day for a purpose in a
// district, and of how many people.
type AuditRow struct {
	Day      domain.Day      `json:"day"`
	Officer  string          `json:"officer"`
	Purpose  string          `json:"purpose"`
	District domain.District `json:"district"`
	Readings int             `json:"readings"`
	People   int             `json:"people"`
}

// AuditReport sums recorded readings up, in order of day, officer, purpose and
// district. It holds as many rows in memory as there are, and a token for each
// person read.
func AuditReport(reads iter.Seq2[eventstore.AuditRead, error]) ([]AuditRow, error) {
	type key struct {
		day              domain.Day
		officer, purpose string
		district         domain.District
	}
	rows := map[key]*AuditRow{}
	people := map[key]map[domain.PersonToken]bool{}
	for r, err := range reads {
		if err != nil {
			return nil, err
		}
		k := key{domain.DayOf(r.At), r.Officer, r.Purpose, r.District}
		if rows[k] == nil {
			rows[k] = &AuditRow{Day: k.day, Officer: k.officer, Purpose: k.purpose, District: k.district}
			people[k] = map[domain.PersonToken]bool{}
		}
		rows[k].Readings++
		if r.Person != (domain.PersonToken{}) { // a row in quarantine may name nobody
			people[k][r.Person] = true
		}
	}
	report := make([]AuditRow, 0, len(rows))
	for k, row := range rows {
		row.People = len(people[k])
		report = append(report, *row)
	}
	slices.SortFunc(report, func(a, b AuditRow) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Officer, b.Officer), cmp.Compare(a.Purpose, b.Purpose), cmp.Compare(a.District, b.District))
	})
	return report, nil
}
