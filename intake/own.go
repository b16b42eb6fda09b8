package intake

import (
	"bahi/domain"
	"bahi/formats"
)

// OwnedBy refuses a dose that another centre gave: who speaks for a centre, by the
// subject it publishes to or by its token, speaks for no other. What else it sends
// is bound to no centre: the district of a registration is where the person lives.
func OwnedBy(item formats.Item, district domain.District, centre string) formats.Item {
	dose, ok := item.Submission.(domain.DoseGiven)
	if !ok || dose.Centre == centre && dose.District == district {
		return item
	}
	field := "centre"
	if dose.Centre == centre {
		field = "district"
	}
	item.Submission = nil
	item.Reject = &domain.Rejection{Code: domain.CodeNotAllowed, Field: field, Message: "a centre reports its own doses; the one that gave this dose has to report it"}
	return item
}
