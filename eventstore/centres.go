package eventstore

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"bahi/domain"
)

// CentreUser is a centre as a NATS server knows it: by a public nkey, with the
// rights of its own subjects and nothing else.
type CentreUser struct {
	District domain.District
	Centre   string
	NKey     string // public, U…
}

// centreInboxes is where all centres' inboxes lie, so that one line of a server's
// configuration lets answers through to them: a line a centre takes the server the
// square of their number to read, for 10,000 centres six seconds.
const centreInboxes = "_INBOX_centre"

// CentreInboxPrefix returns the part of the subject space in which a centre gets
// its answers, and the custom inbox prefix of its connection: _INBOX_centre, the
// district and the centre. Nobody else may listen there, and only the ledger may
// publish there.
func CentreInboxPrefix(district domain.District, centre string) string {
	return fmt.Sprintf("%s.%d.%s", centreInboxes, district, centre)
}

// centreServices are the subjects on which centres reach the ledger. A centre may
// use what is its own of them.
var centreServices = []string{"intake.*.*", "bahi.intake.key", "bahi.verdicts.*.*"}

// CentreServices returns the patterns of the subjects on which centres reach the
// ledger, and CentreInboxes the one on which it answers: what the account of the
// centres and that of the intake share on an external server.
func CentreServices() []string { return slices.Clone(centreServices) }

// CentreInboxes: see [CentreServices].
func CentreInboxes() string { return centreInboxes + ".>" }

// Publish returns the subjects that the centre may publish to.
func (u CentreUser) Publish() []string {
	return []string{
		fmt.Sprintf("intake.%d.%s", u.District, u.Centre),
		"bahi.intake.key",
		fmt.Sprintf("bahi.verdicts.%d.%s", u.District, u.Centre),
	}
}

// Subscribe returns the subjects that the centre may subscribe to.
func (u CentreUser) Subscribe() []string {
	return []string{CentreInboxPrefix(u.District, u.Centre) + ".>"}
}

// SetCentres replaces the centres that may connect to the embedded server. Those
// that are connected and are not among them any more, or under another nkey, are
// cut off before it returns. It does nothing with an external server, whose
// operator sets its users.
func (s *Store) SetCentres(users []CentreUser) error {
	if s.embedded == nil {
		return nil
	}
	return s.embedded.setCentres(users)
}

// doorkeeper says who may connect to the embedded server, in place of its lists of
// users. Those are fixed at the start; to change them the server has to be given
// all its options again, checks every connection anew, and forgets which accounts
// were given streams after the start.
type doorkeeper struct {
	password string // of this process's users; new at each start, never written down

	mu                      sync.RWMutex    // guards what follows
	ledger, intake, outside *server.Account // nil until the server has started: nobody gets in before
	centres                 map[string]*server.User
}

func (k *doorkeeper) open(ledger, intake, centres *server.Account) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ledger, k.intake, k.outside = ledger, intake, centres
}

// Check implements [server.Authentication].
func (k *doorkeeper) Check(c server.ClientAuthentication) bool {
	if c.Kind() != server.CLIENT {
		return false
	}
	user := k.user(c.GetOpts(), c.GetNonce())
	if user == nil {
		return false
	}
	c.RegisterUser(user)
	return true
}

func (k *doorkeeper) user(o *server.ClientOpts, nonce []byte) *server.User {
	k.mu.RLock()
	defer k.mu.RUnlock()
	switch {
	case k.intake == nil:
		return nil
	case o.Nkey != "":
		if user := k.centres[o.Nkey]; user != nil && signed(o.Nkey, o.Sig, nonce) {
			return user
		}
		return nil
	case o.Username == userLedger && same(o.Password, k.password):
		return &server.User{Username: userLedger, Account: k.ledger}
	case o.Username == userIntake && same(o.Password, k.password):
		return &server.User{Username: userIntake, Account: k.intake}
	}
	return nil
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// signed tells whether the owner of a public nkey signed the nonce that this
// connection was given.
func signed(public, signature string, nonce []byte) bool {
	if len(nonce) == 0 {
		return false
	}
	key, err := nkeys.FromPublicKey(public)
	if err != nil {
		return false
	}
	given, err := base64.RawURLEncoding.DecodeString(signature)
	return err == nil && key.Verify(nonce, given) == nil
}

// setCentres lets the new ones in, and then cuts off who is not among them: in this
// order nobody who is shut out slips in between.
func (e *embedded) setCentres(users []CentreUser) error {
	k := e.doorkeeper
	centres := make(map[string]*server.User, len(users))
	for _, u := range users {
		centres[u.NKey] = &server.User{
			Username: u.NKey, Account: k.outside,
			Permissions: &server.Permissions{
				Publish:   &server.SubjectPermission{Allow: u.Publish()},
				Subscribe: &server.SubjectPermission{Allow: u.Subscribe()},
			},
		}
	}
	k.mu.Lock()
	former := k.centres
	k.centres = centres
	k.mu.Unlock()

	gone := map[string]bool{}
	for nkey, user := range former {
		if now := centres[nkey]; now == nil || now.Permissions.Publish.Allow[0] != user.Permissions.Publish.Allow[0] {
			gone[nkey] = true
		}
	}
	if len(gone) == 0 {
		return nil
	}
	connections, err := e.server.Connz(&server.ConnzOptions{Username: true, Limit: e.server.NumClients() + 1024})
	if err != nil {
		return fmt.Errorf("find the connections of centres: %w", err)
	}
	for _, c := range connections.Conns {
		if gone[c.AuthorizedUser] {
			_ = e.server.DisconnectClientByID(c.Cid) // it may have left by itself
		}
	}
	return nil
}
