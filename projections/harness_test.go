package projections

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
	"bahi/eventstore"
)

// small makes flushes and compactions happen in tests.
func small(disk vfs.FS) Options {
	return Options{CacheBytes: 1 << 20, MemTableBytes: 256 << 10, FS: disk}
}

// memoryLedger is a ledger in memory.
type memoryLedger struct {
	mu      sync.Mutex
	commits []eventstore.Commit
	grown   chan struct{}
}

func newMemoryLedger() *memoryLedger { return &memoryLedger{grown: make(chan struct{})} }

// append stores what the codec makes of a commit.
func (l *memoryLedger) append(t testing.TB, c eventstore.Commit) eventstore.Commit {
	t.Helper()
	data, err := eventstore.Encode(c)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = eventstore.Decode(data); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Sequence, c.Stored = uint64(len(l.commits))+1, data
	l.commits = append(l.commits, c)
	close(l.grown)
	l.grown = make(chan struct{})
	return c
}

func (l *memoryLedger) Head(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.commits)), nil
}

func (l *memoryLedger) Read(ctx context.Context, r eventstore.Reading) iter.Seq2[eventstore.Commit, error] {
	return func(yield func(eventstore.Commit, error) bool) {
		head, _ := l.Head(ctx)
		if r.Through > 0 && (r.Follow || r.Through < head) {
			head = r.Through
		} else if r.Follow {
			head = 1 << 62
		}
		for at := r.After; at < head; {
			l.mu.Lock()
			stored, grown := l.commits, l.grown
			l.mu.Unlock()
			if at >= uint64(len(stored)) {
				select {
				case <-grown:
					continue
				case <-ctx.Done():
					yield(eventstore.Commit{}, ctx.Err())
					return
				}
			}
			c := stored[at]
			at++
			if r.Only.Orders && c.District != 0 {
				continue
			}
			if !yield(c, ctx.Err()) {
				return
			}
		}
	}
}

func (l *memoryLedger) read(ctx context.Context, after, through uint64) iter.Seq2[eventstore.Commit, error] {
	return l.Read(ctx, eventstore.Reading{After: after, Through: through})
}

// testKeys seals like a vault: what is sealed does not show what is in it, and a
// destroyed key opens nothing.
type testKeys struct {
	mu        sync.Mutex
	destroyed map[domain.Cohort]bool
}

var errTestKey = errors.New("the key is not there")

func (k *testKeys) stream(c domain.Cohort, nonce []byte, n int) []byte {
	var out []byte
	for i := byte(0); len(out) < n; i++ {
		sum := sha256.Sum256(append(fmt.Appendf(nil, "%s/%d/", c, i), nonce...))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func (k *testKeys) seal(c domain.Cohort, p domain.PersonToken, plain []byte) []byte {
	nonce := sha256.Sum256(append(append([]byte("nonce"), p[:]...), plain...))
	out := slices.Clone(nonce[:16])
	for i, b := range k.stream(c, nonce[:16], len(plain)) {
		out = append(out, plain[i]^b)
	}
	return out
}

func (k *testKeys) OpenTokens(c domain.Cohort, p domain.PersonToken, sealed []byte, _ ...[]byte) (t domain.RegistrationTokens, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.destroyed[c] {
		return t, errTestKey
	}
	plain := slices.Clone(sealed[16:])
	for i, b := range k.stream(c, sealed[:16], len(plain)) {
		plain[i] ^= b
	}
	t, _ = decodeTokens(plain)
	return t, nil
}

func (k *testKeys) destroy(cohorts []domain.CohortSize) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range cohorts {
		k.destroyed[c.Cohort] = true
	}
}

// author writes a random, valid history as the committer does: it decides against
// drafts of the register, often on top of one that is not accepted yet.
type author struct {
	t        testing.TB
	rng      *rand.Rand
	keys     *testKeys
	ledger   *memoryLedger
	register *Register
	now      time.Time
	serial   uint64

	people   []domain.PersonToken
	requests []domain.UUID
	tokens   map[domain.PersonToken]domain.RegistrationTokens
	sealed   map[domain.PersonToken][]byte // of the registration
	flying   *Draft
	flown    eventstore.Commit
	rules    domain.Rules
}

func newAuthor(t testing.TB, seed uint64, disk vfs.FS) *author {
	t.Helper()
	a := &author{
		t:      t,
		rng:    rand.New(rand.NewPCG(seed, 1)),
		keys:   &testKeys{destroyed: map[domain.Cohort]bool{}},
		ledger: newMemoryLedger(),
		now:    time.Date(2021, 4, 5, 4, 0, 0, 0, time.UTC),
		tokens: map[domain.PersonToken]domain.RegistrationTokens{},
		sealed: map[domain.PersonToken][]byte{},
		rules:  domain.BuiltInRules(),
	}
	var err error
	if a.register, err = OpenRegister("author", a.keys, small(disk)); err != nil {
		t.Fatal(err)
	}
	a.order(domain.LedgerFounded{Origin: "test", Sandbox: true}, domain.HolderEnrolled{Holder: "people@test"})
	return a
}

// history is an author of commits of size steps, all of them in the ledger.
func history(t *testing.T, seed uint64, commits, size int) *author {
	t.Helper()
	a := newAuthor(t, seed, vfs.NewMem())
	for range commits {
		a.step(size)
	}
	a.land()
	return a
}

func (a *author) token(kind string, n uint64) (t [domain.TokenSize]byte) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", kind, n))
	copy(t[:], sum[:])
	return t
}

