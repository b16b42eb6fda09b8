package projections

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/sync/errgroup"
)

// sums are the digests of a generation's rows, part by part.
type sums map[string][32]byte

// text is one digest over all parts, in hexadecimal.
func (s sums) text() string {
	d := newDigester()
	for _, part := range slices.Sorted(maps.Keys(s)) {
		sum := s[part]
		d.row([]byte(part), sum[:])
	}
	all := d.sum()
	return hex.EncodeToString(all[:])
}

// differs returns the parts that are not the same.
func (s sums) differs(from sums) (parts []string) {
	for _, part := range slices.Sorted(maps.Keys(s)) {
		if s[part] != from[part] {
			parts = append(parts, part)
		}
	}
	return parts
}

// compareWithLive compares the next generation with the live one, both as of one
// sequence, each read once and beside the other. Where they are not equal, the next
// one is held against the ledger.
func (g *generations[T, R]) compareWithLive(ctx context.Context, from Ledger, b *beside[R], m *meter, out *Rebuilt) error {
	m.step(StepComparing, 0, 0)
	if err := b.flush(ctx); err != nil {
		return err
	}
	next, live, damage, err := g.digestBoth(ctx, from, b)
	if err != nil {
		return err
	}
	out.Digest = next.text()
	switch {
	case damage != nil:
		out.Compared, out.Differs = Damaged, []string{damage.Error()}
	case live == nil:
		out.Compared = NoLive
		return nil
	default:
		if out.Differs = next.differs(live); len(out.Differs) == 0 {
			out.Compared = Equal
			return nil
		}
		out.Compared = Different
	}
	m.step(StepChecking, 0, 0)
	v, err := g.check(ctx, from, m, func() (*seen[R], error) { return g.seeNext(b) })
	if err == nil && len(v.Mismatches) > 0 {
		err = fmt.Errorf("rebuild the view %s: %s: %w", g.name, v.Mismatches[0].What, ErrUncertain)
	}
	return err
}

// digestBoth sums up the next generation and the live one. Live is nil when there is
// none of this version; damage says that it cannot be read to its end.
func (g *generations[T, R]) digestBoth(ctx context.Context, from Ledger, b *beside[R]) (next, live sums, damage, err error) {
	for {
		err = g.looks.look(ctx, func(ctx context.Context) error {
			beside, held, err := g.snapshots(ctx, from, b)
			if err != nil {
				return err
			}
			defer beside.close()
			defer held.close()
			var both errgroup.Group
			both.Go(func() (err error) {
				next, err = beside.digest(ctx)
				return err
			})
			both.Go(func() (err error) {
				if live, err = held.digest(ctx); errors.As(err, new(*ViewError)) {
					damage, err = err, nil
				}
				return err
			})
			return both.Wait()
		})
		if !errors.Is(err, errInterrupted) {
			return next, live, damage, err
		}
	}
}

// seen is a generation as of one sequence, which nobody takes away until it is
// closed.
type seen[R rows] struct {
	rows    R
	at      *pebble.Snapshot // nil: there is nothing to see
	through uint64
}

// see looks at a generation whose readers' lock the caller holds, and whose fold
// stands still meanwhile.
func see[R rows](r R) (*seen[R], error) {
	if err := r.drain(); err != nil {
		r.base().readers.RUnlock()
		return nil, err
	}
	return &seen[R]{rows: r, at: r.base().NewSnapshot(), through: r.base().last.sequence}, nil
}

func (s *seen[R]) digest(ctx context.Context) (sums, error) {
	if s.at == nil {
		return nil, nil
	}
	return s.rows.digest(ctx, s.at)
}

func (s *seen[R]) close() {
	if s.at != nil {
		_ = s.at.Close() // it only lets go
		s.rows.base().readers.RUnlock()
	}
}

