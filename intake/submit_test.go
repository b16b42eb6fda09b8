package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"bahi/domain"
	"bahi/formats"
)

// lines is a native input: dose, dose, …, with a bad line at every seventh.
func lines(n int) string {
	var b strings.Builder
	for i := range n {
		if i%7 == 6 {
			fmt.Fprintf(&b, "{\"type\":\"dose\",\"id\":\"%s\"}\n", numbered(i))
			continue
		}
		b.WriteString(swap(samples[1], id1, numbered(i)))
		b.WriteByte('\n')
	}
	return b.String()
}

func numbered(i int) string { return fmt.Sprintf("018f3c1e-7a52-7bb0-9a1c-%012d", i) }

// accept accepts everything.
func accept(_ context.Context, submissions []domain.Submission) ([]domain.Verdict, error) {
	verdicts := make([]domain.Verdict, len(submissions))
	for i, s := range submissions {
		verdicts[i] = domain.Verdict{ID: s.Head().ID.String(), Outcome: domain.Accepted, Person: domain.PersonOf(s), Commit: 7}
	}
	return verdicts, nil
}

func TestSubmitKeepsTheOrder(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 6, 7, 499, 500, 501, 1000, 1750} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			largest := 0
			to := func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
				largest = max(largest, len(s))
				return accept(ctx, s)
			}
			next := 0
			tally, err := Submit(t.Context(), formats.ReadNDJSON(strings.NewReader(lines(n))), to, func(v domain.Verdict) error {
				want := domain.Accepted
				if next%7 == 6 {
					want = domain.Rejected
				}
				if v.ID != numbered(next) || v.Line != 0 || v.Outcome != want {
					t.Errorf("verdict %d is %+v", next, v)
				}
				next++
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := (Tally{Accepted: int64(n - n/7), Rejected: int64(n / 7)}); tally != want || next != n {
				t.Errorf("tally %+v of %d verdicts, want %+v", tally, next, want)
			}
			if largest > BundleSize {
				t.Errorf("a bundle of %d", largest)
			}
		})
	}
}

func TestSubmitKeepsTheSendersSpellingOfAnID(t *testing.T) {
	t.Parallel()
	_, err := Submit(t.Context(), formats.ReadNDJSON(strings.NewReader(swap(samples[1], id1, id2))), accept, func(v domain.Verdict) error {
		if v.ID != id2 {
			t.Errorf("the verdict names %s", v.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSubmitOnlyRejectionsAsksNobody(t *testing.T) {
	t.Parallel()
	tally, err := Submit(t.Context(), formats.ReadNDJSON(strings.NewReader(strings.Repeat("x\n", 1200))),
		func(context.Context, []domain.Submission) ([]domain.Verdict, error) { panic("asked") },
		func(domain.Verdict) error { return nil })
	if err != nil || tally.Rejected != 1200 {
		t.Errorf("%+v, %v", tally, err)
	}
}

// TestSubmitReadsOneBundleAhead holds the first bundle until the second is
// read, and looks that the third is not.
func TestSubmitReadsOneBundleAhead(t *testing.T) {
	t.Parallel()
	var read atomic.Int64
	secondRead := make(chan struct{})
	var items iter.Seq2[formats.Item, error] = func(yield func(formats.Item, error) bool) {
		for item, err := range formats.ReadNDJSON(strings.NewReader(lines(3 * BundleSize))) {
			if read.Add(1) == 2*BundleSize {
				close(secondRead)
			}
			if !yield(item, err) {
				return
			}
		}
	}
	first := true
	_, err := Submit(t.Context(), items, func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
		if first {
			first = false
			<-secondRead // deadlocks here if reading waits for deciding
			if n := read.Load(); n > 2*BundleSize {
				t.Errorf("%d items read while the first bundle is being decided", n)
			}
		}
		return accept(ctx, s)
	}, func(domain.Verdict) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
}

func TestSubmitStopsAtAnError(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is full")
	n := 4*BundleSize + 10
	t.Run("of the ledger", func(t *testing.T) {
		t.Parallel()
		bundles, given := 0, 0
		tally, err := Submit(t.Context(), formats.ReadNDJSON(strings.NewReader(lines(n))), func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
			if bundles++; bundles == 2 {
				return nil, broken
			}
			return accept(ctx, s)
		}, func(domain.Verdict) error { given++; return nil })
		if !errors.Is(err, broken) || given != BundleSize || tally.Decided() != BundleSize || tally.Undecided < BundleSize {
			t.Errorf("%d given, %+v, %v", given, tally, err)
		}
	})
	t.Run("of the verdicts' reader", func(t *testing.T) {
		t.Parallel()
		given := 0
		tally, err := Submit(t.Context(), formats.ReadNDJSON(strings.NewReader(lines(n))), accept, func(domain.Verdict) error {
			if given == 700 {
				return broken
			}
			given++
			return nil
		})
		if !errors.Is(err, broken) || tally.Decided() != 700 || tally.Undecided == 0 {
			t.Errorf("%d given, %+v, %v", given, tally, err)
		}
	})
	t.Run("of the input", func(t *testing.T) {
		t.Parallel()
		in := io.MultiReader(strings.NewReader(lines(700)), failing{broken})
		tally, err := Submit(t.Context(), formats.ReadNDJSON(in), accept, func(domain.Verdict) error { return nil })
		if !errors.Is(err, broken) || tally.Decided() != 700 || tally.Undecided != 0 {
			t.Errorf("%+v, %v", tally, err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		given := 0
		tally, err := Submit(ctx, formats.ReadNDJSON(strings.NewReader(lines(n))), func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
			if given == BundleSize {
				cancel()
				return nil, ctx.Err()
			}
			return accept(ctx, s)
		}, func(domain.Verdict) error { given++; return nil })
		if !errors.Is(err, context.Canceled) || given != BundleSize || tally.Decided() != BundleSize || tally.Undecided == 0 {
			t.Errorf("%d given, %+v, %v", given, tally, err)
		}
	})
	t.Run("a miscount", func(t *testing.T) {
		t.Parallel()
		_, err := Submit(t.Context(), formats.ReadNDJSON(strings.NewReader(lines(3))), func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
			v, err := accept(ctx, s)
			return slices.Delete(v, 0, 1), err
		}, func(domain.Verdict) error { return nil })
		if err == nil {
			t.Error("a missing verdict went unnoticed")
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestSubmitAheadOrdersNoFreezeTooEarly: nothing undoes a freeze, so it goes nowhere
// before what stands before it in the file has its verdicts.
func TestSubmitAheadOrdersNoFreezeTooEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("the disk is full")
		input := lines(BundleSize) + swap(samples[7], id1, numbered(BundleSize)) + "\n" + lines(2*BundleSize)
		ordered := false
		to := func(_ context.Context, s []domain.Submission) func() ([]domain.Verdict, error) {
			ordered = ordered || slices.ContainsFunc(s, func(s domain.Submission) bool { _, ok := s.(domain.Freeze); return ok })
			return func() ([]domain.Verdict, error) {
				time.Sleep(time.Minute) // all that can be queued ahead is
				return nil, broken
			}
		}
		_, err := SubmitAhead(t.Context(), formats.ReadNDJSON(strings.NewReader(input)), to, func(domain.Verdict) error { return nil })
		if !errors.Is(err, broken) || ordered {
			t.Errorf("%v; ordered: %v", err, ordered)
		}
	})
}
