package intake

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/formats"
	"bahi/internal/natstest"
	"bahi/ledger"
	"bahi/vault"
)

// brisk is a door's pace for tests: it tries again at once, and waits long.
var brisk = pace{
	ackWait: steady.ackWait, nackDelay: 10 * time.Millisecond, grace: natstest.Patience,
	attempt: natstest.Patience, pause: time.Millisecond, retries: 3,
	ask: natstest.Patience, watch: 10 * time.Millisecond, stuck: time.Minute,
}

// memory decides as a ledger does as far as the door is concerned: what it holds
// is a duplicate.
type memory struct {
	mu    sync.Mutex
	held  map[domain.UUID]bool
	order []domain.UUID // in which they were accepted
}

func (m *memory) submit(_ context.Context, submissions []domain.Submission) ([]domain.Verdict, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	verdicts := make([]domain.Verdict, len(submissions))
	for i, s := range submissions {
		id := s.Head().ID
		verdicts[i] = domain.Verdict{ID: id.String(), Outcome: domain.Accepted, Person: domain.PersonOf(s), Commit: 7}
		if m.held[id] {
			verdicts[i].Outcome = domain.Duplicate
			continue
		}
		if m.held == nil {
			m.held = make(map[domain.UUID]bool)
		}
		m.held[id] = true
		m.order = append(m.order, id)
	}
	return verdicts, nil
}

// house is a ledger's server and keys, without the ledger.
type house struct {
	dir     string
	store   *eventstore.Store
	keys    *vault.Vault
	log     *syncBuffer
	frozen  sync.Map // reference numbers of people whose refused submissions may be kept nowhere
	read    []domain.UUID
	centres []eventstore.CentreUser
}

func openHouse(t testing.TB) *house {
	t.Helper()
	dir := t.TempDir()
	store := natstest.OpenConfig(t, eventstore.Config{Dir: filepath.Join(dir, "data"), Listen: "127.0.0.1:0"})
	keys, err := vault.Open(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { keys.Close() })
	return &house{dir: dir, store: store, keys: keys, log: &syncBuffer{}}
}

// config is what a door of the house works with.
func (h *house) config(t testing.TB, submit Submitter) Config {
	t.Helper()
	conn, err := h.store.Connect("intake")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return Config{
		Conn: conn, Keys: h.keys, Submit: submit, Custody: h.custody, Reading: h.reading,
		Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug - 4})),
	}
}

// custody is a ledger's in which nobody is registered.
func (h *house) custody(_ context.Context, from domain.District, submissions []domain.Submission) ([]domain.District, error) {
	districts := make([]domain.District, len(submissions))
	for i, s := range submissions {
		if _, frozen := h.frozen.Load(domain.PersonOf(s)); frozen {
			continue
		}
		districts[i] = from
		if r, ok := s.(domain.Registration); ok {
			districts[i] = r.District
		}
	}
	return districts, nil
}

// reading records as a ledger does, in memory.
func (h *house) reading(ctx context.Context, r ledger.Reader, district domain.District, id domain.UUID, submissions []domain.Submission) ([]bool, error) {
	if r.Officer == "" {
		return nil, ledger.ErrBadRequest
	}
	districts, err := h.custody(ctx, district, submissions)
	may := make([]bool, len(submissions))
	for i := range submissions {
		if may[i] = districts[i] == district; may[i] {
			h.read = append(h.read, id)
		}
	}
	return may, err
}

// open opens a door that does not serve yet.
func (h *house) open(t testing.TB, submit Submitter) *Door {
	t.Helper()
	d, err := OpenDoor(natstest.Context(t), h.config(t, submit))
	if err != nil {
		t.Fatal(err)
	}
	d.pace = brisk
	return d
}

// serve opens a door and serves until the returned function, which waits for its
// end, is called, or the test ends.
func (h *house) serve(t testing.TB, submit Submitter) (stop func()) {
	t.Helper()
	return h.open(t, submit).serving(t)
}

