package ledger

import (
	"errors"
	"testing"

	"bahi/domain"
)

func TestReadingsAreRecordedCappedAndReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	l.config.ReadsPerDay = 3
	for n := 1; n <= 5; n++ {
		want(t, submit(t, l, centre, registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	}
	read := func(n int, officer string) error {
		_, err := l.Person(t.Context(), referenceOf(n), Reader{Officer: officer, Purpose: "grievance"})
		return err
	}
	for _, n := range []int{1, 1, 2} {
		if err := read(n, "dio-1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := read(3, "dio-1"); !errors.Is(err, ErrTooManyReads) {
		t.Errorf("the fourth reading of the day: %v", err)
	}
	for range 3 { // numbers that nobody has use up the day's readings as well
		if err := read(700, "dio-2"); !errors.Is(err, ErrNotFound) {
			t.Errorf("an unknown number: %v", err)
		}
	}
	if err := read(1, "dio-2"); !errors.Is(err, ErrTooManyReads) {
		t.Errorf("after probing: %v", err)
	}
	for _, bad := range [][2]string{{"", "grievance"}, {"dio 1", "grievance"}, {"dio-3", "curiosity"}} {
		if _, err := l.Person(t.Context(), referenceOf(1), Reader{Officer: bad[0], Purpose: bad[1]}); !errors.Is(err, ErrBadRequest) {
			t.Errorf("officer %q, purpose %q: %v", bad[0], bad[1], err)
		}
	}
	report, err := AuditReport(l.AuditList(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if len(report) != 1 || report[0].Officer != "dio-1" || report[0].Readings != 3 || report[0].People != 2 || report[0].District != muzaffarpur {
		t.Errorf("the report is %+v", report)
	}

	shut(t, l)
	l = open(t, dir)
	l.config.ReadsPerDay = 3
	if err := read(3, "dio-1"); !errors.Is(err, ErrTooManyReads) {
		t.Errorf("after a restart the day's readings are forgotten: %v", err)
	}
}

// When a reading cannot be recorded, nothing is shown.
func TestNoRecordNoAnswer(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	if _, err := l.Person(t.Context(), referenceOf(1), Reader{Officer: "dio-1", Purpose: "legal"}); err != nil {
		t.Fatal(err)
	}
	if err := l.store.Close(); err != nil {
		t.Fatal(err)
	}
	details, err := l.recordedRead(t.Context(), l.vault.PersonToken(referenceOf(1)), Reader{Officer: "dio-1", Purpose: "legal"})
	if err == nil {
		t.Errorf("without an audit a reading is answered: %+v", details.Cohort)
	}
}
