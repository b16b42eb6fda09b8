package eventstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore/wire"
)

// AuditRead is the record that an officer asked for a person's details: for the
// person's own record, or for a row of what lies in quarantine. It is appended
// before the answer is given.
type AuditRead struct {
	Sequence uint64    // in the stream AUDIT; 0 before it is appended
	At       time.Time // millisecond resolution
	Officer  string    // the officer's id
	Purpose  string    // verification, second_dose, grievance, medical or legal
	Person   domain.PersonToken
	District domain.District // of the person's cohort, or of the quarantine
	Item     domain.UUID     // what was opened in quarantine, where a row may name nobody by number: then Person is zero
}

// maxAuditText bounds an officer's id and a purpose, in bytes.
const maxAuditText = 64

// AppendRead records a read, provided that barrier is the last barrier there
// is (0 for none): the one that the caller has folded the ledger up to, see
// [Store.LastBarrier]. On success the record is flushed to disk and the details
// may be shown; on any error they may not.
//
// The error is [ErrBarrier] when a newer barrier stands: a freeze was ordered,
// and the person may be under it. Fold the ledger and look again. With
// [ErrUnknownOutcome] the record may be there; appending it again records the
// read twice, which does no harm.
//
// Records are appended one at a time, for a cluster refuses concurrent ones
// without there being a newer barrier: about 4,000 a second on one disk.
func (s *Store) AppendRead(ctx context.Context, r AuditRead, barrier uint64) error {
	if len(r.Officer) > maxAuditText || len(r.Purpose) > maxAuditText {
		return fmt.Errorf("record a read: an officer's id and a purpose have at most %d bytes", maxAuditText)
	}
	var w widening
	m := wire.AuditRead{
		AtMs: r.At.UnixMilli(), Officer: w.text(r.Officer), Purpose: w.text(r.Purpose),
		District: uint32(r.District),
	}
	if r.Person != (domain.PersonToken{}) || r.Item == (domain.UUID{}) {
		m.Person = r.Person[:]
	}
	if r.Item != (domain.UUID{}) {
		m.Item = r.Item[:]
	}
	if w.err != nil {
		return fmt.Errorf("record a read: %w", w.err)
	}
	data, err := m.MarshalVT()
	if err != nil {
		return fmt.Errorf("record a read: %w", err)
	}

	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	done, err := s.auditTurn(ctx)
	if err != nil {
		return fmt.Errorf("record a read: %w", err)
	}
	defer done()
	for {
		// The expectation is of a subject of the same stream: of another
		// stream's it would silently compare with 0.
		_, err := s.publish(ctx, subjectRead, data, jetstream.WithExpectLastSequenceForSubject(barrier, subjectBarrier))
		if !errors.Is(err, errSequence) {
			if err != nil {
				return fmt.Errorf("record a read: %w", err)
			}
			return nil
		}
		last, _, err := s.LastBarrier(ctx)
		if err != nil {
			return err
		}
		if last != barrier {
			return fmt.Errorf("record a read after barrier %d: %w", barrier, ErrBarrier)
		}
		// Another node's record was on its way: refused without a barrier.
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("record a read: %w", ctx.Err())
		}
	}
}

// auditTurn waits until no other record is being appended to AUDIT by this store.
func (s *Store) auditTurn(ctx context.Context) (done func(), err error) {
	select {
	case s.auditing <- struct{}{}:
		return func() { <-s.auditing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// AppendBarrier says that a freeze was ordered in the commit whose sequence in
// the ledger is order. From then on every read is refused that knows an older
// barrier only. On success the barrier is flushed to disk; after an error it may
// stand or not, and is appended again: two barriers are as good as one.
//
// Barriers never go back: where one stands for a later order already, it is
// returned instead. A node that learned of the last one alone would otherwise read
// under a freeze between the two orders that it has not folded.
func (s *Store) AppendBarrier(ctx context.Context, order uint64) (barrier uint64, err error) {
	m := wire.AuditBarrier{Order: order}
	data, err := m.MarshalVT()
	if err != nil {
		return 0, fmt.Errorf("append a barrier: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for {
		last, stands, err := s.LastBarrier(ctx)
		if err != nil {
			return 0, err
		}
		if stands > order {
			return last, nil
		}
		barrier, err = s.publish(ctx, subjectBarrier, data, jetstream.WithExpectLastSequenceForSubject(last, subjectBarrier))
		if err == nil {
			return barrier, nil
		}
		if !errors.Is(err, errSequence) {
			return 0, fmt.Errorf("append a barrier: %w", err)
		}
		select { // another node's barrier came first, or is on its way
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return 0, fmt.Errorf("append a barrier: %w", ctx.Err())
		}
	}
}

// LastBarrier returns the sequence of the last barrier and the sequence, in the
// ledger, of the order it stands for; zeros when there is none. A node may use
// the barrier only after it has folded the ledger through order.
func (s *Store) LastBarrier(ctx context.Context) (barrier, order uint64, err error) {
	last, err := s.lastMessage(ctx, s.audit, subjectBarrier)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, s.explain("find the last barrier", err)
	}
	var m wire.AuditBarrier
	if err := unmarshal(last.Data, &m); err != nil {
		return 0, 0, &DecodeError{Stream: streamAudit, Sequence: last.Sequence, Err: err}
	}
	return last.Sequence, m.Order, nil
}

// Audit yields the recorded reads behind a sequence of the stream AUDIT, in
// order, up to the last one there is at the start. The contract is that of
// [Store.Read]; sequences have gaps where barriers stand.
func (s *Store) Audit(ctx context.Context, after uint64) iter.Seq2[AuditRead, error] {
	return read(ctx, s, s.audit, wanted{after: after, subjects: []string{subjectRead}}, auditReadOf)
}

// auditReadOf decodes a message on audit.read.
func auditReadOf(_ string, sequence uint64, data []byte) (AuditRead, error) {
	var m wire.AuditRead
	err := unmarshal(data, &m)
	var n narrowing
	r := AuditRead{
		Sequence: sequence, At: time.UnixMilli(m.AtMs).UTC(), Officer: n.text(m.Officer), Purpose: n.text(m.Purpose),
		District: n.district(m.District),
	}
	if len(m.Item) > 0 {
		r.Item = n.uuid(m.Item)
	}
	if len(m.Person) > 0 || len(m.Item) == 0 {
		r.Person = n.token(m.Person)
	}
	if err = cmp.Or(err, n.err()); err != nil {
		return AuditRead{}, &DecodeError{Stream: streamAudit, Sequence: sequence, Err: err}
	}
	return r, nil
}
