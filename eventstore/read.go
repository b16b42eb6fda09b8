package eventstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
)

const (
	// pullBytes bounds what is under way from the server. A bound by number
	// of messages overruns the connection's buffers when they are large: the
	// reader is then dropped and resumes, 25 times slower, or never.
	pullBytes = 8 << 20

	// decodedAhead is how many commits are decoded while the caller works on
	// one: at most 8 MB of messages.
	decodedAhead = 8

	// worthAnother is from how many bytes on a message is decoded on a goroutine of
	// its own, beside those before and after it. Handing over a smaller one costs
	// more than it saves.
	worthAnother = 16 << 10

	// few is up to how many messages are asked for one by one, which is
	// faster than to set up a reader: what a writer folds after a conflict.
	few = 3

	// abandoned is after how long the server forgets a reader that does not
	// ask, when it could not be told that it left.
	abandoned = time.Minute
)

// Filter says which commits to read. The zero value means all of them.
type Filter struct {
	Orders   bool            // only the orders
	District domain.District // only the district's, unless 0, and those of several districts, which may have entries of it
}

// Reading says what to read.
type Reading struct {
	After   uint64 // begin behind this sequence; 0 begins at the beginning
	Through uint64 // end with this sequence; 0 means the head as it is when the reading starts
	Only    Filter
	Follow  bool // wait for commits to come, up to Through, or without end when that is 0
}

// Read yields commits in the order of the ledger.
//
//	for commit, err := range store.Read(ctx, eventstore.Reading{After: checkpoint}) {
//		if err != nil {
//			return err
//		}
//		…
//	}
//
// Without a filter the sequences yielded are After+1, After+2 and so on, every
// one of them; that is checked, and a hole is an [ErrGap]. With a filter they
// rise, and what lies between belongs to others. The iteration ends by itself
// behind Through, or behind the head as it was at the start; to follow is to go
// on.
//
// An error is yielded once, with a zero commit, and ends the iteration: the
// context's own when it ends, a [*DecodeError] for a message that is not a
// commit or is a newer version's, [ErrAhead] when the ledger ends before After,
// [ErrClosed]. Everything yielded before it is good. To break out of the loop is
// no failure, and lets go of everything. A connection that is lost is found
// again and the reading goes on where it was.
//
// The commits are decoded ahead on other goroutines while the caller works on
// one, and are the caller's to keep. Memory is bound by 8 MiB of messages under
// way and a few decoded commits.
func (s *Store) Read(ctx context.Context, r Reading) iter.Seq2[Commit, error] {
	want := wanted{after: r.After, through: r.Through, follow: r.Follow}
	switch {
	case r.Only.Orders:
		want.subjects = []string{subjectOrder}
	case r.Only.District != 0:
		want.subjects = []string{subjectOf(r.Only.District), subjectOf(Several)}
	}
	return read(ctx, s, s.ledger, want, commitOf)
}

// At returns one commit. It asks the server for that message alone, which is
// right for a few; [Store.Read] is for many. The error is [ErrNotFound] when
// the ledger does not reach so far.
func (s *Store) At(ctx context.Context, sequence uint64) (Commit, error) {
	m, err := s.message(ctx, s.ledger, sequence)
	if err != nil {
		return Commit{}, s.explain(fmt.Sprintf("read commit %d", sequence), err)
	}
	return commitOf(m.Subject, m.Sequence, m.Data)
}

// commitOf decodes a message of LEDGER.
func commitOf(subject string, sequence uint64, data []byte) (Commit, error) {
	c, err := decode(data)
	if err == nil && subject != subjectOf(c.District) {
		err = ErrMalformed // a filter would have missed it, or shown it to others
	}
	if err != nil {
		return Commit{}, &DecodeError{Stream: streamLedger, Sequence: sequence, Err: err}
	}
	c.Sequence, c.Stored = sequence, data
	return c, nil
}

// wanted says what to read of a stream.
type wanted struct {
	after, through uint64
	subjects       []string // none for all
	follow         bool
}

// read yields the messages of a stream as values of T.
func read[T any](ctx context.Context, s *Store, stream jetstream.Stream, want wanted, decode func(subject string, sequence uint64, data []byte) (T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // ends the goroutines when the caller breaks

		results := make(chan *result[T], decodedAhead)
		go func() {
			defer close(results)
			send := func(r *result[T]) bool {
				select {
				case results <- r:
					return r.done != nil || r.err == nil // an error of what is still being decoded is met below
				case <-ctx.Done():
					return false
				}
			}
			err := s.receive(ctx, stream, want, func(subject string, sequence uint64, data []byte) bool {
				r := &result[T]{}
				if len(data) < worthAnother {
					r.value, r.err = decode(subject, sequence, data)
					return send(r)
				}
				r.done = make(chan struct{})
				go func() {
					defer close(r.done)
					r.value, r.err = decode(subject, sequence, data)
				}()
				return send(r)
			})
			if err != nil {
				send(&result[T]{err: err})
			}
		}()

		for {
			var r *result[T]
			select {
			case r = <-results:
				if r == nil && ctx.Err() == nil {
					return // behind the last
				}
			case <-ctx.Done():
			}
			switch {
			case r == nil:
				r = &result[T]{err: ctx.Err()}
			case r.done != nil:
				<-r.done
			}
			if !yield(r.value, r.err) || r.err != nil {
				return
			}
		}
	}
}

