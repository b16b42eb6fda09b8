package projections

import (
	"math"

	"bahi/domain"
)

// PersonRecord is what the view keeps of one person of an open cohort. Sealed
// parts open under the key of Cohort, with the wrapped keys where they are of an
// earlier epoch of it.
type PersonRecord struct {
	Cohort     domain.Cohort
	Sex        domain.Sex
	Registered domain.Day
	Commit     uint64 // the ledger sequence that holds the registration
	Sealed     []byte // details and tokens
	Status     domain.Status
	Doses      []DoseRecord     // standing, oldest first
	Reversals  []ReversalRecord // all, oldest first
	Wrapped    [][]byte         // keys, a freeze of listed persons each, oldest first
}

// DoseRecord is one standing dose with its sealed particulars.
type DoseRecord struct {
	domain.Dose
	Sealed []byte
}

// ReversalRecord is one request for a lower status and what became of it.
type ReversalRecord struct {
	Request   domain.UUID
	From      domain.Status
	To        domain.Status
	Reason    domain.Reason
	Requested domain.Day
	State     ReversalState
	Decided   domain.Day // 0 while it waits
	By        string     // who decided
}

// ReversalState is what became of a request for a lower status.
type ReversalState uint8

// The states of a reversal.
const (
	ReversalPending ReversalState = iota + 1
	ReversalApproved
	ReversalRejected
)

// String returns pending, approved or rejected.
func (s ReversalState) String() string {
	switch s {
	case ReversalPending:
		return "pending"
	case ReversalApproved:
		return "approved"
	case ReversalRejected:
		return "rejected"
	}
	return ""
}

// personRecord makes a record of a history.
func personRecord(history []byte) (PersonRecord, error) {
	return personRecordAsOf(history, math.MaxInt32)
}

// personRecordAsOf makes a record of what of a history counts on a day: a dose and
// its withdrawal count from the day of the dose, everything else from its own day, as
// in [domain.Counts]. Somebody who registered later is told as just registered.
func personRecordAsOf(history []byte, day domain.Day) (p PersonRecord, err error) {
	r := recordReader{b: history}
	standing := func(n domain.DoseNumber) {
		for i, d := range p.Doses {
			if d.Number == n {
				p.Doses = append(p.Doses[:i], p.Doses[i+1:]...)
				return
			}
		}
	}
	for r.next() {
		switch r.kind {
		case recordRegistered:
			e := r.registered()
			p = PersonRecord{Cohort: e.Cohort, Sex: e.Sex, Registered: e.Day, Commit: r.commit, Sealed: e.Sealed, Status: domain.Unvaccinated}
		case recordDose:
			e := r.dose()
			if e.Dose.Day > day {
				continue
			}
			e.Dose.Commit = r.commit
			standing(e.Dose.Number)
			p.Doses, p.Status = append(p.Doses, DoseRecord{e.Dose, e.Sealed}), e.After
		case recordDoseWithdrawn:
			e := r.doseWithdrawn()
			if e.Dose.Day > day {
				continue
			}
			standing(e.Dose.Number)
			p.Status = e.After
		case recordRequested:
			e := r.requested()
			if e.Day > day {
				continue
			}
			p.Reversals = append(p.Reversals, ReversalRecord{
				Request: e.Request, From: e.From, To: e.To, Reason: e.Reason, Requested: e.Day, State: ReversalPending,
			})
		case recordDecided:
			e := r.decided()
			if e.Day > day {
				continue
			}
			for _, d := range e.TakenBack {
				standing(d.Number)
			}
			p.Status = e.After
			for i := range p.Reversals {
				if v := &p.Reversals[i]; v.Request == e.Request {
					v.State, v.Decided, v.By = ReversalRejected, e.Day, e.By
					if e.Approved {
						v.State = ReversalApproved
					}
				}
			}
		case recordWrapped:
			p.Wrapped = append(p.Wrapped, r.bytes())
		default:
			return p, errHistory
		}
	}
	if r.bad {
		return p, errHistory
	}
	return p, nil
}
