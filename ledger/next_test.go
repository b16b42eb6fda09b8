package ledger

import (
	"encoding/json"
	"errors"
	"testing"

	"bahi/domain"
)

func day(s string) domain.Day { return domain.DayOf(at(s)) }

func TestNextDose(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	want(t, submit(t, l, centre,
		registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16"), doseOf(1, 1, patna, "2021-01-16T11:00:00+05:30"),
		registrationOf(2, patna, domain.HealthCareWorker, "2021-01-16"), doseOf(2, 1, patna, "2021-01-16"), doseOf(2, 2, patna, "2021-03-01"),
		registrationOf(3, patna, domain.FrontLineWorker, "2021-01-16"),
	), domain.Accepted)
	for n, want := range map[int]string{
		1: `{"status":"partial","last":{"dose":1,"vaccine":"COVISHIELD","at":"2021-01-16"},"next":{"dose":2,"from":"2021-02-13","vaccines":[{"vaccine":"COVISHIELD","from":"2021-02-13"}]}}`,
		2: `{"status":"full","last":{"dose":2,"vaccine":"COVISHIELD","at":"2021-03-01"},"next":{"dose":"precaution","from":"2022-01-10","vaccines":[{"vaccine":"COVISHIELD","from":"2022-01-10"},{"vaccine":"CORBEVAX","from":"2022-08-10"}]}}`,
	} {
		told, err := l.NextDose(t.Context(), referenceOf(n), Reader{Officer: "208001"}, day("2021-02-01"))
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := json.Marshal(told); string(got) != want {
			t.Errorf("person %d: %s\nwant %s", n, got, want)
		}
	}
	told, err := l.NextDose(t.Context(), referenceOf(3), Reader{Officer: "208001", Purpose: "medical"}, 0)
	if err != nil || told.Last != nil || told.Status != domain.Unvaccinated || told.Next.Dose != 1 || told.Next.From != domain.DayOf(l.now()) {
		t.Errorf("somebody without a dose, today: %+v, %v", told, err)
	}

	readings := 0
	for r, err := range l.AuditList(t.Context()) {
		if err != nil || r.Officer != "208001" || r.Purpose != "second_dose" {
			t.Errorf("recorded as %s for %s, %v", r.Officer, r.Purpose, err)
		}
		readings++
	}
	if readings != 3 {
		t.Errorf("%d readings are recorded", readings)
	}
}

// A question about the next dose is refused where details are, and each is
// counted.
func TestNextDoseIsRefusedAsDetailsAre(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	l.config.ReadsPerDay = 1
	want(t, submit(t, l, centre,
		registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16"),
		registrationOf(2, patna, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	ask := func(n int, reader Reader) error {
		_, err := l.NextDose(t.Context(), referenceOf(n), reader, 0)
		return err
	}
	if err := ask(9, Reader{Officer: "a"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	if err := ask(2, Reader{Officer: "a", District: muzaffarpur}); !errors.Is(err, ErrNotFound) {
		t.Errorf("somebody out of scope: %v", err)
	}
	if err := ask(1, Reader{}); !errors.Is(err, ErrBadRequest) {
		t.Errorf("asked by nobody: %v", err)
	}
	freeze := freezeOf(1, muzaffarpur, "2021-03-04")
	freeze.Mode = domain.Erase
	want(t, submit(t, l, authority, freeze), domain.Accepted)
	for _, n := range []int{1, 9} {
		if err := ask(n, Reader{Officer: "a"}); !errors.Is(err, ErrFrozen) {
			t.Errorf("person %d after a freeze: %v", n, err)
		}
	}
	for range 6 {
		if err := ask(2, Reader{Officer: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := ask(2, Reader{Officer: "a"}); !errors.Is(err, ErrTooManyReads) {
		t.Errorf("the eleventh question: %v", err)
	}
	if _, err := l.Person(t.Context(), referenceOf(2), Reader{Officer: "a", Purpose: "medical"}); !errors.Is(err, ErrTooManyReads) {
		t.Errorf("details after so many questions: %v", err)
	}
}

// An officer of a district asks about people of another as about numbers that
// nobody has: with the same answer, counted and not recorded.
func TestPersonWithinAScope(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	l.config.ReadsPerDay = 3
	want(t, submit(t, l, centre,
		registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16"),
		registrationOf(2, patna, domain.HealthCareWorker, "2021-01-16"),
		doseOf(2, 1, muzaffarpur, "2021-01-16")), domain.Accepted)
	answers := func(officer string, want error) {
		t.Helper()
		for _, n := range []int{2, 9} {
			_, err := l.Person(t.Context(), referenceOf(n), Reader{Officer: officer, Purpose: "grievance", District: muzaffarpur})
			if !errors.Is(err, want) || err.Error() != want.Error() {
				t.Errorf("person %d: %v, want %v", n, err, want)
			}
		}
		if p, err := l.Person(t.Context(), referenceOf(2), Reader{Officer: officer, Purpose: "grievance", District: patna}); err != nil || p.District != patna {
			t.Errorf("at home: %+v, %v", p, err)
		}
		if _, err := l.Person(t.Context(), referenceOf(2), Reader{Officer: officer, Purpose: "grievance"}); !errors.Is(err, ErrTooManyReads) {
			t.Errorf("two refused and one answered: %v", err)
		}
	}
	answers("dio-1", ErrNotFound)
	freeze := freezeOf(1, muzaffarpur, "2021-03-04")
	freeze.Mode = domain.Erase
	want(t, submit(t, l, authority, freeze), domain.Accepted)
	answers("dio-2", ErrFrozen)
	for r, err := range l.AuditList(t.Context()) {
		if err != nil || r.District != patna || r.Person != l.vault.PersonToken(referenceOf(2)) {
			t.Errorf("recorded: %+v, %v", r, err)
		}
	}
}
