package access

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/vault"
)

// Rate is how many requests a token may make.
type Rate struct {
	PerSecond float64
	Burst     int // at once
}

// DefaultRates are the rates by role. Those of the installation's role tokens stand
// under "role:" and the role: behind each of them stands a portal, or this machine's
// own verbs.
func DefaultRates() map[string]Rate {
	rates := map[string]Rate{
		vault.RoleCentre:    {100, 200},
		vault.RoleOfficer:   {5, 20},
		vault.RoleAnalyst:   {10, 20},
		vault.RoleOperator:  {20, 40},
		vault.RoleAuthority: {20, 40},
		vault.RoleAuditor:   {10, 20},
	}
	for _, role := range vault.Roles() {
		rates["role:"+role] = Rate{2_000, 4_000}
	}
	rates["role:"+vault.RoleCentre] = Rate{20_000, 20_000}
	return rates
}

const (
	watched = 10_000 // tokens whose rates, misses and signatures are remembered

	// Misses within missWindow after which a token is locked. A help desk mistypes
	// some; who tries numbers has hardly anything else.
	missesAllowed = 20
	missWindow    = time.Hour

	// Verdicts within missWindow that say that a person, a dose or a request is not
	// known, after which a centre is locked, whichever doors they went out by. A
	// centre that sends a day's doses before its registrations gets some hundred; it
	// sends them again after those. 500 an hour are too few to go through numbers of
	// 14 digits.
	unknownAllowed = 500

	// maxLocks bounds the officers of role tokens that are locked. Beyond it no
	// further name is let look.
	maxLocks = 10_000
)

// limits are what tokens have used up on this node.
type limits struct {
	mu     sync.Mutex // guards what the values hold, too
	rates  *lru[*rate.Limiter]
	misses *lru[*misses]

	unknown *lru[*unknowns]
}

// unknowns are the verdicts about nobody since the first within an hour.
type unknowns struct {
	since time.Time
	n     int
}

// notKnown notes verdicts about nobody, and tells whether they are too many.
func (l *limits) notKnown(id string, n int, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	u, ok := l.unknown.get(id)
	if !ok {
		u = &unknowns{since: now}
		l.unknown.put(id, u)
	}
	if now.Sub(u.since) >= missWindow {
		*u = unknowns{since: now}
	}
	u.n += n
	return u.n >= unknownAllowed
}

// misses are the last times at which a token asked in vain, the oldest at next.
type misses struct {
	at   [missesAllowed]time.Time
	next int
}

// add notes one more and tells whether there are too many within the window.
func (m *misses) add(now time.Time) bool {
	m.at[m.next] = now
	m.next = (m.next + 1) % missesAllowed
	oldest := m.at[m.next]
	return !oldest.IsZero() && now.Sub(oldest) < missWindow
}

// missed notes that a token asked in vain, and tells whether it did too often.
func (l *limits) missed(id string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	m, ok := l.misses.get(id)
	if !ok {
		m = new(misses)
		l.misses.put(id, m)
	}
	return m.add(now)
}

// Take counts a request of the principal against its rate. When it asks too often,
// ok is false and wait is after how long it may ask again.
func (r *Registry) Take(p Principal) (wait time.Duration, ok bool) {
	key := p.Role
	if p.Installation {
		key = "role:" + p.Role
	}
	allowed, limited := r.config.Rates[key]
	if !limited {
		return 0, true
	}
	r.limits.mu.Lock()
	defer r.limits.mu.Unlock()
	limiter, ok := r.limits.rates.get(p.Token)
	if !ok {
		limiter = rate.NewLimiter(rate.Limit(allowed.PerSecond), allowed.Burst)
		r.limits.rates.put(p.Token, limiter)
	}
	now := r.config.Now()
	reservation := limiter.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now)
		return wait, false
	}
	return 0, true
}

