package access

import (
	"errors"
	"fmt"

	"github.com/nats-io/nkeys"

	"bahi/domain"
)

// Portal is whoever listens to notices on an external NATS server, and may do nothing
// else: a portal, a system that issues certificates, a dashboard.
type Portal struct {
	Name     string          // of its durable consumer and, behind _INBOX_, of its inbox
	District domain.District // whose notices it hears; 0: all
	NKey     string          // public (U…), with which it signs in
}

// check tells why there can be no such portal.
func (p Portal) check() error {
	switch {
	case domain.CheckCentre(p.Name) != nil:
		return errors.New("the name of a portal has 1 to 32 Latin letters, digits, - and _")
	case p.District != 0 && !domain.KnownDistrict(p.District):
		return fmt.Errorf("no district has the LGD code %d", p.District)
	case !nkeys.IsValidPublicUserKey(p.NKey):
		return errors.New("a portal's nkey is the public key of a user, U and 55 letters and digits; the seed stays at the portal")
	}
	return nil
}

// Publish are the subjects with which a portal fetches from its own consumer, and
// acknowledges. JetStream's have another beginning in the portals' account: on $JS.API
// the server may answer, too, that the account has no JetStream.
func (p Portal) Publish() []string {
	return []string{
		"bahi.API.CONSUMER.INFO.NOTICES." + p.Name, "bahi.API.CONSUMER.MSG.NEXT.NOTICES." + p.Name, "$JS.ACK.NOTICES." + p.Name + ".>",
	}
}

// Subscribe are the subjects that a portal hears: the notices of its district, and
// answers to itself.
func (p Portal) Subscribe() []string {
	heard := "notice.*.*"
	if p.District != 0 {
		heard = fmt.Sprintf("notice.%d.*", p.District)
	}
	return []string{heard, "_INBOX_" + p.Name + ".>"}
}
