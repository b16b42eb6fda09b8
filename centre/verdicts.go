package centre

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
)

// verdictAge is for how long verdicts are kept.
const verdictAge = 30 * 24 * time.Hour

// Answer is the verdicts of one bundle: NDJSON, one a line, in its order.
type Answer struct {
	Bundle domain.UUID
	Lines  []byte
}

var rejectedMember = []byte(`"verdict":"rejected"`) // which no text of a verdict holds: its quotes are escaped

// Named returns the verdicts, or the rejected ones alone, each with the bundle
// that it belongs to.
func (a Answer) Named(rejected bool) (out []byte) {
	for line := range bytes.Lines(a.Lines) {
		if rejected && !bytes.Contains(line, rejectedMember) {
			continue
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("}"))
		out = append(append(out, line...), `,"bundle":"`...)
		out = append(append(out, a.Bundle.String()...), "\"}\n"...)
	}
	return out
}

// keepVerdicts keeps the verdicts of a bundle. The first ones stand.
func (s *spool) keepVerdicts(ctx context.Context, id domain.UUID, lines []byte) error {
	subject := "verdict." + id.String()
	err := s.do("verdicts", func() error {
		_, err := s.js.Publish(ctx, subject, s.verdictKey.seal(lines, subject), jetstream.WithExpectLastSequencePerSubject(0))
		return err
	})
	if refusal := (*jetstream.APIError)(nil); errors.As(err, &refusal) && refusal.ErrorCode == wrongLast {
		return nil
	}
	if err != nil {
		return fmt.Errorf("keep verdicts: %w", err)
	}
	return nil
}

// verdictsOf returns the verdicts of a bundle as NDJSON, and false when there are
// none, or none any more.
func (s *spool) verdictsOf(ctx context.Context, id domain.UUID) ([]byte, bool, error) {
	msg, err := s.verdicts.GetLastMsgForSubject(ctx, "verdict."+id.String())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read verdicts: %w", err)
	}
	lines, err := s.verdictKey.open(msg.Data, msg.Subject)
	if err != nil {
		return nil, false, fmt.Errorf("read the verdicts of bundle %s: %w", id, err)
	}
	return lines, true, nil
}

// allVerdicts gives the verdicts of every bundle, the oldest first.
func (s *spool) allVerdicts(ctx context.Context) iter.Seq2[Answer, error] {
	return func(yield func(Answer, error) bool) {
		for after := uint64(0); ; {
			msg, err := s.verdicts.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject("verdict.*"))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return
			}
			if err != nil {
				yield(Answer{}, fmt.Errorf("read verdicts: %w", err))
				return
			}
			after = msg.Sequence
			a := Answer{}
			if a.Bundle, err = domain.ParseUUID(strings.TrimPrefix(msg.Subject, "verdict.")); err == nil {
				a.Lines, err = s.verdictKey.open(msg.Data, msg.Subject)
			}
			if err != nil {
				err = fmt.Errorf("read the verdicts of bundle %s: %w", a.Bundle, err)
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

// keepSent keeps what is needed to ask for the verdicts of an exchange, in place
// of the one before it.
func (s *spool) keepSent(ctx context.Context, x sent) error {
	b, err := json.Marshal(x)
	if err != nil {
		return err
	}
	return s.do("sent", func() error {
		_, err := s.js.Publish(ctx, subjectSent, s.verdictKey.seal(b, subjectSent))
		return err
	})
}

// lastSent returns the last exchange, if there was one.
func (s *spool) lastSent(ctx context.Context) (x sent, ok bool, err error) {
	msg, err := s.exchanges.GetLastMsgForSubject(ctx, subjectSent)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return sent{}, false, nil
	}
	var b []byte
	if err == nil {
		b, err = s.verdictKey.open(msg.Data, msg.Subject)
	}
	if err == nil {
		err = json.Unmarshal(b, &x)
	}
	if err != nil {
		return sent{}, false, fmt.Errorf("read what was sent last: %w", err)
	}
	return x, true, nil
}
