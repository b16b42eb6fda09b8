package access

import (
	"errors"
	"fmt"
	"time"

	"bahi/domain"
	"bahi/vault"
)

// Principal is who asks: what a token or a certificate stands for.
type Principal struct {
	Token        string          // id for limits, logs and audit: a token's id, "role:<role>", "cert:<12 hex digits>" or "nats:<district>:<centre>"; no secret
	Role         string          // one of [bahi/vault.Roles]
	District     domain.District // the only one that it may act in; 0: all
	Centre       string          // the only one that it may act as; "": all, which only role tokens may
	Officer      string          // who it is; "": the request names an officer
	Expires      time.Time       // zero: it does not
	Installation bool            // one of the installation's role tokens
}

// OverNATS is a centre that publishes over NATS: it showed its nkey to the server,
// and no token.
func OverNATS(district domain.District, centre string) Principal {
	return Principal{Token: fmt.Sprintf("nats:%d:%s", district, centre), Role: vault.RoleCentre, District: district, Centre: centre}
}

// Grant is what a token is to be issued for.
type Grant struct {
	Role     string
	District domain.District // needed for a centre and an officer, allowed for an analyst
	Centre   string          // needed for a centre
	Officer  string          // needed for an officer, allowed for an authority
	For      time.Duration   // how long it lives; 0: [DefaultLife]
}

// How long a token lives.
const (
	DefaultLife       = 8 * time.Hour
	LongestLife       = 30 * 24 * time.Hour
	LongestCentreLife = 90 * 24 * time.Hour // nobody is at a centre's machine every month
	shortestLife      = time.Minute
)

// Issued is a token that was issued. Its text is shown this once.
type Issued struct {
	Text string `json:"token"`
	Token
}

// Token is what the registry knows of a token: never its text. Of what is locked
// but was not issued here, such as an officer's use of a role token, it knows the
// id and the state alone.
type Token struct {
	ID       string          `json:"id"`
	Role     string          `json:"role,omitempty"`
	District domain.District `json:"district,omitempty"`
	Centre   string          `json:"centre,omitempty"`
	Officer  string          `json:"officer,omitempty"`
	Issued   time.Time       `json:"issued,omitzero"`
	Expires  time.Time       `json:"expires,omitzero"`
	By       string          `json:"by,omitempty"` // id of the token that asked for it
	State    State           `json:"state"`

	sequence uint64 // of the event by which it was issued
}

// State is whether a token lets anybody in.
type State string

// The states of a token. One that has expired is forgotten soon.
const (
	Valid   State = "valid"
	Locked  State = "locked"
	Revoked State = "revoked"
	Expired State = "expired"
)

// Centre is a vaccination centre that may connect: to NATS with its nkey, over HTTP with
// its certificate, or with tokens.
type Centre struct {
	District    domain.District `json:"district"`
	Code        string          `json:"centre"`
	NKey        string          `json:"nkey,omitempty"`        // public (U…), with which it signs in to NATS
	Certificate string          `json:"certificate,omitempty"` // SHA-256 of the public key of its client certificate, 64 hexadecimal digits
}

// ErrUnregistered is [ErrRevoked] of a token whose centre is not registered, though its
// district's centres are: it was removed, or never was.
var ErrUnregistered = fmt.Errorf("%w, once its centre is registered", ErrRevoked)

// Why somebody is not let in, and what cannot be done.
var (
	ErrUnknownToken = errors.New("the token is not one of this ledger's; ask for another")
	ErrExpired      = errors.New("the token has expired; ask for another")
	ErrRevoked      = errors.New("the token was revoked; ask for another")
	ErrLocked       = errors.New("the token is locked: it asked for too many people that it may not see or that are not known; the authority can unlock it")
	ErrNotHere      = errors.New("the installation's role tokens are for its own machine; have a token issued with `bahi token issue`")
	ErrForbidden    = errors.New("this role may not do this")
	ErrBadGrant     = errors.New("no token can be issued for this")
	ErrBadCentre    = errors.New("no centre can be registered so")
	ErrNotFound     = errors.New("there is none of that name")
	ErrTooMany      = errors.New("there are too many of them")
	ErrUnavailable  = errors.New("it cannot be told who may what")
)
