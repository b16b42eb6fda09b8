package domain

import "fmt"

// Verdict is the answer to one submission.
type Verdict struct {
	ID      string // as the submission gave it; empty when it had none
	Line    int    // 1-based line of the input; 0 when the id says enough
	Outcome Outcome
	Person  Reference // who it was about, where the answer may say so
	Commit  uint64    // ledger sequence that holds the event; 0 about a frozen person
	Reject  *Rejection
	Dropped []string // names of foreign fields that were not collected
}

// Outcome is what became of a submission.
type Outcome uint8

// The outcomes.
const (
	Accepted  Outcome = iota + 1 // the event is in the ledger, flushed
	Duplicate                    // the ledger holds it already
	Rejected                     // it is not in the ledger; Rejection says why
)

// String returns accepted, duplicate or rejected.
func (o Outcome) String() string {
	return code([]string{"", "accepted", "duplicate", "rejected"}, int(o))
}

// Rejection is why a submission was refused: a stable code for machines, the
// field to look at, and a sentence that helps a clerk mend the row. It never
// holds personal data.
type Rejection struct {
	Code    Code
	Field   string
	Message string
}

func (r *Rejection) Error() string { return string(r.Code) + ": " + r.Message }

// Bare returns the rejection without its sentence, which may tell dates or a
// vaccine: about a frozen person a verdict tells no particulars.
func (r *Rejection) Bare() *Rejection { return &Rejection{Code: r.Code} }

func reject(c Code, field, format string, args ...any) *Rejection {
	return &Rejection{Code: c, Field: field, Message: fmt.Sprintf(format, args...)}
}

// AlreadyHeld is the error of [Decide] for a submission that the ledger holds.
type AlreadyHeld struct {
	Commit uint64 // the ledger sequence that holds it
}

func (d *AlreadyHeld) Error() string { return "the ledger holds this already" }
