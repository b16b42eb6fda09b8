package notices

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/intake"
	"bahi/ledger"
)

// Options are how a [Follower] works. Zero values stand for the defaults named.
type Options struct {
	// Beginning tells what is in the ledger already. Without it the first follower
	// of a ledger begins at its head; later ones go on where the last one was.
	Beginning bool

	Log *slog.Logger     // nil: nothing is logged
	Now func() time.Time // the machine's clock; says which reversals are due. In a sandbox the time of the last commit does
}

// Follower follows a ledger and tells others. There may be one on every node.
type Follower struct {
	ledger    *ledger.Ledger
	conn      *nats.Conn
	stream    jetstream.Stream
	publisher message.Publisher // tests lose messages here
	options   Options
	pace      pace
	asked     domain.Day // for which it was told what is due
}

// openTries is how often a follower is tried to begin while nobody answers: whether the
// message with its place is there, the next try sees.
const openTries = 3

// pace is how patient a follower is. Tests are less so.
type pace struct {
	counts  time.Duration // changes of counts are gathered for at least this long
	spacing time.Duration // between changes of counts on average, over all districts
	look    time.Duration // between looks whether the day has changed
	keep    time.Duration // how old the message that keeps the place may be; under countsAge
	publish time.Duration // for one message
	standby time.Duration // before a follower that another one overtook looks again
	pause   time.Duration // after a first failure; doubled after each further one
	longest time.Duration // pause
}

var steady = pace{
	counts:  2 * time.Second,
	spacing: 100 * time.Millisecond,
	look:    time.Second,
	keep:    15 * time.Minute,
	publish: 10 * time.Second,
	standby: 3 * time.Second,
	pause:   200 * time.Millisecond,
	longest: 30 * time.Second,
}

// Open makes sure of the stream NOTICES, and that it says from where on notices are
// to be told. So what is accepted after Open is told, even if Serve comes later or
// in another process. The connection is the caller's, who closes it after Serve has
// returned.
func Open(ctx context.Context, l *ledger.Ledger, conn *nats.Conn, o Options) (*Follower, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	publisher, err := intake.NewPublisher(conn)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("cannot use JetStream: %w", err)
	}
	kept, err := l.Store().Info(ctx)
	if err != nil {
		return nil, err
	}
	f := &Follower{ledger: l, conn: conn, publisher: publisher, options: o, pace: steady}
	if f.stream, err = openStream(ctx, js, kept.Replicas); err != nil {
		return nil, err
	}
	for tries := 1; ; {
		_, err := f.resume(ctx)
		switch {
		case isOvertaken(err):
		case eventstore.Unanswered(err) && tries < openTries:
			tries++
		default:
			return f, err
		}
	}
}

// Serve tells until ctx is done, and then what it has gathered. Nothing that goes
// wrong with notices ends it earlier: it says so in the log, and tries again.
func (f *Follower) Serve(ctx context.Context) error {
	pause := f.pace.pause
	for {
		begun := time.Now()
		err := f.follow(ctx)
		if ctx.Err() != nil || errors.Is(err, ledger.ErrClosed) || errors.Is(err, eventstore.ErrClosed) {
			return nil
		}
		wait := f.pace.standby
		if !isOvertaken(err) {
			if time.Since(begun) > f.pace.longest {
				pause = f.pace.pause
			}
			f.options.Log.Warn("notices cannot be published; they wait in the ledger", "error", err, "pause", pause.String())
			wait, pause = pause, min(2*pause, f.pace.longest)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// follow tells from where the stream says until ctx is done or something fails.
func (f *Follower) follow(ctx context.Context) error {
	t, err := f.resume(ctx)
	if err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	defer stop()
	commits, ended := f.read(reading, t.read)
	look := time.NewTicker(f.pace.look)
	defer look.Stop()
	for err == nil {
		select {
		case <-ctx.Done():
			return t.leave()
		case c := <-commits:
			err = t.take(ctx, c)
		case err = <-ended:
		case <-t.gathered:
			err = t.tellCounts(t.read)
		case <-look.C:
			err = errors.Join(t.tellDue(ctx), t.keepPlace())
		}
	}
	if ctx.Err() != nil {
		return t.leave()
	}
	return err
}

// read yields the commits behind a sequence, one at a time, and at last why there
// are no more.
func (f *Follower) read(ctx context.Context, after uint64) (<-chan eventstore.Commit, <-chan error) {
	commits, ended := make(chan eventstore.Commit), make(chan error, 1)
	go func() {
		for c, err := range f.ledger.Store().Read(ctx, eventstore.Reading{After: after, Follow: true}) {
			if err != nil {
				ended <- err
				return
			}
			select {
			case commits <- c:
			case <-ctx.Done():
				return
			}
		}
		ended <- eventstore.ErrClosed
	}()
	return commits, ended
}

// resume finds where to go on. A ledger of which nothing was told yet, and one that
// ends before what was told, for it was put back or is another one, it takes up at
// the head.
func (f *Follower) resume(ctx context.Context) (*teller, error) {
	last, message, err := f.tail(ctx)
	if err != nil {
		return nil, err
	}
	head, err := f.ledger.Store().Head(ctx)
	if err != nil {
		return nil, err
	}
	t := &teller{Follower: f, last: last, changed: map[domain.District]span{}}
	begins := message == nil
	if !begins {
		t.at, err = f.placeOf(ctx, message, head)
		if errors.Is(err, errOther) {
			begins = true
			f.options.Log.Error("notices go on from the head of the ledger; what happened before is not told", "error", err)
		} else if err != nil {
			return nil, err
		}
	}
	t.keptAt = time.Now()
	switch {
	case begins:
		t.at = behind(head)
		if message == nil && f.options.Beginning {
			t.at = behind(0)
		}
		if err := t.publishPlace(); err != nil {
			return nil, err
		}
	case message.Subject == subjectPlace:
		t.kept = t.at
	}
	t.read = t.at.after()
	if t.read > 0 {
		c, err := f.ledger.Store().At(ctx, t.read)
		if err != nil {
			return nil, err
		}
		t.recorded = c.Recorded()
	}
	return t, nil
}

// placeOf reads the place that a message carries, if it is one of this ledger.
func (f *Follower) placeOf(ctx context.Context, m *jetstream.RawStreamMsg, head uint64) (place, error) {
	p, err := placeOf(m.Header)
	if err != nil || max(p.Commit-1, p.Counted, p.Telling) > head {
		return place{}, errOther
	}
	if p.Ledger == "" {
		return p, nil
	}
	origin, err := f.origin(ctx)
	if errors.Is(err, eventstore.ErrNotFound) || err == nil && origin != p.Ledger {
		return place{}, errOther
	}
	return p, err
}

// origin returns the ledger's name for itself, as the ledger has it: a node that has
// not folded the first commit yet would name itself.
func (f *Follower) origin(ctx context.Context) (string, error) {
	first, err := f.ledger.Store().At(ctx, 1)
	if err != nil {
		return "", err
	}
	for _, entry := range first.Entries {
		if founded, ok := entry.Event.(domain.LedgerFounded); ok {
			return founded.Origin, nil
		}
	}
	return "", errors.New("the ledger does not begin with its founding")
}

// isOvertaken tells whether another follower published first, or a message whose
// acknowledgement got lost is there.
func isOvertaken(err error) bool {
	var refused *jetstream.APIError
	if !errors.As(err, &refused) {
		return false
	}
	switch server.ErrorIdentifier(refused.ErrorCode) {
	case server.JSStreamWrongLastSequenceErrF, server.JSStreamWrongLastSequenceConstantErr: // the latter on replicas
		return true
	}
	return false
}
