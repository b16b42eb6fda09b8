package centre

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"bahi/access"
	"bahi/domain"
	"bahi/eventstore"
	"bahi/formats"
	"bahi/intake"
	"bahi/internal/natstest"
	"bahi/ledger"
	"bahi/projections"
)

// upstream is a real ledger with its door and its NATS server, which can be
// closed and opened again.
type upstream struct {
	t      testing.TB
	dir    string
	nats   string // the server that keeps the ledger; its own when empty
	seed   []byte // of the centre's nkey
	l      *ledger.Ledger
	who    *access.Registry // says which centres are locked
	shut   func()
	poison atomic.Bool // whatever names the batch POISON crashes the door
}

func openUpstream(t testing.TB) *upstream {
	u := &upstream{t: t, dir: t.TempDir()}
	pair, err := nkeys.CreateUser()
	if err == nil {
		u.seed, err = pair.Seed()
	}
	if err != nil {
		t.Fatal(err)
	}
	u.open()
	t.Cleanup(func() { u.shut() })
	return u
}

func (u *upstream) open() {
	u.t.Helper()
	config := ledger.Config{Data: filepath.Join(u.dir, "data"), Keys: filepath.Join(u.dir, "keys"), NATS: u.nats, Sandbox: true}
	if u.nats == "" {
		config.ListenNATS = "127.0.0.1:0"
	}
	l, err := ledger.Open(context.Background(), config)
	if err != nil {
		u.t.Fatal(err)
	}
	// Not after the centres: it tells the server of its own, which are none.
	u.who, err = access.Open(context.Background(), access.Config{Store: l.Store(), Vault: l.Vault()})
	if err != nil {
		u.t.Fatal(err)
	}
	if u.seed != nil {
		if err := l.Store().SetCentres([]eventstore.CentreUser{{District: 208, Centre: "208001", NKey: public(u.t, u.seed)}}); err != nil {
			u.t.Fatal(err)
		}
	}
	conn, err := l.Store().Connect("intake")
	if err != nil {
		u.t.Fatal(err)
	}
	doors, err := intake.For(context.Background(), l, conn, slog.New(slog.DiscardHandler))
	if err != nil {
		u.t.Fatal(err)
	}
	doors.Access = u.who
	submit := doors.Submit
	doors.Submit = func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
		for _, one := range s {
			if d, ok := one.(domain.DoseGiven); ok && d.Batch == "POISON" && u.poison.Load() {
				panic("poison")
			}
		}
		return submit(ctx, s)
	}
	door, err := intake.OpenDoor(context.Background(), doors)
	if err != nil {
		u.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- door.Serve(ctx) }()
	u.l = l
	u.shut = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			u.t.Errorf("the door: %v", err)
		}
		conn.Close()
		if err := errors.Join(u.who.Close(), l.Close(context.Background())); err != nil {
			u.t.Errorf("the ledger: %v", err)
		}
	})
}

// quarantined lists what the ledger did not take in.
func (u *upstream) quarantined() []intake.Quarantined {
	u.t.Helper()
	conn, err := u.l.Store().Connect("operator")
	if err != nil {
		u.t.Fatal(err)
	}
	defer conn.Close()
	q, err := intake.NewQuarantine(intake.Config{Conn: conn})
	if err != nil {
		u.t.Fatal(err)
	}
	page, err := q.List(context.Background(), intake.QuarantineQuery{})
	if err != nil {
		u.t.Fatal(err)
	}
	return page.Items
}

func (u *upstream) address() string { return u.l.Store().Address() }

// signIn is what a centre signs in with: the key that every ledger of these tests
// is told.
func (u *upstream) signIn() []nats.Option {
	return []nats.Option{nats.Nkey(public(u.t, u.seed), func(nonce []byte) ([]byte, error) { return pairOf(u.t, u.seed).Sign(nonce) })}
}

func pairOf(t testing.TB, seed []byte) nkeys.KeyPair {
	pair, err := nkeys.FromSeed(seed)
	if err != nil {
		t.Error(err)
	}
	return pair
}

