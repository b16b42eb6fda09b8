package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/vault"
)

// Config is what a registry works with. Store and Vault are needed.
type Config struct {
	Store  *eventstore.Store
	Vault  *vault.Vault
	Origin string           // the ledger's name for itself, who issues the tokens
	Now    func() time.Time // nil: the machine's clock
	Log    *slog.Logger     // nil: nothing is logged

	Verifiers []Verifier      // of further kinds of token, asked after the built-in ones
	Rates     map[string]Rate // by role; nil: [DefaultRates]. A role that is missing is not limited
}

// Registry knows who may come in. Its methods are safe for concurrent use.
type Registry struct {
	config    Config
	signed    *signed
	verifiers []Verifier
	limits    limits

	deciding sync.Mutex // held from a decision until its event is recorded and folded

	mu           sync.RWMutex // guards what the events add up to
	folded       uint64       // sequence of the last event
	failed       error        // why events cannot be folded any more
	tokens       map[string]Token
	locks        map[string]bool  // ids of tokens, or probe's
	lockedAt     map[string]place // of those locks that are of a centre's token
	lockedPlaces map[place]int    // how many of a centre's tokens are locked
	centres      map[place]Centre
	registering  map[domain.District]bool // where a centre was ever registered: no token is of another
	nkeys        map[string]place
	certificates map[string]place
	swept        time.Time

	admitting sync.Mutex    // held while the NATS server is told of the centres
	changed   chan struct{} // holds one when centres changed
	end       context.CancelFunc
	ended     sync.WaitGroup
}

// place is what a centre is known by.
type place struct {
	district domain.District
	code     string
}

// key is what the misses of a centre are counted under, whichever token they come by.
func (p place) key() string { return fmt.Sprintf("centre:%d:%s", p.district, p.code) }

const (
	maxTokens  = 100_000 // issued and not expired
	maxCentres = 100_000

	recordTime  = 10 * time.Second
	followPause = time.Second
	sweepEvery  = time.Hour
	maxBearer   = 8 << 10
)

// Open reads who may come in, tells the embedded NATS server which centres may
// connect, and follows what changes until Close. A store has one registry: two would
// tell its server different things for a moment.
func Open(ctx context.Context, config Config) (*Registry, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Origin == "" {
		config.Origin = "bahi"
	}
	if config.Rates == nil {
		config.Rates = DefaultRates()
	}
	r := &Registry{
		config: config,
		tokens: map[string]Token{}, locks: map[string]bool{},
		lockedAt: map[string]place{}, lockedPlaces: map[place]int{},
		centres: map[place]Centre{}, registering: map[domain.District]bool{}, nkeys: map[string]place{}, certificates: map[string]place{},
		changed: make(chan struct{}, 1),
	}
	r.limits.rates, r.limits.misses = newLRU[*rate.Limiter](watched), newLRU[*misses](watched)
	r.limits.unknown = newLRU[*unknowns](watched)
	r.signed = &signed{origin: config.Origin, key: config.Vault.TokenSigner(), now: config.Now, issued: r.issued, known: newLRU[string](watched)}
	r.verifiers = append([]Verifier{r.signed, installation{config.Vault}}, config.Verifiers...)
	for a, err := range config.Store.Access(ctx, 0) {
		if err != nil {
			return nil, fmt.Errorf("read who may come in: %w", err)
		}
		r.fold(a)
	}
	if err := r.admit(); err != nil {
		return nil, err
	}
	following, end := context.WithCancel(context.Background())
	r.end = end
	r.ended.Go(func() { r.follow(following) })
	r.ended.Go(func() { r.keepAdmitting(following) })
	return r, nil
}

// Close ends the following. It does not close the store.
func (r *Registry) Close() error {
	r.end()
	r.ended.Wait()
	return nil
}

// follow folds what other nodes record. When the stream cannot be read it tries
// again; an event that cannot be understood ends it, and nobody is let in any more:
// it might shut somebody out.
func (r *Registry) follow(ctx context.Context) {
	for ctx.Err() == nil {
		for a, err := range r.config.Store.FollowAccess(ctx, r.sequence()) {
			if err != nil {
				r.stumbled(ctx, err)
				break
			}
			r.fold(a)
		}
		select {
		case <-ctx.Done():
		case <-time.After(followPause):
		}
	}
}

func (r *Registry) stumbled(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r.config.Log.Warn("who may come in is not followed", "error", err)
	var decode *eventstore.DecodeError
	if errors.As(err, &decode) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.failed = err
	}
}

func (r *Registry) sequence() uint64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.folded
}

