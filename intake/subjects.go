package intake

import (
	"fmt"
	"strconv"
	"strings"

	"bahi/domain"
	"bahi/eventstore"
)

// KeySubject is where a core-NATS request is answered with the ledger's intake
// key.
const KeySubject = "bahi.intake.key"

// verdictsPattern is where a centre asks for the verdicts that are kept of a bundle:
// bahi.verdicts.<district>.<centre>, see [VerdictsSubject].
const verdictsPattern = "bahi.verdicts.*.*"

// The headers of the door.
const (
	// HeaderBundle names a bundle by a UUID of the centre's choice. The verdicts of
	// a bundle with a name are kept, and can be asked for later.
	HeaderBundle = "Bahi-Bundle"
	// HeaderReply names the inbox for the verdicts. (A NATS reply subject cannot:
	// JetStream sends its own acknowledgement there.)
	HeaderReply = "Bahi-Reply"
	// HeaderCode stands on an answer without verdicts and on a message in
	// quarantine: why the bundle could not be taken in.
	HeaderCode = "Bahi-Code"
)

// partitions is how many bundles are handled at a time. The server spreads the
// centres over as many ordered queues, by a hash of district and centre; so it
// is what stays when everything else changes, because another number sends a
// centre's next bundle to another queue than the one before it.
const partitions = 32

// maxCentre is the greatest length of a centre's code, in bytes.
const maxCentre = 32

// sender is who published a bundle: a subject that only the centre itself may
// publish to.
type sender struct {
	District domain.District
	Centre   string
}

// Subject returns the subject to which the centre of a district publishes its
// bundles, or an error when the centre's code cannot be part of a subject.
func Subject(district domain.District, centre string) (string, error) {
	if !domain.KnownDistrict(district) {
		return "", fmt.Errorf("no district has the LGD code %d", district)
	}
	if !isToken(centre) || len(centre) > maxCentre {
		return "", fmt.Errorf("a centre's code has 1 to 32 Latin letters, digits, - and _")
	}
	return sender{district, centre}.subject(), nil
}

// VerdictsSubject returns the subject at which the centre of a district asks for
// the verdicts of a bundle. The payload is the bundle's id; [HeaderReply] names the
// inbox for the answer.
func VerdictsSubject(district domain.District, centre string) (string, error) {
	if _, err := Subject(district, centre); err != nil {
		return "", err
	}
	return "bahi.verdicts." + sender{district, centre}.tokens(), nil
}

// InboxPrefix returns the custom inbox prefix of a centre's connection: the only
// part of the subject space in which it may listen, and to which the door answers
// it. An inbox is the prefix, a dot, and tokens of the client's choice.
func InboxPrefix(district domain.District, centre string) string {
	return eventstore.CentreInboxPrefix(district, centre)
}

func (s sender) tokens() string  { return strconv.Itoa(int(s.District)) + "." + s.Centre }
func (s sender) subject() string { return "intake." + s.tokens() }

// partitionSubject is the pattern of the subjects in a partition, as the server
// stores them: intake.<partition>.<district>.<centre>.
func partitionSubject(n int) string { return fmt.Sprintf("intake.%d.*.*", n) }

// senderOf reads a stored subject.
func senderOf(stored string) (sender, bool) {
	parts := strings.Split(stored, ".")
	if len(parts) != 4 {
		return sender{}, false
	}
	return parseSender(parts[2], parts[3])
}

func parseSender(district, centre string) (sender, bool) {
	n, err := strconv.ParseUint(district, 10, 16)
	s := sender{domain.District(n), centre}
	if err != nil || strconv.Itoa(int(n)) != district {
		return sender{}, false
	}
	if _, err := Subject(s.District, s.Centre); err != nil {
		return sender{}, false
	}
	return s, true
}

// shownSubject is how a log names a stored subject. One that names no centre may
// hold anything and is not repeated.
func shownSubject(stored string) string {
	from, ok := senderOf(stored)
	if !ok {
		return "unknown"
	}
	return from.subject()
}

// hears tells whether a subject is an inbox of the sender's own: nobody has the
// door publish where he himself must not, or to somebody else.
func (s sender) hears(subject string) bool {
	rest, ok := strings.CutPrefix(subject, InboxPrefix(s.District, s.Centre)+".")
	return ok && isInbox(rest)
}

// isInbox tells whether rest can follow an inbox prefix.
func isInbox(rest string) bool {
	for token := range strings.SplitSeq(rest, ".") {
		if !isToken(token) {
			return false
		}
	}
	return len(rest) <= 100
}

// isToken tells whether s can be one token of a subject, without wildcards.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return s != ""
}
