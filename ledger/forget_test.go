package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/projections"
	"bahi/vault"
)

// drive is a ledger with people who are going to be frozen and neighbours who are
// not: another district, and another group of the same.
type drive struct {
	dir        string
	l          *Ledger
	doomed     []domain.Registration // health care and front-line workers of Muzaffarpur
	neighbours []domain.Registration
}

// aDrive registers people, each with a first dose, and opens the ledger anew, so
// that everything is in files.
func aDrive(t testing.TB, doomed, neighbours int) *drive {
	t.Helper()
	d := &drive{dir: t.TempDir()}
	d.l = open(t, d.dir)
	var all []domain.Submission
	add := func(n int, district domain.District, group domain.Group) domain.Registration {
		r := registrationOf(n, district, group, "2021-03-01")
		all = append(all, r, doseOf(n, 1, district, "2021-03-01"))
		return r
	}
	for n := 1; n <= doomed; n++ {
		d.doomed = append(d.doomed, add(n, muzaffarpur, domain.Group(1+n%2)))
	}
	for n := 5_001; n <= 5_000+neighbours; n++ {
		if n%2 == 0 {
			d.neighbours = append(d.neighbours, add(n, muzaffarpur, domain.Age60Plus))
		} else {
			d.neighbours = append(d.neighbours, add(n, patna, domain.HealthCareWorker))
		}
	}
	want(t, submit(t, d.l, centre, all...), domain.Accepted)
	d.reopen(t)
	return d
}

// reopen puts everything into files: closing writes what the views have folded, which
// is all of the ledger only once they have caught up.
func (d *drive) reopen(t testing.TB) {
	t.Helper()
	if err := d.l.caughtUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	shut(t, d.l)
	d.l = open(t, d.dir)
}

// order is the freeze of the doomed.
func (d *drive) order() domain.Freeze {
	f := freezeOf(1, muzaffarpur, "2021-03-04T18:00:00+05:30")
	f.Groups = []domain.Group{domain.HealthCareWorker, domain.FrontLineWorker}
	return f
}

func (d *drive) freeze(t testing.TB) FreezeReceipt {
	t.Helper()
	receipt, err := d.l.Freeze(t.Context(), d.order())
	if err != nil {
		t.Fatal(err)
	}
	if receipt.People != int64(len(d.doomed)) {
		t.Fatalf("%d people were frozen", receipt.People)
	}
	return receipt
}

// wantRefused asks for some of the doomed, who are refused, and for some
// neighbours, who are shown.
func (d *drive) wantRefused(t testing.TB, when string) {
	t.Helper()
	for i := 0; i < len(d.doomed); i += 1 + len(d.doomed)/5 {
		if _, err := d.l.Person(t.Context(), d.doomed[i].Person, Reader{Officer: "dio-208", Purpose: "verification"}); !errors.Is(err, ErrFrozen) {
			t.Errorf("%s, a frozen person: %v", when, err)
		}
	}
	for i := 0; i < len(d.neighbours); i += 1 + len(d.neighbours)/3 {
		n := d.neighbours[i]
		p, err := d.l.Person(t.Context(), n.Person, Reader{Officer: "dio-208", Purpose: "verification"})
		if err != nil || p.Name != n.Name || len(p.Doses) != 1 || p.Doses[0].Batch != "4120Z001" {
			t.Errorf("%s, a neighbour: %+v, %v", when, p, err)
		}
	}
}

// Every file of the data and the keys is read: before a freeze everything that the
// ledger keeps of a person is found where it belongs, so the search can find. After
// it, after a restart and after a rebuild, of frozen people nothing is left but
// ciphertext without a key and tokens, each where the documents say; of their
// neighbours, nothing is missing.
func TestWhatIsLeftInFiles(t *testing.T) {
	t.Parallel()
	d := aDrive(t, 240, 60)
	doomed, neighbours := tracesOf(t, d.l, d.doomed...), tracesOf(t, d.l, d.neighbours...)
	kinds := map[string]bool{}
	for _, x := range doomed {
		kinds[x.kind] = true
	}
	if len(kinds) != 10 || len(doomed) < 240*11 {
		t.Fatalf("%d traces of %d kinds", len(doomed), len(kinds))
	}
	expect := func(when string, of map[string]string) {
		t.Helper()
		wantFound(t, when+", the doomed", hunt(t, d.dir, doomed), doomed, of)
		wantFound(t, when+", the neighbours", hunt(t, d.dir, neighbours), neighbours, readable)
	}
	expect("before the freeze", readable)

	receipt := d.freeze(t)
	for _, by := range receipt.Purged {
		if by.Residue != nil && *by.Residue != 0 {
			t.Errorf("%s found a residue", by.Holder)
		}
	}
	expect("after the freeze", forgotten)
	d.wantRefused(t, "after the freeze")

	d.reopen(t)
	expect("after a restart", forgotten)
	d.wantRefused(t, "after a restart")

	if err := d.l.Rebuild(t.Context(), Views(), nil); err != nil {
		t.Fatal(err)
	}
	d.reopen(t) // so that the rebuilt views are in files
	expect("after a rebuild", forgotten)
	d.wantRefused(t, "after a rebuild")

	shut(t, d.l)
	for _, view := range Views() {
		if err := DiscardView(Config{Data: d.dir + "/data"}, view); err != nil {
			t.Fatal(err)
		}
	}
	d.l = open(t, d.dir)
	if err := d.l.caughtUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.reopen(t)
	expect("folded anew from the ledger", forgotten)
	d.wantRefused(t, "folded anew from the ledger")
	check(t, d.l)
}

