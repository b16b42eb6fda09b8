package ledger

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"bahi/domain"
	"bahi/projections"
)

// Explain calls tell with the commits that moved a district's figures of one day, as
// [projections.Counts.Explain] does. Zero AsKnown means now. It names commits: it is
// for operators and auditors. For others there is [Ledger.ExplainDays].
func (l *Ledger) Explain(ctx context.Context, q projections.ExplainQuery, tell func(projections.Movement) error) error {
	ctx, leave, err := l.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	q.AsKnown = l.askedKnown(q.AsKnown)
	if err := l.caughtUp(ctx, l.counts); err != nil {
		return err
	}
	return l.counts.Explain(ctx, q, l.read, tell)
}

// ExplainDays is [Ledger.Explain] for those who may know days and nothing finer: what
// the commits of one day of recording moved is told as one movement, without commits
// and times, and AsKnown means the whole of its day.
func (l *Ledger) ExplainDays(ctx context.Context, q projections.ExplainQuery, tell func(projections.Movement) error) error {
	if q.AsKnown.IsZero() {
		q.AsKnown = l.knownNow()
	}
	q.AsKnown = domain.DayOf(q.AsKnown).End()
	var sum projections.Movement
	end := func() error {
		if len(sum.Events) == 0 {
			return nil
		}
		return tell(sum)
	}
	err := l.Explain(ctx, q, func(m projections.Movement) error {
		if day := domain.DayOf(m.Recorded); day != sum.RecordedDay {
			if err := end(); err != nil {
				return err
			}
			sum = projections.Movement{RecordedDay: day, Events: map[string]int64{}}
		}
		for kind, n := range m.Events {
			sum.Events[kind] += n
		}
		sum.Figures = sum.Figures.Plus(m.Figures)
		return nil
	})
	if err != nil {
		return err
	}
	return end()
}

// CountsDiff is what changed between two states of knowledge, whose times are as
// [ToldKnown] has them.
type CountsDiff struct {
	District domain.District `json:"district"` // 0: all
	AsOf     domain.Day      `json:"as_of"`
	Since    time.Time       `json:"since"`
	AsKnown  time.Time       `json:"as_known"`
	projections.CountsChange
	By []projections.CountsChange `json:"by,omitzero"` // rows that changed, where the query splits
}

// DiffCounts answers by how much counts as of the same day changed from what was known
// since to what is known at q.AsKnown. Errors: ErrBadRequest when since is the later
// one, or the counts are split by day-known; those of [Ledger.Counts].
func (l *Ledger) DiffCounts(ctx context.Context, q projections.CountsQuery, since time.Time) (CountsDiff, error) {
	d, rows, err := l.DiffTable(ctx, q, since)
	if err == nil && len(q.By) > 0 {
		d.By = slices.AppendSeq([]projections.CountsChange{}, rows)
	}
	return d, err
}

// TellDiff is [Ledger.DiffCounts] for answers with very many rows: it calls head with
// the difference without them, and row with each. Nobody waits for either. Their errors
// end the answer and are returned.
func (l *Ledger) TellDiff(ctx context.Context, q projections.CountsQuery, since time.Time, head func(CountsDiff) error, row func(projections.CountsChange) error) error {
	d, rows, err := l.DiffTable(ctx, q, since)
	if err == nil {
		err = head(d)
	}
	return tell(ctx, err, rows, row)
}

// DiffTable is [Ledger.DiffCounts] for answers with very many rows, which are made as
// they are asked for: the difference has none of them. They hold nothing of the ledger.
func (l *Ledger) DiffTable(ctx context.Context, q projections.CountsQuery, since time.Time) (CountsDiff, iter.Seq[projections.CountsChange], error) {
	if slices.Contains(q.By, projections.ByDayKnown) {
		return CountsDiff{}, nil, fmt.Errorf("%w: a difference between two states of knowledge is split by day, not by day-known", ErrBadRequest)
	}
	is, err := l.CountsTable(ctx, q)
	if err != nil {
		return CountsDiff{}, nil, err
	}
	if is.Head.AsKnown.Before(since) {
		return CountsDiff{}, nil, fmt.Errorf("%w: since is later than as_known", ErrBadRequest)
	}
	q.AsOf, q.AsKnown = is.Head.AsOf, since
	was, err := l.CountsTable(ctx, q)
	if err != nil {
		return CountsDiff{}, nil, err
	}
	d := CountsDiff{District: q.District, AsOf: is.Head.AsOf, Since: ToldKnown(was.Head.AsKnown), AsKnown: ToldKnown(is.Head.AsKnown)}
	whole, rows := projections.Diff(was, is)
	d.CountsChange = whole
	return d, rows, nil
}

// ToldKnown is how a time of knowledge is told: the end of a day to the second, as the
// contract has it, and any other to the millisecond, so that whoever asks again with what
// was told gets the same answer.
func ToldKnown(t time.Time) time.Time {
	if t.Equal(domain.DayOf(t).End()) {
		return t.Truncate(time.Second)
	}
	return t.Truncate(time.Millisecond)
}
