package access

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/vault"
)

// Bearer tells who a bearer token stands for. Local says that the request comes
// from this machine, by its loopback address.
//
// Errors: [ErrUnknownToken], [ErrExpired], [ErrRevoked], [ErrUnregistered], [ErrLocked],
// [ErrNotHere], [ErrUnavailable], and those of a [Verifier].
func (r *Registry) Bearer(ctx context.Context, token string, local bool) (Principal, error) {
	if len(token) > maxBearer {
		return Principal{}, ErrUnknownToken
	}
	for _, v := range r.verifiers {
		p, known, err := v.Verify(ctx, token)
		if !known {
			continue
		}
		if err != nil {
			return Principal{}, err
		}
		if p.Installation && !local {
			return Principal{}, ErrNotHere
		}
		return p, r.letIn(p)
	}
	return Principal{}, ErrUnknownToken
}

// letIn is what holds for everybody, however they showed who they are.
func (r *Registry) letIn(p Principal) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	switch {
	case r.failed != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, r.failed)
	case !slices.Contains(vault.Roles(), p.Role):
		return ErrUnknownToken
	case !p.Expires.IsZero() && !r.config.Now().Before(p.Expires.Add(leeway)):
		return ErrExpired
	case r.locked(p):
		return ErrLocked
	case p.Centre != "" && !ofCertificate(p) && r.unregistered(place{p.District, p.Centre}):
		return ErrUnregistered
	}
	return nil
}

// ofCertificate tells of somebody who showed a certificate: those of registered centres
// let in, and no others.
func ofCertificate(p Principal) bool { return strings.HasPrefix(p.Token, certificateToken) }

const certificateToken = "cert:"

// Stands tells whether somebody who was let in would still be: nil, or what
// [Registry.Bearer] and [Registry.Certificate] would say. It asks nothing but this
// node's memory, so that it can be asked for every piece of what takes long.
func (r *Registry) Stands(p Principal) error {
	if err := r.letIn(p); err != nil || p.Installation {
		return err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.tokens[p.Token].State == Revoked {
		return ErrRevoked
	}
	if sum, ok := strings.CutPrefix(p.Token, certificateToken); ok {
		if c := r.centres[place{p.District, p.Centre}]; c.Certificate == "" || !strings.HasPrefix(c.Certificate, sum) {
			return ErrUnknownToken
		}
	}
	return nil
}

func (r *Registry) issued(id string) (Token, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t, ok := r.tokens[id]
	return t, ok
}

// Issue makes a token for what the grant says. The authority may issue any; the
// operator those of centres; nobody else. It is on record before its text is
// returned, and the text is nowhere but in the answer.
//
// Errors: [ErrForbidden], [ErrBadGrant], [ErrTooMany], and the event store's.
func (r *Registry) Issue(ctx context.Context, by Principal, g Grant) (Issued, error) {
	if err := mayManage(by, g.Role); err != nil {
		return Issued{}, err
	}
	if g.For == 0 {
		g.For = DefaultLife
	}
	if err := g.check(); err != nil {
		return Issued{}, err
	}
	now := r.config.Now().UTC().Truncate(time.Second) // as a JWT has it
	t := Token{
		ID: rand.Text(), Role: g.Role, District: g.District, Centre: g.Centre, Officer: g.Officer,
		Issued: now, Expires: now.Add(g.For.Truncate(time.Second)), By: by.Token, State: Valid,
	}
	text, err := r.signed.sign(t)
	if err != nil {
		return Issued{}, err
	}
	err = r.record(ctx, func() (eventstore.AuditAccess, error) {
		a := event(eventstore.TokenIssued, t, by, t.Issued)
		a.Expires = t.Expires
		if g.Centre != "" && r.unregistered(place{g.District, g.Centre}) {
			return a, fmt.Errorf("%w: centre %s of district %d is not registered, and others of the district are; register it with `bahi centre add`", ErrBadGrant, g.Centre, g.District)
		}
		if len(r.tokens) >= maxTokens {
			return a, fmt.Errorf("%w: %d tokens are issued and have not expired; revoke does not help, issue shorter ones", ErrTooMany, maxTokens)
		}
		return a, nil
	})
	if err != nil {
		return Issued{}, err
	}
	return Issued{Text: text, Token: t}, nil
}

func event(kind eventstore.AccessKind, t Token, by Principal, at time.Time) eventstore.AuditAccess {
	return eventstore.AuditAccess{
		At: at, Kind: kind, Token: t.ID, Role: t.Role, District: t.District, Centre: t.Centre, Officer: t.Officer, By: by.Token,
	}
}

// mayManage tells whether the principal may issue and revoke tokens of a role.
func mayManage(by Principal, role string) error {
	if by.Role == vault.RoleAuthority || by.Role == vault.RoleOperator && role == vault.RoleCentre {
		return nil
	}
	return fmt.Errorf("%w: the authority issues and revokes tokens, and the operator those of centres", ErrForbidden)
}

// check tells why no token can be issued for the grant.
func (g Grant) check() error {
	bad := func(why string) error { return fmt.Errorf("%w: %s", ErrBadGrant, why) }
	if !slices.Contains(vault.Roles(), g.Role) {
		return bad("roles are " + strings.Join(vault.Roles(), ", "))
	}
	if g.District != 0 && !domain.KnownDistrict(g.District) {
		return bad(fmt.Sprintf("no district has the LGD code %d", g.District))
	}
	if g.Centre != "" {
		if err := domain.CheckCentre(g.Centre); err != nil {
			return bad(err.Error())
		}
	}
	if g.Officer != "" {
		if err := domain.CheckOfficer(g.Officer); err != nil {
			return bad(err.Error())
		}
	}
	switch g.Role {
	case vault.RoleCentre:
		if g.District == 0 || g.Centre == "" || g.Officer != "" {
			return bad("a centre's token is bound to a district and a centre")
		}
	case vault.RoleOfficer:
		if g.District == 0 || g.Officer == "" || g.Centre != "" {
			return bad("an officer's token is bound to a district and an officer")
		}
	case vault.RoleAnalyst:
		if g.Centre != "" || g.Officer != "" {
			return bad("an analyst's token is bound to a district or to nothing")
		}
	case vault.RoleAuthority:
		if g.District != 0 || g.Centre != "" {
			return bad("an authority's token is bound to an officer or to nothing")
		}
	default:
		if g.District != 0 || g.Centre != "" || g.Officer != "" {
			return bad("the token of an " + g.Role + " is bound to nothing")
		}
	}
	longest := LongestLife
	if g.Role == vault.RoleCentre {
		longest = LongestCentreLife
	}
	if g.For < shortestLife || g.For > longest {
		return bad(fmt.Sprintf("a token of this role lives from %s to %d days", shortestLife, longest/(24*time.Hour)))
	}
	return nil
}

// CheckID tells why id cannot be a token's, or what is locked, or returns nil: 1 to
// 96 letters, digits or . _ @ : -.
func CheckID(id string) error {
	strange := func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._@:-", r))
	}
	if id == "" || len(id) > 96 || strings.ContainsFunc(id, strange) {
		return fmt.Errorf("this is not the id of a token, as `bahi token list` shows them: %w", ErrNotFound) // it may be a token's text
	}
	return nil
}

