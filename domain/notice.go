package domain

// NoticeKind is a stable name of what a [Notice] tells; it is the last part of the
// notice's subject.
type NoticeKind string

// The kinds of notice.
const (
	NoticeFreezeAnnounced   NoticeKind = "freeze_announced"
	NoticeCertificateVoid   NoticeKind = "certificate_void" // a dose was withdrawn or reversed, and with it whatever was issued for it
	NoticeReversalRequested NoticeKind = "reversal_requested"
	NoticeReversalDue       NoticeKind = "reversal_due" // no event: its day has come, see [ReversalDue]
	NoticeReversalDecided   NoticeKind = "reversal_decided"
	NoticeCountsChanged     NoticeKind = "counts_changed"
)

// Notice is what others are told of an event, by the district that it concerns. It
// names no person, by token or otherwise, and no officer: a reversal goes by the id
// of its request, which whoever asked has kept.
type Notice struct {
	Kind     NoticeKind
	District District // of a certificate where the dose was given, otherwise the home district
	Day      Day      // on which it happened; of counts, from which on they changed

	// Of a freeze.
	Freeze   UUID
	Groups   []Group // none of a freeze of listed persons
	Standing bool
	Mode     FreezeMode
	Order    string // the number of the written order
	People   int64  // who were frozen by it

	// Of a certificate.
	Dose    DoseNumber
	Vaccine Vaccine

	// Of a reversal, and of a certificate that one made void.
	Request  UUID
	From, To Status
	DueFrom  Day  // the first day on which it may be approved
	Approved bool // of a decision
}

// Notices tells what others are told of an event that was recorded on a day:
// nothing of most of the ledger's own, and of all that changes a count that it
// changed. Whoever follows the ledger gathers the latter, for there are as many as
// there are events.
func Notices(e Event, recorded Day, yield func(Notice)) {
	switch e := e.(type) {
	case FreezeOrdered:
		yield(announced(e))
		yield(Notice{Kind: NoticeCountsChanged, District: e.District, Day: e.Day})
		return // who moves is in no other place than before
	case DoseWithdrawn:
		yield(void(e.Dose, e.Day, UUID{}))
	case ReversalRequested:
		yield(Notice{
			Kind: NoticeReversalRequested, District: e.Cohort.District, Day: e.Day,
			Request: e.Request, From: e.From, To: e.To, DueFrom: ReversalDueFrom(recorded),
		})
	case ReversalDecided:
		yield(Notice{
			Kind: NoticeReversalDecided, District: e.Cohort.District, Day: e.Day,
			Request: e.Request, From: e.Before, To: e.After, Approved: e.Approved,
		})
		for _, d := range e.TakenBack {
			yield(void(d, e.Day, e.Request))
		}
	case PersonMoved, PersonRegistered, RegistrationWithdrawn, DoseAdministered,
		LedgerFounded, PhotoIDsKept, PhotoIDsComplete, KeysRewrapped, SurvivorsRekeyed, HandoverMade, Purged, HolderEnrolled, AuthorityKeyAdopted:
	}
	countsChanged(e, yield)
}

func announced(o FreezeOrdered) Notice {
	n := Notice{Kind: NoticeFreezeAnnounced, District: o.District, Day: o.Day, Freeze: o.Freeze, Standing: o.Standing, Mode: o.Mode, Order: o.Order}
	if !o.ListsPersons() {
		n.Groups = o.Groups
	}
	for _, c := range o.Cohorts {
		n.People += c.People
	}
	return n
}

func void(d Dose, on Day, request UUID) Notice {
	return Notice{Kind: NoticeCertificateVoid, District: d.District, Day: on, Dose: d.Number, Vaccine: d.Vaccine, Request: request}
}

// countsChanged tells each district once whose counts an event of one person
// changes: the home and where doses were given.
func countsChanged(e Event, yield func(Notice)) {
	var changes [1 + MaxDoses]Notice
	known := 0
	Counts(e, func(c Cell, _ int64) {
		for i := range known {
			if changes[i].District == c.District {
				changes[i].Day = min(changes[i].Day, c.Day)
				return
			}
		}
		changes[known] = Notice{Kind: NoticeCountsChanged, District: c.District, Day: c.Day}
		known++
	})
	for i := range known {
		yield(changes[i])
	}
}
