package domain

// Known is everything the register knows that bears on one submission: all that
// [Decide] may look at besides the rules and the submission itself. The ledger
// fills in what the kind of submission needs.
type Known struct {
	Authority bool // the caller holds the authority's credential

	// Earlier is the accepted submission that bore this id, if there is one.
	Earlier *Earlier

	Token  PersonToken // of the person the submission is about
	Person Person      // the zero value when not registered
	Frozen bool        // the person's cohort is closed

	// For a registration.
	SameRegistration bool          // the person is registered, with this very content
	PhotoID          PhotoIDHolder // who holds the photo ID
	Household        int           // people registered on this mobile number
	Cohort           Cohort        // where a registration in this district and group goes
	BornClosed       bool          // a standing freeze covers that cohort

	// For a decision. Person, Token and Frozen are those of the person who asked.
	Request RequestState

	// For a freeze.
	AuthorityKey bool         // a handover has somebody to go to
	Open         []CohortSize // open cohorts in the order's scope, in ledger order of district, group, generation

	// For a freeze of listed persons.
	Listed []Listed // one each, in the order of the list
	Splits []Split  // every open cohort that somebody of the list belongs to, each once
}

// Listed is what the register knows of somebody whom a freeze lists.
type Listed struct {
	Token  PersonToken
	Person Person // the zero value when not registered
	Frozen bool
}

// Split is what becomes of an open cohort some of whose people a freeze lists.
type Split struct {
	From  Cohort
	To    Cohort // a generation that does not exist yet: where the listed go
	Epoch uint16 // of the key of who stays
}

// Earlier is an accepted submission.
type Earlier struct {
	Commit      uint64 // the ledger sequence that holds it
	SameContent bool
}

// PhotoIDHolder tells who holds a photo ID.
type PhotoIDHolder uint8

// The holders. A frozen person's photo ID is held by another: the ledger no
// longer knows by whom.
const (
	HeldByNobody PhotoIDHolder = iota
	HeldByAnother
)

// RequestState tells what became of a reversal request.
type RequestState uint8

// The states of a reversal request.
const (
	RequestUnknown RequestState = iota
	RequestPending
	RequestDecided
)
