package ledger

import (
	"errors"
	"os"
	"testing"

	"bahi/domain"
	"bahi/projections"
	"bahi/vault"
)

// Where many wait, a commit is of one district, and what goes to others is passed over. What is
// about a person who was passed over waits behind it, whatever its district.
func TestOrderOfOnePersonOverDistricts(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	l.mixing = 0
	var all []domain.Submission
	for n := 1; n <= 40; n += 2 {
		all = append(all,
			registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16"),
			registrationOf(n+1, patna, domain.HealthCareWorker, "2021-01-16"), // passed over
			doseOf(n+1, 1, muzaffarpur, "2021-01-16"),                         // would fit the first commit
			domain.DoseWithdrawal{Heading: domain.Heading{ID: uuidOf(40, n), At: at("2021-01-16")}, Person: referenceOf(n + 1), Number: 1, Reason: domain.ReasonEnteredInError},
			doseOf(n, 1, patna, "2021-01-16"),
		)
	}
	want(t, submit(t, l, centre, all...), domain.Accepted)
	if counts := countsOf(t, l, patna, "2021-01-16"); counts.Registered != 20 || counts.Dose1 != 20 || counts.Unvaccinated != 20 {
		t.Errorf("counts %+v", counts.Figures)
	}
	check(t, l)
}

// In a sandbox history is replayed day by day over all districts: a district
// that is decided later is not recorded on another's next day.
func TestSandboxDaysOverDistricts(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	l.mixing = 0
	want(t, submit(t, l, centre,
		registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16T10:00:00+05:30"),
		registrationOf(2, patna, domain.HealthCareWorker, "2021-01-16T10:05:00+05:30"),
		registrationOf(3, muzaffarpur, domain.HealthCareWorker, "2021-01-17T10:00:00+05:30"),
		registrationOf(4, patna, domain.HealthCareWorker, "2021-01-17T10:05:00+05:30"),
	), domain.Accepted)
	for _, district := range []domain.District{muzaffarpur, patna} {
		day := domain.Date(2021, 1, 16)
		r, err := l.Counts(t.Context(), projections.CountsQuery{District: district, AsOf: day, AsKnown: day.End()})
		if err != nil {
			t.Fatal(err)
		}
		if r.Registered != 1 {
			t.Errorf("district %d at the end of the first day: %d registered, want 1", district, r.Registered)
		}
	}
}

// A row that is dated back does not overtake what stands before it.
func TestSandboxRowDatedBack(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	l.mixing = 0
	var all []domain.Submission
	for n := 1; n <= 4; n++ {
		r := registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
		r.Mobile = "9700000001"
		all = append(all, r)
	}
	fifth := registrationOf(5, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
	fifth.Mobile = "9700000001"
	all = append(all,
		registrationOf(9, patna, domain.HealthCareWorker, "2021-01-16"),
		domain.RegistrationWithdrawal{Heading: domain.Heading{ID: uuidOf(41, 1), At: at("2021-01-17")}, Person: referenceOf(1), Reason: domain.ReasonDuplicate},
		fifth,
	)
	want(t, submit(t, l, centre, all...), domain.Accepted)
}

// A freeze that cannot hand its keys over is refused before it is ordered, and
// the ledger goes on.
func TestFreezeWithoutTheKeysIsNotOrdered(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	shut(t, l)
	if err := os.Truncate(dir+"/keys/cohorts.keys", 0); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir)
	if _, err := l.Freeze(t.Context(), freezeOf(1, muzaffarpur, "2021-03-04")); !errors.Is(err, vault.ErrKeyMissing) {
		t.Errorf("a freeze without keys: %v", err)
	}
	if counts := countsOf(t, l, muzaffarpur, "2021-03-31"); counts.Registered != 1 || counts.Frozen != 0 {
		t.Errorf("counts %+v", counts.Figures)
	}
	shut(t, l)
	l = open(t, dir)
	erase := freezeOf(2, muzaffarpur, "2021-03-04")
	erase.Mode = domain.Erase
	if r, err := l.Freeze(t.Context(), erase); err != nil || r.People != 1 {
		t.Errorf("a freeze that erases: %+v, %v", r, err)
	}
}
