package eventstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore/wire"
)

// AuditAccess is the record that somebody was let in or shut out: what happened to
// a token or to a centre. The text of a token is never in it.
type AuditAccess struct {
	Sequence    uint64    // in the stream AUDIT; 0 before it is appended
	At          time.Time // millisecond resolution
	Kind        AccessKind
	Token       string          // the token's id; empty for a centre
	Role        string          // that the token gives; empty for a centre
	District    domain.District // that the token is bound to, or of the centre; 0 for none
	Centre      string          // likewise
	Officer     string          // that the token is bound to
	Expires     time.Time       // when a token that is issued ends; zero otherwise
	By          string          // id of the token that asked for it; "ledger" when the ledger did it by itself
	NKey        string          // public key with which the centre signs in to NATS
	Certificate []byte          // SHA-256 of the public key of the centre's certificate; nil for none
}

// AccessKind is what happened to a token or a centre.
type AccessKind uint8

// The kinds, as they are on the wire.
const (
	TokenIssued AccessKind = iota + 1
	TokenRevoked
	TokenLocked
	TokenUnlocked
	CentreAdded // or given other keys
	CentreRemoved
)

var accessKinds = [...]string{"", "token_issued", "token_revoked", "token_locked", "token_unlocked", "centre_added", "centre_removed"}

// String returns the kind's code, such as token_issued.
func (k AccessKind) String() string {
	if int(k) < len(accessKinds) {
		return accessKinds[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// MarshalText returns the kind's code.
func (k AccessKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's code.
func (k *AccessKind) UnmarshalText(text []byte) error {
	for i, code := range accessKinds {
		if i > 0 && code == string(text) {
			*k = AccessKind(i)
			return nil
		}
	}
	return errors.New("no kind of access event has that code")
}

const certificateSize = 32

// AppendAccess records an access event, provided that last is the sequence of the
// last one there is (0 for none), and returns its own: whoever decided on it knew
// everything before. On success it is flushed to disk.
//
// The error is [ErrConflict] when another was recorded first: read what came, and
// decide again. With [ErrUnknownOutcome] the event may be there.
func (s *Store) AppendAccess(ctx context.Context, a AuditAccess, last uint64) (uint64, error) {
	data, err := encodeAccess(a)
	if err != nil {
		return 0, fmt.Errorf("record an access event: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	done, err := s.auditTurn(ctx)
	if err != nil {
		return 0, fmt.Errorf("record an access event: %w", err)
	}
	defer done()
	sequence, err := s.publish(ctx, subjectAccess, data, jetstream.WithExpectLastSequenceForSubject(last, subjectAccess))
	if errors.Is(err, errSequence) {
		err = ErrConflict
	}
	if err != nil {
		return 0, fmt.Errorf("record an access event: %w", err)
	}
	return sequence, nil
}

// Access yields the access events behind a sequence of the stream AUDIT, in order,
// up to the last one there is at the start. The contract is that of [Store.Read];
// sequences have gaps where other records stand.
func (s *Store) Access(ctx context.Context, after uint64) iter.Seq2[AuditAccess, error] {
	return read(ctx, s, s.audit, wanted{after: after, subjects: []string{subjectAccess}}, accessOf)
}

// FollowAccess is [Store.Access] without an end: it waits for events to come. When a
// connection that was lost is back, the reading is begun anew where it was, at once:
// left to itself it might wait some time for an answer of the server that went.
func (s *Store) FollowAccess(ctx context.Context, after uint64) iter.Seq2[AuditAccess, error] {
	return func(yield func(AuditAccess, error) bool) {
		for {
			reading, end := context.WithCancel(ctx)
			forget := s.onConnected(end)
			err := s.followAccess(reading, &after, yield)
			again := err != nil && reading.Err() != nil && ctx.Err() == nil
			forget()
			end()
			if again {
				continue
			}
			if err != nil {
				yield(AuditAccess{}, err)
			}
			return
		}
	}
}

// followAccess yields events until the reading ends with an error, or the caller has
// enough.
func (s *Store) followAccess(ctx context.Context, after *uint64, yield func(AuditAccess, error) bool) error {
	for a, err := range read(ctx, s, s.audit, wanted{after: *after, subjects: []string{subjectAccess}, follow: true}, accessOf) {
		if err != nil {
			return err
		}
		*after = a.Sequence
		if !yield(a, nil) {
			return nil
		}
	}
	return nil
}

// onConnected calls do when a connection that was lost is back, until it is told to
// forget it.
func (s *Store) onConnected(do func()) (forget func()) {
	connected := s.nc.StatusChanged(nats.CONNECTED)
	go func() {
		for range connected {
			do()
		}
	}()
	return func() { s.nc.RemoveStatusListener(connected) }
}

// LastAccess returns the sequence of the last access event, 0 when there is none.
func (s *Store) LastAccess(ctx context.Context) (uint64, error) {
	last, err := s.lastMessage(ctx, s.audit, subjectAccess)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, s.explain("find the last access event", err)
	}
	return last.Sequence, nil
}

func encodeAccess(a AuditAccess) ([]byte, error) {
	for _, text := range []string{a.Token, a.Role, a.Centre, a.Officer, a.By, a.NKey} {
		if len(text) > maxAccessText {
			return nil, fmt.Errorf("a text of it has more than %d bytes", maxAccessText)
		}
	}
	if a.Kind < TokenIssued || a.Kind > CentreRemoved {
		return nil, fmt.Errorf("it has no %s", a.Kind)
	}
	if n := len(a.Certificate); n != 0 && n != certificateSize {
		return nil, fmt.Errorf("the SHA-256 of a certificate's key has %d bytes", n)
	}
	var w widening
	m := wire.AuditAccess{
		AtMs: a.At.UnixMilli(), Kind: wire.AccessKind(a.Kind),
		Token: w.text(a.Token), Role: w.text(a.Role), District: uint32(a.District), Centre: w.text(a.Centre),
		Officer: w.text(a.Officer), By: w.text(a.By), Nkey: w.text(a.NKey), Certificate: a.Certificate,
	}
	if !a.Expires.IsZero() {
		m.ExpiresMs = a.Expires.UnixMilli()
	}
	if w.err != nil {
		return nil, w.err
	}
	return m.MarshalVT()
}

// maxAccessText bounds each text of an access event, in bytes: a token's id and an
// officer's, or two of them.
const maxAccessText = 160

// accessOf decodes a message on audit.access.
func accessOf(_ string, sequence uint64, data []byte) (AuditAccess, error) {
	var m wire.AuditAccess
	err := unmarshal(data, &m)
	var n narrowing
	a := AuditAccess{
		Sequence: sequence, At: time.UnixMilli(m.AtMs).UTC(), Kind: narrow[AccessKind](&n, m.Kind, highestAccessKind),
		Token: n.text(m.Token), Role: n.text(m.Role), District: n.district(m.District), Centre: n.text(m.Centre),
		Officer: n.text(m.Officer), By: n.text(m.By), NKey: n.text(m.Nkey), Certificate: append([]byte(nil), m.Certificate...),
	}
	if m.ExpiresMs != 0 {
		a.Expires = time.UnixMilli(m.ExpiresMs).UTC()
	}
	if l := len(m.Certificate); l != 0 && l != certificateSize || m.Kind == 0 {
		n.malformed = true
	}
	if err = cmp.Or(err, n.err()); err != nil {
		return AuditAccess{}, &DecodeError{Stream: streamAudit, Sequence: sequence, Err: err}
	}
	return a, nil
}
