package notices

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/internal/natstest"
)

// TestWhereNoticesBegin: at the head of a ledger that is there already, unless asked
// otherwise; and with what comes after Open, whenever it is served.
func TestWhereNoticesBegin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		beginning bool
	}{{"at the head", false}, {"at the beginning", true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := openLedger(t, nil)
			submit(t, l, story()[:9]...)
			before := expect(t, l)
			openFollower(t, l, Options{Beginning: c.beginning}) // which is gone before it tells anything
			submit(t, l, story()[9:]...)
			e := expect(t, l)
			f := openFollower(t, l, Options{Beginning: c.beginning})
			s := serve(t, f)
			e.told(t, f)
			s.end(t)
			if !c.beginning {
				e.ids, e.changes = e.ids[len(before.ids):], e.changes[len(before.changes):]
			}
			e.compare(t, stored(t, f))
		})
	}
}

// TestNoticesOfAnotherLedger: when the stream speaks of another ledger, or of more
// than this one has, or of nothing, notices go on from the head, and the log says so.
func TestNoticesOfAnotherLedger(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{
		"another one":           `{"ledger":"bahi/00000000","commit":2,"counted":1}`,
		"put back":              `{"commit":1001,"counted":1000}`,
		"put back, in part":     `{"commit":1001,"counted":1}`,
		"somebody else's":       ``,
		"somebody else's, long": strings.Repeat("x", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := openLedger(t, nil)
			submit(t, l, story()[:9]...)
			before := expect(t, l)
			openFollower(t, l, Options{})
			foreign := nats.NewMsg(subjectPlace)
			foreign.Header.Set(headerPlace, header)
			js, err := jetstream.New(connect(t, l))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := js.PublishMsg(natstest.Context(t), foreign); err != nil {
				t.Fatal(err)
			}
			log := &logged{}
			f := openFollower(t, l, Options{Log: log.logger(), Beginning: true})
			if !strings.Contains(log.String(), "from the head") {
				t.Errorf("the log is %q", log)
			}
			submit(t, l, story()[9:]...)
			e := expect(t, l)
			s := serve(t, f)
			e.told(t, f)
			s.end(t)
			e.ids, e.changes = e.ids[len(before.ids):], e.changes[len(before.changes):]
			e.compare(t, stored(t, f))
		})
	}
}

