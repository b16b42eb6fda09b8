package ledger

import (
	"testing"

	"bahi/domain"
)

// unnumbered is a registration that leaves the number to the ledger.
func unnumbered(n int, district domain.District, group domain.Group, when string) domain.Registration {
	r := registrationOf(n, district, group, when)
	r.Person = ""
	return r
}

// doseByRegistration names its person by the fixture's registration.
func doseByRegistration(n int, number domain.DoseNumber, district domain.District, when string) domain.DoseGiven {
	d := doseOf(n, number, district, when)
	d.Person, d.Registration = "", uuidOf(1, n)
	return d
}

// A centre without a link registers, vaccinates and mends before anybody knows a
// number.
func TestNamedByRegistration(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	registration := unnumbered(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
	first, second := doseByRegistration(1, 1, muzaffarpur, "2021-01-16"), doseByRegistration(1, 2, patna, "2021-02-13")
	byRegistration := domain.DoseWithdrawal{
		Heading: domain.Heading{ID: uuidOf(40, 1), At: at("2021-02-14")}, Registration: registration.ID, Number: 2, Reason: domain.ReasonEnteredInError,
	}
	again := second
	again.ID, again.At = uuidOf(40, 2), at("2021-02-20")
	asks := domain.ReversalRequest{
		Heading: domain.Heading{ID: uuidOf(40, 3), At: at("2021-02-21")}, Registration: registration.ID, To: domain.Partial, Reason: domain.ReasonOther,
	}
	verdicts := submit(t, l, centre, registration, first, second, byRegistration, again, asks)
	want(t, verdicts, domain.Accepted)
	number := verdicts[0].Person
	for i, v := range verdicts {
		if v.Person != number || number.Check() != nil {
			t.Errorf("verdict %d tells number %q, the registration %q", i, v.Person, number)
		}
	}

	repeated := submit(t, l, centre, first)[0]
	if repeated.Outcome != domain.Duplicate || repeated.Person != number || repeated.Commit != verdicts[1].Commit {
		t.Errorf("the dose again: %+v", repeated)
	}
	sameDose := first
	sameDose.ID, sameDose.Person, sameDose.Registration = uuidOf(40, 4), number, domain.UUID{}
	want(t, submit(t, l, centre, sameDose), domain.Duplicate)
	otherwise := first
	otherwise.Person, otherwise.Registration = number, domain.UUID{}
	wantCode(t, submit(t, l, centre, otherwise)[0], domain.CodeIDReused)

	wrong := first
	wrong.ID, wrong.At = uuidOf(40, 5), at("2021-01-17")
	refused := submit(t, l, centre, wrong)[0]
	if wantCode(t, refused, domain.CodeDoseExists); refused.Person != "" {
		t.Error("a refusal tells the number of a registration")
	}
	check(t, l)
}

// Only a registration that the ledger issued a number for names anybody.
func TestNamedByNoRegistration(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	withdrawn := unnumbered(2, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
	want(t, submit(t, l, centre, registrationOf(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16"), withdrawn,
		domain.RegistrationWithdrawal{Heading: domain.Heading{ID: uuidOf(40, 1), At: at("2021-01-17")}, Registration: withdrawn.ID, Reason: domain.ReasonDuplicate},
	), domain.Accepted)
	dose := doseOf(1, 1, muzaffarpur, "2021-01-18")
	want(t, submit(t, l, centre, dose), domain.Accepted)
	for name, registration := range map[string]domain.UUID{
		"one that brought its number": uuidOf(1, 1),
		"one that was withdrawn":      withdrawn.ID,
		"another submission":          dose.ID,
		"nothing":                     uuidOf(40, 99),
	} {
		d := doseByRegistration(9, 1, muzaffarpur, "2021-01-18")
		d.Registration = registration
		v := submit(t, l, centre, d)[0]
		if wantCode(t, v, domain.CodeUnknownPerson); v.Reject.Field != "registration" || v.Person != "" {
			t.Errorf("%s: %+v, %+v", name, v, v.Reject)
		}
	}

	// What was withdrawn does not come back because a record repeats it.
	withdrawn.Restated = true
	want(t, submit(t, l, centre, withdrawn), domain.Duplicate)
	if counts := countsOf(t, l, muzaffarpur, "2021-12-31"); counts.Registered != 1 || counts.Dose1 != 1 {
		t.Errorf("counts %+v", counts.Figures)
	}
}

// A restated registration is held whatever it says, and tells the number to who
// says what was registered.
func TestRestatedRegistration(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	r := unnumbered(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
	r.Restated = true
	first := submit(t, l, centre, r)
	want(t, first, domain.Accepted)

	for name, c := range map[string]struct {
		change func(*domain.Registration)
		told   domain.Reference
	}{
		"the same":           {func(*domain.Registration) {}, first[0].Person},
		"not marked":         {func(r *domain.Registration) { r.Restated = false }, first[0].Person},
		"on another day":     {func(r *domain.Registration) { r.At = at("2021-04-10") }, first[0].Person},
		"a name misspelt":    {func(r *domain.Registration) { r.Name = "Canari Kumari" }, ""},
		"of another cohort":  {func(r *domain.Registration) { r.District, r.Group, r.BirthYear = patna, domain.Age60Plus, 1950 }, ""},
		"a guess of the id ": {func(r *domain.Registration) { r.Name, r.Mobile, r.PhotoID.Number = "A", "6000000000", "111111111111" }, ""},
	} {
		again := r
		c.change(&again)
		v := submit(t, l, centre, again)[0]
		if v.Outcome != domain.Duplicate || v.Person != c.told || v.Commit != first[0].Commit {
			t.Errorf("%s: %+v", name, v)
		}
	}
	r.Restated, r.Name = false, "Canari Kumari"
	wantCode(t, submit(t, l, centre, r)[0], domain.CodeIDReused)
}

// About somebody frozen nothing is told that was not named: the registration is
// held, doses by it still count, and no verdict has the number.
func TestNamedByRegistrationOfAFrozenPerson(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir)
	r := unnumbered(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
	first := doseByRegistration(1, 1, muzaffarpur, "2021-01-16")
	want(t, submit(t, l, centre, r, first), domain.Accepted)
	freeze := freezeOf(1, muzaffarpur, "2021-03-04")
	freeze.Mode = domain.Erase
	want(t, submit(t, l, authority, freeze), domain.Accepted)
	shut(t, l)
	l = open(t, dir)

	restated, second, third := r, doseByRegistration(1, 2, patna, "2021-03-05"), doseByRegistration(1, 2, patna, "2021-03-06")
	restated.Restated, restated.Name = true, "Another Name"
	third.ID = uuidOf(40, 1)
	verdicts := submit(t, l, centre, r, restated, first, second, third)
	want(t, verdicts[:3], domain.Duplicate)
	want(t, verdicts[3:4], domain.Accepted)
	wantCode(t, verdicts[4], domain.CodeDoseExists)
	for i, v := range verdicts {
		if v.Person != "" || v.Commit != 0 || v.Reject != nil && *v.Reject != *v.Reject.Bare() {
			t.Errorf("verdict %d about somebody frozen: %+v, %+v", i, v, v.Reject)
		}
	}
	if counts := countsOf(t, l, muzaffarpur, "2021-03-31"); counts.Full != 1 || counts.Frozen != 1 || counts.Registered != 1 {
		t.Errorf("counts %+v", counts.Figures)
	}
}

// Where many wait, a commit is of one district, and the registration of another is
// passed over; the dose that names it waits behind it though its own district is next,
// and so does whatever is about the same person under any name.
func TestOrderByRegistrationOverDistricts(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	l.mixing = 0
	var all []domain.Submission
	for n := 1; n <= 40; n += 2 {
		all = append(all,
			registrationOf(n, muzaffarpur, domain.HealthCareWorker, "2021-01-16"),
			unnumbered(n+1, patna, domain.HealthCareWorker, "2021-01-16"), // passed over
			doseByRegistration(n+1, 1, muzaffarpur, "2021-01-16"),         // would fit the first commit
			domain.DoseWithdrawal{Heading: domain.Heading{ID: uuidOf(40, n), At: at("2021-01-16")}, Registration: uuidOf(1, n+1), Number: 1, Reason: domain.ReasonEnteredInError},
			domain.RegistrationWithdrawal{Heading: domain.Heading{ID: uuidOf(41, n), At: at("2021-01-16")}, Registration: uuidOf(1, n+1), Reason: domain.ReasonEnteredInError},
		)
	}
	want(t, submit(t, l, centre, all...), domain.Accepted)
	if counts := countsOf(t, l, patna, "2021-01-16"); counts.Registered != 0 {
		t.Errorf("counts %+v", counts.Figures)
	}

	// The number is known by now: some name the person by it, some by registration.
	r := unnumbered(50, patna, domain.HealthCareWorker, "2021-01-17")
	number := submit(t, l, centre, r)[0].Person
	elsewhere := doseOf(50, 1, patna, "2021-01-17") // passed over
	elsewhere.Person = number
	second := doseByRegistration(50, 2, muzaffarpur, "2021-02-14")
	byNumber := domain.DoseWithdrawal{Heading: domain.Heading{ID: uuidOf(40, 50), At: at("2021-02-14")}, Person: number, Number: 2, Reason: domain.ReasonEnteredInError}
	want(t, submit(t, l, centre, registrationOf(51, muzaffarpur, domain.HealthCareWorker, "2021-01-17"), elsewhere, second, byNumber), domain.Accepted)
	check(t, l)
}

// What is decided about a person's request keeps its place among what is said of
// the person, though it names the request alone.
func TestDecisionKeepsItsPlaceOverDistricts(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	l.mixing = 0
	want(t, submit(t, l, centre,
		registrationOf(1, patna, domain.HealthCareWorker, "2021-01-16"),
		doseOf(1, 1, patna, "2021-01-16"),
		domain.ReversalRequest{Heading: domain.Heading{ID: uuidOf(40, 1), At: at("2021-01-17")}, Person: referenceOf(1), To: domain.Unvaccinated, Reason: domain.ReasonOther},
	), domain.Accepted)
	anew := doseOf(1, 1, muzaffarpur, "2021-01-20")
	anew.ID = uuidOf(40, 2)
	want(t, submit(t, l, authority,
		registrationOf(2, muzaffarpur, domain.HealthCareWorker, "2021-01-20"),
		domain.ReversalDecision{Heading: domain.Heading{ID: uuidOf(40, 3), At: at("2021-01-20")}, Request: uuidOf(40, 1), Approve: true, By: "officer-7"}, // passed over
		anew,
	), domain.Accepted)
}

// An id that was made of a photo ID can be made by whoever guesses one: what names
// its person by such an id is decided, and its verdict tells no number. The
// registration told again does, to whoever repeats its particulars.
func TestDerivedRegistrationTellsNoNumber(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir())
	r := unnumbered(1, muzaffarpur, domain.HealthCareWorker, "2021-01-16")
	r.ID[6], r.Restated = 0x80, true
	dose := doseByRegistration(1, 1, muzaffarpur, "2021-01-16")
	dose.Registration = r.ID
	withdrawal := domain.DoseWithdrawal{
		Heading: domain.Heading{ID: uuidOf(40, 1), At: at("2021-01-17")}, Registration: r.ID, Number: 1, Reason: domain.ReasonEnteredInError,
	}
	verdicts := submit(t, l, centre, r, dose, dose, withdrawal)
	want(t, append(verdicts[:2:2], verdicts[3]), domain.Accepted)
	want(t, verdicts[2:3], domain.Duplicate)
	number := verdicts[0].Person
	for i, told := range []domain.Reference{number, "", "", ""} {
		if verdicts[i].Person != told || number == "" {
			t.Errorf("verdict %d tells %q", i, verdicts[i].Person)
		}
	}
	if again := submit(t, l, centre, r)[0]; again.Outcome != domain.Duplicate || again.Person != number {
		t.Errorf("the registration again: %+v", again)
	}
	check(t, l)
}
