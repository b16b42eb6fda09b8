package domain

import "slices"

func decideReversalRequest(k Known, s ReversalRequest) (Event, error) {
	p := k.Person
	switch {
	case !p.IsRegistered():
		return nil, rejectPerson(s)
	case p.hasPending():
		return nil, reject(CodePending, "person", "a reversal of this person's status awaits its decision")
	case !reversible(p.Status, s.To):
		return nil, rejectReversal(p.Status, s.To)
	}
	return ReversalRequested{
		Request: s.ID,
		Person:  k.Token,
		Cohort:  p.Cohort,
		Sex:     p.Sex,
		Day:     s.Day(),
		From:    p.Status,
		To:      s.To,
		Reason:  s.Reason,
	}, nil
}

// decideReversalDecision judges an approval by the status of now: doses may have
// been given or withdrawn since the request. A rejection may come at any time.
func decideReversalDecision(k Known, s ReversalDecision, recorded Day) (Event, error) {
	p, day := k.Person, s.Day()
	asked := p.Pending
	switch {
	case k.Request == RequestUnknown:
		return nil, reject(CodeUnknownRequest, "request", "no reversal was requested under this id")
	case k.Request == RequestDecided || asked.Request != s.Request:
		return nil, reject(CodeAlreadyDecided, "request", "this request is decided, or ended with the registration")
	case day < asked.Day:
		return nil, reject(CodeTooEarly, "at", "the decision is dated %s, before the request of %s", day, asked.Day)
	}
	decided := ReversalDecided{
		Request: s.Request,
		Person:  k.Token,
		Cohort:  p.Cohort,
		Sex:     p.Sex,
		Day:     day,
		Before:  p.Status,
		After:   p.Status,
		By:      s.By,
	}
	if !s.Approve {
		return decided, nil
	}
	if due, _ := ReversalDue(asked.Recorded, recorded); !due {
		return nil, reject(CodeTooEarly, "at", "the request was recorded on %s; it may be approved from %s on",
			asked.Recorded, ReversalDueFrom(asked.Recorded))
	}
	if !reversible(p.Status, asked.To) {
		return nil, rejectReversal(p.Status, asked.To)
	}
	// A dose is counted from its day and taken back on the day of the decision.
	if last, ok := p.Latest(); ok && day < last.Day {
		return nil, reject(CodeTooEarly, "at", "the decision is dated %s, before the %s dose of %s", day, last.Number.Ordinal(), last.Day)
	}
	decided.Approved, decided.After, decided.TakenBack = true, asked.To, takenBack(p, asked.To)
	return decided, nil
}

// reversible tells whether one status may be reversed to the other.
func reversible(from, to Status) bool {
	return from == Full && to == Partial || from == Full && to == Unvaccinated || from == Partial && to == Unvaccinated
}

// takenBack returns the doses that a reversal takes back, oldest first: all of
// them down to unvaccinated, and down to partial the last primary dose with the
// precaution dose that followed it.
func takenBack(p Person, to Status) []Dose {
	doses := slices.Clone(p.Doses())
	if to == Partial {
		from := len(doses) - 1
		if from > 0 && doses[from].Number == Precaution {
			from--
		}
		doses = doses[from:]
	}
	for i := range doses {
		doses[i].Commit = 0
	}
	return doses
}

func rejectReversal(from, to Status) *Rejection {
	return reject(CodeNoSuchReversal, "to", "the status is %s; it can be reversed from full to partial or unvaccinated and from partial to unvaccinated, not to %s", from, to)
}

func (p Person) hasPending() bool { return p.Pending.Request != UUID{} }