// snapshots brings the next generation to where the live one is, and returns both as
// they are then. Whoever looks holds up neither.
func (g *generations[T, R]) snapshots(ctx context.Context, from Ledger, b *beside[R]) (next, live *seen[R], err error) {
	g.folding.Lock()
	defer g.folding.Unlock()
	r := R(g.live.Load())
	comparable := g.Unusable() == nil && int(r.base().last.version) == g.version
	if comparable {
		if err := b.fold(ctx, from, r.base().last.sequence, nil); err != nil {
			return nil, nil, err
		}
	}
	if next, err = g.seeNext(b); err != nil {
		return nil, nil, err
	}
	if live = (&seen[R]{}); comparable && next.through == r.base().last.sequence {
		if live, err = see(g.reading()); err != nil {
			next.close()
		}
	}
	return next, live, err
}

// seeLive returns the live generation as it is.
func (g *generations[T, R]) seeLive() (*seen[R], error) {
	g.folding.Lock()
	defer g.folding.Unlock()
	return see(g.reading())
}

// seeNext returns the next generation as it is.
func (g *generations[T, R]) seeNext(b *beside[R]) (next *seen[R], err error) {
	err = b.work(func() error {
		b.rows.base().readers.RLock()
		next, err = see(b.rows)
		return err
	})
	return next, err
}

// plain is a generation whose rows can be recomputed from the ledger with code that
// has nothing in common with its fold.
type plain interface {
	recompute(ctx context.Context, from Ledger, at *pebble.Snapshot, through uint64, m *meter) ([]Mismatch, error)
}

// check holds a generation against the ledger: against a plain recomputation of its
// rows, or else against another generation that is folded for it; and every block of
// its tables against the checksum that was written with it.
func (g *generations[T, R]) check(ctx context.Context, from Ledger, m *meter, of func() (*seen[R], error)) (v Verification, err error) {
	if _, ok := any(R(nil)).(plain); ok {
		v, err = g.checkPlainly(ctx, from, m, of)
	} else {
		v, err = g.checkByTrial(ctx, from, m, of)
	}
	if err != nil {
		return v, err
	}
	s, err := of()
	if err != nil {
		return v, err
	}
	defer s.close()
	damaged, err := s.rows.base().damagedTables(ctx)
	for _, table := range damaged {
		v.Mismatches = append(v.Mismatches, Mismatch{View: g.name, What: "the table " + table + " is damaged"})
	}
	return v, err
}

func (g *generations[T, R]) checkPlainly(ctx context.Context, from Ledger, m *meter, of func() (*seen[R], error)) (v Verification, err error) {
	v = Verification{View: g.name, Mismatches: []Mismatch{}}
	s, err := of()
	if err != nil {
		return v, err
	}
	defer s.close()
	v.Through = s.through
	found, err := any(s.rows).(plain).recompute(ctx, from, s.at, s.through, m)
	v.Mismatches = append(v.Mismatches, found...)
	return v, err
}

func (g *generations[T, R]) checkByTrial(ctx context.Context, from Ledger, m *meter, of func() (*seen[R], error)) (v Verification, err error) {
	v = Verification{View: g.name, Mismatches: []Mismatch{}}
	t, err := g.tryOut(ctx, from, 0, m, of)
	v.Through = t.through
	if t.damage != nil {
		v.Mismatches = append(v.Mismatches, Mismatch{View: g.name, What: t.damage.Error()})
		return v, err
	}
	for _, part := range t.folded.differs(t.seen) {
		v.Mismatches = append(v.Mismatches, Mismatch{View: g.name, What: part + " differ from what the ledger says"})
	}
	return v, err
}

func (g *generations[T, R]) verify(ctx context.Context, from Ledger, tell func(Progress)) (Verification, error) {
	if unusable := g.Unusable(); unusable != nil {
		return Verification{View: g.name, Mismatches: []Mismatch{{View: g.name, What: unusable.Error()}}}, nil
	}
	m := newMeter(g.name, tell)
	m.step(StepChecking, 0, 0)
	return g.check(ctx, from, m, g.seeLive)
}

