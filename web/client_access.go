package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"bahi/access"
	"bahi/domain"
	"bahi/eventstore"
)

// tokenRequest is what a token is to be issued for, on the wire.
type tokenRequest struct {
	Role     string          `json:"role" doc:"centre, officer, analyst, operator, authority or auditor" example:"centre"`
	District domain.District `json:"district,omitempty" doc:"Local Government Directory code of the only district it may act in; needed for a centre and an officer" example:"208"`
	Centre   string          `json:"centre,omitempty" maxLength:"32" doc:"Code of the only centre it may act as; needed for a centre" example:"208001"`
	Officer  string          `json:"officer,omitempty" maxLength:"64" doc:"Id of the officer who it is for; needed for an officer" example:"dio-muzaffarpur"`
	Life     string          `json:"life,omitempty" maxLength:"16" doc:"How long it lives, such as 8h, which is the default; at most 720h, of a centre 2160h" example:"8h"`
}

func tokenRequestOf(g access.Grant) tokenRequest {
	r := tokenRequest{Role: g.Role, District: g.District, Centre: g.Centre, Officer: g.Officer}
	if g.For != 0 {
		r.Life = g.For.String()
	}
	return r
}

func (r tokenRequest) grant() (access.Grant, error) {
	g := access.Grant{Role: r.Role, District: r.District, Centre: r.Centre, Officer: r.Officer}
	if r.Life == "" {
		return g, nil
	}
	life, err := time.ParseDuration(r.Life)
	if err != nil || life <= 0 {
		return g, fmt.Errorf("%w: a life is a duration such as 8h", access.ErrBadGrant)
	}
	g.For = life
	return g, nil
}

// accessLine is an access event on the wire.
type accessLine struct {
	Sequence    uint64                `json:"sequence"`
	At          time.Time             `json:"at"`
	Kind        eventstore.AccessKind `json:"kind" doc:"token_issued, token_revoked, token_locked, token_unlocked, centre_added or centre_removed"`
	Token       string                `json:"token,omitempty" doc:"The token's id; its text is kept nowhere"`
	Role        string                `json:"role,omitempty"`
	District    domain.District       `json:"district,omitempty"`
	Centre      string                `json:"centre,omitempty"`
	Officer     string                `json:"officer,omitempty"`
	Expires     time.Time             `json:"expires,omitzero"`
	By          string                `json:"by" doc:"Id of the token that asked for it; \"ledger\" when the ledger did it by itself"`
	NKey        string                `json:"nkey,omitempty" doc:"The centre's public key for NATS"`
	Certificate string                `json:"certificate,omitempty" doc:"SHA-256 of the public key of the centre's certificate, in hexadecimal"`
}

func accessLineOf(a eventstore.AuditAccess) accessLine {
	l := accessLine{
		Sequence: a.Sequence, At: a.At.In(domain.IndianStandardTime), Kind: a.Kind, Token: a.Token, Role: a.Role, District: a.District,
		Centre: a.Centre, Officer: a.Officer, By: a.By, NKey: a.NKey, Certificate: hex.EncodeToString(a.Certificate),
	}
	if !a.Expires.IsZero() {
		l.Expires = a.Expires.In(domain.IndianStandardTime)
	}
	return l
}

func (l accessLine) event() (eventstore.AuditAccess, error) {
	a := eventstore.AuditAccess{
		Sequence: l.Sequence, At: l.At.UTC(), Kind: l.Kind, Token: l.Token, Role: l.Role, District: l.District,
		Centre: l.Centre, Officer: l.Officer, By: l.By, NKey: l.NKey,
	}
	if !l.Expires.IsZero() {
		a.Expires = l.Expires.UTC()
	}
	var err error
	if l.Certificate != "" {
		a.Certificate, err = hex.DecodeString(l.Certificate)
	}
	if err != nil {
		return eventstore.AuditAccess{}, errors.New("a line of the audit has a certificate that is not hexadecimal")
	}
	return a, nil
}

// AccessList yields every recorded access event, oldest first, as
// [ledger.Ledger.AccessList] does; see [Client.Replay].
func (c *Client) AccessList(ctx context.Context) iter.Seq2[eventstore.AuditAccess, error] {
	return func(yield func(eventstore.AuditAccess, error) bool) {
		for line, err := range values[accessLine](ctx, c, request{method: http.MethodGet, path: "/v1/audit/access"}) {
			var a eventstore.AuditAccess
			if err == nil {
				a, err = line.event()
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

// IssueToken issues a token, as [access.Registry.Issue] does. A second token is not
// issued when the call is sent again because a connection broke.
func (c *Client) IssueToken(ctx context.Context, g access.Grant) (access.Issued, error) {
	return post[access.Issued](ctx, c, "/v1/tokens", tokenRequestOf(g), [2]string{keyHeader, rand.Text()})
}

// RevokeToken ends a token by its id, as [access.Registry.Revoke] does.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	if err := access.CheckID(id); err != nil { // what is no id does not become part of a path
		return err
	}
	_, err := call[struct{}](ctx, c, callPatience, request{method: http.MethodDelete, path: "/v1/tokens/" + id})
	return err
}

// UnlockToken takes a lock off, as [access.Registry.Unlock] does.
func (c *Client) UnlockToken(ctx context.Context, id string) error {
	if err := access.CheckID(id); err != nil {
		return err
	}
	_, err := call[struct{}](ctx, c, callPatience, request{method: http.MethodPost, path: "/v1/tokens/" + id + "/unlock"})
	return err
}

// Tokens returns what is known of tokens, as [access.Registry.Tokens] does.
func (c *Client) Tokens(ctx context.Context) ([]access.Token, error) {
	return call[[]access.Token](ctx, c, callPatience, request{method: http.MethodGet, path: "/v1/tokens"})
}

// AddCentre lets a centre connect, as [access.Registry.AddCentre] does.
func (c *Client) AddCentre(ctx context.Context, centre access.Centre) error {
	_, err := post[struct{}](ctx, c, "/v1/centres", centre)
	return err
}

// RemoveCentre shuts a centre out, as [access.Registry.RemoveCentre] does.
func (c *Client) RemoveCentre(ctx context.Context, district domain.District, code string) error {
	if err := domain.CheckCentre(code); err != nil {
		return fmt.Errorf("%w: %w", access.ErrBadCentre, err)
	}
	_, err := call[struct{}](ctx, c, callPatience, request{method: http.MethodDelete, path: "/v1/centres/" + districtText(district) + "/" + code})
	return err
}

// Centres returns the centres that may connect, as [access.Registry.Centres] does.
func (c *Client) Centres(ctx context.Context) ([]access.Centre, error) {
	return call[[]access.Centre](ctx, c, callPatience, request{method: http.MethodGet, path: "/v1/centres"})
}

// post sends one JSON value and reads one.
func post[T any](ctx context.Context, c *Client, path string, v any, header ...[2]string) (answer T, err error) {
	r := request{method: http.MethodPost, path: path, kind: "application/json", header: map[string]string{}}
	if r.body, err = json.Marshal(v); err != nil {
		return answer, fmt.Errorf("write the request: %w", err)
	}
	for _, h := range header {
		r.header[h[0]] = h[1]
	}
	return call[T](ctx, c, callPatience, r)
}