var testDistricts = []domain.District{208, 188}
var testGroups = []domain.Group{domain.HealthCareWorker, domain.FrontLineWorker, domain.Age45To60}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// commit puts entries into the ledger and lands what flies.
func (a *author) commit(d *Draft, district domain.District, entries []eventstore.Entry) {
	a.land()
	if len(entries) == 0 {
		return
	}
	c := eventstore.Commit{District: district, Entries: entries}
	binary.BigEndian.PutUint64(c.ID[:], a.rng.Uint64())
	a.flown, a.flying = c, d
}

// land acknowledges the commit in flight.
func (a *author) land() {
	if a.flying == nil {
		return
	}
	a.ledger.append(a.t, a.flown)
	if err := a.register.Accept(a.flying); err != nil {
		a.t.Fatal(err)
	}
	a.flying = nil
}

func (a *author) draft() *Draft {
	if a.flying != nil {
		return a.register.Draft(a.flying.Sequence()+1, a.flying, 0)
	}
	return a.register.Draft(a.register.Folded()+1, nil, 0)
}

// order appends a commit of orders, or of a district's events.
func (a *author) order(events ...domain.Event) { a.events(0, events...) }

func (a *author) events(district domain.District, events ...domain.Event) {
	d := a.draft()
	var entries []eventstore.Entry
	for _, e := range events {
		entry := eventstore.Entry{Recorded: a.now, Event: e}
		if err := d.Add(entry, nil); err != nil {
			a.t.Fatal(err)
		}
		entries = append(entries, entry)
	}
	a.commit(d, district, entries)
	a.land()
}

// step decides a commit of up to n submissions.
func (a *author) step(n int) {
	district := pick(a.rng, testDistricts)
	d := a.draft()
	var entries []eventstore.Entry
	for range 1 + a.rng.IntN(n) {
		a.now = a.now.Add(time.Duration(a.rng.IntN(90*60*1000)) * time.Millisecond)
		if e, ok := a.decide(d, district, a.submission(district)); ok {
			entries = append(entries, e)
		}
	}
	a.commit(d, district, entries)
	if a.rng.IntN(2) == 0 {
		a.land()
	}
}

type draftSubmission struct {
	domain.Submission
	person  domain.PersonToken
	photoID uint64
	mobile  uint64
}

func (a *author) heading() domain.Heading {
	a.serial++
	var id domain.UUID
	binary.BigEndian.PutUint64(id[8:], a.serial)
	back := time.Duration(a.rng.IntN(3)*a.rng.IntN(40)) * time.Hour
	return domain.Heading{ID: id, At: a.now.Add(-back)}
}

