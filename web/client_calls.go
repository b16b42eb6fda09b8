package web

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/formats"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
)

// Submit decides the submissions in their order and returns one verdict each, in
// the same order; what it may decide is the token's. At most [ledger.MaxBundle].
//
// After an error send the same bundle again: whatever was stored answers as a
// duplicate. An error that is [ledger.ErrUndecided] says that something may have
// been.
func (c *Client) Submit(ctx context.Context, submissions []domain.Submission) ([]domain.Verdict, error) {
	switch {
	case len(submissions) == 0:
		return nil, nil
	case len(submissions) > ledger.MaxBundle:
		return nil, fmt.Errorf("a bundle holds 1 to %d submissions", ledger.MaxBundle)
	}
	var body []byte
	for _, s := range submissions {
		body = append(formats.AppendSubmission(body, s), '\n')
	}
	verdicts := make([]domain.Verdict, 0, len(submissions))
	err := c.follow(ctx, request{method: http.MethodPost, path: "/v1/submissions", body: body, kind: ndjsonType}, func(line []byte) error {
		v, err := formats.ParseVerdict(line)
		if err != nil {
			return err
		}
		v.Line = 0 // of the request, which nobody wrote by hand
		verdicts = append(verdicts, v)
		return nil
	})
	var answered *Problem
	var unreachable *UnreachableError
	switch {
	case err == nil && len(verdicts) == len(submissions):
		return verdicts, nil
	case err == nil:
		return nil, fmt.Errorf("%w (%d of %d verdicts came)", ledger.ErrUndecided, len(verdicts), len(submissions))
	case errors.As(err, &answered), errors.As(err, &unreachable), ctx.Err() != nil:
		return nil, err
	}
	return nil, fmt.Errorf("%w (%w)", ledger.ErrUndecided, err)
}

// Counts answers the count-only view, as [ledger.Ledger.Counts] does.
func (c *Client) Counts(ctx context.Context, q projections.CountsQuery) (result projections.CountsResult, err error) {
	var rows []projections.CountsRow
	if len(q.By) > 0 {
		rows = []projections.CountsRow{}
	}
	err = c.TellCounts(ctx, q, func(head projections.CountsResult) error {
		result = head
		return nil
	}, func(row projections.CountsRow) error {
		rows = append(rows, row)
		return nil
	})
	if err != nil {
		return projections.CountsResult{}, err
	}
	result.By = rows
	return result, nil
}

// TellCounts answers the count-only view row by row, as [ledger.Ledger.TellCounts] does.
// An answer that breaks off is an error, though rows of it were told.
func (c *Client) TellCounts(ctx context.Context, q projections.CountsQuery, head func(projections.CountsResult) error, row func(projections.CountsRow) error) error {
	code, query := countsPath(q)
	return tell(ctx, c, request{method: http.MethodGet, path: "/v1/districts/" + code + "/counts", query: query}, head, row)
}

// countsPath is a count query on the wire: the district in the path, and the rest.
func countsPath(q projections.CountsQuery) (code string, query url.Values) {
	code = everywhere
	if q.District != 0 {
		code = districtText(q.District)
	}
	query = url.Values{}
	by := make([]string, len(q.By))
	for i, d := range q.By {
		by[i] = d.String()
	}
	set(query, "by", strings.Join(by, ","))
	if q.AsOf != 0 {
		query.Set("as_of", q.AsOf.String())
	}
	set(query, "as_known", timeText(q.AsKnown))
	return code, query
}

// Person opens one person's details for an officer, as [ledger.Ledger.Person]
// does and with the same errors. Whose people may be asked about is the service's
// to know, not the reader's to say. The officer may be left out where the token is
// an officer's own.
func (c *Client) Person(ctx context.Context, number domain.Reference, reader ledger.Reader) (ledger.PersonDetails, error) {
	if err := checkLookUp(number, reader); err != nil {
		return ledger.PersonDetails{}, err
	}
	body := lookUp{Reference: string(number), Purpose: reader.Purpose, Officer: reader.Officer}
	if reader.AsOf != 0 {
		body.AsOf = reader.AsOf.String()
	}
	p, err := post[ledger.PersonDetails](ctx, c, "/v1/people/lookup", body)
	for i := range p.Doses {
		p.Doses[i].Dose = doseNumber(p.Doses[i].Dose)
	}
	return p, err
}

// NextDose tells what has to be known for the next dose, as
// [ledger.Ledger.NextDose] does and with the same errors.
func (c *Client) NextDose(ctx context.Context, number domain.Reference, reader ledger.Reader, on domain.Day) (ledger.NextDose, error) {
	if err := checkLookUp(number, reader); err != nil {
		return ledger.NextDose{}, err
	}
	body := lookUpNextDose{Reference: string(number), Officer: reader.Officer}
	if on != 0 {
		body.On = on.String()
	}
	n, err := post[ledger.NextDose](ctx, c, "/v1/people/next-dose", body)
	if n.Last != nil {
		n.Last.Dose = doseNumber(n.Last.Dose)
	}
	if n.Next != nil {
		n.Next.Dose = doseNumber(n.Next.Dose)
	}
	return n, err
}

