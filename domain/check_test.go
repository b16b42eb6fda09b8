package domain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bahi/domain"
)

func goodRegistration() domain.Registration {
	return domain.Registration{
		Heading:   heading("2021-01-16T10:05:00+05:30"),
		Person:    "21679381234566",
		District:  208,
		Group:     domain.HealthCareWorker,
		Name:      "सीता देवी",
		BirthYear: 1961,
		Sex:       domain.Female,
		Mobile:    "9000000001",
		PhotoID:   domain.PhotoID{Type: domain.Aadhaar, Number: "123456789012"},
	}
}

func goodDose() domain.DoseGiven {
	return domain.DoseGiven{Heading: heading("2021-01-16"), Person: "21679381234566", District: 208, Centre: "208001", Vaccine: domain.Covishield, Batch: "4120Z001", Number: 1}
}

func goodFreeze() domain.Freeze {
	return domain.Freeze{Heading: heading("2021-03-04"), District: 208, Mode: domain.Handover, Order: "DL/2021/117", By: "authority"}
}

// checkCase is a good submission with one thing changed.
type checkCase struct {
	name string
	s    domain.Submission
	want domain.Code // "" means that it passes
	at   string      // field
}

func registrationWith(name string, want domain.Code, field string, change func(*domain.Registration)) checkCase {
	s := goodRegistration()
	change(&s)
	return checkCase{name, s, want, field}
}

func doseWith(name string, want domain.Code, field string, change func(*domain.DoseGiven)) checkCase {
	s := goodDose()
	change(&s)
	return checkCase{name, s, want, field}
}

