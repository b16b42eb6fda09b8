package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"bahi/access"
	"bahi/domain"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
)

// everywhere stands for all districts together in the path of counts.
const everywhere = "all"

type countsInput struct {
	Code    string `path:"code" doc:"LGD code of the district, or all" example:"208"`
	By      string `query:"by" doc:"Split by district, group, sex, vaccine, day or day-known, several with commas" example:"group,sex"`
	AsOf    string `query:"as_of" doc:"Last day that is counted; by default today" example:"2021-03-04"`
	AsKnown string `query:"as_known" doc:"What was recorded up to this time, or to the end of this day, which is all that analysts may ask for; by default now" example:"2021-03-04"`
}

func (s *Server) counts(ctx context.Context, in *countsInput) (table, error) {
	q, err := in.query(exchangeOf(ctx).who)
	if err != nil {
		return table{}, err
	}
	if err := s.tabled(ctx, q); err != nil {
		return table{}, err
	}
	t, err := s.ledger.CountsTable(ctx, q)
	if err != nil {
		return table{}, err
	}
	head := t.Head
	head.AsKnown = ledger.ToldKnown(head.AsKnown) // asking again with it gives the same answer
	return tableOf(head, len(q.By) > 0, t.Rows()), nil
}

func (in *countsInput) query(who access.Principal) (q projections.CountsQuery, err error) {
	if in.Code == everywhere && who.District != 0 {
		return q, otherDistrict(who)
	}
	if in.Code != everywhere {
		if q.District, err = parseDistrictFor(who, "code", in.Code); err != nil {
			return q, err
		}
	}
	for name := range strings.SplitSeq(in.By, ",") {
		if name == "" {
			continue
		}
		d, err := projections.ParseDimension(name)
		if err != nil {
			return q, wrong("by", err)
		}
		q.By = append(q.By, d)
	}
	if slices.Contains(q.By, projections.ByDay) && slices.Contains(q.By, projections.ByDayKnown) {
		return q, wrong("by", fmt.Errorf("counts are split by day or by day-known, not by both"))
	}
	if in.AsOf != "" {
		if q.AsOf, err = domain.ParseDay(in.AsOf); err == nil && q.AsOf < 1 {
			err = errTooEarly
		}
		if err != nil {
			return q, wrong("as_of", err)
		}
	}
	if in.AsKnown != "" {
		if q.AsKnown, err = parseKnown(who, "as_known", in.AsKnown); err != nil {
			return q, err
		}
	}
	return q, nil
}

// parseKnown reads up to when something is known. An analyst's history has days, and
// so have the counts that an analyst is told: between two moments of one day they would
// tell when each entry was recorded.
func parseKnown(who access.Principal, parameter, text string) (time.Time, error) {
	known, err := parseLast(text)
	if err != nil {
		return known, wrong(parameter, err)
	}
	if who.Role == analyst && withinDay(known) {
		p := newProblem(http.StatusForbidden, codeForbidden, "an analyst is told what was known at the end of a day; give a day")
		p.Field = parameter
		return known, p
	}
	return known, nil
}

// parseLast reads a time, or a day, which means its last moment.
func parseLast(s string) (last time.Time, err error) {
	if day, notDay := domain.ParseDay(s); notDay == nil {
		last = day.End()
	} else if last, err = domain.ParseTime(s); err != nil {
		return last, err
	}
	if domain.DayOf(last) < 1 {
		return last, errTooEarly
	}
	return last, nil
}

// errTooEarly: a time that would be taken for none.
var errTooEarly = errors.New("nothing is kept of times before 1970-01-02; give a later one")

// wrong says which parameter cannot be understood. The domain's parsers name the
// form and not the value.
func wrong(field string, err error) *Problem {
	p := newProblem(http.StatusBadRequest, codeBadRequest, err.Error())
	p.Field = field
	return p
}

// authorityKey is the body that adopts a key.
type authorityKey struct {
	_ struct{} `additionalProperties:"false"`

	PublicKey string `json:"public_key" maxLength:"8192" doc:"Content of the authority's public key file"`
	At        string `json:"at,omitempty" doc:"For a sandbox ledger: when it is adopted, RFC 3339 or a day"`
}

type authorityKeyInput struct{ Body authorityKey }

// adoptedKey names the key that was adopted.
type adoptedKey struct {
	Key string `json:"key" doc:"SHA-256 of the public key, in hexadecimal"`
}

func (s *Server) adoptAuthorityKey(ctx context.Context, in *authorityKeyInput) (adoptedKey, error) {
	key, err := vault.ParseAuthorityPublicKey([]byte(in.Body.PublicKey))
	if err != nil {
		return adoptedKey{}, wrong("public_key", err)
	}
	at := time.Now()
	if in.Body.At != "" {
		if at, err = domain.ParseTime(in.Body.At); err != nil {
			return adoptedKey{}, wrong("at", err)
		}
	}
	if err := s.ledger.AdoptAuthorityKey(ctx, key, at); err != nil {
		return adoptedKey{}, err
	}
	return adoptedKey{fmt.Sprintf("%x", key.ID())}, nil
}

// parsePlace reads a place in the ledger: a sequence or a time, or neither.
func parsePlace(s string, parseTime func(string) (time.Time, error)) (sequence uint64, at time.Time, err error) {
	if s == "" {
		return 0, time.Time{}, nil
	}
	if sequence, err = strconv.ParseUint(s, 10, 64); err == nil {
		return sequence, time.Time{}, nil
	}
	at, err = parseTime(s)
	return 0, at, err
}
