package domain

// Event is something that happened, as the ledger keeps it for ever. It holds
// no personal data in the clear: a token stands for the person, and what was
// told about them is in Sealed.
//
// Days are days on which things happened; when they were recorded is a matter
// of the commit that holds them.
type Event interface{ event() }

// LedgerFounded is the first event of every ledger.
type LedgerFounded struct {
	Origin  string // the ledger's name for itself, in checkpoints and receipts
	Sandbox bool   // recorded times follow the submissions', so that history can be replayed as it happened
	// Pepper is the id of the pepper under which every token of the ledger is
	// made: with the keys of another ledger everybody would be a stranger.
	Pepper [16]byte
}

// PersonRegistered says that a person is in the register.
type PersonRegistered struct {
	Person PersonToken
	Cohort Cohort
	Sex    Sex
	Day    Day
	Closed bool   // born closed, under a standing freeze
	Sealed []byte // details and tokens under the cohort's key; empty when born closed
}

// RegistrationWithdrawn says that a registration was taken back. Registered is
// the day that it retracts.
type RegistrationWithdrawn struct {
	Person     PersonToken
	Cohort     Cohort
	Sex        Sex
	Registered Day
	Day        Day
	Pending    bool // a reversal was pending, and ends with it
	Reason     Reason
}

// DoseAdministered says that a dose was given.
type DoseAdministered struct {
	Person PersonToken
	Cohort Cohort // the person's: status is counted at home
	Sex    Sex
	Dose   Dose // doses are counted where they were given
	Before Status
	After  Status
	Sealed []byte // centre and batch under the cohort's key; empty when the person is frozen
}

// DoseWithdrawn says that a dose was taken back, on the day it had been given.
type DoseWithdrawn struct {
	Person PersonToken
	Cohort Cohort
	Sex    Sex
	Dose   Dose
	Day    Day // of the withdrawal; counts retract on Dose.Day
	Before Status
	After  Status
	Reason Reason
}

// ReversalRequested says that someone asked for a lower status.
type ReversalRequested struct {
	Request UUID
	Person  PersonToken
	Cohort  Cohort
	Sex     Sex
	Day     Day
	From    Status
	To      Status
	Reason  Reason
}

// ReversalDecided says that a reversal was approved or rejected. An approved
// one takes doses back, on the day of the decision.
type ReversalDecided struct {
	Request   UUID
	Person    PersonToken
	Cohort    Cohort
	Sex       Sex
	Day       Day
	Approved  bool
	Before    Status
	After     Status
	TakenBack []Dose
	By        string
}

// FreezeOrdered closes cohorts for good: those of a district and groups as they
// stand, or, when it lists persons, new ones that the listed move to, out of
// cohorts that stay open.
type FreezeOrdered struct {
	Freeze   UUID
	District District
	Groups   []Group // of the order's scope, or of the persons who moved; every group when it names none
	Cohorts  []CohortSize
	Standing bool
	Mode     FreezeMode
	Order    string
	By       string
	Day      Day

	// Of a freeze of listed persons.
	Listed  int64         // how many the order lists, frozen before or not; 0 when it lists nobody
	Moved   []PersonMoved // those of them who were not frozen yet, in order of their tokens
	Rekeyed []CohortEpoch // the cohorts they come from, and the key epoch that begins there for who stays
}

// ListsPersons tells whether the order is of listed persons, not of whole cohorts.
func (o FreezeOrdered) ListsPersons() bool { return o.Listed > 0 }

// PersonMoved says that a freeze of listed persons took one of them out of an
// open cohort into a closed generation of the same district and group. It stands
// in the order and nowhere else: order and moves are one event, so that whoever
// reads the orders first knows who must never be seen.
type PersonMoved struct {
	Person  PersonToken
	From    Cohort
	To      Cohort
	Sex     Sex
	Status  Status
	Day     Day  // of the order, or of the registration when that is dated later
	Pending bool // a reversal is pending, and goes along
}

// PhotoIDsKept is a chunk of the photo-ID tokens of a frozen cohort, sorted,
// without persons, so that nobody registers twice.
type PhotoIDsKept struct {
	Freeze UUID
	Cohort Cohort
	Tokens []PhotoIDToken
}

// PhotoIDsComplete says that every chunk of a freeze is in the ledger, so that
// no rebuild needs the cohorts' keys again.
type PhotoIDsComplete struct {
	Freeze UUID
	Tokens int64
}

// KeysRewrapped is a chunk of the record keys of those who stay when a freeze of
// listed persons gives their cohort a new key epoch: each person's key of the
// epoch before, sealed as a record of the new one.
type KeysRewrapped struct {
	Freeze UUID
	Cohort Cohort
	Epoch  uint16 // the new one
	Keys   []WrappedKey
}

// WrappedKey is one person's record key of the epoch before.
type WrappedKey struct {
	Person PersonToken
	Sealed []byte
}

// SurvivorsRekeyed says that every wrapped key of a freeze is in the ledger, so
// that the keys of the epochs before are not needed any more.
type SurvivorsRekeyed struct {
	Freeze UUID
	People int64
}

// HandoverMade says that the keys of a freeze lie sealed to the authority.
type HandoverMade struct {
	Freeze UUID
	SHA256 [32]byte // of the handover file
	Key    [32]byte // id of the authority's key
}

// Purged is a holder's acknowledgement that a freeze is carried out with it.
type Purged struct {
	Freeze  UUID
	Holder  string // people@node, vault@node, …
	Rows    int64
	Residue int64 // files in which a canary was still found
	Keys    int64 // keys destroyed, for a vault
}

// HolderEnrolled says that a node keeps details, or keys to them, so that a
// freeze waits for its acknowledgement.
type HolderEnrolled struct {
	Holder string
}

// AuthorityKeyAdopted says to whom handovers are sealed from now on.
type AuthorityKeyAdopted struct {
	Key    [32]byte // SHA-256 of Public
	Public []byte   // HPKE public key, MLKEM768-X25519
}

func (LedgerFounded) event()         {}
func (PersonRegistered) event()      {}
func (RegistrationWithdrawn) event() {}
func (DoseAdministered) event()      {}
func (DoseWithdrawn) event()         {}
func (ReversalRequested) event()     {}
func (ReversalDecided) event()       {}
func (FreezeOrdered) event()         {}
func (PhotoIDsKept) event()          {}
func (PhotoIDsComplete) event()      {}
func (PersonMoved) event()           {}
func (KeysRewrapped) event()         {}
func (SurvivorsRekeyed) event()      {}
func (HandoverMade) event()          {}
func (Purged) event()                {}
func (HolderEnrolled) event()        {}
func (AuthorityKeyAdopted) event()   {}