// serving serves until the returned function is called, or the test ends.
func (d *Door) serving(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the door ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// centre dials in as the centre 208001 of district 208 does.
func (h *house) centre(t testing.TB, options ClientOptions) *Client {
	t.Helper()
	return h.centreOf(t, sender{208, "208001"}, options)
}

// newNKey makes a centre's nkey: its public half, and a file with its seed.
func newNKey(t testing.TB) (public, seed string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	if public, err = pair.PublicKey(); err != nil {
		t.Fatal(err)
	}
	secret, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	seed = filepath.Join(t.TempDir(), "centre.nkey")
	if err := os.WriteFile(seed, secret, 0o600); err != nil {
		t.Fatal(err)
	}
	return public, seed
}

// centreOf registers a centre and dials in as it does, with an nkey.
func (h *house) centreOf(t testing.TB, who sender, options ClientOptions) *Client {
	t.Helper()
	var public string
	public, options.Seed = newNKey(t)
	h.centres = append(h.centres, eventstore.CentreUser{District: who.District, Centre: who.Centre, NKey: public})
	if err := h.store.SetCentres(h.centres); err != nil {
		t.Fatal(err)
	}
	options.InboxPrefix = InboxPrefix(who.District, who.Centre)
	options.Pause, options.Receipt = 10*time.Millisecond, cmp.Or(options.Receipt, 20*time.Second)
	c, err := Dial("nats://"+h.store.Address(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// anyCentre is a client that may speak for every centre.
func (h *house) anyCentre(t testing.TB, options ClientOptions) *Client {
	t.Helper()
	conn, err := h.store.Connect("centres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	options.Pause, options.Receipt = 10*time.Millisecond, cmp.Or(options.Receipt, 20*time.Second)
	c, err := NewClient(conn, options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// inside looks into the door's streams, as an operator.
func (h *house) inside(t *testing.T) jetstream.JetStream {
	t.Helper()
	conn, err := h.store.Connect("operator")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func (h *house) stands(t *testing.T, stream string) jetstream.StreamState {
	t.Helper()
	s, err := h.inside(t).Stream(natstest.Context(t), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State
}

func (h *house) stored(t *testing.T, stream string) uint64 {
	t.Helper()
	return h.stands(t, stream).Msgs
}

// put puts bytes on a centre's subject and waits for the receipt.
func (c *Client) put(t *testing.T, subject, reply string, data []byte) {
	t.Helper()
	msg := nats.NewMsg(subject)
	msg.Data = data
	if reply != "" {
		msg.Header.Set(HeaderReply, reply)
	}
	if _, err := c.js.PublishMsg(natstest.Context(t), msg); err != nil {
		t.Fatal(err)
	}
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

func doseAt(n int, centre string) domain.DoseGiven {
	id, err := domain.ParseUUID(numbered(n))
	if err != nil {
		panic(err)
	}
	return domain.DoseGiven{
		Heading: domain.Heading{ID: id, At: domain.Date(2021, 1, 16).Start()}, Person: ref, District: 208, Centre: centre,
		Vaccine: domain.Covishield, Batch: "4120Z001", Number: 1,
	}
}

// eventually waits for what must come true without anybody telling.
func eventually(t *testing.T, what string, isSo func() bool) {
	t.Helper()
	for deadline := time.Now().Add(natstest.Patience); !isSo(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("did not come true: " + what)
		}
	}
}

func TestDoorAnswersEveryLine(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	h.serve(t, m.submit)
	c := h.centre(t, ClientOptions{})
	bundle := strings.Join([]string{
		samples[0], samples[1], "not JSON", swap(swap(samples[1], id1, numbered(3)), `"centre":"208001"`, `"centre":"208002"`),
		swap(samples[0], `"sex"`, `"address":"Mithanpura","sex"`), swap(swap(samples[1], id1, numbered(4)), `208,`, `209,`), swap(samples[7], id1, numbered(5)),
	}, "\n")
	first, err := c.PublishNDJSON(t.Context(), 208, "208001", []byte(bundle))
	if err != nil {
		t.Fatal(err)
	}
	show := func(verdicts []domain.Verdict) (out []string) {
		for _, v := range verdicts {
			s := fmt.Sprintf("%d %s", v.Line, v.Outcome)
			if v.Reject != nil {
				s += fmt.Sprintf(" %s %s", v.Reject.Code, v.Reject.Field)
			}
			out = append(out, s)
		}
		return out
	}
	want := []string{"0 accepted", "0 duplicate", "3 rejected bad_json ", "0 rejected not_allowed centre", "0 rejected not_collected address",
		"0 rejected not_allowed district", "0 accepted"}
	if got := show(first); !slices.Equal(got, want) {
		t.Errorf("verdicts %q, want %q", got, want)
	}
	// The same bundle again: the ledger holds it, and says so.
	again, err := c.PublishNDJSON(t.Context(), 208, "208001", []byte(bundle))
	if err != nil {
		t.Fatal(err)
	}
	want[0], want[6] = "0 duplicate", "0 duplicate"
	if got := show(again); !slices.Equal(got, want) {
		t.Errorf("verdicts %q, want %q", got, want)
	}
	eventually(t, "INTAKE is empty", func() bool { return h.stored(t, streamIntake) == 0 })
}

func TestPublishFiveHundred(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	h.serve(t, m.submit)
	c := h.centre(t, ClientOptions{IntakeKey: h.keys.IntakePublicKey()})
	var submissions []domain.Submission
	for n := range BundleSize {
		submissions = append(submissions, doseAt(n, "208001"))
	}
	verdicts, err := c.Publish(t.Context(), 208, "208001", submissions)
	if err != nil || len(verdicts) != BundleSize {
		t.Fatalf("%d verdicts, %v", len(verdicts), err)
	}
	for n, v := range verdicts {
		if v.Outcome != domain.Accepted || v.ID != numbered(n) {
			t.Fatalf("verdict %d is %+v", n, v)
		}
	}
	if _, err := c.Publish(t.Context(), 208, "208001", append(submissions, doseAt(BundleSize, "208001"))); err == nil {
		t.Error("501 submissions were published")
	}
	if _, err := c.Publish(t.Context(), 208, "208001", nil); err == nil {
		t.Error("an empty bundle was published")
	}
	if _, err := c.Publish(t.Context(), 208, "208.001", submissions); err == nil {
		t.Error("a centre with a dot in it has a subject")
	}
	if _, err := c.Publish(t.Context(), 65535, "208001", submissions); err == nil {
		t.Error("an unknown district has a subject")
	}
}

// TestOrderOverFailures holds up one centre's bundles: they stay in order, other
// centres go on meanwhile, and nothing is lost.
func TestOrderOverFailures(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	var mu sync.Mutex
	failures := 11 // more than the attempts of one delivery, so that bundles go back and come again
	othersDone := make(chan struct{})
	submit := func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
		if s[0].(domain.DoseGiven).Centre == "stuck" {
			mu.Lock()
			failures--
			fail := failures >= 0
			mu.Unlock()
			if fail {
				return nil, errors.New("the disk is full")
			}
			select {
			case <-othersDone:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return m.submit(ctx, s)
	}
	h.serve(t, submit)
	c := h.anyCentre(t, ClientOptions{IntakeKey: h.keys.IntakePublicKey()})

	const bundles = 20
	for n := range bundles {
		sealed, _, err := vault.SealBundle(h.keys.IntakePublicKey(), formats.AppendSubmission(nil, doseAt(n, "stuck")), []byte("intake.208.stuck"))
		if err != nil {
			t.Fatal(err)
		}
		c.put(t, "intake.208.stuck", "", sealed)
	}
	// Of these at least one is in another partition; by the server's hash it is
	// always the same ones.
	answered := make(chan error, 5)
	for n := range 5 {
		centre := fmt.Sprintf("free-%d", n)
		go func() {
			_, err := c.Publish(t.Context(), 208, centre, []domain.Submission{doseAt(100+n, centre)})
			answered <- err
		}()
	}
	if err := <-answered; err != nil {
		t.Error(err)
	}
	close(othersDone)
	for range 4 {
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
	eventually(t, "all bundles are taken in", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.order) == bundles+5
	})
	next := 0
	for _, id := range m.order {
		if id.String() >= numbered(100) {
			continue
		}
		if id.String() != numbered(next) {
			t.Fatalf("bundle %s was taken in where %s should have been", id, numbered(next))
		}
		next++
	}
	if n := h.stored(t, streamQuarantine); n != 0 {
		t.Errorf("%d bundles in quarantine for a fault that was not theirs", n)
	}
}

// TestBundleInHandAtTheEnd: what is being decided when the door closes is
// finished and answered; what waits is taken in by the next door.
func TestBundleInHandAtTheEnd(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	begun, finish := make(chan struct{}), make(chan struct{})
	stop := h.serve(t, func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
		close(begun) // a second bundle would panic here
		<-finish
		return m.submit(ctx, s)
	})
	c := h.centre(t, ClientOptions{IntakeKey: h.keys.IntakePublicKey(), Attempts: 1})
	type answer struct {
		verdicts []domain.Verdict
		err      error
	}
	publish := func(n int) <-chan answer {
		a := make(chan answer, 1)
		go func() {
			verdicts, err := c.Publish(t.Context(), 208, "208001", []domain.Submission{doseAt(n, "208001")})
			a <- answer{verdicts, err}
		}()
		return a
	}
	first := publish(1)
	<-begun
	eventually(t, "the door is open for everybody", func() bool { return h.stands(t, streamIntake).Consumers == partitions })
	second := publish(2)
	eventually(t, "the second bundle waits", func() bool { return h.stored(t, streamIntake) == 2 })
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	eventually(t, "the door takes no more", func() bool { return strings.Contains(h.log.String(), "Closing router") })
	close(finish)
	<-stopped
	if a := <-first; a.err != nil || a.verdicts[0].Outcome != domain.Accepted {
		t.Errorf("the bundle in hand: %+v", a)
	}
	h.serve(t, m.submit)
	if a := <-second; a.err != nil || a.verdicts[0].Outcome != domain.Accepted {
		t.Errorf("the bundle that waited: %+v", a)
	}
}

// TestTwoDoors: two nodes serve one stream; a centre's bundles keep their order.
func TestTwoDoors(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	h.serve(t, m.submit)
	h.serve(t, m.submit)
	c := h.centre(t, ClientOptions{IntakeKey: h.keys.IntakePublicKey()})
	const bundles = 100
	for n := range bundles {
		sealed, _, err := vault.SealBundle(h.keys.IntakePublicKey(), formats.AppendSubmission(nil, doseAt(n, "208001")), []byte("intake.208.208001"))
		if err != nil {
			t.Fatal(err)
		}
		c.put(t, "intake.208.208001", "", sealed)
	}
	eventually(t, "all bundles are taken in", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.order) == bundles
	})
	for n, id := range m.order {
		if id.String() != numbered(n) {
			t.Fatalf("place %d holds %s", n, id)
		}
	}
}

// TestRepliesGoToOwnInboxes: a sender cannot have the door publish for him where he
// may not, nor to another centre.
func TestRepliesGoToOwnInboxes(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	h.serve(t, m.submit)
	c := h.centre(t, ClientOptions{IntakeKey: h.keys.IntakePublicKey()})
	operator, err := h.store.Connect("operator")
	if err != nil {
		t.Fatal(err)
	}
	defer operator.Close()
	foreign := []string{"somewhere.else", InboxPrefix(208, "208002") + ".x", InboxPrefix(209, "208001") + ".x", "_INBOX.x", InboxPrefix(208, "208001")}
	var spied []*nats.Subscription
	for _, subject := range foreign {
		s, err := operator.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		spied = append(spied, s)
	}
	if err := operator.FlushTimeout(natstest.Patience); err != nil {
		t.Fatal(err)
	}
	b, err := Seal(h.keys.IntakePublicKey(), 208, "208001", domain.UUID{1}, formats.AppendSubmission(nil, doseAt(1, "208001")))
	if err != nil {
		t.Fatal(err)
	}
	ask, err := VerdictsSubject(208, "208001")
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range foreign {
		c.put(t, "intake.208.208001", subject, b.Sealed)
		question := nats.NewMsg(ask)
		question.Data, question.Reply = []byte(b.ID.String()), subject
		question.Header.Set(HeaderReply, subject)
		if err := c.conn.PublishMsg(question); err != nil {
			t.Fatal(err)
		}
	}
	// They are taken in all the same, before the next bundle of the centre is.
	verdicts, err := c.Publish(t.Context(), 208, "208001", []domain.Submission{doseAt(1, "208001")})
	if err != nil || verdicts[0].Outcome != domain.Duplicate {
		t.Errorf("%v, %v", verdicts, err)
	}
	eventually(t, "the questions are answered", func() bool {
		_, err := c.Verdicts(t.Context(), b) // none was under that name
		return errors.Is(err, ErrUnknownBundle)
	})
	if err := operator.FlushTimeout(natstest.Patience); err != nil {
		t.Fatal(err)
	}
	for i, s := range spied {
		if n, _, _ := s.Pending(); n != 0 {
			t.Errorf("the door answered to %s", foreign[i])
		}
	}
	for subject, want := range map[string]bool{
		"_INBOX_centre.208.208001.abc": true, "_INBOX_centre.208.208001.x.y": true, "_INBOX_centre.208.208001": false, "_INBOX_centre.208.208001.": false,
		"_INBOX_centre.208.208001.*": false, "_INBOX_centre.208.208001.>": false, "_INBOX_centre.208.2080011.x": false, "_INBOX_centre.209.208001.x": false,
		"": false, "ledger.208": false, "_INBOX_centre.208.208001.a b": false, "_INBOX_centre.208.208001." + strings.Repeat("x", 300): false,
	} {
		if (sender{208, "208001"}).hears(subject) != want {
			t.Errorf("hears(%q) is %v", subject, !want)
		}
	}
}

func TestWhatAClientIsTold(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	quick := ClientOptions{Attempts: 2, Receipt: 200 * time.Millisecond, Verdicts: 200 * time.Millisecond}
	one := []domain.Submission{doseAt(1, "208001")}
	if _, err := h.centre(t, quick).Publish(t.Context(), 208, "208001", one); !errors.Is(err, ErrNoKey) {
		t.Errorf("nobody is there: %v", err)
	}
	quick.IntakeKey = h.keys.IntakePublicKey()
	if _, err := h.centre(t, quick).Publish(t.Context(), 208, "208001", one); !errors.Is(err, ErrNotReceived) {
		t.Errorf("no stream is there: %v", err)
	}
	m := &memory{}
	h.serve(t, m.submit)() // leaves its streams
	received := ClientOptions{Attempts: 1, Verdicts: quick.Verdicts, IntakeKey: quick.IntakeKey}
	for range 2 {
		if _, err := h.centre(t, received).Publish(t.Context(), 208, "208001", one); !errors.Is(err, ErrNoVerdicts) {
			t.Errorf("nobody takes in: %v", err)
		}
	}
	// Twice it was published, and is taken in twice, to one effect.
	h.serve(t, m.submit)
	eventually(t, "INTAKE is empty", func() bool { return h.stored(t, streamIntake) == 0 })
	if len(m.order) != 1 {
		t.Errorf("taken in %d times", len(m.order))
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.centre(t, quick).Publish(ctx, 208, "208001", one); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	other, err := vault.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	var refused *BundleError
	if _, err := h.centre(t, ClientOptions{IntakeKey: other.IntakePublicKey()}).Publish(t.Context(), 208, "208001", one); !errors.As(err, &refused) || refused.Code != BundleOtherKey {
		t.Errorf("pinned to another key: %v", err)
	}
	// A key that was fetched and is out of date is fetched anew.
	c := h.centre(t, ClientOptions{})
	c.key = other.IntakePublicKey()
	if v, err := c.Publish(t.Context(), 208, "208001", one); err != nil || v[0].Outcome != domain.Duplicate {
		t.Errorf("%v, %v", v, err)
	}
}

// TestCodesAreDocumented holds docs/CENTRES.md to the codes of bundles.
func TestCodesAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/CENTRES.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []BundleCode{
		BundleCannotOpen, BundleOtherKey, BundleBadSubject, BundleEmpty, BundleTooMany, BundleCrashed, BundleLocked, CodeRejected, AnswerWaiting, AnswerNotFound, CodeNotPermitted,
	} {
		if !bytes.Contains(page, []byte("| `"+string(code)+"` |")) {
			t.Errorf("docs/CENTRES.md does not explain %s", code)
		}
	}
}

// BenchmarkDoor takes bundles of 500 doses from 16 centres through the whole
// door: sealed, flushed to disk, opened, read, answered.
func BenchmarkDoor(b *testing.B) {
	h, m := openHouse(b), &memory{}
	h.serve(b, m.submit)
	c := h.anyCentre(b, ClientOptions{IntakeKey: h.keys.IntakePublicKey()})
	var group sync.WaitGroup
	next := make(chan int)
	for range 16 {
		group.Go(func() {
			for n := range next {
				centre := fmt.Sprintf("c-%d", n%64)
				submissions := make([]domain.Submission, BundleSize)
				for i := range submissions {
					submissions[i] = doseAt(n*BundleSize+i, centre)
				}
				if _, err := c.Publish(b.Context(), 208, centre, submissions); err != nil {
					b.Error(err)
				}
			}
		})
	}
	n := 0
	for b.Loop() {
		next <- n
		n++
	}
	close(next)
	group.Wait()
	b.ReportMetric(float64(n*BundleSize)/b.Elapsed().Seconds(), "submissions/s")
}

// TestDoorWithoutStreams: what keeps the door from serving is said at once.
func TestDoorWithoutStreams(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	d := h.open(t, m.submit)
	if err := d.js.DeleteStream(natstest.Context(t), streamIntake); err != nil {
		t.Fatal(err)
	}
	if err := d.Serve(natstest.Context(t)); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("served without a stream: %v", err)
	}
}

// TestKeyIsAskedForAgain: a centre that asks for the intake key while nobody gives it,
// as while the ledger is started again, gets it from who comes.
func TestKeyIsAskedForAgain(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	c := h.centre(t, ClientOptions{Attempts: 1_000_000, Receipt: natstest.Patience})
	before := c.conn.Stats().OutMsgs
	answer := make(chan error, 1)
	go func() {
		_, err := c.IntakeKey(t.Context())
		answer <- err
	}()
	eventually(t, "it is asked for", func() bool { return c.conn.Stats().OutMsgs > before })
	h.open(t, new(memory).submit)
	if err := <-answer; err != nil {
		t.Error(err)
	}
}
