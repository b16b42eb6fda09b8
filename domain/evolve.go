package domain

// Evolve returns the person after an event of theirs, which the commit of that
// ledger sequence holds, recorded on that day. Events that are not about one
// person leave p as it is; that an event is about this person is the caller's to
// know.
func Evolve(p Person, e Event, commit uint64, recorded Day) Person {
	switch e := e.(type) {
	case PersonRegistered:
		return Person{Cohort: e.Cohort, Sex: e.Sex, Registered: e.Day, Commit: commit, Status: Unvaccinated}
	case RegistrationWithdrawn:
		return Person{}
	case DoseAdministered:
		p = p.without(e.Dose.Number)
		if int(p.given) < len(p.doses) {
			p.doses[p.given] = e.Dose
			p.doses[p.given].Commit = commit
			p.given++
		}
		p.Status = e.After
	case DoseWithdrawn:
		p = p.without(e.Dose.Number)
		p.Status = e.After
	case ReversalRequested:
		p.Pending = Reversal{Request: e.Request, To: e.To, Day: e.Day, Recorded: recorded}
	case ReversalDecided:
		for i := range e.TakenBack {
			p = p.without(e.TakenBack[i].Number)
		}
		p.Status = e.After
		p.Pending = Reversal{}
	case PersonMoved:
		p.Cohort = e.To
	case LedgerFounded, FreezeOrdered, PhotoIDsKept, PhotoIDsComplete, KeysRewrapped, SurvivorsRekeyed, HandoverMade, Purged, HolderEnrolled, AuthorityKeyAdopted:
	}
	return p
}

// without returns the person without the dose of that number.
func (p Person) without(n DoseNumber) Person {
	kept := uint8(0)
	for i := range p.given {
		if p.doses[i].Number != n {
			p.doses[kept] = p.doses[i]
			kept++
		}
	}
	clear(p.doses[kept:p.given]) // equal people are equal values
	p.given = kept
	return p
}
