package ledger

import (
	"errors"
	"fmt"
	"os"
	"strings"
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
	if _, err := l.OpenFrozen(t.Context(), Authority{Key: key, Handover: h}, referenceOf(9), "authority-1"); !errors.As(err, new(*HandoverError)) {
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

// TestWhichHandover: who comes without the handover that a person's details need, or
// with another, is told which it is, and never to put keys back.
func TestWhichHandover(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	for n := 1; n <= 2; n++ {
		want(t, submit(t, l, centre, registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	}
	for n := 3; n <= 4; n++ {
		want(t, submit(t, l, centre, registrationOf(n, patna, domain.HealthCareWorker, "2021-01-16")), domain.Accepted)
	}
	want(t, submit(t, l, centre, registrationOf(5, patna, domain.Age60Plus, "2021-01-16")), domain.Accepted)
	key, err := vault.GenerateAuthorityKey()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AdoptAuthorityKey(t.Context(), key.Public(), at("2021-01-17")); err != nil {
		t.Fatal(err)
	}
	orders := make([]domain.Freeze, 3)
	for i, of := range []domain.District{muzaffarpur, muzaffarpur, patna} {
		orders[i] = freezeOf(i+1, of, fmt.Sprintf("2021-02-1%d", i))
	}
	orders[0].Persons = []domain.Reference{referenceOf(1)} // 2 is of the next
	orders[2].Mode, orders[2].Standing, orders[2].Groups = domain.Erase, true, []domain.Group{domain.HealthCareWorker}
	handovers := []*vault.Handover{nil}
	for _, order := range orders {
		receipt, err := l.Freeze(t.Context(), order)
		if err != nil {
			t.Fatal(err)
		}
		if order.Mode == domain.Erase {
			continue
		}
		file, err := os.ReadFile(receipt.Handover)
		if err != nil {
			t.Fatal(err)
		}
		h, err := vault.OpenHandover(file, key)
		if err != nil {
			t.Fatal(err)
		}
		handovers = append(handovers, h)
	}
	want(t, submit(t, l, centre, registrationOf(6, patna, domain.HealthCareWorker, "2021-02-16")), domain.Accepted)

	for _, c := range []struct {
		person int
		opens  int // which handover; 0: none
		want   HandoverError
		says   string
	}{
		{1, 1, HandoverError{Freeze: orders[0].ID}, "give its file, " + orders[0].ID.String() + ".handover, with --handover"},
		{2, 2, HandoverError{Freeze: orders[1].ID}, "give its file, " + orders[1].ID.String() + ".handover, with --handover"},
		{3, 0, HandoverError{Freeze: orders[2].ID, Erased: true}, "no key opens"},
		{5, 0, HandoverError{}, "not frozen"},
		{6, 0, HandoverError{Erased: true}, "no key opens"}, // born closed
	} {
		for i, h := range handovers {
			details, err := l.OpenFrozen(t.Context(), Authority{Key: key, Handover: h}, referenceOf(c.person), "authority-1")
			if i > 0 && i == c.opens {
				if err != nil || details.Person != referenceOf(c.person) {
					t.Errorf("person %d with handover %d: %v", c.person, i, err)
				}
				continue
			}
			var why *HandoverError
			if !errors.As(err, &why) || *why != c.want || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "back") {
				t.Errorf("person %d with handover %d: %v, want %+v", c.person, i, err, c.want)
			}
		}
	}
}
