package ledger

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"bahi/domain"
)

// Three of a cohort are frozen. What is left of them in files is what is left of
// anybody frozen, also after a rebuild, and after views from before were put back;
// of those who stay nothing is missing, but the key that was theirs until then.
func TestWhatIsLeftOfListedPersons(t *testing.T) {
	t.Parallel()
	d := aDrive(t, 120, 20)
	listed, stay := d.doomed[:3], d.doomed[3:]
	gone, kept := tracesOf(t, d.l, listed...), tracesOf(t, d.l, stay...)
	stays := maps.Clone(readable)
	delete(stays, cohortKey)
	shut(t, d.l)
	saved := filepath.Join(t.TempDir(), "saved")
	if err := os.CopyFS(saved, os.DirFS(d.dir)); err != nil {
		t.Fatal(err)
	}
	d.l = open(t, d.dir)

	order := freezeOf(1, muzaffarpur, "2021-03-04")
	for _, r := range listed {
		order.Persons = append(order.Persons, r.Person)
	}
	receipt, err := d.l.Freeze(t.Context(), order)
	if err != nil || receipt.People != 3 {
		t.Fatalf("%+v, %v", receipt, err)
	}
	expect := func(when string) {
		t.Helper()
		for i, r := range d.doomed[:6] {
			p, err := d.l.Person(t.Context(), r.Person, Reader{Officer: "dio-208", Purpose: "verification"})
			switch {
			case i < 3 && !errors.Is(err, ErrFrozen):
				t.Errorf("%s, a listed person: %v", when, err)
			case i >= 3 && (err != nil || p.Name != r.Name || p.Doses[0].Batch != "4120Z001"):
				t.Errorf("%s, one who stays: %+v, %v", when, p, err)
			}
		}
		if got := countsOf(t, d.l, muzaffarpur, "2021-03-31"); got.Registered != 130 || got.Dose1 != 130 || got.Frozen != 3 {
			t.Errorf("%s: counts %+v", when, got.Figures)
		}
		wantFound(t, when+", the listed", hunt(t, d.dir, gone), gone, forgotten)
		d.reopen(t) // so that what was folded lately is in files
		wantFound(t, when+", those who stay", hunt(t, d.dir, kept), kept, stays)
	}
	expect("after the freeze")
	if err := d.l.Rebuild(t.Context(), Views(), nil); err != nil {
		t.Fatal(err)
	}
	d.reopen(t)
	expect("after a rebuild")
	shut(t, d.l)
	putBack(t, d.dir, saved, "data/people", "data/register")
	if got := hunt(t, d.dir, gone); got.places(mobileToken) == "" {
		t.Fatal("nothing was put back")
	}
	d.l = open(t, d.dir)
	expect("with views put back")
	if s := d.l.vault.State(domain.Cohort{District: muzaffarpur, Group: domain.HealthCareWorker, Generation: 1}); s.String() != "live" {
		t.Errorf("the key of those who stay is %s", s)
	}
	check(t, d.l)
}
