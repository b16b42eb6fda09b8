package ledger

import (
	"errors"
	"slices"
	"testing"

	"bahi/domain"
)

const (
	elsewhere = domain.District(209)
	standing  = domain.District(212)
)

// openRefused is a ledger with an open district, in which 1 is registered, and one
// under a standing freeze, in which 2 is.
func openRefused(t *testing.T) *Ledger {
	l := open(t, t.TempDir())
	want(t, submit(t, l, centre,
		registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16"),
		registrationOf(2, standing, domain.HealthCareWorker, "2021-01-16"),
	), domain.Accepted)
	order := freezeOf(1, standing, "2021-03-04")
	order.Standing, order.Mode = true, domain.Erase
	want(t, submit(t, l, authority, order), domain.Accepted)
	return l
}

func TestCustody(t *testing.T) {
	t.Parallel()
	l := openRefused(t)
	later := func(n int, district domain.District, holder int) domain.Registration {
		r := registrationOf(n, district, domain.HealthCareWorker, "2021-03-05")
		r.PhotoID = registrationOf(holder, district, domain.HealthCareWorker, "2021-03-05").PhotoID
		return r
	}
	again := later(1, elsewhere, 1)
	again.ID, again.Name = uuidOf(1, 77), "Somebody Else"
	byID := doseOf(9, 1, elsewhere, "2021-03-05")
	byID.Person, byID.Registration = "", uuidOf(1, 9)
	strange := doseOf(9, 1, 65_000, "2021-03-05")
	cases := []struct {
		name       string
		submission domain.Submission
		want       domain.District
	}{
		{"of somebody known, given elsewhere", doseOf(1, 2, elsewhere, "2021-03-05"), muzaffarpur},
		{"of nobody", doseOf(9, 1, elsewhere, "2021-03-05"), elsewhere},
		{"of nobody, by registration", byID, elsewhere},
		{"of nobody, given nowhere", strange, 211},
		{"a withdrawal of nobody", domain.RegistrationWithdrawal{Heading: strange.Heading, Person: referenceOf(9), Reason: domain.ReasonDuplicate}, 211},
		{"of somebody frozen", doseOf(2, 2, elsewhere, "2021-03-05"), 0},
		{"a newcomer", later(3, elsewhere, 3), elsewhere},
		{"a newcomer under a standing freeze", later(3, standing, 3), 0},
		{"a photo ID of somebody frozen", later(3, elsewhere, 2), 0},
		{"a photo ID of somebody else", later(3, elsewhere, 1), 0},
		{"a registration of somebody known", again, muzaffarpur},
		{"a freeze", freezeOf(3, muzaffarpur, "2021-03-05"), 0},
		{"a decision", domain.ReversalDecision{Heading: strange.Heading, Request: uuidOf(1, 1), By: "x"}, 0},
	}
	var submissions []domain.Submission
	for _, c := range cases {
		submissions = append(submissions, c.submission)
	}
	got, err := l.Custody(t.Context(), 211, submissions)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		if got[i] != c.want {
			t.Errorf("%s: in the custody of %d, want %d", c.name, got[i], c.want)
		}
	}
}

// Refused submissions are shown to whom a record would be, and recorded so.
func TestReadRefused(t *testing.T) {
	t.Parallel()
	l := openRefused(t)
	l.config.ReadsPerDay = 5
	unnumbered := registrationOf(4, muzaffarpur, domain.HealthCareWorker, "2021-03-05")
	unnumbered.Person = ""
	rows := []domain.Submission{doseOf(1, 2, elsewhere, "2021-03-05"), doseOf(2, 2, muzaffarpur, "2021-03-05"), unnumbered}
	reader := Reader{Officer: "dio-208", Purpose: "grievance", District: muzaffarpur}
	item := uuidOf(5, 1)
	read := func(reader Reader, rows ...domain.Submission) ([]bool, error) {
		return l.ReadRefused(t.Context(), reader, muzaffarpur, item, rows)
	}
	if may, err := read(reader, rows...); err != nil || !slices.Equal(may, []bool{true, false, true}) {
		t.Fatalf("may be shown: %v, %v", may, err)
	}
	var persons []domain.PersonToken
	for r, err := range l.AuditList(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Officer != "dio-208" || r.Purpose != "grievance" || r.District != muzaffarpur || r.Item != item {
			t.Errorf("recorded %+v", r)
		}
		persons = append(persons, r.Person)
	}
	if !slices.Equal(persons, []domain.PersonToken{l.vault.PersonToken(referenceOf(1)), {}}) {
		t.Errorf("recorded readings of %x", persons)
	}
	if report, err := AuditReport(l.AuditList(t.Context())); err != nil || len(report) != 1 || report[0].Readings != 2 || report[0].People != 1 {
		t.Errorf("the report is %+v, %v", report, err)
	}

	if _, err := read(reader, rows...); !errors.Is(err, ErrTooManyReads) {
		t.Errorf("three rows where two readings are left: %v", err)
	}
	other := Reader{Officer: "dio-209", Purpose: "grievance", District: elsewhere}
	if _, err := read(other, rows...); !errors.Is(err, ErrNotFound) {
		t.Errorf("an officer of another district: %v", err)
	}
	other.District, other.Purpose = 0, "curiosity"
	if _, err := read(other, rows...); !errors.Is(err, ErrBadRequest) {
		t.Errorf("for no purpose: %v", err)
	}

	// What may be shown today may not be after a freeze.
	order := freezeOf(2, muzaffarpur, "2021-03-06")
	order.Mode = domain.Erase
	want(t, submit(t, l, authority, order), domain.Accepted)
	other.Purpose = "legal"
	if may, err := read(other, rows...); err != nil || !slices.Equal(may, []bool{false, false, true}) {
		t.Errorf("after a freeze: %v, %v", may, err)
	}
}
