package intake

import (
	"bahi/domain"
	"bahi/eventstore"
)

// InboxPrefix returns the custom inbox prefix of a centre's connection: the only
// part of the subject space in which it may listen, and to which the door answers
// it. An inbox is the prefix, a dot, and tokens of the client's choice.
func InboxPrefix(district domain.District, centre string) string {
	return eventstore.CentreInboxPrefix(district, centre)
}