// dryRun folds a generation that is never to be live, through what the live one has
// folded, and compares; or through a sequence, and only sums up. Of people and
// cohorts that are frozen at the ledger's head it keeps nothing, like any other.
func (g *generations[T, R]) dryRun(ctx context.Context, from Ledger, to uint64, tell func(Progress)) (out Rebuilt, err error) {
	m := newMeter(g.name, tell)
	of := func() (*seen[R], error) { return &seen[R]{}, nil }
	if unusable := g.Unusable(); to == 0 && unusable == nil {
		of = g.seeLive
	}
	t, err := g.tryOut(ctx, from, to, m, of)
	out = Rebuilt{View: g.name, Through: t.through, Events: m.entries, Seconds: time.Since(m.began).Seconds(), Compared: NoLive}
	if err != nil {
		return out, err
	}
	out.Digest = t.folded.text()
	switch {
	case t.damage != nil:
		out.Compared, out.Differs = Damaged, []string{t.damage.Error()}
	case t.seen != nil:
		out.Compared = Equal
		if out.Differs = t.folded.differs(t.seen); len(out.Differs) > 0 {
			out.Compared = Different
		}
	}
	return out, nil
}

// trialOutcome is what a generation was that was folded to be compared, beside what
// was seen of another.
type trialOutcome struct {
	through uint64
	seen    sums // nil when there was nothing to see
	folded  sums
	damage  error // what was seen cannot be read to its end
}

// tryOut folds a generation through the sequence of what is seen, or, when nothing
// is to be seen, through a given one, and 0 means the head. A freeze that lands
// meanwhile closes cohorts in it before their time: then it is folded again.
func (g *generations[T, R]) tryOut(ctx context.Context, from Ledger, to uint64, m *meter, of func() (*seen[R], error)) (out trialOutcome, err error) {
	if !g.trying.TryLock() {
		return out, fmt.Errorf("verify the view %s: %w", g.name, ErrRebuilding)
	}
	defer g.trying.Unlock()
	for {
		out, err = g.tryOnce(ctx, from, to, m, of)
		if !errors.Is(err, errInterrupted) && !errors.Is(err, errGone) {
			return out, err
		}
	}
}

func (g *generations[T, R]) tryOnce(ctx context.Context, from Ledger, to uint64, m *meter, of func() (*seen[R], error)) (out trialOutcome, err error) {
	head, err := from.Head(ctx)
	if err != nil {
		return out, err
	}
	g.folding.Lock()
	t, err := g.beside(g.options.FS.PathJoin(g.root, trialDir))
	if err == nil {
		g.trial = t
	}
	g.folding.Unlock()
	if err != nil {
		return out, err
	}
	defer func() {
		g.folding.Lock()
		g.trial = nil
		g.folding.Unlock()
		err = errors.Join(err, t.remove())
	}()
	if err := g.foretell(ctx, from, t, head); err != nil {
		return out, err
	}
	var told uint64
	err = g.looks.look(ctx, func(ctx context.Context) error {
		before := t.told.Load()
		s, err := of()
		if err != nil {
			return err
		}
		defer s.close()
		told, out.through = before, s.through
		if out.seen, err = s.digest(ctx); errors.As(err, new(*ViewError)) {
			out.damage, err = err, nil
		}
		return err
	})
	if err != nil || out.damage != nil {
		return out, err
	}
	if out.seen == nil {
		if out.through = head; to > 0 {
			out.through = min(to, head)
		}
	}
	m.step(StepFolding, 0, out.through)
	if err := t.fold(ctx, from, out.through, m.folded); err != nil {
		return out, err
	}
	if err := t.flush(ctx); err != nil {
		return out, err
	}
	m.step(StepComparing, 0, 0)
	err = t.long(ctx, func(ctx context.Context) error {
		out.folded, err = t.rows.digest(ctx, t.rows.base().DB)
		return err
	})
	if err == nil && t.told.Load() != told {
		err = errInterrupted
	}
	return out, err
}
