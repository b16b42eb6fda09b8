package domain

// Person is what the register knows of one person: pseudonymous status and dose
// dates, never shown to anybody. The zero value is a person not registered.
// [Evolve] makes it from events.
type Person struct {
	Cohort     Cohort // zero when not registered
	Sex        Sex
	Registered Day
	Commit     uint64 // the ledger sequence that holds the registration
	Status     Status
	Pending    Reversal // the zero value when no reversal is pending

	doses [MaxDoses]Dose
	given uint8
}

// MaxDoses is how many doses of one person can stand: three of a primary series
// and a precaution dose.
const MaxDoses = 4

// Dose is one standing dose.
type Dose struct {
	Number   DoseNumber
	Vaccine  Vaccine
	Day      Day
	District District // where it was given
	Commit   uint64   // the ledger sequence that holds it; 0 in events
}

// Reversal is a pending request for a lower status.
type Reversal struct {
	Request  UUID
	To       Status
	Day      Day // on which it was asked for
	Recorded Day // on which that was recorded: the waiting time runs by recorded time
}

// IsRegistered tells whether the person is in the register.
func (p Person) IsRegistered() bool { return p.Status != 0 }

// Doses returns the standing doses, oldest first.
func (p *Person) Doses() []Dose { return p.doses[:p.given] }

// WithDoses returns the person with these standing doses, oldest first: it is for
// reading a stored person back. It panics on more than [MaxDoses].
func (p Person) WithDoses(doses ...Dose) Person {
	p.doses = [MaxDoses]Dose{}
	if copy(p.doses[:], doses) < len(doses) {
		panic("domain: a person has at most four doses")
	}
	p.given = uint8(len(doses))
	return p
}

// Latest returns the latest standing dose.
func (p Person) Latest() (Dose, bool) {
	if p.given == 0 {
		return Dose{}, false
	}
	return p.doses[p.given-1], true
}

// Dose returns the standing dose of that number.
func (p Person) Dose(n DoseNumber) (Dose, bool) {
	for _, d := range p.doses[:p.given] {
		if d.Number == n {
			return d, true
		}
	}
	return Dose{}, false
}