// thief opens a vault that has the ledger's pepper and nothing else of its keys.
func thief(t testing.TB, keys string) *vault.Vault {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "thief")
	pepper, err := os.ReadFile(filepath.Join(keys, "pepper"))
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "pepper"), pepper, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

// guesses are the tokens of all mobile numbers of a small space, in which all the
// fixture's people have theirs.
func guesses(v *vault.Vault) (traces []trace) {
	for n := range 10_000 {
		token := v.MobileToken(fmt.Sprintf("9%09d", 700_000_000+n))
		traces = append(traces, trace{mobileToken, tail(token[:])})
	}
	return traces
}

// Somebody who has stolen the ledger and the pepper tries every mobile number there
// is, here ten thousand, against every byte of the data. In the ledger itself no
// number is ever found. In the register everybody's is, until they are frozen.
func TestStolenPepperFindsNoFrozenMobile(t *testing.T) {
	t.Parallel()
	d := aDrive(t, 150, 30)
	all := guesses(thief(t, d.l.config.Keys))
	expect := func(when string, people int) {
		t.Helper()
		got := hunt(t, d.dir+"/data", all)[mobileToken]
		if got["LEDGER"] != 0 || got["AUDIT"] != 0 {
			t.Errorf("%s: %d mobile numbers are found in the streams", when, got["LEDGER"]+got["AUDIT"])
		}
		sum := 0
		for _, n := range got {
			sum += n
		}
		if sum != people || len(got) > 1 {
			t.Errorf("%s: mobile numbers found: %v, want %d", when, got, people)
		}
	}
	expect("before the freeze", 180)
	d.freeze(t)
	expect("after the freeze", 30)

	order := freezeOf(2, muzaffarpur, "2021-03-05")
	order.Standing = true
	if _, err := d.l.Freeze(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	born := registrationOf(6_000, muzaffarpur, domain.HealthCareWorker, "2021-03-06")
	want(t, submit(t, d.l, centre, born), domain.Accepted)
	d.reopen(t)
	expect("with somebody born closed", 15) // of Patna

	if err := d.l.Rebuild(t.Context(), Views(), nil); err != nil {
		t.Fatal(err)
	}
	d.reopen(t)
	expect("after a rebuild", 15)
}

// A freeze closes a generation. Who registers later is in the next, and readable,
// until a second freeze closes that; a third opens behind it.
func TestEveryGenerationCloses(t *testing.T) {
	t.Parallel()
	d := aDrive(t, 40, 10)
	var before []domain.Registration
	for generation := uint16(1); generation <= 3; generation++ {
		n := 2_000 + 10*int(generation)
		r := registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-03-02")
		want(t, submit(t, d.l, centre, r, doseOf(n, 1, muzaffarpur, "2021-03-02")), domain.Accepted)
		d.reopen(t)
		traces := tracesOf(t, d.l, r)
		if got := hunt(t, d.dir, traces); got.places(mobileToken) != "data/register" {
			t.Errorf("generation %d is not where it belongs: %v", generation, got)
		}
		if err := d.l.caughtUp(t.Context(), d.l.people); err != nil {
			t.Fatal(err)
		}
		record, err := d.l.people.Person(d.l.vault.PersonToken(r.Person))
		if err != nil || record.Cohort.Generation != generation {
			t.Fatalf("generation %d: %+v, %v", generation, record.Cohort, err)
		}
		if p, err := d.l.Person(t.Context(), r.Person, Reader{Officer: "dio-208", Purpose: "medical"}); err != nil || p.Name != r.Name {
			t.Errorf("generation %d is not readable before its freeze: %v", generation, err)
		}
		order := d.order()
		order.ID = uuidOf(9, int(generation))
		order.Mode = domain.FreezeMode(1 + generation%2)
		receipt, err := d.l.Freeze(t.Context(), order)
		if err != nil {
			t.Fatal(err)
		}
		if wanted := map[uint16]int64{1: 41, 2: 1, 3: 1}[generation]; receipt.People != wanted {
			t.Errorf("freeze %d froze %d people, want %d", generation, receipt.People, wanted)
		}
		before = append(before, r)
		for _, r := range before {
			if _, err := d.l.Person(t.Context(), r.Person, Reader{Officer: "dio-208", Purpose: "medical"}); !errors.Is(err, ErrFrozen) {
				t.Errorf("after freeze %d: %v", generation, err)
			}
		}
		wantFound(t, fmt.Sprintf("after freeze %d", generation), hunt(t, d.dir, traces), traces, forgotten)
		d.wantRefused(t, fmt.Sprintf("after freeze %d", generation))
	}
	check(t, d.l)
}

// Doses, withdrawals and reversals of frozen people count. What the view answers is
// a plain sum over the events, kept here by hand as well.
func TestFrozenPeopleKeepCounting(t *testing.T) {
	t.Parallel()
	d := aDrive(t, 20, 6)
	d.freeze(t)
	heading := func(n int, day string) domain.Heading { return domain.Heading{ID: uuidOf(50, n), At: at(day)} }
	ref := func(n int) domain.Reference { return d.doomed[n].Person }
	want(t, submit(t, d.l, centre,
		doseOf(1, 2, muzaffarpur, "2021-03-30"), // of d.doomed[0]
		doseOf(2, 2, patna, "2021-03-30"),
		doseOf(3, 2, muzaffarpur, "2021-03-30"),
		domain.DoseWithdrawal{Heading: heading(1, "2021-03-30"), Person: ref(2), Number: 2, Reason: domain.ReasonEnteredInError},
		domain.DoseWithdrawal{Heading: heading(2, "2021-03-30"), Person: ref(3), Number: 1, Reason: domain.ReasonEnteredInError},
		domain.RegistrationWithdrawal{Heading: heading(3, "2021-03-30"), Person: ref(3), Reason: domain.ReasonDuplicate},
		domain.ReversalRequest{Heading: heading(4, "2021-03-30"), Person: ref(0), To: domain.Unvaccinated, Reason: domain.ReasonIssuedByMistake},
		domain.ReversalRequest{Heading: heading(5, "2021-03-30"), Person: ref(5), To: domain.Unvaccinated, Reason: domain.ReasonIssuedByMistake},
	), domain.Accepted)
	want(t, submit(t, d.l, authority,
		domain.ReversalDecision{Heading: heading(6, "2021-04-02T09:00:00+05:30"), Request: uuidOf(50, 4), Approve: true, By: "officer-7"}), domain.Accepted)

	// 20 doomed and 3 neighbours at home in Muzaffarpur, a first dose each; 3 in Patna.
	home := projections.Figures{Registered: 22, Dose1: 21, Unvaccinated: 1, Partial: 20, Full: 1, Frozen: 19, PendingReversals: 1}
	expect := func(when string) {
		t.Helper()
		if got := countsOf(t, d.l, muzaffarpur, "2021-04-30").Figures; got != home {
			t.Errorf("%s: counts %+v, want %+v", when, got, home)
		}
		if got := countsOf(t, d.l, patna, "2021-04-30").Figures; got.Dose1 != 3 || got.Dose2 != 1 || got.Registered != 3 {
			t.Errorf("%s, Patna: counts %+v", when, got)
		}
		sums := map[domain.Measure]int64{}
		for c, err := range d.l.store.Read(t.Context(), eventstore.Reading{}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range c.Entries {
				domain.Counts(e.Event, func(cell domain.Cell, n int64) {
					if cell.District == muzaffarpur {
						sums[cell.Measure] += n
					}
				})
			}
		}
		if sums[domain.CountRegistered] != home.Registered || sums[domain.CountDose1] != home.Dose1 || sums[domain.CountDose2] != home.Dose2 ||
			sums[domain.CountUnvaccinated] != home.Unvaccinated || sums[domain.CountPartial] != home.Partial || sums[domain.CountFull] != home.Full ||
			sums[domain.CountPendingReversals] != home.PendingReversals {
			t.Errorf("%s: the events sum up to %v", when, sums)
		}
		check(t, d.l)
	}
	expect("at once")
	if err := d.l.Rebuild(t.Context(), Views(), nil); err != nil {
		t.Fatal(err)
	}
	expect("after a rebuild")
	d.reopen(t)
	expect("after a restart")
}