// checkLookUp refuses here what the service would refuse anyway.
func checkLookUp(number domain.Reference, reader ledger.Reader) error {
	err := number.Check()
	if err == nil && reader.Officer != "" {
		err = domain.CheckOfficer(reader.Officer)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ledger.ErrBadRequest, err)
	}
	return nil
}

// doseNumber is a dose as the ledger has it: JSON knows no integers.
func doseNumber(dose any) any {
	if n, ok := dose.(float64); ok {
		return int(n)
	}
	return dose
}

// Freeze orders a freeze and waits for its receipt, as [ledger.Ledger.Freeze]
// does. When the answer does not come, the same order again gets the receipt.
func (c *Client) Freeze(ctx context.Context, f domain.Freeze) (ledger.FreezeReceipt, error) {
	return call[ledger.FreezeReceipt](ctx, c, freezePatience, request{
		method: http.MethodPost, path: "/v1/freezes", body: formats.AppendSubmission(nil, f), kind: "application/json",
	})
}

// PendingReversals lists the requests that wait, as
// [ledger.Ledger.PendingReversals] does.
func (c *Client) PendingReversals(ctx context.Context, district domain.District, on domain.Day) ([]ledger.PendingReversal, error) {
	query := url.Values{}
	if district != 0 {
		query.Set("district", districtText(district))
	}
	if on != 0 {
		query.Set("on", on.String())
	}
	return call[[]ledger.PendingReversal](ctx, c, callPatience, request{method: http.MethodGet, path: "/v1/reversals", query: query})
}

// Replay yields history, as [ledger.Ledger.Replay] does. The request begins when
// the sequence is ranged over, and ends when that ends; an error is the last pair.
func (c *Client) Replay(ctx context.Context, q ledger.ReplayQuery) iter.Seq2[ledger.ReplayEvent, error] {
	query := url.Values{}
	set(query, "from", placeText(q.FromSequence, q.FromTime))
	set(query, "to", placeText(q.ToSequence, q.ToTime))
	if q.District != 0 {
		query.Set("district", districtText(q.District))
	}
	set(query, "type", q.Type)
	if q.Exact {
		query.Set("exact", "true")
	}
	if q.Follow {
		query.Set("follow", "true")
	}
	header := map[string]string{}
	if len(q.Key) > 0 {
		header[pseudonymKeyHeader] = hex.EncodeToString(q.Key)
	}
	return values[ledger.ReplayEvent](ctx, c, request{method: http.MethodGet, path: "/v1/events", query: query, header: header})
}

// Projections tells where every view stands.
func (c *Client) Projections(ctx context.Context) ([]projections.ViewStatus, error) {
	return call[[]projections.ViewStatus](ctx, c, callPatience, request{method: http.MethodGet, path: "/v1/projections"})
}

// Info describes the ledger.
func (c *Client) Info(ctx context.Context) (ledger.Info, error) {
	return call[ledger.Info](ctx, c, callPatience, request{method: http.MethodGet, path: "/v1/ledger"})
}

// AdoptAuthorityKey makes handovers go to this key from now on, as
// [ledger.Ledger.AdoptAuthorityKey] does.
func (c *Client) AdoptAuthorityKey(ctx context.Context, key vault.AuthorityPublicKey, at time.Time) error {
	body, err := json.Marshal(authorityKey{PublicKey: string(key.Marshal()), At: timeText(at)})
	if err != nil {
		return fmt.Errorf("write the authority's key: %w", err)
	}
	_, err = call[adoptedKey](ctx, c, callPatience, request{method: http.MethodPost, path: "/v1/authority-key", body: body, kind: "application/json"})
	return err
}

// AuditList yields every recorded reading, oldest first, as
// [ledger.Ledger.AuditList] does; see [Client.Replay].
func (c *Client) AuditList(ctx context.Context) iter.Seq2[eventstore.AuditRead, error] {
	return func(yield func(eventstore.AuditRead, error) bool) {
		for line, err := range values[auditLine](ctx, c, request{method: http.MethodGet, path: "/v1/audit"}) {
			var read eventstore.AuditRead
			if err == nil {
				read, err = line.read()
			}
			if !yield(read, err) || err != nil {
				return
			}
		}
	}
}

// IntakeKey returns the public key that bundles published to NATS are sealed to.
func (c *Client) IntakeKey(ctx context.Context) ([]byte, error) {
	k, err := call[intakeKey](ctx, c, callPatience, request{method: http.MethodGet, path: "/v1/intake-key"})
	return k.PublicKey, err
}

func naming(tell func(name string, done, total uint64)) func(projections.Progress) {
	return func(p projections.Progress) {
		if tell != nil {
			tell(p.View, p.Done, p.Total)
		}
	}
}

func set(query url.Values, name, value string) {
	if value != "" {
		query.Set(name, value)
	}
}

func districtText(d domain.District) string { return strconv.Itoa(int(d)) }

// timeText is a time on the wire, or "" for the zero time.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(domain.IndianStandardTime).Format(time.RFC3339Nano)
}

func placeText(sequence uint64, at time.Time) string {
	if sequence != 0 {
		return strconv.FormatUint(sequence, 10)
	}
	return timeText(at)
}