// Revoke ends a token that was issued. The authority may end any, the operator
// those of centres. Errors: [ErrNotFound], [ErrForbidden].
func (r *Registry) Revoke(ctx context.Context, by Principal, id string) error {
	return r.record(ctx, func() (eventstore.AuditAccess, error) {
		t, ok := r.tokens[id]
		if err := mayManage(by, t.Role); err != nil {
			return eventstore.AuditAccess{}, err
		}
		if !ok || t.State == Revoked {
			return eventstore.AuditAccess{}, fmt.Errorf("no such token stands: %w", ErrNotFound)
		}
		return event(eventstore.TokenRevoked, t, by, r.config.Now()), nil
	})
}

// Unlock takes a lock off: of a token by its id, of an officer's use of a role token
// by "role:<role>:<officer>", of a centre that publishes over NATS by
// "nats:<district>:<centre>". Only the authority may. Errors: [ErrNotFound],
// [ErrForbidden].
func (r *Registry) Unlock(ctx context.Context, by Principal, id string) error {
	if by.Role != vault.RoleAuthority {
		return fmt.Errorf("%w: the authority takes locks off", ErrForbidden)
	}
	return r.record(ctx, func() (eventstore.AuditAccess, error) {
		if !r.locks[id] {
			return eventstore.AuditAccess{}, fmt.Errorf("no such token is locked: %w", ErrNotFound)
		}
		t := r.tokens[id]
		t.ID = id
		return event(eventstore.TokenUnlocked, t, by, r.config.Now()), nil
	})
}

// Tokens returns what is locked and was not issued here, and then the tokens that
// were issued and have not long expired, the oldest first. Who may see them is the caller's to say: they hold no
// secret.
func (r *Registry) Tokens() []Token {
	r.mu.RLock()
	defer r.mu.RUnlock()
	now := r.config.Now()
	tokens := make([]Token, 0, len(r.tokens)+len(r.locks))
	for id, t := range r.tokens {
		_, locksCentre := r.lockedAt[id]
		switch {
		case locksCentre: // however the token ended: its centre is shut out until this is unlocked
			t.State = Locked
		case t.State == Revoked:
		case !now.Before(t.Expires):
			t.State = Expired
		case r.locks[id]:
			t.State = Locked
		}
		tokens = append(tokens, t)
	}
	for id := range r.locks {
		if _, ok := r.tokens[id]; !ok {
			tokens = append(tokens, Token{ID: id, State: Locked})
		}
	}
	slices.SortFunc(tokens, func(a, b Token) int { return cmp.Or(cmp.Compare(a.sequence, b.sequence), cmp.Compare(a.ID, b.ID)) })
	return tokens
}