func (a *author) submission(district domain.District) draftSubmission {
	h := a.heading()
	if len(a.people) == 0 || a.rng.IntN(10) < 4 {
		group := pick(a.rng, testGroups)
		r := domain.Registration{Heading: h, District: district, Group: group, BirthYear: 1970, Sex: domain.Sex(1 + a.rng.IntN(3)), PhotoID: domain.PhotoID{Type: domain.Aadhaar}}
		s := draftSubmission{Submission: r, person: a.token("person", a.rng.Uint64N(4000)), photoID: a.rng.Uint64N(4000), mobile: a.rng.Uint64N(500)}
		return s
	}
	s := draftSubmission{person: pick(a.rng, a.people)}
	reason := domain.Reason(1 + a.rng.IntN(5))
	switch k := a.rng.IntN(20); {
	case k < 12:
		vaccine := domain.Covishield
		if s.person[0]&1 == 0 {
			vaccine = domain.Covaxin
		}
		s.Submission = domain.DoseGiven{Heading: h, District: district, Vaccine: vaccine, Number: domain.DoseNumber(1 + a.rng.IntN(2))}
	case k < 14:
		s.Submission = domain.RegistrationWithdrawal{Heading: h, Reason: reason}
	case k < 16:
		s.Submission = domain.DoseWithdrawal{Heading: h, Number: domain.DoseNumber(1 + a.rng.IntN(2)), Reason: reason}
	case k < 18 || len(a.requests) == 0:
		s.Submission = domain.ReversalRequest{Heading: h, To: domain.Status(1 + a.rng.IntN(2)), Reason: reason}
	default:
		s.Submission = domain.ReversalDecision{Heading: h, Request: pick(a.rng, a.requests), Approve: a.rng.IntN(3) > 0, By: "officer-7"}
	}
	return s
}

// decide asks the domain and adds what it answers to the draft.
func (a *author) decide(d *Draft, district domain.District, s draftSubmission) (eventstore.Entry, bool) {
	fail := func(err error) {
		a.t.Helper()
		if err != nil {
			a.t.Fatal(err)
		}
	}
	known := domain.Known{Authority: true, Token: s.person}
	tokens := domain.RegistrationTokens{
		Mobile: a.token("mobile", s.mobile), PhotoID: a.token("photo", s.photoID), Content: a.token("content", s.photoID),
	}
	var err error
	if decision, ok := s.Submission.(domain.ReversalDecision); ok {
		known.Token, known.Request, err = d.Request(decision.Request)
		fail(err)
	}
	known.Person, err = d.Person(known.Token)
	fail(err)
	known.Frozen = known.Person.IsRegistered() && d.Closed(known.Person.Cohort)
	registration, registers := s.Submission.(domain.Registration)
	if registers {
		held, err := d.PhotoID(tokens.PhotoID)
		fail(err)
		if held {
			known.PhotoID = domain.HeldByAnother
		}
		known.Household, err = d.Household(tokens.Mobile)
		fail(err)
		known.Cohort, known.BornClosed = d.CohortFor(registration.District, registration.Group)
	}
	if f, ok := s.Submission.(domain.Freeze); ok {
		known.Open = d.Open(f.District, f.Groups)
	}
	recorded := a.now
	event, err := domain.Decide(known, a.rules, s.Submission, recorded)
	if err != nil {
		return eventstore.Entry{}, false
	}
	var given *domain.RegistrationTokens
	switch e := event.(type) {
	case domain.PersonRegistered:
		if !e.Closed {
			given = &tokens
			e.Sealed = a.keys.seal(e.Cohort, e.Person, slices.Concat(tokens.Mobile[:], tokens.PhotoID[:], tokens.Content[:]))
			a.sealed[e.Person], a.tokens[e.Person] = e.Sealed, tokens
		} else {
			delete(a.sealed, e.Person)
		}
		a.people = append(a.people, e.Person)
		event = e
	case domain.DoseAdministered:
		if !known.Frozen {
			e.Sealed = a.keys.seal(e.Cohort, e.Person, fmt.Appendf(nil, "centre 208001, batch 4120Z%03d", a.rng.IntN(1000)))
		}
		event = e
	case domain.ReversalRequested:
		a.requests = append(a.requests, e.Request)
	}
	id := s.Head().ID
	entry := eventstore.Entry{Submission: domain.SubmissionToken(a.token("submission", binary.BigEndian.Uint64(id[8:]))), Digest: domain.Digest(id), Recorded: recorded, Event: event}
	if registers {
		entry.Issued = uint8(1 + a.rng.IntN(3))
	}
	fail(d.Add(entry, given))
	return entry, true
}

