package ledger

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/projections"
)

// Counts answers the count-only view. Zero AsOf means today, zero AsKnown now.
// It has folded everything that was acknowledged before the call.
func (l *Ledger) Counts(ctx context.Context, q projections.CountsQuery) (projections.CountsResult, error) {
	t, err := l.CountsTable(ctx, q)
	if err != nil {
		return projections.CountsResult{}, err
	}
	return t.Result(), nil
}

// TellCounts is [Ledger.Counts] for answers with very many rows: it calls head with the
// answer without them, and row with each. Nobody waits for either. Their errors end the
// answer and are returned.
func (l *Ledger) TellCounts(ctx context.Context, q projections.CountsQuery, head func(projections.CountsResult) error, row func(projections.CountsRow) error) error {
	t, err := l.CountsTable(ctx, q)
	if err != nil {
		return err
	}
	return tell(ctx, head(t.Head), t.Rows(), row)
}

// tell calls row with each of rows, unless something has failed.
func tell[R any](ctx context.Context, err error, rows iter.Seq[R], row func(R) error) error {
	if err != nil {
		return err
	}
	for r := range rows {
		if err := cmp.Or(row(r), ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

// CountsTable is [Ledger.Counts] for answers with very many rows, which are made as they
// are asked for. It holds nothing of the ledger.
func (l *Ledger) CountsTable(ctx context.Context, q projections.CountsQuery) (*projections.CountsTable, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	q.AsKnown = l.askedKnown(q.AsKnown)
	if q.AsOf == 0 {
		q.AsOf = domain.DayOf(l.now())
	}
	if err := l.caughtUp(ctx, l.counts); err != nil {
		return nil, err
	}
	return l.counts.Table(ctx, q, l.read)
}

// askedKnown is up to when something is to be known that is asked for as of a time: zero
// means now, and the end of a day as [ToldKnown] tells it the end.
func (l *Ledger) askedKnown(t time.Time) time.Time {
	if t.IsZero() {
		return l.knownNow()
	}
	if end := domain.DayOf(t).End(); t.Equal(end.Truncate(time.Second)) {
		return end
	}
	return t
}

// knownNow is when everything is known that is recorded: now, unless the clock was put
// back, or this node's is behind another's.
func (l *Ledger) knownNow() time.Time {
	now := l.now()
	if last := l.register.LastRecorded(); now.Before(last) {
		return last
	}
	return now
}

// caughtUp waits until views, or all of them, have folded everything that is in the
// ledger now, so that whoever submitted sees what was accepted.
func (l *Ledger) caughtUp(ctx context.Context, views ...projections.View) error {
	head, err := l.store.Head(ctx)
	if err != nil {
		return err
	}
	return l.runner.Wait(ctx, head, views...)
}

// Info is what an operator sees of the ledger at a glance.
type Info struct {
	Origin   string     `json:"origin"`
	Sandbox  bool       `json:"sandbox"`
	Node     string     `json:"node"`
	Head     uint64     `json:"head"`   // sequence of the last commit; there are as many commits
	Bytes    uint64     `json:"bytes"`  // that the event store keeps
	Folded   uint64     `json:"folded"` // sequence through which the register has folded
	Recorded *time.Time `json:"last_recorded,omitempty"`
	Freezes  int        `json:"freezes"`
	Holders  []string   `json:"holders"`
	// AuthorityKey is the id of the adopted authority key, in hexadecimal.
	AuthorityKey string `json:"authority_key,omitempty"`
	Rules        string `json:"rules"` // version of the rule book in force
	// Checkpoint is the last one signed, a note; PublicKey are the keys with which
	// it is checked, one a line.
	Checkpoint string `json:"checkpoint,omitempty"`
	PublicKey  string `json:"public_key,omitempty"`
}

// Info describes the ledger.
func (l *Ledger) Info(ctx context.Context) (Info, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return Info{}, err
	}
	defer leave()
	stored, err := l.store.Info(ctx)
	if err != nil {
		return Info{}, err
	}
	i := Info{
		Sandbox: l.Sandbox(),
		Node:    l.node,
		Head:    stored.Head,
		Bytes:   stored.Bytes,
		Folded:  l.register.Folded(),
		Freezes: len(l.register.Freezes()),
		Holders: l.register.Holders(),
		Rules:   l.rules.Version(),
	}
	if founded, ok := l.register.Founded(); ok {
		i.Origin = founded.Origin
		last := l.register.LastRecorded().In(domain.IndianStandardTime)
		i.Recorded = &last
	}
	if key, ok := l.register.AuthorityKey(); ok {
		i.AuthorityKey = fmt.Sprintf("%x", key.Key)
	}
	if last := l.checkpoints.last.Load(); last != nil {
		i.Checkpoint = last.text
	}
	if i.PublicKey, err = l.PublicKeys(); err != nil {
		return Info{}, err
	}
	return i, nil
}

// VerifyReport is the outcome of recomputing views from the ledger.
type VerifyReport struct {
	Commits    uint64                 `json:"commits"`
	Root       string                 `json:"root,omitempty"` // of the tree of all commits, when it was recomputed
	Views      []string               `json:"views"`
	Mismatches []projections.Mismatch `json:"mismatches"`
}

// OK tells whether everything agreed.
func (r VerifyReport) OK() bool { return len(r.Mismatches) == 0 }

// VerifyProjections folds views again into a temporary place and compares. A
// view whose key to an open cohort is missing cannot be folded: that is an
// error, and names the cohort.
func (l *Ledger) VerifyProjections(ctx context.Context, names []string, progress func(name string, done, total uint64)) (VerifyReport, error) {
	report := VerifyReport{Views: names, Mismatches: []projections.Mismatch{}}
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return report, err
	}
	defer leave()
	if views := l.readable(names); len(views) > 0 {
		if err := l.caughtUp(ctx, views...); err != nil {
			return report, err
		}
	}
	if err := l.refresh(ctx); err != nil {
		return report, err
	}
	for _, name := range names {
		found, err := l.runner.Verify(ctx, name, func(p projections.Progress) {
			if progress != nil {
				progress(name, p.Done, p.Total)
			}
		})
		if err != nil {
			return report, fmt.Errorf("verify %s: %w", name, err)
		}
		report.Commits = found.Through
		report.Mismatches = append(report.Mismatches, found.Mismatches...)
	}
	return report, nil
}

// readable returns the named views that can be read: of the others there is nothing
// to wait for.
func (l *Ledger) readable(names []string) (views []projections.View) {
	for _, v := range []projections.View{l.register, l.people, l.counts, l.merkle} {
		if slices.Contains(names, v.Name()) && v.Unusable() == nil {
			views = append(views, v)
		}
	}
	return views
}

// Projections tells where every view stands.
func (l *Ledger) Projections(ctx context.Context) ([]projections.ViewStatus, error) {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return l.runner.Status(ctx)
}

// Rebuild folds views anew, one after another, and swaps them in: see
// [Ledger.RebuildView]. Progress, when not nil, is told how many commits are folded
// of how many.
func (l *Ledger) Rebuild(ctx context.Context, names []string, progress func(name string, done, total uint64)) error {
	for _, name := range names {
		_, err := l.RebuildView(ctx, name, projections.RebuildOptions{}, func(p projections.Progress) {
			if progress != nil {
				progress(name, p.Done, p.Total)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *Ledger) read(ctx context.Context, after, through uint64) iter.Seq2[eventstore.Commit, error] {
	return l.store.Read(ctx, eventstore.Reading{After: after, Through: through})
}
