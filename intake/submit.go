package intake

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"bahi/domain"
	"bahi/formats"
)

// BundleSize is how many submissions are decided together: the most that a
// bundle may hold.
const BundleSize = 500

// Submitter decides submissions in their order, at most [BundleSize] of them,
// and returns a verdict for each. An error means that nothing of the bundle is
// known to be stored; to submit it again is safe.
type Submitter func(ctx context.Context, submissions []domain.Submission) ([]domain.Verdict, error)

// Queuer takes a bundle behind those that it took before, and returns a function that
// waits for the verdicts: those of a [Submitter].
type Queuer func(ctx context.Context, submissions []domain.Submission) (wait func() ([]domain.Verdict, error))

// queuedAhead is how many bundles wait in a queue behind the one that is decided.
const queuedAhead = 4

// Tally counts what became of an input.
type Tally struct {
	Accepted, Duplicate, Rejected int64
	Undecided                     int64 // read, but no verdict was given: send these again
}

// Decided returns how many submissions have their verdict.
func (t Tally) Decided() int64 { return t.Accepted + t.Duplicate + t.Rejected }

func (t *Tally) add(o domain.Outcome) {
	switch o {
	case domain.Accepted:
		t.Accepted++
	case domain.Duplicate:
		t.Duplicate++
	case domain.Rejected:
		t.Rejected++
	}
}

// Submit takes items to the ledger in bundles and gives a verdict for each to
// out, in the order of the input; those that a reader refused get theirs in
// their place. While a bundle is being decided the next one is read, and no
// more than that one: two bundles are in memory.
//
// items is read in the caller's goroutine; out is called in another, one call
// at a time, and not after Submit has returned.
//
// On an error of the reader, of to, of out or of ctx, Submit stops. Every
// verdict given by then stands, and the tally's Undecided says how many items
// were read that have none. It returns the reader's error only after everything
// read before it is decided. It cannot interrupt a reader that blocks: who
// cancels ctx should also close what items reads from.
func Submit(ctx context.Context, items iter.Seq2[formats.Item, error], to Submitter, out func(domain.Verdict) error) (Tally, error) {
	return submit(ctx, items, to.inTurn, 0, out)
}

// inTurn is a [Queuer] that takes a bundle when its turn has come.
func (to Submitter) inTurn(ctx context.Context, submissions []domain.Submission) (wait func() ([]domain.Verdict, error)) {
	return func() ([]domain.Verdict, error) { return to(ctx, submissions) }
}

// SubmitAhead is [Submit] for who takes further bundles while one is being decided. Of
// those that were queued when it stops on an error, some may be stored and have no
// verdict. A bundle with a freeze, which nothing undoes, is queued when what stands
// before it has its verdicts.
func SubmitAhead(ctx context.Context, items iter.Seq2[formats.Item, error], to Queuer, out func(domain.Verdict) error) (Tally, error) {
	return submit(ctx, items, to, queuedAhead, out)
}

// queued is a bundle on its way.
type queued struct {
	items []formats.Item
	wait  func() ([]domain.Verdict, error)
	of    int // submissions
}

func submit(ctx context.Context, items iter.Seq2[formats.Item, error], to Queuer, ahead int, out func(domain.Verdict) error) (Tally, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var tally Tally
	bundles := make(chan queued, ahead)
	finished := make(chan struct{})
	var waiting sync.WaitGroup // bundles that were handed over, until they are answered
	go func() {
		defer close(finished)
		tell := func(v domain.Verdict) error {
			if err := out(v); err != nil {
				return fmt.Errorf("giving a verdict: %w", err)
			}
			tally.add(v.Outcome)
			return nil
		}
		var failed error
		for bundle := range bundles {
			if failed == nil {
				if failed = bundle.answer(tell); failed != nil {
					stop(failed)
				}
			}
			waiting.Done()
		}
	}()

	read := int64(0)
	var readErr error
	var bundle []formats.Item
	hand := func() bool {
		if slices.ContainsFunc(bundle, isFreeze) {
			waiting.Wait()
		}
		if ctx.Err() != nil {
			return false
		}
		waiting.Add(1)
		select {
		case bundles <- queue(ctx, bundle, to):
			bundle = nil
			return true
		case <-ctx.Done():
			return false
		}
	}
	for item, err := range items {
		if err != nil {
			readErr = err
			break
		}
		read++
		bundle = append(bundle, item)
		if ctx.Err() != nil || len(bundle) == BundleSize && !hand() {
			break
		}
	}
	if len(bundle) > 0 && ctx.Err() == nil {
		hand()
	}
	close(bundles)
	<-finished
	tally.Undecided = read - tally.Decided()
	if err := context.Cause(ctx); err != nil {
		return tally, err
	}
	return tally, readErr
}

func isFreeze(item formats.Item) bool {
	_, ok := item.Submission.(domain.Freeze)
	return ok
}

func queue(ctx context.Context, bundle []formats.Item, to Queuer) queued {
	submissions := make([]domain.Submission, 0, len(bundle))
	for _, item := range bundle {
		if item.Reject == nil {
			submissions = append(submissions, item.Submission)
		}
	}
	q := queued{items: bundle, of: len(submissions)}
	if q.of > 0 {
		q.wait = to(ctx, submissions)
	}
	return q
}

// answer waits for a bundle's verdicts and gives them out.
func (q queued) answer(out func(domain.Verdict) error) error {
	var verdicts []domain.Verdict
	if q.of > 0 {
		var err error
		if verdicts, err = q.wait(); err != nil {
			return fmt.Errorf("deciding a bundle: %w", err)
		}
		if len(verdicts) != q.of {
			return errMiscounted
		}
	}
	for _, item := range q.items {
		v := domain.Verdict{Outcome: domain.Rejected, Reject: item.Reject}
		if item.Reject == nil {
			v, verdicts = verdicts[0], verdicts[1:]
		}
		if err := out(item.Verdict(v)); err != nil {
			return err
		}
	}
	return nil
}

var errMiscounted = errors.New("the ledger answered with another number of verdicts than it was given submissions")
