package projections

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"bahi/domain"
	"bahi/eventstore"
)

// A register that was decided with (drafts on drafts), one folded anew in random
// batches, one restarted and crashed on the way, and a plain model all answer
// alike.
func TestRegisterAnswers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			a := newAuthor(t, seed, vfs.NewMem())
			a.history(120)
			m := modelOf(a.ledger.commits, a.tokens)
			checkRegister(t, a.register.Now(), m, a.tokens)

			disk := vfs.NewMem()
			r, err := OpenRegister("register", a.keys, small(disk))
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Foresee(ordersOf(a.ledger.commits)...); err != nil {
				t.Fatal(err)
			}
			for rest := a.ledger.commits; len(rest) > 0; {
				n := min(1+a.rng.IntN(40), len(rest))
				if err := r.Fold(t.Context(), rest[:n]...); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
				switch a.rng.IntN(6) {
				case 0: // a restart
					if err := r.Close(); err != nil {
						t.Fatal(err)
					}
				case 1: // a crash
					disk = crash(t, disk, "register").(*vfs.MemFS)
				default:
					continue
				}
				if r, err = OpenRegister("register", a.keys, small(disk)); err != nil {
					t.Fatal(err)
				}
				if err := r.Foresee(ordersOf(a.ledger.commits)...); err != nil {
					t.Fatal(err)
				}
				if err := CatchUp(t.Context(), &memoryLedger{commits: a.ledger.commits[:len(a.ledger.commits)-len(rest)]}, r, nil); err != nil {
					t.Fatal(err)
				}
			}
			checkRegister(t, r.Now(), m, a.tokens)
			checkSameRegister(t, a.register, r)

			runner := NewRunner(a.ledger)
			runner.Attend(a.register, r)
			for _, v := range []View{a.register, r} {
				got, err := v.verify(t.Context(), a.ledger, nil)
				if err != nil || len(got.Mismatches) > 0 {
					t.Fatalf("verify: %v %v", got, err)
				}
			}
			if _, err := runner.Rebuild(t.Context(), "register", RebuildOptions{}, nil); err != nil {
				t.Fatal(err)
			}
			checkRegister(t, a.register.Now(), m, a.tokens)
		})
	}
}

func checkSameRegister(t *testing.T, a, b *Register) {
	t.Helper()
	if x, y := fmt.Sprint(a.Freezes()), fmt.Sprint(b.Freezes()); x != y {
		t.Fatalf("freezes:\n%s\n%s", x, y)
	}
	if x, y := fmt.Sprint(a.Holders()), fmt.Sprint(b.Holders()); x != y {
		t.Fatalf("holders: %s, %s", x, y)
	}
	x, err := a.PendingReversals(0)
	y, err2 := b.PendingReversals(0)
	if err != nil || err2 != nil || fmt.Sprint(x) != fmt.Sprint(y) {
		t.Fatalf("pending: %v %v, %v %v", x, err, y, err2)
	}
	for _, d := range testDistricts {
		if x, y := fmt.Sprint(a.Now().Open(d, nil)), fmt.Sprint(b.Now().Open(d, nil)); x != y {
			t.Fatalf("open: %s, %s", x, y)
		}
		for _, g := range testGroups {
			c1, born1 := a.Now().CohortFor(d, g)
			c2, born2 := b.Now().CohortFor(d, g)
			if c1 != c2 || born1 != born2 {
				t.Fatalf("cohort for %d %s: %s %v, %s %v", d, g, c1, born1, c2, born2)
			}
			p1, err1 := a.PhotoIDTokens(c1)
			p2, err2 := b.PhotoIDTokens(c1)
			if err1 != nil || err2 != nil || fmt.Sprint(p1) != fmt.Sprint(p2) {
				t.Fatalf("photo IDs of %s differ", c1)
			}
		}
	}
}

// Without the key of an open cohort a rebuild fails, by name, and folds nothing.
func TestRegisterNeedsKeysOfOpenCohorts(t *testing.T) {
	t.Parallel()
	a := history(t, 3, 20, 10)
	open := a.register.Now().Open(208, nil)
	a.keys.destroy(open)
	r, err := OpenRegister("register", a.keys, small(vfs.NewMem()))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	err = CatchUp(t.Context(), a.ledger, r, nil)
	var missing *TokensError
	if !errors.As(err, &missing) || !errors.Is(err, ErrTokens) || !errors.Is(err, errTestKey) || missing.Cohort.District != 208 {
		t.Fatalf("got %v", err)
	}
	if r.Folded() != 0 {
		t.Fatalf("folded %d", r.Folded())
	}
}

