package access

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"bahi/domain"
)

const (
	audience = "bahi"
	leeway   = 5 * time.Second // between the clocks of two nodes
)

// claims are what a signed token says. The registered ones are iss, aud, jti, iat,
// nbf and exp; all of them are there.
type claims struct {
	jwt.RegisteredClaims
	Role     string          `json:"role"`
	District domain.District `json:"district,omitempty"`
	Centre   string          `json:"centre,omitempty"`
	Officer  string          `json:"officer,omitempty"`
}

// signed makes and knows the tokens that the registry issues: JWTs, signed with
// Ed25519 and nothing else.
type signed struct {
	origin string
	key    crypto.Signer
	now    func() time.Time
	issued func(id string) (Token, bool)

	mu    sync.Mutex
	known *lru[string] // the ids of tokens whose texts were verified, by SHA-256 of these
}

func (s *signed) sign(t Token) (string, error) {
	text, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: s.origin, Audience: jwt.ClaimStrings{audience}, ID: t.ID,
			IssuedAt: jwt.NewNumericDate(t.Issued), NotBefore: jwt.NewNumericDate(t.Issued), ExpiresAt: jwt.NewNumericDate(t.Expires),
		},
		Role: t.Role, District: t.District, Centre: t.Centre, Officer: t.Officer,
	}).SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("sign a token: %w", err)
	}
	return text, nil
}

// Verify implements [Verifier]. A token that was not issued on record lets nobody
// in, however well it is signed: who takes the key alone gets nowhere.
//
// A signature is checked when a text comes for the first time, which takes some
// 100 µs; whether the token still stands, every time.
func (s *signed) Verify(_ context.Context, bearer string) (Principal, bool, error) {
	sum := sha256.Sum256([]byte(bearer))
	s.mu.Lock()
	id, verified := s.known.get(string(sum[:]))
	s.mu.Unlock()
	if !verified {
		if issuer, ok := issuerOf(bearer); !ok || issuer != s.origin {
			return Principal{}, false, nil
		}
		var err error
		if id, err = s.verify(bearer); err != nil {
			return Principal{}, true, err
		}
		s.mu.Lock()
		if _, ok := s.known.get(string(sum[:])); !ok {
			s.known.put(string(sum[:]), id)
		}
		s.mu.Unlock()
	}
	t, ok := s.issued(id)
	switch {
	case !ok:
		return Principal{}, true, ErrUnknownToken
	case t.State == Revoked:
		return Principal{}, true, ErrRevoked
	}
	return Principal{Token: t.ID, Role: t.Role, District: t.District, Centre: t.Centre, Officer: t.Officer, Expires: t.Expires}, true, nil
}

// verify returns the id of a token whose signature and times are right and which
// says what was issued.
func (s *signed) verify(bearer string) (id string, err error) {
	var c claims
	_, err = jwt.ParseWithClaims(bearer, &c, func(*jwt.Token) (any, error) { return s.key.Public(), nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithStrictDecoding(),
		jwt.WithIssuer(s.origin), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway), jwt.WithTimeFunc(s.now))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "", ErrExpired
	case err != nil:
		return "", ErrUnknownToken
	}
	t, ok := s.issued(c.ID)
	said := Token{ID: c.ID, Role: c.Role, District: c.District, Centre: c.Centre, Officer: c.Officer}
	known := Token{ID: t.ID, Role: t.Role, District: t.District, Centre: t.Centre, Officer: t.Officer}
	if !ok || said != known || !c.ExpiresAt.Equal(t.Expires) {
		return "", ErrUnknownToken
	}
	return c.ID, nil
}

// issuerOf returns who a token says it is from, before anything of it is believed.
func issuerOf(bearer string) (issuer string, ok bool) {
	var c jwt.RegisteredClaims
	if _, _, err := jwt.NewParser().ParseUnverified(bearer, &c); err != nil {
		return "", false
	}
	return c.Issuer, true
}