// result is what a message was decoded to, or will be when done is closed.
type result[T any] struct {
	value T
	err   error
	done  chan struct{} // nil for what is decoded already
}

// receive calls take with the messages wanted until it returns false, all of
// them were taken, or an error ends it.
func (s *Store) receive(ctx context.Context, stream jetstream.Stream, want wanted, take func(subject string, sequence uint64, data []byte) bool) error {
	name := streamOf(stream)
	end, err := s.end(ctx, stream, want)
	if err != nil {
		return err
	}
	if end <= want.after {
		return nil
	}
	last := want.after
	if !want.follow && len(want.subjects) == 0 && end-last <= few {
		for last < end {
			m, err := s.message(ctx, stream, last+1)
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				break // a hole; the reader below says how far it goes
			}
			if err != nil {
				return s.ended(ctx, name, err)
			}
			last++
			if !take(m.Subject, last, m.Data) || last == end {
				return nil
			}
		}
	}
	config := jetstream.OrderedConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       last + 1,
		InactiveThreshold: abandoned,
	}
	config.FilterSubjects = want.subjects
	consumer, err := Ask(ctx, s.nc, func(ctx context.Context) (jetstream.Consumer, error) { return stream.OrderedConsumer(ctx, config) })
	if err != nil {
		return s.explain("read "+name, err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
		defer cancel()
		// When this fails the server forgets the reader by itself.
		_ = stream.DeleteConsumer(ctx, consumer.CachedInfo().Name)
	}()
	messages, err := consumer.Messages(jetstream.PullMaxBytes(pullBytes))
	if err != nil {
		return s.explain("read "+name, err)
	}
	// Stopped from outside, too: while the connection is lost, Next tries to
	// find it again and does not look at its context.
	stop := context.AfterFunc(ctx, messages.Stop)
	defer messages.Stop()
	defer stop()

	for last < end {
		m, err := next(ctx, messages, want)
		if errors.Is(err, errSilence) {
			if err := s.silent(ctx, stream, want, last, end); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return s.ended(ctx, name, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		sequence := meta.Sequence.Stream
		if len(want.subjects) == 0 && sequence != last+1 {
			return &GapError{Stream: name, Want: last + 1, Got: sequence}
		}
		if sequence > end {
			return nil
		}
		if !take(m.Subject(), sequence, m.Data()) {
			return nil
		}
		last = sequence
	}
	return nil
}

// silence is how long a reading that does not follow waits for the next message
// before it asks whether there is one.
const silence = 5 * time.Second

var errSilence = errors.New("no message came")

// next waits for a message; a reading that does not follow knows that there is
// one, and does not wait for ever.
func next(ctx context.Context, messages jetstream.MessagesContext, want wanted) (jetstream.Msg, error) {
	if want.follow {
		return messages.Next(jetstream.NextContext(ctx))
	}
	waiting, cancel := context.WithTimeout(ctx, silence)
	defer cancel()
	m, err := messages.Next(jetstream.NextContext(waiting))
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return nil, errSilence
	}
	return m, err
}

// silent tells why no message comes: the server counts messages that its files
// do not hold any more, as after a block lost its end.
func (s *Store) silent(ctx context.Context, stream jetstream.Stream, want wanted, last, end uint64) error {
	if len(want.subjects) > 0 {
		return nil
	}
	_, err := s.message(ctx, stream, last+1)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return &GapError{Stream: streamOf(stream), Want: last + 1, Got: end}
	}
	if err != nil {
		return s.ended(ctx, streamOf(stream), err)
	}
	return nil
}

// end returns the sequence behind which a reading is over. Every reading that
// does not follow ends with a message that exists, so none waits for one.
func (s *Store) end(ctx context.Context, stream jetstream.Stream, want wanted) (uint64, error) {
	info, err := s.infoOf(ctx, stream)
	if err != nil {
		return 0, s.explain("find the head of "+streamOf(stream), err)
	}
	head := info.State.LastSeq
	if want.after > head {
		return 0, fmt.Errorf("%w (%s ends at %d, reading after %d)", ErrAhead, streamOf(stream), head, want.after)
	}
	end := want.through
	if want.follow {
		if end == 0 {
			end = ^uint64(0)
		}
		return end, nil
	}
	if end == 0 || end > head {
		end = head
	}
	if len(want.subjects) == 0 || end <= want.after {
		return end, nil
	}
	wanted := uint64(0)
	for _, subject := range want.subjects {
		last, err := s.lastMessage(ctx, stream, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return 0, s.explain("find the last message of "+subject, err)
		}
		wanted = max(wanted, last.Sequence)
	}
	return min(end, wanted), nil
}

func streamOf(stream jetstream.Stream) string { return stream.CachedInfo().Config.Name }

// ended explains why no further message came.
func (s *Store) ended(ctx context.Context, name string, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case s.nc.IsClosed(), errors.Is(err, nats.ErrConnectionClosed):
		err = ErrClosed
	}
	return s.explain("read "+name, err)
}
