package centre

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
)

// Refused is a bundle that the ledger could not take in. It is kept until
// somebody has it tried again.
type Refused struct {
	Bundle   domain.UUID `json:"bundle"`
	Code     string      `json:"code"`
	At       time.Time   `json:"at"`
	Sequence uint64      `json:"sequence"` // its place in the spool
}

// refuse sets a bundle aside: it stays where it is, and the next goes on.
func (s *spool) refuse(ctx context.Context, w waiting, code string, at time.Time) error {
	r := Refused{Bundle: w.id, Code: code, At: at.UTC().Truncate(time.Second), Sequence: w.sequence}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := s.do("refuse", func() error {
		_, err := s.js.Publish(ctx, "refused."+w.id.String(), b)
		return err
	}); err != nil {
		return fmt.Errorf("set a bundle aside: %w", err)
	}
	s.refusedMu.Lock()
	defer s.refusedMu.Unlock()
	s.refused[w.sequence] = r
	return nil
}

// readRefused reads which bundles are set aside. What is said of a bundle that is
// gone is removed.
func (s *spool) readRefused(ctx context.Context) error {
	for after := uint64(0); ; {
		msg, err := s.refusals.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject("refused.*"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what is set aside: %w", err)
		}
		after = msg.Sequence
		var r Refused
		if err := json.Unmarshal(msg.Data, &r); err != nil {
			return fmt.Errorf("read what is set aside: %w", err)
		}
		if _, err := s.bundles.GetMsg(ctx, r.Sequence); errors.Is(err, jetstream.ErrMsgNotFound) {
			_ = s.refusals.DeleteMsg(ctx, msg.Sequence) // or at the next start
			continue
		}
		s.refused[r.Sequence] = r
	}
}

// retry has refused bundles tried again, each in its old place: one, or all of
// them with the zero id. It returns how many.
func (s *spool) retry(ctx context.Context, id domain.UUID) (n int, err error) {
	for _, r := range s.listRefused() {
		if id != (domain.UUID{}) && r.Bundle != id {
			continue
		}
		if err := s.refusals.Purge(ctx, jetstream.WithPurgeSubject("refused."+r.Bundle.String())); err != nil {
			return n, fmt.Errorf("take back what was set aside: %w", err)
		}
		s.refusedMu.Lock()
		delete(s.refused, r.Sequence)
		s.refusedMu.Unlock()
		n++
	}
	if n > 0 {
		signal(s.news)
	}
	return n, nil
}

func (s *spool) isRefused(sequence uint64) bool {
	s.refusedMu.Lock()
	defer s.refusedMu.Unlock()
	_, ok := s.refused[sequence]
	return ok
}

// listRefused returns the bundles that are set aside, in their order.
func (s *spool) listRefused() []Refused {
	s.refusedMu.Lock()
	defer s.refusedMu.Unlock()
	return slices.SortedFunc(maps.Values(s.refused), func(a, b Refused) int {
		return cmp.Compare(a.Sequence, b.Sequence)
	})
}