// fold brings the registry up to an event. One that it knows already, because this
// node recorded it, changes nothing.
func (r *Registry) fold(a eventstore.AuditAccess) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.Sequence <= r.folded {
		return
	}
	r.folded = a.Sequence
	switch a.Kind {
	case eventstore.TokenIssued:
		r.sweep()
		if r.forgotten(a.Expires) {
			return
		}
		r.tokens[a.Token] = Token{
			ID: a.Token, Role: a.Role, District: a.District, Centre: a.Centre, Officer: a.Officer,
			Issued: a.At, Expires: a.Expires, By: a.By, State: Valid, sequence: a.Sequence,
		}
	case eventstore.TokenRevoked:
		if t, ok := r.tokens[a.Token]; ok {
			t.State = Revoked
			r.tokens[a.Token] = t
		}
	case eventstore.TokenLocked:
		r.locks[a.Token] = true
		if at := (place{a.District, a.Centre}); a.Centre != "" && r.lockedAt[a.Token] != at {
			r.lockedAt[a.Token] = at
			r.lockedPlaces[at]++
		}
		r.forgive(a.Token)
	case eventstore.TokenUnlocked:
		r.forgive(a.Token)
		r.unlock(a.Token)
	case eventstore.CentreAdded:
		r.dropCentre(place{a.District, a.Centre})
		r.addCentre(centreOf(a))
		r.registering[a.District] = true
	case eventstore.CentreRemoved:
		at := place{a.District, a.Centre}
		r.dropCentre(at)
		for id, t := range r.tokens { // what was issued for it ends with it
			if t.Role == vault.RoleCentre && t.State != Revoked && at == (place{t.District, t.Centre}) {
				t.State = Revoked
				r.tokens[id] = t
			}
		}
	}
}

// unlock is called with mu held.
func (r *Registry) unlock(id string) {
	delete(r.locks, id)
	if at, ok := r.lockedAt[id]; ok {
		delete(r.lockedAt, id)
		if r.lockedPlaces[at]--; r.lockedPlaces[at] == 0 {
			delete(r.lockedPlaces, at)
		}
	}
}

// forgive forgets the misses of a token, or of its centre: they led to its lock.
func (r *Registry) forgive(id string) {
	r.limits.mu.Lock()
	defer r.limits.mu.Unlock()
	r.limits.misses.drop(id)
	r.limits.unknown.drop(id)
	if at, ok := r.lockedAt[id]; ok {
		r.limits.misses.drop(at.key())
		r.limits.unknown.drop(at.key())
	}
}

// sweep forgets tokens that expired, now and then.
func (r *Registry) sweep() {
	now := r.config.Now()
	if now.Sub(r.swept) < sweepEvery {
		return
	}
	r.swept = now
	for id, t := range r.tokens {
		if r.forgotten(t.Expires) {
			delete(r.tokens, id)
			if _, ofCentre := r.lockedAt[id]; !ofCentre { // a centre stays locked until the authority unlocks it
				delete(r.locks, id)
			}
		}
	}
}

// forgotten tells whether a token expired so long ago that nobody asks for it.
func (r *Registry) forgotten(expired time.Time) bool { return r.config.Now().Sub(expired) > sweepEvery }

// record appends the event that decide makes of the registry as it stands, and
// folds it. When another node was first, decide is asked again.
func (r *Registry) record(ctx context.Context, decide func() (eventstore.AuditAccess, error)) error {
	ctx, cancel := context.WithTimeout(ctx, recordTime)
	defer cancel()
	r.deciding.Lock()
	defer r.deciding.Unlock()
	for {
		r.mu.RLock()
		last, failed := r.folded, r.failed
		a, err := decide()
		r.mu.RUnlock()
		if failed != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, failed)
		}
		if err != nil {
			return err
		}
		a.Sequence, err = r.config.Store.AppendAccess(ctx, a, last)
		if err == nil {
			r.fold(a)
			return nil
		}
		if !errors.Is(err, eventstore.ErrConflict) {
			return err
		}
		if err := r.catchUp(ctx); err != nil {
			return err
		}
	}
}

// catchUp folds what was recorded meanwhile. On replicas there may be nothing yet:
// then another node's event is on its way.
func (r *Registry) catchUp(ctx context.Context) error {
	before := r.sequence()
	for a, err := range r.config.Store.Access(ctx, before) {
		if err != nil {
			return fmt.Errorf("read who may come in: %w", err)
		}
		r.fold(a)
	}
	if r.sequence() > before {
		return nil
	}
	select {
	case <-time.After(10 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