// probe names who is locked when a look-up probes: the token, or of a role token,
// behind which a whole portal stands, the one officer.
func probe(p Principal, officer string) string {
	if p.Installation && officer != "" {
		return p.Token + ":" + officer
	}
	return p.Token
}

// MayLook tells whether the principal may look a person up, for an officer whom the
// request may have named: [ErrLocked] when that use was locked. It is asked before
// the look-up, [Registry.Looked] told after it.
func (r *Registry) MayLook(p Principal, officer string) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.locked(p) || r.locks[probe(p, officer)] || len(r.locks) >= maxLocks && probe(p, officer) != p.Token {
		return ErrLocked
	}
	return nil
}

// locked tells whether the principal's token is locked, or any of its centre's. It
// is called with mu held.
func (r *Registry) locked(p Principal) bool {
	return r.locks[p.Token] || p.Centre != "" && r.lockedPlaces[place{p.District, p.Centre}] > 0
}

// MayPublish tells whether bundles are taken in that a centre published over NATS,
// where it was let in by the server: [ErrLocked] while it is locked,
// [ErrUnavailable] while that cannot be told.
func (r *Registry) MayPublish(p Principal) error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	switch {
	case r.failed != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, r.failed)
	case r.locked(p):
		return ErrLocked
	}
	return nil
}

// Looked notes a look-up of a person. Those that found nobody, or somebody frozen,
// count: 20 within an hour lock the token, or with a role token the officer's use
// of it. Those of a centre count together and lock all of it. The lock is recorded
// and holds on every node, until the authority takes it off; the count before it is
// this node's own. It returns [ErrLocked] when this look-up locked it.
func (r *Registry) Looked(ctx context.Context, p Principal, officer string, found bool) error {
	if found {
		return nil
	}
	id := probe(p, officer)
	now := r.config.Now()
	if !r.limits.missed(counted(p, id), now) {
		return nil
	}
	return r.lock(ctx, p, id, officer, now)
}

// counted is what misses count under: a centre's together, whichever token they
// come by.
func counted(p Principal, id string) string {
	if p.Centre != "" {
		return place{p.District, p.Centre}.key()
	}
	return id
}

// Unknown notes which of a bundle's verdicts tell the principal of a centre that
// somebody or something is not known: 500 within an hour, over HTTP and NATS
// together, lock the centre, as [Registry.Looked] does. The installation's token is
// not locked: behind it stands a portal with everybody's submissions.
func (r *Registry) Unknown(ctx context.Context, p Principal, verdicts []domain.Verdict) error {
	n := 0
	for _, v := range verdicts {
		if tellsUnknown(v) {
			n++
		}
	}
	if n == 0 || p.Centre == "" {
		return nil
	}
	now := r.config.Now()
	if !r.limits.notKnown(counted(p, p.Token), n, now) {
		return nil
	}
	return r.lock(ctx, p, p.Token, "", now)
}

// tellsUnknown is of verdicts by which numbers can be tried.
func tellsUnknown(v domain.Verdict) bool {
	if v.Reject == nil {
		return false
	}
	switch v.Reject.Code {
	case domain.CodeUnknownPerson, domain.CodeUnknownDose, domain.CodeUnknownRequest:
		return true
	}
	return false
}

func (r *Registry) lock(ctx context.Context, p Principal, id, officer string, now time.Time) error {
	a := eventstore.AuditAccess{
		At: now, Kind: eventstore.TokenLocked, Token: id, Role: p.Role,
		District: p.District, Centre: p.Centre, Officer: p.Officer, By: "ledger",
	}
	if id != p.Token {
		a.Officer = officer
	}
	err := r.record(ctx, func() (eventstore.AuditAccess, error) {
		if r.locks[id] || p.Centre != "" && r.locked(p) { // one lock a centre: one unlocking opens all its doors
			return a, ErrLocked
		}
		return a, nil
	})
	// When it could not be recorded, the next miss tries again.
	if err != nil && !errors.Is(err, ErrLocked) {
		return err
	}
	return ErrLocked
}
