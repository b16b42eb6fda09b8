package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"bahi/domain"
	"bahi/intake"
	"bahi/ledger"
)

// ListQuarantine tells what lies in quarantine, in codes and counts, as
// [intake.Quarantine.List] does.
func (c *Client) ListQuarantine(ctx context.Context, q intake.QuarantineQuery) (intake.QuarantinePage, error) {
	query := url.Values{}
	if q.District != 0 {
		query.Set("district", districtText(q.District))
	}
	set(query, "centre", q.Centre)
	if q.After != 0 {
		query.Set("after", strconv.FormatUint(q.After, 10))
	}
	setNumber(query, "limit", q.Limit)
	return call[intake.QuarantinePage](ctx, c, callPatience, request{method: http.MethodGet, path: "/v1/quarantine", query: query})
}

// ShowQuarantined opens something in quarantine for an officer, as
// [intake.Quarantine.Show] does; in which district is the token's.
func (c *Client) ShowQuarantined(ctx context.Context, r intake.QuarantineReading) (intake.QuarantineShown, error) {
	if err := domain.CheckOfficer(r.Officer); err != nil {
		return intake.QuarantineShown{}, fmt.Errorf("%w: %w", ledger.ErrBadRequest, err)
	}
	query := url.Values{"purpose": {r.Purpose}}
	setNumber(query, "after", r.After)
	setNumber(query, "limit", r.Limit)
	return call[intake.QuarantineShown](ctx, c, callPatience, request{
		method: http.MethodPost, path: quarantinePath(r.ID) + "/open", query: query, header: map[string]string{"Bahi-Officer": r.Officer},
	})
}

// RetryQuarantined submits what lies in quarantine again, as
// [intake.Quarantine.Retry] does.
func (c *Client) RetryQuarantined(ctx context.Context, id domain.UUID) (intake.QuarantineRetried, error) {
	return call[intake.QuarantineRetried](ctx, c, callPatience, request{method: http.MethodPost, path: quarantinePath(id) + "/retry"})
}

// DropQuarantined takes something out of quarantine for good, as
// [intake.Quarantine.Drop] does.
func (c *Client) DropQuarantined(ctx context.Context, id domain.UUID) (intake.Quarantined, error) {
	return call[intake.Quarantined](ctx, c, callPatience, request{method: http.MethodDelete, path: quarantinePath(id)})
}

func quarantinePath(id domain.UUID) string { return "/v1/quarantine/" + id.String() }

func setNumber(query url.Values, name string, n int) {
	if n != 0 {
		query.Set(name, strconv.Itoa(n))
	}
}
