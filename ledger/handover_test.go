package ledger

import (
	"errors"
	"os"
	"testing"

	"bahi/domain"
	"bahi/vault"
)

// After a freeze in the mode handover the authority, and only it, can still
// answer a citizen who asks for a certificate.
func TestAuthorityAnswersACitizen(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	for n := 1; n <= 3; n++ {
		want(t, submit(t, l, centre, registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16"),
			doseOf(n, 1, muzaffarpur, "2021-01-16")), domain.Accepted)
	}
	want(t, submit(t, l, centre, registrationOf(9, patna, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	key, err := vault.GenerateAuthorityKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AdoptAuthorityKey(t.Context(), key.Public(), at("2021-01-17")); err != nil {
		t.Fatal(err)
	}
	receipt, err := l.Freeze(t.Context(), freezeOf(1, muzaffarpur, "2021-02-10"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, submit(t, l, centre, doseOf(2, 2, muzaffarpur, "2021-02-14")), domain.Accepted)

	file, err := os.ReadFile(receipt.Handover)
	if err != nil {
		t.Fatal(err)
	}
	h, err := vault.OpenHandover(file, key)
	if err != nil {
		t.Fatal(err)
	}
	p, err := l.OpenFrozen(t.Context(), Authority{Key: key, Handover: h}, referenceOf(2), "authority-1")
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "Canary Kumari 2" || p.Status != domain.Full || len(p.Doses) != 2 || p.Doses[0].Batch != "4120Z001" || p.Doses[1].Batch != "" {
		t.Errorf("the authority sees %+v", p)
	}
	if _, err := l.OpenFrozen(t.Context(), Authority{Key: key, Handover: h}, referenceOf(77), "authority-1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a number that nobody has: %v", err)
	}
	if _, err := l.OpenFrozen(t.Context(), Authority{Key: key, Handover: h}, referenceOf(9), "authority-1"); !errors.Is(err, vault.ErrKeyMissing) {
		t.Errorf("a person of another cohort: %v", err)
	}
	report, err := AuditReport(l.AuditList(t.Context()))
	if err != nil || len(report) == 0 || report[0].Officer != "authority-1" {
		t.Errorf("the authority's reading is not recorded: %+v, %v", report, err)
	}

	// Under a standing freeze who comes later is born closed; the key alone opens.
	standing := freezeOf(2, muzaffarpur, "2021-02-15")
	standing.Standing = true
	if _, err := l.Freeze(t.Context(), standing); err != nil {
		t.Fatal(err)
	}
	want(t, submit(t, l, centre, registrationOf(50, muzaffarpur, domain.HealthCareWorker, "2021-02-16")), domain.Accepted)
	born, err := l.OpenFrozen(t.Context(), Authority{Key: key}, referenceOf(50), "authority-1")
	if err != nil || born.Name != "Canary Kumari 50" {
		t.Errorf("who was born closed: %+v, %v", born, err)
	}

	stranger, err := vault.GenerateAuthorityKey()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vault.OpenHandover(file, stranger); !errors.Is(err, vault.ErrOtherKey) {
		t.Errorf("another key opens the handover: %v", err)
	}
}
