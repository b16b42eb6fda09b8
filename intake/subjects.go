package intake

import (
	"fmt"
	"strconv"
	"strings"

	"bahi/domain"
)

// KeySubject is where a core-NATS request is answered with the ledger's intake
// key.
const KeySubject = "bahi.intake.key"

// The headers of the door.
const (
	// HeaderReply names the subject for the verdicts. (A NATS reply subject
	// cannot: JetStream sends its own acknowledgement there.)
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
	if !isToken(centre) || len(centre) > 32 {
		return "", fmt.Errorf("a centre's code has 1 to 32 Latin letters, digits, - and _")
	}
	return sender{district, centre}.subject(), nil
}

func (s sender) subject() string {
	return "intake." + strconv.Itoa(int(s.District)) + "." + s.Centre
}

// partitionSubject is the pattern of the subjects in a partition, as the server
// stores them: intake.<partition>.<district>.<centre>.
func partitionSubject(n int) string { return fmt.Sprintf("intake.%d.*.*", n) }

// senderOf reads a stored subject.
func senderOf(stored string) (sender, bool) {
	parts := strings.Split(stored, ".")
	if len(parts) != 4 {
		return sender{}, false
	}
	n, err := strconv.ParseUint(parts[2], 10, 16)
	district := domain.District(n)
	if err != nil || strconv.Itoa(int(n)) != parts[2] {
		return sender{}, false
	}
	if subject, err := Subject(district, parts[3]); err != nil || subject != "intake."+parts[2]+"."+parts[3] {
		return sender{}, false
	}
	return sender{district, parts[3]}, true
}

// quarantineSubject is where a bundle of a stored subject goes that cannot be
// taken in. A subject that names no centre may hold anything and is not repeated.
func quarantineSubject(stored string) string {
	from, ok := senderOf(stored)
	if !ok {
		return "quarantine.unknown.unknown"
	}
	return "quarantine." + strconv.Itoa(int(from.District)) + "." + from.Centre
}

// shownSubject is how a log names a stored subject.
func shownSubject(stored string) string {
	from, ok := senderOf(stored)
	if !ok {
		return "unknown"
	}
	return from.subject()
}

// isReply tells whether a sender may have its verdicts on that subject: an inbox
// and nothing else, lest somebody have the door publish where he himself must
// not.
func isReply(subject string) bool {
	first, rest, found := strings.Cut(subject, ".")
	if !found || len(subject) > 200 || first != "_INBOX" && !strings.HasPrefix(first, "_INBOX_") || !isToken(first) {
		return false
	}
	for token := range strings.SplitSeq(rest, ".") {
		if !isToken(token) {
			return false
		}
	}
	return true
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