// A draft that does not follow is refused, and refuses nothing afterwards.
func TestDraftHasToFollow(t *testing.T) {
	t.Parallel()
	a := newAuthor(t, 4, vfs.NewMem())
	a.step(10)
	a.land()
	next := a.register.Folded() + 1
	first, second := a.register.Draft(next, nil, 0), a.register.Draft(next, nil, 0)
	onTop := a.register.Draft(next+1, first, 0)
	for _, d := range []*Draft{onTop, a.register.Draft(next+1, nil, 0), a.register.Draft(next-1, nil, 0)} {
		if err := a.register.Accept(d); !errors.Is(err, ErrSequence) {
			t.Fatalf("accepted %d: %v", d.Sequence(), err)
		}
	}
	if err := a.register.Accept(second); err != nil {
		t.Fatal(err)
	}
	if err := a.register.Accept(first); !errors.Is(err, ErrSequence) {
		t.Fatal("two drafts of one commit")
	}
	if err := a.register.Accept(onTop); !errors.Is(err, ErrSequence) {
		t.Fatal("a draft on top of one that was refused")
	}
	err := a.register.Fold(t.Context(), eventstore.Commit{Sequence: next + 5})
	if sequence := (*SequenceError)(nil); !errors.As(err, &sequence) || sequence.Folded != next || sequence.Got != next+5 {
		t.Fatalf("got %v", err)
	}
}

// Every household and photo ID is free again after a withdrawal, in the draft and
// below it.
func TestWithdrawalFrees(t *testing.T) {
	t.Parallel()
	a := newAuthor(t, 5, vfs.NewMem())
	d := a.draft()
	person := domain.PersonToken(a.token("person", 1))
	s := draftSubmission{Submission: domain.Registration{Heading: a.heading(), District: 208, Group: domain.HealthCareWorker, BirthYear: 1970, Sex: domain.Female, PhotoID: domain.PhotoID{Type: domain.Aadhaar}}, person: person}
	entry, ok := a.decide(d, 208, s)
	if !ok {
		t.Fatal("refused")
	}
	a.commit(d, 208, []eventstore.Entry{entry})
	told := a.tokens[person]
	for _, step := range []string{"on a draft", "on the register"} {
		if step == "on the register" {
			a.land()
		}
		d := a.draft()
		if n, err := d.Household(told.Mobile); n != 1 || err != nil {
			t.Fatalf("%s: household %d %v", step, n, err)
		}
		withdrawal := draftSubmission{Submission: domain.RegistrationWithdrawal{Heading: a.heading(), Reason: domain.ReasonDuplicate}, person: person}
		if _, ok := a.decide(d, 208, withdrawal); !ok {
			t.Fatalf("%s: refused", step)
		}
		held, err := d.PhotoID(told.PhotoID)
		n, err2 := d.Household(told.Mobile)
		p, err3 := d.Person(person)
		if held || n != 0 || p.IsRegistered() || errors.Join(err, err2, err3) != nil {
			t.Fatalf("%s: held %v, household %d, %+v, %v", step, held, n, p, errors.Join(err, err2, err3))
		}
	}
}

// Once a freeze's photo IDs are complete, a purge leaves no mobile token and no
// content digest of its people in any file; households of others still count, and
// the photo IDs stay taken.
func TestRegisterForgets(t *testing.T) {
	t.Parallel()
	a := newAuthor(t, 6, vfs.NewMem())
	dir := filepath.Join(t.TempDir(), "register")
	r, err := OpenRegister(dir, a.keys, small(vfs.Default))
	if err != nil {
		t.Fatal(err)
	}
	for range 40 {
		a.step(100)
	}
	a.land()
	// What only people of 208 were told with, and what others were.
	told := func() (frozen, open [][]byte) {
		m := modelOf(a.ledger.commits, a.tokens)
		others := map[[domain.TokenSize]byte]bool{}
		for person, t := range m.tokens {
			if m.people[person].Cohort.District != 208 {
				others[t.Mobile], others[t.Content] = true, true
				open = append(open, slices.Clone(t.Mobile[:]), slices.Clone(t.Content[:]))
			}
		}
		for person, t := range m.tokens {
			if m.people[person].Cohort.District == 208 {
				for _, token := range [][domain.TokenSize]byte{t.Mobile, t.Content} {
					if !others[token] {
						frozen = append(frozen, slices.Clone(token[:]))
					}
				}
			}
		}
		return frozen, open
	}
	frozen, open := told()
	if err := CatchUp(t.Context(), a.ledger, r, nil); err != nil {
		t.Fatal(err)
	}
	if err := (*registerRows)(r.live.Load()).flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	freeze := a.freeze(208, false)
	if err := CatchUp(t.Context(), a.ledger, r, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Purge(t.Context(), freeze); !errors.Is(err, ErrUnknownFreeze) {
		t.Fatalf("before the photo IDs are complete: %v", err)
	}
	if len(grep(t, dir, frozen...)) == 0 {
		t.Fatal("the test is blind")
	}
	a.carryOut(freeze)
	if err := CatchUp(t.Context(), a.ledger, r, nil); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		purged, err := r.Purge(t.Context(), freeze)
		if err != nil || purged.Residue != 0 || purged.Rows == 0 {
			t.Fatalf("%+v %v", purged, err)
		}
	}
	if left := grep(t, dir, frozen...); len(left) > 0 {
		t.Fatalf("left in %v", left)
	}
	if len(grep(t, dir, open...)) == 0 {
		t.Fatal("others are gone too")
	}
	checkRegister(t, r.Now(), modelOf(a.ledger.commits, a.tokens), a.tokens)
	v, err := r.verify(t.Context(), a.ledger, nil)
	if err != nil || len(v.Mismatches) > 0 {
		t.Fatalf("verify: %+v %v", v, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if left := grep(t, dir, frozen...); len(left) > 0 {
		t.Fatalf("after Close left in %v", left)
	}
}
