package notices

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
)

// teller is one attempt at following. It ends with the first error; the next one
// begins with what the stream says.
type teller struct {
	*Follower
	at       place
	last     uint64    // sequence of the stream's last message, behind which the next one has to stand
	read     uint64    // the last commit that was taken
	recorded time.Time // when it was
	kept     place     // as the last message on subjectPlace has it
	keptAt   time.Time

	changed  map[domain.District]span // of counts, in commits behind at.Counted
	gathered <-chan time.Time         // when they are to be told; nil when there are none
	quiet    time.Time                // until when none are to be told, for there were many
}

// span is a span of days, both of them in it.
type span struct{ from, to domain.Day }

// numbered is a notice of an event with its place in the commit.
type numbered struct {
	domain.Notice
	entry, number int
	recorded      time.Time
}

// take gathers the changes of counts in a commit, and tells its other notices.
func (t *teller) take(ctx context.Context, c eventstore.Commit) error {
	var notices []numbered
	for i, entry := range c.Entries {
		number := 0
		domain.Notices(entry.Event, domain.DayOf(entry.Recorded), func(n domain.Notice) {
			switch {
			case n.Kind != domain.NoticeCountsChanged:
				notices = append(notices, numbered{n, i, number, entry.Recorded})
				number++
			case c.Sequence > t.at.Counted:
				t.gather(n)
			}
		})
	}
	t.read, t.recorded = c.Sequence, c.Recorded()
	for _, n := range notices {
		if t.at.isOut(c.Sequence, n.entry, n.number) {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next := t.at
		next.Commit, next.Entry, next.Notice = c.Sequence, n.entry, n.number+1
		id := fmt.Sprintf("%d-%d-%d", c.Sequence, n.entry, n.number)
		if err := t.tell(Subject(n.District, n.Kind), event(n.Notice, id, n.recorded), next); err != nil {
			return err
		}
	}
	if t.at.Commit <= c.Sequence {
		t.at.Commit, t.at.Entry, t.at.Notice = c.Sequence+1, 0, 0
	}
	switch {
	case c.Sequence < t.at.Telling: // what was begun is told when all of it is gathered
	case c.Sequence == t.at.Telling:
		return t.tellCounts(c.Sequence)
	case len(t.changed) > 0 && t.gathered == nil:
		t.gathered = time.After(max(t.pace.counts, time.Until(t.quiet)))
	}
	return nil
}

func (t *teller) gather(n domain.Notice) {
	days, ok := t.changed[n.District]
	if !ok {
		days = span{n.Day, n.Day}
	}
	t.changed[n.District] = span{min(days.from, n.Day), max(days.to, n.Day)}
}

// tellCounts tells the changes of counts through a commit, which is the last one
// that was taken.
func (t *teller) tellCounts(through uint64) error {
	districts := slices.Sorted(maps.Keys(t.changed))
	for i, d := range districts {
		if t.at.Telling == through && d <= t.at.Told {
			continue
		}
		next := t.at
		next.Telling, next.Told = through, d
		if i == len(districts)-1 {
			next.Counted, next.Telling, next.Told = through, 0, 0
		}
		id := fmt.Sprintf("counts-%d-%d", through, d)
		if err := t.tell(Subject(d, domain.NoticeCountsChanged), changed(d, t.changed[d], id, t.recorded), next); err != nil {
			return err
		}
	}
	t.at.Counted, t.at.Telling, t.at.Told = through, 0, 0
	t.quiet = time.Now().Add(time.Duration(len(districts)) * t.pace.spacing)
	t.gathered = nil
	clear(t.changed)
	return nil
}

// tellDue tells which reversals may be approved, once a day: when everything that
// is in the ledger has been told, so that a request comes before its day.
func (t *teller) tellDue(ctx context.Context) error {
	today := t.today()
	if today <= t.asked {
		return nil
	}
	head, err := t.ledger.Store().Head(ctx)
	if err != nil || t.read < head {
		return err
	}
	pending, err := t.ledger.PendingReversals(ctx, 0, today)
	if err != nil {
		return err
	}
	for _, p := range pending { // in the order of their days and ids
		if p.DueFrom > today || t.at.isTold(p.DueFrom, p.Request) {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		next := t.at
		next.Due, next.Request = p.DueFrom, p.Request
		n := domain.Notice{
			Kind: domain.NoticeReversalDue, District: p.District, Day: p.Requested,
			Request: p.Request, From: p.From, To: p.To, DueFrom: p.DueFrom,
		}
		e := event(n, "due-"+p.Request.String(), p.DueFrom.Start())
		if err := t.tell(Subject(n.District, n.Kind), e, next); err != nil {
			return err
		}
	}
	t.asked = today
	return nil
}

// today is the day by which reversals are due; math.MinInt32 before a sandbox has a
// day.
func (t *teller) today() domain.Day {
	if !t.ledger.Sandbox() {
		return domain.DayOf(t.options.Now())
	}
	if t.recorded.IsZero() {
		return math.MinInt32
	}
	return domain.DayOf(t.recorded)
}

// keepPlace says now and then how far the notices have come, in a message that does
// not grow old: changes of counts do, and with them what they carry.
func (t *teller) keepPlace() error {
	if t.at == t.kept || time.Since(t.keptAt) < t.pace.keep {
		return nil
	}
	return t.publishPlace()
}

// leave tells what is gathered and keeps the place. It has its own time, for the
// follower's is over; what it does not manage is told by the next one.
func (t *teller) leave() error {
	if len(t.changed) > 0 && t.at.Telling <= t.read {
		if err := t.tellCounts(t.read); err != nil {
			return err
		}
	}
	if t.at == t.kept {
		return nil
	}
	return t.publishPlace()
}

// tell publishes an event; next is the place behind it.
func (t *teller) tell(subject string, e Event, next place) (err error) {
	if next.Ledger == "" {
		ctx, cancel := context.WithTimeout(context.Background(), t.pace.publish)
		defer cancel()
		if next.Ledger, err = t.origin(ctx); err != nil {
			return err
		}
	}
	e.Source = next.Ledger
	m := message.NewMessage(e.ID, e.encode())
	m.Metadata.Set("Content-Type", ContentType)
	if e.Type == Type(domain.NoticeCountsChanged) {
		m.Metadata.Set(jetstream.MsgTTLHeader, countsAge.String())
	}
	return t.publish(subject, m, next)
}

// publishPlace publishes the place alone; there is one such message.
func (t *teller) publishPlace() error {
	m := message.NewMessage("", nil)
	m.Metadata.Set(jetstream.MsgTTLHeader, "never")
	m.Metadata.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	if err := t.publish(subjectPlace, m, t.at); err != nil {
		return err
	}
	t.kept, t.keptAt = t.at, time.Now()
	return nil
}

// publish publishes a message right behind the last one, or fails. What is on its
// way is waited for, also when the follower is told to end.
func (t *teller) publish(subject string, m *message.Message, next place) error {
	ctx, cancel := context.WithTimeout(context.Background(), t.pace.publish)
	defer cancel()
	m.SetContext(ctx)
	m.Metadata.Set(headerPlace, next.header())
	m.Metadata.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(t.last, 10))
	if err := t.publisher.Publish(subject, m); err != nil {
		return err
	}
	t.at, t.last = next, t.last+1
	return nil
}