// freeze orders a freeze of a district's groups and, when told, carries it out up
// to the destruction of the keys.
func (a *author) freeze(district domain.District, standing bool, groups ...domain.Group) domain.UUID {
	a.land()
	a.now = a.now.Add(time.Minute)
	h := a.heading()
	h.At = a.now
	d := a.draft()
	f := domain.Freeze{Heading: h, District: district, Groups: groups, Standing: standing, Mode: domain.Erase, Order: "DL/2021/117", By: "authority"}
	entry, ok := a.decide(d, district, draftSubmission{Submission: f})
	if !ok {
		a.t.Fatal("the freeze is refused")
	}
	a.commit(d, 0, []eventstore.Entry{entry})
	a.land()
	return h.ID
}

// carryOut keeps the photo IDs of a freeze and destroys its keys.
func (a *author) carryOut(freeze domain.UUID) {
	a.land()
	order := a.state(freeze).Order
	var total int64
	for _, c := range order.Cohorts {
		tokens, err := a.register.PhotoIDTokens(c.Cohort)
		if err != nil {
			a.t.Fatal(err)
		}
		total += int64(len(tokens))
		if len(tokens) > 0 {
			a.events(c.Cohort.District, domain.PhotoIDsKept{Freeze: freeze, Cohort: c.Cohort, Tokens: tokens})
		}
	}
	a.order(domain.PhotoIDsComplete{Freeze: freeze, Tokens: total})
	a.keys.destroy(order.Cohorts)
	a.order(domain.Purged{Freeze: freeze, Holder: "vault@test", Keys: int64(len(order.Cohorts))})
}

func (a *author) state(freeze domain.UUID) FreezeState {
	for _, f := range a.register.Freezes() {
		if f.Order.Freeze == freeze {
			return f
		}
	}
	a.t.Fatal("no such freeze")
	return FreezeState{}
}

// history writes steps commits with freezes among them.
func (a *author) history(steps int) {
	var open []domain.UUID
	for range steps {
		a.step(12)
		switch a.rng.IntN(steps / 4) {
		case 0:
			open = append(open, a.freeze(pick(a.rng, testDistricts), a.rng.IntN(6) == 0, pick(a.rng, testGroups)))
		case 1:
			if len(open) > 0 {
				a.carryOut(open[0])
				open = open[1:]
			}
		}
	}
	a.land()
}

// running returns a runner that follows a ledger with views until stop is called.
func running(t testing.TB, ledger Ledger, views ...View) (r *Runner, stop func()) {
	t.Helper()
	r = NewRunner(ledger, views...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return r, stop
}

// crash returns what a process that is killed leaves of directories: a copy of their
// files.
func crash(t testing.TB, disk vfs.FS, dirs ...string) vfs.FS {
	t.Helper()
	left := vfs.NewMem()
	for _, dir := range dirs {
		if _, err := vfs.Clone(disk, left, dir, dir); err != nil {
			t.Fatal(err)
		}
	}
	return left
}

// TestMain makes batches small, so that little ledgers make many of them.
func TestMain(m *testing.M) {
	if !slices.ContainsFunc(os.Args, func(arg string) bool { return strings.HasPrefix(arg, "-test.bench=") }) {
		batchCommits = 8
	}
	os.Exit(m.Run())
}

// countsOf returns the count view of an author's ledger, folded to its end.
func countsOf(t *testing.T, a *author) *Counts {
	t.Helper()
	c, err := OpenCounts("counts", small(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := CatchUp(t.Context(), a.ledger, c, nil); err != nil {
		t.Fatal(err)
	}
	return c
}
