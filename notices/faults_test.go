package notices

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/internal/natstest"
	"bahi/ledger"
)

// fault is what happens to a message on its way to the stream.
type fault struct {
	name   string
	stored bool // it is there, whatever its publisher learns
	killed bool // its publisher learns nothing any more, nor does anything
}

var faults = []fault{
	{"lost", false, false}, {"acknowledgement lost", true, false},
	{"killed before", false, true}, {"killed after", true, true},
}

// faulty is a publisher to whose nth message something happens.
type faulty struct {
	message.Publisher
	fault
	mu   sync.Mutex // guards what follows
	nth  int
	dead bool
}

var errFault = errors.New("a fault of the test's")

func (p *faulty) Publish(topic string, messages ...*message.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead {
		return errFault
	}
	p.nth--
	if p.nth != 0 {
		return p.Publisher.Publish(topic, messages...)
	}
	p.dead = p.killed
	if p.stored {
		if err := p.Publisher.Publish(topic, messages...); err != nil {
			return err
		}
	}
	return errFault
}

// afresh is a follower of a ledger that has told nothing yet and begins at the
// beginning. The server clears away what was deleted behind its answer: until that is
// done the stream cannot be made, or is the one before.
func afresh(t testing.TB, l *ledger.Ledger) *Follower {
	t.Helper()
	conn := connect(t, l)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(natstest.Patience); ; time.Sleep(10 * time.Millisecond) {
		if err := js.DeleteStream(natstest.Context(t), streamName); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Fatal(err)
		}
		f, err := Open(natstest.Context(t), l, conn, Options{Beginning: true})
		if err == nil && len(stored(t, f)) == 0 {
			f.pace = quick
			return f
		}
		if time.Now().After(deadline) {
			t.Fatalf("the stream is not cleared away: %v", err)
		}
	}
}

func (p *faulty) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

func (p *faulty) state() (happened, dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nth <= 0, p.dead
}

// TestFaultsAtEveryStep: whatever happens to any of the messages, each notice stands
// in the stream once and in its place.
func TestFaultsAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			l := openLedger(t, nil)
			submit(t, l, story()...)
			submit(t, l, registrationOf(5, 212, "2021-03-10"), doseOf(5, 1, 212, "2021-03-10"), requestOf(5, domain.Unvaccinated, "2021-03-11"),
				registrationOf(6, 212, "2021-03-10"), doseOf(6, 1, 212, "2021-03-10"), requestOf(6, domain.Unvaccinated, "2021-03-11"),
				registrationOf(7, 212, "2021-03-15"))
			e := expect(t, l)
			last := requestOf(6, 0, "2021-03-11").ID
			told := func(p place) bool { return e.reached(t)(p) && p.Request == last }
			step := 1
			for faultAt(t, afresh(t, l), fault, step, told, e) {
				if t.Failed() {
					t.Fatalf("at step %d", step)
				}
				step++
			}
			if least := len(e.ids) + 5; step < least { // two reversals are due, and three districts' counts change
				t.Errorf("%d messages, want at least %d", step-1, least)
			}
		})
	}
}

// faultAt has a fault happen to one of a follower's messages, and tells whether it
// has that many.
func faultAt(t *testing.T, f *Follower, fault fault, step int, told func(place) bool, e expected) (happened bool) {
	t.Helper()
	real := f.publisher
	fallible := &faulty{Publisher: real, fault: fault, nth: step}
	f.publisher = fallible
	s := serve(t, f)
	until(t, f, func(p place) bool {
		_, dead := fallible.state()
		return dead || told(p)
	})
	happened, dead := fallible.state()
	s.end(t) // what is dead publishes nothing to the end
	if dead {
		f.publisher = real
		s = serve(t, f)
		until(t, f, told)
		s.end(t)
	}
	notices := stored(t, f)
	e.compare(t, notices)
	due := 0
	for _, n := range notices {
		if n.Type == Type(domain.NoticeReversalDue) {
			due++
		}
	}
	if due != 2 {
		t.Errorf("%d reversals are due, want 2", due)
	}
	return happened
}

// TestFollowersDieUnderLoad: three followers at once on one stream, each killed and
// started again all the time, while the ledger grows. Each notice is told once, in
// the order of the ledger; and a subscriber that listens live misses none.
func TestFollowersDieUnderLoad(t *testing.T) {
	t.Parallel()
	l := openLedger(t, nil)
	watching := openFollower(t, l, Options{})
	live := map[string]bool{}
	var mu sync.Mutex
	js, err := jetstream.New(connect(t, l))
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(natstest.Context(t), streamName, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"notice.*.*"}})
	if err != nil {
		t.Fatal(err)
	}
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		n := notice{subject: m.Subject(), headers: m.Headers(), raw: m.Data()}
		n.check(t)
		mu.Lock()
		defer mu.Unlock()
		live[n.ID] = true
	})
	if err != nil {
		t.Fatal(err)
	}
	defer consuming.Stop()

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	deaths := make([]int, 3)
	for i := range deaths {
		running.Go(func() {
			chance := rand.New(rand.NewPCG(uint64(i), 1))
			for ctx.Err() == nil {
				f := openFollower(t, l, Options{})
				killer := &faulty{Publisher: f.publisher, fault: faults[2+chance.IntN(2)], nth: 1 + chance.IntN(20)}
				f.publisher = killer
				s := serve(t, f)
				for dead := false; !dead && ctx.Err() == nil; time.Sleep(time.Millisecond) {
					_, dead = killer.state()
				}
				s.end(t)
				deaths[i]++
			}
		})
	}
	const people = 120
	for n := 1; n <= people; n++ {
		d := domain.District(208 + 4*(n%3))
		submit(t, l, registrationOf(n, d, "2021-01-16"), doseOf(n, 1, d, "2021-01-17"))
		submit(t, l, domain.DoseWithdrawal{Heading: heading(9, n, "2021-01-18"), Person: referenceOf(n), Number: 1, Reason: domain.ReasonEnteredInError})
	}
	e := expect(t, l)
	e.told(t, watching)
	cancel()
	running.Wait()
	notices := stored(t, watching)
	e.compare(t, notices)
	if len(e.ids) != people {
		t.Errorf("%d notices of events, want %d", len(e.ids), people)
	}
	deadline := time.Now().Add(natstest.Patience)
	for _, n := range notices {
		for got := false; !got; time.Sleep(time.Millisecond) {
			mu.Lock()
			got = live[n.ID]
			mu.Unlock()
			if time.Now().After(deadline) {
				t.Fatalf("the subscriber misses %s", n.ID)
			}
		}
	}
	t.Logf("%d notices; the followers died %v times", len(notices), deaths)
	if deaths[0]+deaths[1]+deaths[2] < 10 {
		t.Error("hardly anybody died")
	}
}