func freezeWith(name string, want domain.Code, field string, change func(*domain.Freeze)) checkCase {
	s := goodFreeze()
	change(&s)
	return checkCase{name, s, want, field}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	type (
		R = domain.Registration
		D = domain.DoseGiven
		F = domain.Freeze
	)
	h, person := heading("2022-01-22"), domain.Reference("21679381234566")
	for _, c := range []checkCase{
		registrationWith("a good one", "", "", func(*R) {}),
		registrationWith("without a number: the ledger issues it", "", "", func(r *R) { r.Person = "" }),
		registrationWith("no id", domain.CodeMissingField, "id", func(r *R) { r.ID = domain.UUID{} }),
		registrationWith("no time", domain.CodeMissingField, "at", func(r *R) { r.At = time.Time{} }),
		registrationWith("the year 1921", domain.CodeBadValue, "at", func(r *R) { r.At = at("1921-01-16") }),
		registrationWith("the year 2201", domain.CodeInFuture, "at", func(r *R) { r.At = at("2201-01-16") }),
		registrationWith("a wrong check digit", domain.CodeBadReference, "person", func(r *R) { r.Person = "21679381234567" }),
		registrationWith("no district", domain.CodeMissingField, "district", func(r *R) { r.District = 0 }),
		registrationWith("no group", domain.CodeMissingField, "group", func(r *R) { r.Group = 0 }),
		registrationWith("a group beyond the list", domain.CodeBadValue, "group", func(r *R) { r.Group = 8 }),
		registrationWith("no name", domain.CodeMissingField, "name", func(r *R) { r.Name = "" }),
		registrationWith("a name with what names have", "", "", func(r *R) { r.Name = "Dr. Anne-Marie O'Neil 2" }),
		registrationWith("a name of joined letters", "", "", func(r *R) { r.Name = "क\u094d\u200dष" }),
		registrationWith("a name with a line break", "", "", func(r *R) { r.Name = "Sita\nDevi" }),
		registrationWith("100 characters", "", "", func(r *R) { r.Name = strings.Repeat("स", 100) }),
		registrationWith("101 characters", domain.CodeTooLong, "name", func(r *R) { r.Name = strings.Repeat("स", 101) }),
		registrationWith("a name of dots", domain.CodeBadValue, "name", func(r *R) { r.Name = "..." }),
		registrationWith("a formula", domain.CodeBadValue, "name", func(r *R) { r.Name = "=cmd" }),
		registrationWith("an email address", domain.CodeBadValue, "name", func(r *R) { r.Name = "sita@example.org" }),
		registrationWith("a control character", domain.CodeBadValue, "name", func(r *R) { r.Name = "Sita\x00" }),
		registrationWith("not UTF-8", domain.CodeBadValue, "name", func(r *R) { r.Name = "Sit\xff" }),
		registrationWith("no birth year", domain.CodeMissingField, "birth_year", func(r *R) { r.BirthYear = 0 }),
		registrationWith("born 1889", domain.CodeBadValue, "birth_year", func(r *R) { r.BirthYear = 1889 }),
		registrationWith("born 2023", domain.CodeBadValue, "birth_year", func(r *R) { r.BirthYear = 2023 }),
		registrationWith("no sex", domain.CodeMissingField, "sex", func(r *R) { r.Sex = 0 }),
		registrationWith("no mobile", domain.CodeMissingField, "mobile", func(r *R) { r.Mobile = "" }),
		registrationWith("a mobile with the country", "", "", func(r *R) { r.Mobile = "+91 90000-00001" }),
		registrationWith("a landline", domain.CodeBadValue, "mobile", func(r *R) { r.Mobile = "5000000001" }),
		registrationWith("nine digits", domain.CodeBadValue, "mobile", func(r *R) { r.Mobile = "900000001" }),
		registrationWith("letters", domain.CodeBadValue, "mobile", func(r *R) { r.Mobile = "90000O0001" }),
		registrationWith("no document", domain.CodeMissingField, "photo_id", func(r *R) { r.PhotoID = domain.PhotoID{} }),
		registrationWith("no number", domain.CodeMissingField, "photo_id", func(r *R) { r.PhotoID.Number = "" }),
		registrationWith("Aadhaar as the card prints it", "", "", func(r *R) { r.PhotoID.Number = "1234 5678 9012" }),
		registrationWith("Aadhaar of 11 digits", domain.CodeBadValue, "photo_id", func(r *R) { r.PhotoID.Number = "12345678901" }),
		registrationWith("Aadhaar with a letter", domain.CodeBadValue, "photo_id", func(r *R) { r.PhotoID.Number = "12345678901A" }),
		registrationWith("a passport in small letters", "", "", func(r *R) { r.PhotoID = domain.PhotoID{Type: domain.Passport, Number: "j8369854"} }),
		registrationWith("a driving licence", "", "", func(r *R) { r.PhotoID = domain.PhotoID{Type: domain.DrivingLicence, Number: "BR-06 20110012345"} }),
		registrationWith("an old voter ID", "", "", func(r *R) { r.PhotoID = domain.PhotoID{Type: domain.VoterID, Number: "BR/01/123/456789"} }),
		registrationWith("a PAN too short", domain.CodeBadValue, "photo_id", func(r *R) { r.PhotoID = domain.PhotoID{Type: domain.PANCard, Number: "ABCDE1234"} }),

		doseWith("a good one", "", "", func(*D) {}),
		doseWith("no person", domain.CodeMissingField, "person", func(d *D) { d.Person = "" }),
		doseWith("thirteen digits", domain.CodeBadReference, "person", func(d *D) { d.Person = "2167938123456" }),
		doseWith("a registration instead of a number", "", "", func(d *D) { d.Person, d.Registration = "", numberedID(1) }),
		doseWith("a registration and a number", domain.CodeBadValue, "registration", func(d *D) { d.Registration = numberedID(1) }),
		doseWith("no centre", domain.CodeMissingField, "centre", func(d *D) { d.Centre = "" }),
		doseWith("a centre that would be a subject", domain.CodeBadValue, "centre", func(d *D) { d.Centre = "208.>" }),
		doseWith("a centre of 33", domain.CodeTooLong, "centre", func(d *D) { d.Centre = strings.Repeat("1", 33) }),
		doseWith("no vaccine", domain.CodeMissingField, "vaccine", func(d *D) { d.Vaccine = 0 }),
		doseWith("a batch with a slash", "", "", func(d *D) { d.Batch = "37F21090A/1.2-b" }),
		doseWith("a batch with a space", domain.CodeBadValue, "batch", func(d *D) { d.Batch = "4120 Z001" }),
		doseWith("no dose", domain.CodeMissingField, "dose", func(d *D) { d.Number = 0 }),
		doseWith("a fifth dose", domain.CodeBadValue, "dose", func(d *D) { d.Number = 5 }),

		freezeWith("a good one", "", "", func(*F) {}),
		freezeWith("no mode means handover", "", "", func(f *F) { f.Mode = 0 }),
		freezeWith("a mode beyond the list", domain.CodeBadValue, "mode", func(f *F) { f.Mode = 3 }),
		freezeWith("no order", domain.CodeMissingField, "order", func(f *F) { f.Order = "" }),
		freezeWith("nobody's order", domain.CodeMissingField, "by", func(f *F) { f.By = "" }),
		freezeWith("an endless order", domain.CodeTooLong, "order", func(f *F) { f.Order = strings.Repeat("1", 65) }),
		freezeWith("no such group", domain.CodeBadValue, "groups", func(f *F) { f.Groups = []domain.Group{99} }),
		freezeWith("too many groups", domain.CodeTooLong, "groups", func(f *F) { f.Groups = make([]domain.Group, 8) }),

		{"withdrawal", domain.RegistrationWithdrawal{Heading: h, Person: person, Reason: domain.ReasonDuplicate}, "", ""},
		{"withdrawal without reason", domain.RegistrationWithdrawal{Heading: h, Person: person}, domain.CodeMissingField, "reason"},
		{"withdrawal by registration", domain.RegistrationWithdrawal{Heading: h, Registration: numberedID(1), Reason: domain.ReasonDuplicate}, "", ""},
		{"withdrawal of nobody", domain.RegistrationWithdrawal{Heading: h, Reason: domain.ReasonDuplicate}, domain.CodeMissingField, "person"},
		{"dose withdrawal by registration", domain.DoseWithdrawal{Heading: h, Registration: numberedID(1), Number: 1, Reason: domain.ReasonDuplicate}, "", ""},
		{"dose withdrawal of nobody", domain.DoseWithdrawal{Heading: h, Number: 1, Reason: domain.ReasonDuplicate}, domain.CodeMissingField, "person"},
		{"request by registration", domain.ReversalRequest{Heading: h, Registration: numberedID(1), To: domain.Partial, Reason: domain.ReasonOther}, "", ""},
		{"request of nobody", domain.ReversalRequest{Heading: h, To: domain.Partial, Reason: domain.ReasonOther}, domain.CodeMissingField, "person"},
		{"dose withdrawal", domain.DoseWithdrawal{Heading: h, Person: person, Number: domain.Precaution, Reason: domain.ReasonOther}, "", ""},
		{"dose withdrawal without dose", domain.DoseWithdrawal{Heading: h, Person: person, Reason: domain.ReasonOther}, domain.CodeMissingField, "dose"},
		{"request", domain.ReversalRequest{Heading: h, Person: person, To: domain.Partial, Reason: domain.ReasonOther}, "", ""},
		{"request to nothing", domain.ReversalRequest{Heading: h, Person: person, Reason: domain.ReasonOther}, domain.CodeMissingField, "to"},
		{"decision", domain.ReversalDecision{Heading: h, Request: numberedID(1), By: "officer-7"}, "", ""},
		{"decision about nothing", domain.ReversalDecision{Heading: h, By: "officer-7"}, domain.CodeMissingField, "request"},
		{"nobody's decision", domain.ReversalDecision{Heading: h, Request: numberedID(1)}, domain.CodeMissingField, "by"},
		{"a pointer", &domain.DoseGiven{}, domain.CodeUnknownType, "type"},
		{"nothing", nil, domain.CodeUnknownType, "type"},
	} {
		err := domain.Check(domain.Normalise(c.s))
		var rejection *domain.Rejection
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%T, %s: %v", c.s, c.name, err)
		case c.want != "" && !errors.As(err, &rejection):
			t.Errorf("%T, %s: passes, want %s", c.s, c.name, c.want)
		case c.want != "" && (rejection.Code != c.want || rejection.Field != c.at):
			t.Errorf("%T, %s: %s at %q, want %s at %q", c.s, c.name, rejection.Code, rejection.Field, c.want, c.at)
		}
	}
}

