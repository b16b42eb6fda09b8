package ledger

import (
	"context"
	"errors"
	"slices"
	"time"

	"bahi/domain"
)

// Caller is on whose behalf a submission is decided.
type Caller struct {
	Name      string // a role, a centre or a command; for logs
	Authority bool   // holds the authority's credential
}

// MaxBundle is the most submissions that one call of Submit takes.
const MaxBundle = 500

// Submit decides the submissions in their order and returns one verdict each,
// in the same order. An accepted verdict means that the event is flushed to
// disk, in a cluster on a majority.
//
// A freeze among them is a barrier: what stands before it is decided before it,
// what stands after it after it, and the freeze is carried out in between.
//
// An error means that not every submission could be decided: ErrClosed,
// ErrUndecided, ctx's error, or a fault of the store or the vault. Send the same
// bundle again; whatever was stored answers as a duplicate.
func (l *Ledger) Submit(ctx context.Context, as Caller, submissions []domain.Submission) ([]domain.Verdict, error) {
	if len(submissions) > MaxBundle {
		return nil, errTooMany
	}
	if len(submissions) == 0 {
		return nil, nil
	}
	began := time.Now()
	l.metrics.waiting.Add(int64(len(submissions)))
	verdicts, err := l.submit(ctx, as, submissions)
	l.metrics.answered(len(submissions), verdicts, time.Since(began))
	return verdicts, err
}

func (l *Ledger) submit(ctx context.Context, as Caller, submissions []domain.Submission) ([]domain.Verdict, error) {
	if refused, err := l.foundFor(ctx, as, submissions...); refused != nil || err != nil {
		return refused, err
	}
	if !slices.ContainsFunc(submissions, isFreeze) {
		return l.submitRun(ctx, as, submissions)
	}
	verdicts := make([]domain.Verdict, 0, len(submissions))
	for start := 0; start < len(submissions); {
		end := start
		for end < len(submissions) && !isFreeze(submissions[end]) {
			end++
		}
		if end > start {
			vs, err := l.submitRun(ctx, as, submissions[start:end])
			if err != nil {
				return nil, err
			}
			verdicts = append(verdicts, vs...)
		}
		if end < len(submissions) {
			v, err := l.submitFreeze(ctx, as, submissions[end].(domain.Freeze))
			if err != nil {
				return nil, err
			}
			verdicts = append(verdicts, v)
			end++
		}
		start = end
	}
	return verdicts, nil
}

var errTooMany = errors.New("a bundle holds 1 to 500 submissions")

func isFreeze(s domain.Submission) bool {
	_, ok := s.(domain.Freeze)
	return ok
}

// Queue puts submissions behind those that were queued before them, and returns a
// function that waits for the verdicts. Verdicts and errors are those of [Ledger.Submit].
// Whoever queues several bundles one behind the other, and stops at the first error,
// gets the verdicts that Submit would have given; what was queued behind the error may
// be stored. The function is called once. A bundle with a freeze is decided before Queue
// returns: its caller has the verdicts on what stands before it first.
func (l *Ledger) Queue(ctx context.Context, as Caller, submissions []domain.Submission) (wait func() ([]domain.Verdict, error)) {
	if len(submissions) == 0 || len(submissions) > MaxBundle || !l.founded.Load() || slices.ContainsFunc(submissions, isFreeze) {
		verdicts, err := l.Submit(ctx, as, submissions)
		return func() ([]domain.Verdict, error) { return verdicts, err }
	}
	began := time.Now()
	l.metrics.waiting.Add(int64(len(submissions)))
	run, err := l.queueRun(ctx, as, submissions)
	return func() (verdicts []domain.Verdict, _ error) {
		if err == nil {
			verdicts, err = l.await(ctx, run)
		}
		l.metrics.answered(len(submissions), verdicts, time.Since(began))
		return verdicts, err
	}
}

// submitRun queues a run of submissions and waits for all their verdicts.
func (l *Ledger) submitRun(ctx context.Context, as Caller, submissions []domain.Submission) ([]domain.Verdict, error) {
	run, err := l.queueRun(ctx, as, submissions)
	if err != nil {
		return nil, err
	}
	return l.await(ctx, run)
}

func (l *Ledger) queueRun(ctx context.Context, as Caller, submissions []domain.Submission) (*batch, error) {
	run := newBatch(len(submissions))
	made, asks := make([]ask, len(submissions)), make([]*ask, len(submissions))
	for i, s := range submissions {
		asks[i] = &made[i]
		l.prepareAt(asks[i], as, s)
		asks[i].batch, asks[i].place = run, i
	}
	return run, l.enqueue(ctx, asks)
}

// submitFreeze orders a freeze and carries it out. Once the order is in the
// ledger the verdict is accepted, even when a later step fails: the node resumes the
// freeze at its first missing step, see finishFreezes.
func (l *Ledger) submitFreeze(ctx context.Context, as Caller, f domain.Freeze) (domain.Verdict, error) {
	v, err := l.orderAndCarryOut(ctx, as, f)
	if v.Outcome == 0 || v.Outcome == domain.Rejected {
		return v, err
	}
	if err != nil {
		l.log.Error(notComplete, "freeze", f.ID.String(), "error", err)
		return v, nil
	}
	l.tryReceipt(ctx, f.ID)
	return v, nil
}

// batch gathers the verdicts of one call.
type batch struct {
	verdicts []domain.Verdict
	missing  int
	err      error
	done     chan struct{}
}

func newBatch(n int) *batch {
	return &batch{verdicts: make([]domain.Verdict, n), missing: n, done: make(chan struct{})}
}

// settle is called by the committer alone, when the verdict is in its place.
func (b *batch) settle(err error) {
	if err != nil && b.err == nil {
		b.err = err
	}
	if b.missing--; b.missing == 0 {
		close(b.done)
	}
}

// await waits for the verdicts of a batch. With an error there are none: some of them
// may have been given to what was not stored.
func (l *Ledger) await(ctx context.Context, b *batch) ([]domain.Verdict, error) {
	select {
	case <-b.done:
		return b.outcome()
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.stopped:
	}
	select {
	case <-b.done: // answered in the committer's last moment
		return b.outcome()
	default:
		return nil, ErrClosed
	}
}

func (b *batch) outcome() ([]domain.Verdict, error) {
	if b.err != nil {
		return nil, b.err
	}
	return b.verdicts, nil
}
