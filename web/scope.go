package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"bahi/access"
	"bahi/domain"
	"bahi/formats"
	"bahi/intake"
	"bahi/ledger"
)

// districtFor returns the district that a question is about, 0 for all. Who is
// bound to one asks about it, by name or without naming any.
func districtFor(who access.Principal, asked domain.District) (domain.District, error) {
	if who.District == 0 || asked == who.District {
		return asked, nil
	}
	if asked == 0 {
		return who.District, nil
	}
	return 0, otherDistrict(who)
}

func otherDistrict(who access.Principal) *Problem {
	return newProblem(http.StatusForbidden, codeOtherDistrict, fmt.Sprintf("this token is bound to district %d", who.District))
}

// parseDistrictFor reads a parameter that names a district, or nothing for all.
func parseDistrictFor(who access.Principal, parameter, text string) (domain.District, error) {
	var asked domain.District
	if text != "" {
		var err error
		if asked, err = domain.ParseDistrict(text); err != nil {
			return 0, wrong(parameter, err)
		}
	}
	return districtFor(who, asked)
}

// officerFor returns on whose behalf a person is looked up: the token's officer,
// or for a token without one the officer that the request names. A centre's token
// stands for the centre, so that nobody gets further readings by further names.
func officerFor(who access.Principal, named string) (string, error) {
	is := who.Officer
	if is == "" && who.Centre != "" {
		is = fmt.Sprintf("centre-%d-%s", who.District, who.Centre)
	}
	if is == "" {
		return named, nil
	}
	if named != "" && named != is {
		return "", newProblem(http.StatusForbidden, codeOtherOfficer, "this token is another officer's; leave the officer out, or name the token's own")
	}
	return is, nil
}

// readerFor is who looks a person up. People of every district come to a centre;
// an officer sees those of one.
func readerFor(who access.Principal, named, purpose string) (ledger.Reader, error) {
	officer, err := officerFor(who, named)
	reader := ledger.Reader{Officer: officer, Purpose: purpose, District: who.District}
	if who.Role == centre {
		reader.District = 0
	}
	return reader, err
}

// looking looks a person up, unless the token or its officer has been locked for
// probing; and what finds nobody counts as a probe.
func looking[T any](ctx context.Context, s *Server, officer string, do func() (T, error)) (T, error) {
	var nothing T
	who := exchangeOf(ctx).who
	if err := s.access.MayLook(who, officer); err != nil {
		return nothing, err
	}
	answer, err := do()
	if err == nil || errors.Is(err, ledger.ErrFrozen) || errors.Is(err, ledger.ErrNotFound) {
		if locked := s.access.Looked(ctx, who, officer, err == nil); locked != nil {
			return nothing, locked
		}
	}
	return answer, err
}

// callerFor is on whose behalf submissions are decided. An authority that is bound
// to a district does not decide for the whole ledger.
func callerFor(who access.Principal) ledger.Caller {
	return ledger.Caller{Name: who.Role, Authority: who.Role == authority && who.District == 0}
}

// mayHave refuses what is not the sender's to submit: another centre's dose, an
// order or a decision in another officer's name.
func mayHave(who access.Principal, item formats.Item) formats.Item {
	if who.Centre != "" {
		item = intake.OwnedBy(item, who.District, who.Centre)
	}
	if who.Officer == "" {
		return item
	}
	by := ""
	switch s := item.Submission.(type) {
	case domain.Freeze:
		by = s.By
	case domain.ReversalDecision:
		by = s.By
	default:
		return item
	}
	if by != who.Officer {
		item.Submission = nil
		item.Reject = &domain.Rejection{Code: domain.CodeNotAllowed, Field: "by", Message: "the token is another officer's; put the token's own officer"}
	}
	return item
}