// TestNormaliseMakesSpellingsOne compares what means the same.
func TestNormaliseMakesSpellingsOne(t *testing.T) {
	t.Parallel()
	one := goodRegistration()
	other := one
	one.Name, other.Name = " Anne  Marie O’Neil ", "Anne Marie O'Neil"
	one.Mobile, other.Mobile = "+91-90000 00001", "9000000001"
	one.PhotoID = domain.PhotoID{Type: domain.DrivingLicence, Number: "br-06 20110012345"}
	other.PhotoID = domain.PhotoID{Type: domain.DrivingLicence, Number: "BR0620110012345"}
	one.Person = " 21679381234566\n"
	if got := domain.Normalise(one); got != other {
		t.Errorf("got %+v, want %+v", got, other)
	}
}

// TestRejectionsTellNothingPersonal puts a mark into every personal field, breaks
// each in turn, and looks for the mark in what comes back.
func TestRejectionsTellNothingPersonal(t *testing.T) {
	t.Parallel()
	const mark = "7391"
	breakers := []func(*domain.Registration){
		func(r *domain.Registration) { r.Person = mark },
		func(r *domain.Registration) { r.Name = "<" + mark + ">" },
		func(r *domain.Registration) { r.BirthYear = 7391 },
		func(r *domain.Registration) { r.Mobile = mark },
		func(r *domain.Registration) { r.PhotoID.Number = mark },
	}
	for i, breaks := range breakers {
		r := goodRegistration()
		r.Name, r.Mobile, r.PhotoID.Number = "Sita "+mark, "900000"+mark, "12345678"+mark
		breaks(&r)
		err := domain.Check(r)
		if err == nil || strings.Contains(err.Error(), mark) {
			t.Errorf("breaker %d: %v", i, err)
		}
	}
}
