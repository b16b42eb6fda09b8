package formats

import (
	"encoding/json"
	"errors"
	"fmt"

	"bahi/domain"
)

// ParseVerdict reads what [AppendVerdict] writes. Fields that it does not know
// are passed over, so that a centre's program outlives the ledger's next
// version.
func ParseVerdict(b []byte) (domain.Verdict, error) {
	var w struct {
		ID      string           `json:"id"`
		Line    int              `json:"line"`
		Verdict string           `json:"verdict"`
		Person  domain.Reference `json:"person"`
		Commit  uint64           `json:"commit"`
		Code    domain.Code      `json:"code"`
		Field   string           `json:"field"`
		Message string           `json:"message"`
		Dropped []string         `json:"dropped"`
	}
	if err := json.Unmarshal(b, &w); err != nil {
		// The decoder's own error may quote what it read.
		return domain.Verdict{}, errors.New("a verdict is not the JSON it should be")
	}
	v := domain.Verdict{ID: w.ID, Line: w.Line, Person: w.Person, Commit: w.Commit, Dropped: w.Dropped}
	for _, o := range []domain.Outcome{domain.Accepted, domain.Duplicate, domain.Rejected} {
		if w.Verdict == o.String() {
			v.Outcome = o
		}
	}
	switch {
	case v.Outcome == 0:
		return domain.Verdict{}, fmt.Errorf("a verdict is neither %s nor %s nor %s", domain.Accepted, domain.Duplicate, domain.Rejected)
	case v.ID == "" && v.Line < 1:
		return domain.Verdict{}, errors.New("a verdict names neither an id nor a line")
	case v.Outcome == domain.Rejected && w.Code == "":
		return domain.Verdict{}, errors.New("a rejection has no code")
	case v.Outcome == domain.Rejected:
		v.Reject = &domain.Rejection{Code: w.Code, Field: w.Field, Message: w.Message}
	}
	return v, nil
}