// TestThePlaceOutlivesCounts: changes of counts are taken away after an hour, and
// what they said of the place stands in a message that stays.
func TestThePlaceOutlivesCounts(t *testing.T) {
	t.Parallel()
	l := openLedger(t, nil)
	f := openFollower(t, l, Options{})
	f.pace.keep = time.Millisecond
	s := serve(t, f)
	submit(t, l, story()[:5]...)
	head, err := l.Store().Head(natstest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	kept := func() *jetstream.RawStreamMsg {
		m, err := f.stream.GetLastMsgForSubject(natstest.Context(t), subjectPlace)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for deadline := time.Now().Add(natstest.Patience); ; time.Sleep(time.Millisecond) {
		if p, err := placeOf(kept().Header); err != nil || p.Counted == head {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the place is not kept")
		}
	}
	s.end(t)
	if ttl := kept().Header.Get(jetstream.MsgTTLHeader); ttl != "never" {
		t.Errorf("the place is kept for %q", ttl)
	}
	for _, n := range stored(t, f) {
		if ttl := n.headers.Get(jetstream.MsgTTLHeader); ttl != "1h0m0s" {
			t.Errorf("a change of counts is kept for %q", ttl)
		}
		if err := f.stream.DeleteMsg(natstest.Context(t), n.sequence); err != nil {
			t.Fatal(err)
		}
	}
	if p := placeIn(t, f); p.Counted != head || p.Commit != head+1 {
		t.Errorf("the place is %+v, want behind %d", p, head)
	}
	// A follower that finds a change of counts keeps the place anew, for that goes.
	submit(t, l, story()[5:7]...)
	f = openFollower(t, l, Options{})
	killer := &faulty{Publisher: f.publisher}
	f.publisher = killer
	s = serve(t, f)
	until(t, f, func(p place) bool { return p.Counted == head+2 })
	killer.kill()
	s.end(t)
	f = openFollower(t, l, Options{})
	teller, err := f.resume(natstest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := teller.leave(); err != nil {
		t.Fatal(err)
	}
	if p, err := placeOf(kept().Header); err != nil || p.Counted != head+2 {
		t.Errorf("the place that is kept is %+v (%v), want behind %d", p, err, head+2)
	}
	for _, n := range stored(t, f) {
		if err := f.stream.DeleteMsg(natstest.Context(t), n.sequence); err != nil {
			t.Fatal(err)
		}
	}
	info, err := f.stream.Info(natstest.Context(t))
	if err != nil || info.State.Msgs != 1 {
		t.Errorf("%d messages are left (%v), want the place alone", info.State.Msgs, err)
	}
}

// TestReversalsComeDue: on the third day, which begins at midnight in India; once,
// whoever follows; and not when they are decided by then.
func TestReversalsComeDue(t *testing.T) {
	t.Parallel()
	clock := &clock{now: heading(0, 0, "2022-01-22T15:00:00+05:30").At}
	l := openLedger(t, clock.read)
	submit(t, l, registrationOf(1, 208, "2021-01-16"), doseOf(1, 1, 208, "2021-01-17"), requestOf(1, domain.Unvaccinated, "2022-01-22"),
		registrationOf(2, 212, "2021-01-16"), doseOf(2, 1, 212, "2021-01-17"), requestOf(2, domain.Unvaccinated, "2022-01-22"),
		registrationOf(3, 212, "2021-01-16"), doseOf(3, 1, 212, "2021-01-17"))
	due := func(f *Follower) (ids []string) {
		for _, n := range stored(t, f) {
			if n.Type == Type(domain.NoticeReversalDue) {
				ids = append(ids, n.ID+" "+n.Time)
			}
		}
		return ids
	}
	follow := func(n int, submissions ...domain.Submission) (ids []string) {
		t.Helper()
		f := openFollower(t, l, Options{Now: clock.read})
		ctx := t.Context()
		teller, err := f.resume(ctx)
		if err != nil {
			t.Fatal(err)
		}
		submit(t, l, submissions...)
		if before := due(f); len(submissions) > 0 {
			if err := teller.tellDue(ctx); err != nil || len(due(f)) != len(before) {
				t.Errorf("before everything is told there are due %v (%v), want %v", due(f), err, before)
			}
		}
		for c, err := range l.Store().Read(ctx, eventstore.Reading{After: teller.read}) {
			if err != nil {
				t.Fatal(err)
			}
			if err := teller.take(ctx, c); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 { // a second look finds nothing
			if err := teller.tellDue(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if err := teller.leave(); err != nil {
			t.Fatal(err)
		}
		if ids = due(f); len(ids) != n {
			t.Fatalf("at %s there are due %v, want %d", clock.read(), ids, n)
		}
		return ids
	}
	clock.set("2022-01-24T23:59:59.999+05:30")
	follow(0, requestOf(3, domain.Unvaccinated, "2022-01-24"))
	follow(0, decisionOf(2, false, "2022-01-24"))
	clock.set("2022-01-25T00:00:00+05:30")
	ids := follow(1)
	if want := "due-" + requestOf(1, 0, "2022-01-22").ID.String() + " 2022-01-25T00:00:00+05:30"; ids[0] != want {
		t.Errorf("due is %s, want %s", ids[0], want)
	}
	follow(1)
	clock.set("2022-01-26T12:00:00+05:30")
	follow(1)
	clock.set("2022-02-26T12:00:00+05:30") // nobody looked for a month
	follow(2, decisionOf(1, true, "2022-02-26"))
	follow(2)
}

// TestASandboxHasItsOwnDays: there, a reversal is due by the time of the last commit.
func TestASandboxHasItsOwnDays(t *testing.T) {
	t.Parallel()
	l := openLedger(t, nil)
	f := openFollower(t, l, Options{})
	s := serve(t, f)
	submit(t, l, registrationOf(1, 208, "2021-01-16"), doseOf(1, 1, 208, "2021-01-17"), requestOf(1, domain.Unvaccinated, "2021-03-01"),
		registrationOf(2, 208, "2021-03-03T23:59:59+05:30"))
	head, err := l.Store().Head(natstest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	until(t, f, func(p place) bool { return p.Counted == head })
	if p := placeIn(t, f); p.Due != 0 {
		t.Errorf("a reversal is due on %s", p.Due)
	}
	submit(t, l, registrationOf(3, 208, "2021-03-04"))
	until(t, f, func(p place) bool { return p.Request == requestOf(1, 0, "2021-03-01").ID })
	s.end(t)
}

// TestCountsAreGathered: however many there are within the time, one change of counts a
// district is told at its end, and behind many there is a pause.
func TestCountsAreGathered(t *testing.T) {
	t.Parallel()
	l := openLedger(t, nil)
	f := openFollower(t, l, Options{})
	f.pace.counts, f.pace.keep = time.Hour, time.Millisecond // which shows how far it has read
	s := serve(t, f)
	register := func(from, to int) (head uint64) {
		t.Helper()
		for n := from; n <= to; n++ {
			submit(t, l, registrationOf(n, domain.District(208+4*(n%2)), "2021-01-16"))
		}
		head, err := l.Store().Head(natstest.Context(t))
		if err != nil {
			t.Fatal(err)
		}
		return head
	}
	head := register(1, 30)
	until(t, f, func(p place) bool { return p.Commit == head+1 })
	if told := stored(t, f); len(told) != 0 {
		t.Errorf("%d changes of counts are told before their time", len(told))
	}
	s.end(t)
	if told := stored(t, f); len(told) != 2 {
		t.Errorf("%d changes of counts of 2 districts for 30 registrations", len(told))
	}

	f = openFollower(t, l, Options{})
	f.pace.counts, f.pace.spacing = 20*time.Millisecond, 20*time.Millisecond // two districts: 40 ms
	s = serve(t, f)
	head = register(31, 60)
	until(t, f, func(p place) bool { return p.Counted == head })
	s.end(t)
	notices := stored(t, f)[2:]
	districts := map[string]int{} // by the commit through which they were told together
	for _, n := range notices {
		districts[strings.Split(n.ID, "-")[1]]++
	}
	last := map[string]notice{}
	for _, n := range notices {
		if before, ok := last[n.subject]; ok {
			least := time.Duration(districts[strings.Split(before.ID, "-")[1]]) * 20 * time.Millisecond
			if pause := n.stored.Sub(before.stored); pause < least-5*time.Millisecond { // they are not stored all at once
				t.Errorf("%s comes %s after %s, want %s", n.ID, pause, before.ID, least)
			}
		}
		last[n.subject] = n
	}
	if len(last) != 2 {
		t.Errorf("changes of counts of %d districts are told", len(last))
	}
	if p := placeIn(t, f); p != (place{Ledger: l.Origin(), Commit: head + 1, Counted: head}) {
		t.Errorf("the place at the end is %+v, want behind %d", p, head)
	}
}

// TestEndedWithinACommit: a follower that is told to end between the notices of a
// commit tells its counts, and the next one the rest of its notices.
func TestEndedWithinACommit(t *testing.T) {
	t.Parallel()
	l := openLedger(t, nil)
	submit(t, l, story()...)
	e := expect(t, l)
	for step := range len(e.ids) {
		f := afresh(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		f.publisher = &counting{Publisher: f.publisher, after: step + 1, then: cancel}
		f.pace.counts = time.Hour
		if err := f.Serve(ctx); err != nil {
			t.Fatal(err)
		}
		s := serve(t, f)
		until(t, f, func(p place) bool { return p.isOut(idOf(t, e.ids)) })
		s.end(t)
		e.compare(t, stored(t, f))
		if t.Failed() {
			t.Fatalf("ended after %d messages", step+1)
		}
	}
}

// TestEndedBeforeCountsAreGathered: what a killed follower began to tell of counts is
// told by whoever has gathered all of it, not by one that ends on its way there.
func TestEndedBeforeCountsAreGathered(t *testing.T) {
	t.Parallel()
	l := openLedger(t, nil)
	submit(t, l, story()...)
	e := expect(t, l)
	f := afresh(t, l)
	real := f.publisher
	f.publisher = &faulty{Publisher: real, fault: faults[3], nth: len(e.ids) + 2} // the second of three districts
	take := func(commits uint64) error {
		t.Helper()
		teller, err := f.resume(natstest.Context(t))
		if err != nil {
			t.Fatal(err)
		}
		for c, err := range l.Store().Read(t.Context(), eventstore.Reading{After: teller.read, Through: commits}) {
			if err != nil {
				t.Fatal(err)
			}
			if err := teller.take(natstest.Context(t), c); err != nil {
				t.Fatal(err)
			}
		}
		return teller.leave()
	}
	if err := take(0); !errors.Is(err, errFault) {
		t.Fatal(err)
	}
	f.publisher = real
	if p := placeIn(t, f); p.Telling == 0 || p.Told != 212 {
		t.Fatalf("the place is %+v, want one within the counts", p)
	}
	if err := take(8); err != nil {
		t.Fatal(err)
	}
	s := serve(t, f)
	e.told(t, f)
	s.end(t)
	notices := stored(t, f)
	e.compare(t, notices)
	if len(notices) != len(e.ids)+3 {
		t.Errorf("%d notices, want three of counts", len(notices))
	}
}

// counting is a publisher that does something after so many messages.
type counting struct {
	message.Publisher
	after int
	then  func()
}

func (p *counting) Publish(topic string, messages ...*message.Message) error {
	err := p.Publisher.Publish(topic, messages...)
	if p.after--; p.after == 0 {
		p.then()
	}
	return err
}

// TestAWriterDoesNotWait: what is submitted is accepted while nobody can publish.
func TestAWriterDoesNotWait(t *testing.T) {
	t.Parallel()
	l := openLedger(t, nil)
	conn := connect(t, l)
	log := &logged{}
	f, err := Open(natstest.Context(t), l, conn, Options{Log: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	f.pace = quick
	s := serve(t, f)
	conn.Close()
	submit(t, l, story()...)
	s.end(t)
	f = openFollower(t, l, Options{})
	s = serve(t, f)
	e := expect(t, l)
	e.told(t, f)
	s.end(t)
	e.compare(t, stored(t, f))
	if !strings.Contains(log.String(), "they wait in the ledger") {
		t.Errorf("the log is %q", log)
	}
}

// TestNoticesAreBounded: the largest notice fits, and the stream has its limits.
func TestNoticesAreBounded(t *testing.T) {
	t.Parallel()
	l := openLedger(t, nil)
	f := openFollower(t, l, Options{})
	large := event(domain.Notice{
		Kind: domain.NoticeFreezeAnnounced, District: 999, Groups: domain.Groups(), Order: strings.Repeat("x", 64), People: 1 << 62,
	}, strings.Repeat("9", 40), time.Now())
	if n := len(large.encode()) + len(behind(1<<63).header()) + 500; n > maxMessage {
		t.Errorf("the largest notice has %d bytes", n)
	}
	info, err := f.stream.Info(natstest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	c := info.Config
	if c.MaxAge != 30*24*time.Hour || c.MaxBytes != maxBytes || c.MaxMsgSize != maxMessage || c.Discard != jetstream.DiscardOld || c.AllowDirect {
		t.Errorf("the stream is set up as %+v", c)
	}
	if steady.keep >= countsAge {
		t.Error("the place grows older than what it stands for")
	}
}

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(when string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = heading(0, 0, when).At
}
