package domain

import "time"

// Submission is what a centre or an authority sends: a wish that [Decide] turns
// into an [Event] or refuses. It is one of [Registration], [DoseGiven],
// [RegistrationWithdrawal], [DoseWithdrawal], [ReversalRequest],
// [ReversalDecision] and [Freeze].
//
// Submissions hold personal data in the clear. They live in memory only.
type Submission interface {
	// Head returns what every submission has.
	Head() Heading
	submission()
}

// Heading is what every submission has.
type Heading struct {
	ID UUID      // chosen by the sender; the same id with the same content is the same submission for ever
	At time.Time // when it happened; a day without a time is its first moment in Indian Standard Time
}

// Head returns the heading itself; submissions embed it.
func (h Heading) Head() Heading { return h }

// Day returns the day on which it happened.
func (h Heading) Day() Day { return DayOf(h.At) }

// Registration puts a person into the register.
type Registration struct {
	Heading
	Person    Reference // may be empty: the ledger issues a number
	District  District  // the person's home district
	Group     Group
	Name      string
	BirthYear int
	Sex       Sex
	Mobile    string
	PhotoID   PhotoID

	// Restated says that the registration stands in another record to tell whom
	// that is about, as a certificate of a second dose names its recipient again.
	// When the ledger holds its id it is held, whatever it says this time.
	Restated bool
}

// PhotoID is an identity document shown at registration.
type PhotoID struct {
	Type   PhotoIDType
	Number string
}

// DoseGiven reports a dose. Like all that follows about one person, it names
// the person by reference number or, before the sender knows the number that the
// ledger issued, by the id of the registration that it was issued for.
type DoseGiven struct {
	Heading
	Person       Reference
	Registration UUID     // instead of Person
	District     District // where the dose was given
	Centre       string
	Vaccine      Vaccine
	Batch        string
	Number       DoseNumber
}

// RegistrationWithdrawal takes back a registration that has no doses, such as a
// duplicate.
type RegistrationWithdrawal struct {
	Heading
	Person       Reference
	Registration UUID // instead of Person
	Reason       Reason
}

// DoseWithdrawal takes back a person's latest dose, entered in error. With Given
// or Vaccine it takes back that dose only, and not another that has come in its
// place.
type DoseWithdrawal struct {
	Heading
	Person       Reference
	Registration UUID // instead of Person
	Number       DoseNumber
	Reason       Reason
	Given        Day     // when the dose was given; may be left out, which is 0
	Vaccine      Vaccine // its vaccine; may be left out
}

// ReversalRequest asks for a lower status: full to partial, full to
// unvaccinated, or partial to unvaccinated. Its id names it in the decision.
type ReversalRequest struct {
	Heading
	Person       Reference
	Registration UUID // instead of Person
	To           Status
	Reason       Reason
}

// ReversalDecision approves or rejects a pending request. It needs the
// authority's credential.
type ReversalDecision struct {
	Heading
	Request UUID
	Approve bool
	By      string // an officer's id
}

// Freeze orders that the details of a district, of some of its groups, or of
// listed persons of it, become unreadable for good. It needs the authority's
// credential.
type Freeze struct {
	Heading
	District District
	Groups   []Group     // none means all
	Persons  []Reference // these alone, whatever their group; at most [MaxListed]; none means everybody
	Standing bool        // later registrations in scope are born closed
	Mode     FreezeMode
	Order    string // the number of the written order
	By       string // who ordered it
}

// MaxListed is how many persons one freeze can list.
const MaxListed = 10_000

func (Registration) submission()           {}
func (DoseGiven) submission()              {}
func (RegistrationWithdrawal) submission() {}
func (DoseWithdrawal) submission()         {}
func (ReversalRequest) submission()        {}
func (ReversalDecision) submission()       {}
func (Freeze) submission()                 {}

// PersonOf returns the reference number that s names, or "" when it names none
// (a registration that leaves the number to the ledger, what names a person by
// registration, a decision, a freeze).
func PersonOf(s Submission) Reference {
	switch s := s.(type) {
	case Registration:
		return s.Person
	case DoseGiven:
		return s.Person
	case RegistrationWithdrawal:
		return s.Person
	case DoseWithdrawal:
		return s.Person
	case ReversalRequest:
		return s.Person
	}
	return ""
}

// RegistrationOf returns the id of the registration by which s names its person,
// and the zero UUID when it names nobody in this way.
func RegistrationOf(s Submission) UUID {
	switch s := s.(type) {
	case DoseGiven:
		return s.Registration
	case RegistrationWithdrawal:
		return s.Registration
	case DoseWithdrawal:
		return s.Registration
	case ReversalRequest:
		return s.Registration
	}
	return UUID{}
}
