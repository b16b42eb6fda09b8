package intake

import (
	"encoding/json"
	"time"

	"bahi/domain"
)

// Quarantined is what can be told of something in quarantine without opening it:
// codes and counts.
type Quarantined struct {
	ID       domain.UUID         `json:"id"`
	District domain.District     `json:"district"`         // whose people it is about, and whose freeze ends it; 0 when nothing of the content is kept for want of a district
	Centre   string              `json:"centre"`           // who published it
	From     domain.District     `json:"from"`             // the centre's district
	Bundle   string              `json:"bundle,omitempty"` // the id that the centre gave its bundle, if it gave one
	Code     BundleCode          `json:"code"`             // [CodeRejected], or why the bundle as a whole could not be taken in
	Codes    map[domain.Code]int `json:"codes,omitempty"`  // how many rows were refused with which code
	Rows     int                 `json:"rows"`             // rows in it
	Kept     int                 `json:"kept"`             // of them, rows whose submission is kept and can be tried again
	Tries    int                 `json:"tries"`            // how often they were
	Since    time.Time           `json:"since"`            // when it came
	Expires  time.Time           `json:"expires"`          // when it goes by itself
}

// CodeRejected stands on what was refused row by row: the bundle was taken in,
// and these of its submissions were not.
const CodeRejected BundleCode = "rejected"

// QuarantineQuery asks for a page of the quarantine. Zero values ask for all.
type QuarantineQuery struct {
	District domain.District
	Centre   string
	After    uint64 // Next of the page before
	Limit    int    // 1 to 1,000; 0 stands for 100
}

// QuarantinePage is a part of a list, oldest first.
type QuarantinePage struct {
	Items []Quarantined `json:"items"`
	Next  uint64        `json:"next,omitempty"` // After of the next page; 0 on the last one
}

// QuarantineReading asks to open something in quarantine. It shows people's
// details, so it is recorded like the reading of a person's, and each row that
// holds any counts as one.
type QuarantineReading struct {
	ID       domain.UUID
	District domain.District // the only one whose people the officer may read; 0: any
	Officer  string
	Purpose  string // one of ledger.Purposes
	After    int    // Next of the page before
	Limit    int    // rows, 1 to 100; 0 stands for 20
}

// QuarantineShown is something in quarantine, opened.
type QuarantineShown struct {
	Quarantined
	Shown []QuarantinedRow `json:"shown"`
	Next  int              `json:"next,omitempty"` // After of the next page; 0 on the last one
}

// QuarantinedRow is one refused submission.
type QuarantinedRow struct {
	Row        int             `json:"row"`                  // from 1
	Verdict    json.RawMessage `json:"verdict,omitempty"`    // as the centre was told; none where a bundle failed as a whole
	Submission json.RawMessage `json:"submission,omitempty"` // in the native format, where it is kept and may be shown
	Withheld   bool            `json:"withheld,omitempty"`   // it is kept, and about somebody who is frozen by now, or known in another district
}

// QuarantineRetried is what became of a further attempt.
type QuarantineRetried struct {
	Quarantined     // as it stands now; with no rows it has left the quarantine
	Accepted    int `json:"accepted"`
	Duplicate   int `json:"duplicate"`
	Rejected    int `json:"rejected"` // again; they stay, with their new reasons
}