func public(t testing.TB, seed []byte) string {
	key, err := pairOf(t, seed).PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// wantCounts holds the ledger to have so many of each, and no event more.
func (u *upstream) wantCounts(registered, dose1, dose2 int) {
	u.t.Helper()
	got, err := u.l.Counts(context.Background(), projections.CountsQuery{District: 208})
	if err != nil {
		u.t.Fatal(err)
	}
	if want := (projections.Figures{
		Registered: int64(registered), Dose1: int64(dose1), Dose2: int64(dose2),
		Unvaccinated: int64(registered - dose1), Partial: int64(dose1 - dose2), Full: int64(dose2),
	}); got.Figures != want {
		u.t.Errorf("the ledger counts %+v, want %+v", got.Figures, want)
	}
	events := 0
	for _, err := range u.l.Replay(context.Background(), ledger.ReplayQuery{}) {
		if err != nil {
			u.t.Fatal(err)
		}
		events++
	}
	if want := registered + dose1 + dose2; events != want {
		u.t.Errorf("the ledger has %d events, want %d", events, want)
	}
}

// brisk is a centre's pace for tests.
var brisk = pace{
	connect: 500 * time.Millisecond, ping: 100 * time.Millisecond,
	receipt: 2 * time.Second, verdicts: 5 * time.Second,
	reconnect: backoff{2 * time.Millisecond, 40 * time.Millisecond}, again: backoff{2 * time.Millisecond, 50 * time.Millisecond},
	silent: backoff{2 * time.Millisecond, 50 * time.Millisecond},
	hold:   20 * time.Millisecond, asks: 3, refusals: 1, grace: 2 * time.Second, look: 10 * time.Millisecond,
	bundle: 40, exchange: 100,
}

// patience is for what must come true, also on a machine with much to do.
const patience = natstest.Patience

// running is a centre at work.
type running struct {
	*Centre
	t    testing.TB
	stop func() // and close
}

// config is a centre's in a directory of its own; the ledger's server is to be
// added.
func config(t testing.TB) Config {
	return Config{Dir: filepath.Join(t.TempDir(), "centre"), District: 208, Centre: "208001", Server: "nats://127.0.0.1:1", MaxBytes: 64 << 20}
}

// run opens a centre and lets it work until it is stopped or the test ends.
func run(t testing.TB, c Config) *running {
	t.Helper()
	return runAt(t, c, brisk)
}

func runAt(t testing.TB, c Config, p pace) *running {
	t.Helper()
	centre, err := open(context.Background(), c, p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended, ready := make(chan error, 1), make(chan string, 1)
	go func() { ended <- centre.Run(ctx, func(address string) { ready <- address }) }()
	select {
	case <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	}
	r := &running{Centre: centre, t: t}
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the centre ended with: %v", err)
		}
		if err := centre.Close(); err != nil {
			t.Errorf("close the centre: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// verdict waits for the verdicts of a bundle and returns what became of each
// submission: "accepted", or the code of its rejection.
func (r *running) verdict(id domain.UUID) (words []string) {
	r.t.Helper()
	var a Answer
	eventually(r.t, patience, "the bundle has its verdicts", func() bool {
		var without BundleState
		var err error
		if a, without, err = r.answerTo(context.Background(), id); err != nil {
			r.t.Fatal(err)
		}
		return without.State == ""
	})
	for line := range bytes.Lines(a.Lines) {
		v, err := formats.ParseVerdict(line)
		if err != nil {
			r.t.Fatal(err)
		}
		word := v.Outcome.String()
		if v.Reject != nil {
			word = string(v.Reject.Code)
		}
		words = append(words, word)
	}
	return words
}

// keep keeps submissions as one call, and returns the last one's bundle.
func keep(t testing.TB, c *Centre, submissions ...domain.Submission) (in domain.UUID) {
	t.Helper()
	if err := c.Keep(context.Background(), itemsOf(submissions), func(k Kept) error { in = k.Bundle; return nil }); err != nil {
		t.Fatal(err)
	}
	return in
}

// eventually waits for what must come true without anybody telling.
func eventually(t testing.TB, patience time.Duration, what string, isSo func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !isSo(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not come true: " + what)
		}
	}
}

// linked waits until the link is up: a server that is busy for a moment is taken for one
// that is gone.
func (r *running) linked() {
	r.t.Helper()
	eventually(r.t, patience, "the link is up", func() bool {
		s, err := r.Status(context.Background())
		return err == nil && s.Running.Link.Up
	})
}

// released waits until the centre holds nothing back any more.
func (r *running) released() {
	r.t.Helper()
	eventually(r.t, patience, "it holds nothing back", func() bool {
		s, err := r.Status(context.Background())
		return err == nil && s.Running.Holding == ""
	})
}

// drained waits until nothing waits, neither in the spool nor in the folder.
func (r *running) drained(patience time.Duration) {
	r.t.Helper()
	eventually(r.t, patience, "everything has its verdict", func() bool {
		s, err := r.Status(context.Background())
		if err != nil {
			r.t.Fatal(err)
		}
		return s.Waiting.Bundles == 0 && s.Waiting.Files == 0 && empty(r.t, filepath.Join(r.config.Dir, folderIn))
	})
}

// The people of the tests are numbered; everything about one follows from the
// number.

func idOf(kind byte, n int) domain.UUID {
	return domain.UUID{0: kind, 6: 0x70, 8: 0x80, 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
}

func registration(n int) domain.Registration {
	return domain.Registration{
		Heading: domain.Heading{ID: idOf(1, n), At: domain.Date(2021, 3, 1).Start()},
		Person:  domain.MakeReference(fmt.Sprintf("2735%09d", n)), District: 208, Group: domain.HealthCareWorker,
		Name: fmt.Sprintf("Kanariya Kumari %d", n), BirthYear: 1980, Sex: domain.Female, Mobile: fmt.Sprintf("973%07d", n),
		PhotoID: domain.PhotoID{Type: domain.Aadhaar, Number: fmt.Sprintf("1773%08d", n)},
	}
}

func dose(n int, number domain.DoseNumber) domain.DoseGiven {
	at := domain.Date(2021, 3, 10).Start()
	if number == 2 {
		at = domain.Date(2021, 4, 20).Start()
	}
	return domain.DoseGiven{
		Heading: domain.Heading{ID: idOf(1+byte(number), n), At: at}, Person: registration(n).Person, District: 208, Centre: "208001",
		Vaccine: domain.Covishield, Batch: "4120Z001", Number: number,
	}
}

// personal are texts about some of those people that must not be found in the
// clear.
func personal() (texts [][]byte) {
	texts = append(texts, []byte("Kanariya"))
	for n := range 50 {
		r := registration(n)
		texts = append(texts, []byte(r.Person), []byte(r.Mobile), []byte(r.PhotoID.Number))
	}
	return texts
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
