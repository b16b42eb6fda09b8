package evidence

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"bahi/domain"
)

// Claims are what a freeze receipt says, signed. Commits are sequences.
type Claims struct {
	Tree      Checkpoint // origin, size and root
	Freeze    domain.UUID
	District  domain.District
	Groups    []domain.Group // as the order has them; none means all
	Standing  bool
	Mode      domain.FreezeMode
	People    int64  // registered in the frozen cohorts
	Order     uint64 // the commit with the order
	Handover  *HandoverClaim
	Holders   []HolderClaim // in order of their names
	Completed time.Time     // when the last of the acknowledgements was recorded
}

// HandoverClaim says where the keys' handover to the authority is recorded.
type HandoverClaim struct {
	Commit uint64
	SHA256 [32]byte // of the handover file
}

// HolderClaim says that a holder of details, or of keys to them, was enrolled
// before the order and acknowledged the freeze after it.
type HolderClaim struct {
	Name         string
	Enrolled     uint64 // the commit that enrolled it
	Acknowledged uint64 // the commit with its acknowledgement
}

const receiptTitle = "bahi freeze receipt 1"

// maxHolders bounds how many holders a receipt has.
const maxHolders = 1 << 10

func (c Claims) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\norigin %s\ntree %d %s\n", receiptTitle, c.Tree.Origin, c.Tree.Size, c.Tree.Root)
	fmt.Fprintf(&b, "freeze %s\ndistrict %s\ngroups %s\nstanding %t\nmode %s\npeople %d\norder %d\n",
		c.Freeze, districtText(c.District), groupsText(c.Groups), c.Standing, c.Mode, c.People, c.Order)
	if c.Handover != nil {
		fmt.Fprintf(&b, "handover %d sha256:%x\n", c.Handover.Commit, c.Handover.SHA256)
	}
	for _, h := range c.Holders {
		fmt.Fprintf(&b, "holder %s %d %d\n", h.Name, h.Enrolled, h.Acknowledged)
	}
	fmt.Fprintf(&b, "completed %s\n", timeText(c.Completed))
	return b.String()
}

func groupsText(groups []domain.Group) string {
	if len(groups) == 0 {
		return "all"
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.String()
	}
	return strings.Join(names, " ")
}

// sign returns the claims as a signed note.
func (c Claims) sign(key note.Signer) ([]byte, error) {
	if err := c.Tree.check(); err != nil {
		return nil, err
	}
	return sign(c.text(), key)
}

func openClaims(signed []byte, keys Keys) (Claims, error) {
	n, err := open("a freeze receipt", signed, keys)
	if err != nil {
		return Claims{}, err
	}
	c, err := parseClaims(n.Text)
	if err != nil {
		return Claims{}, err
	}
	return c, signedBy(n, c.Tree.Origin)
}

// parseClaims reads the text of a receipt, which has one form.
func parseClaims(text string) (c Claims, err error) {
	l := reader{rest: text}
	l.title(receiptTitle)
	c.Tree = l.tree()
	c.Freeze = parsed(&l, "freeze", domain.ParseUUID)
	c.District = l.district()
	c.Groups = parsed(&l, "groups", parseGroups)
	c.Standing = parsed(&l, "standing", strconv.ParseBool)
	c.Mode = parsed(&l, "mode", domain.ParseFreezeMode)
	c.People = parsed(&l, "people", func(v string) (int64, error) { return strconv.ParseInt(v, 10, 64) })
	c.Order = parsed(&l, "order", parseSequence)
	if l.at("handover") {
		h := parsed(&l, "handover", parseHandover)
		c.Handover = &h
	}
	for l.at("holder") && len(c.Holders) < maxHolders {
		c.Holders = append(c.Holders, parsed(&l, "holder", parseHolder))
	}
	c.Completed = parsed(&l, "completed", parseTime)
	if l.failed != "" || c.text() != text {
		return Claims{}, l.error("a freeze receipt")
	}
	return c, c.Tree.check()
}

func parseGroups(s string) (groups []domain.Group, err error) {
	if s == "all" {
		return nil, nil
	}
	for name := range strings.SplitSeq(s, " ") {
		g, err := domain.ParseGroup(name)
		if err != nil || slices.Contains(groups, g) {
			return nil, ErrMalformed
		}
		groups = append(groups, g)
	}
	return groups, nil
}

func parseSequence(s string) (uint64, error) {
	n, ok := parseSize(s)
	if !ok {
		return 0, ErrMalformed
	}
	return n, nil
}

func parseHandover(s string) (h HandoverClaim, err error) {
	commit, sum, _ := strings.Cut(s, " sha256:")
	if len(sum) != 2*len(h.SHA256) {
		return h, ErrMalformed
	}
	if _, err := hex.Decode(h.SHA256[:], []byte(sum)); err != nil {
		return h, ErrMalformed
	}
	h.Commit, err = parseSequence(commit)
	return h, err
}

func parseHolder(s string) (h HolderClaim, err error) {
	fields := strings.Split(s, " ")
	if len(fields) != 3 {
		return h, ErrMalformed
	}
	h.Name = fields[0]
	if h.Enrolled, err = parseSequence(fields[1]); err != nil {
		return h, err
	}
	h.Acknowledged, err = parseSequence(fields[2])
	return h, err
}

// Receipt shows that a freeze was ordered and that everybody who held details, or
// keys to them, has acknowledged it. It is checked with the ledger's public key
// alone. Only its notes are signed; the rest follows from the checkpoint's root.
type Receipt struct {
	Format     string   `json:"format"`                // [ReceiptFormat]
	Claims     string   `json:"receipt"`               // signed
	Checkpoint string   `json:"checkpoint"`            // signed
	Statement  string   `json:"statement"`             // the district's counts, of the same tree, signed
	Commits    []Proven `json:"commits"`               // with the order, the enrolments and the acknowledgements
	Recent     Recent   `json:"recent"`                // shows that recent checkpoints are continued
	Earlier    []Step   `json:"consistency,omitempty"` // and earlier ones, on request
}

// ReceiptFormat is what the member format of a receipt says.
const ReceiptFormat = "bahi-freeze-receipt/1"

// Proven is a commit with the proof that it is in the tree. It is one of orders,
// in which there is neither person nor token of one.
type Proven struct {
	Commit uint64 `json:"commit"`
	Stored []byte `json:"stored"`
	Hashes []Hash `json:"proof"`
}

// Recent is the end of the tree leaf by leaf: with it any checkpoint of at least
// Size commits is seen to be continued, though the ledger does not know which one
// an auditor keeps.
type Recent struct {
	Size   uint64 `json:"size"`
	Edge   []Hash `json:"edge"`   // of the tree of Size commits
	Leaves []Hash `json:"leaves"` // behind it
}

// MaxRecent is how many leaves a receipt has of the end of the tree: 45 kB.
const MaxRecent = 1 << 10

// Write puts a receipt together and signs its claims. What it is put together
// from has to be of one tree; [Receipt.Check] finds out.
func (r Receipt) Write(c Claims, key note.Signer) (Receipt, error) {
	signed, err := c.sign(key)
	if err != nil {
		return Receipt{}, err
	}
	r.Format, r.Claims = ReceiptFormat, string(signed)
	return r, nil
}

// Marshal writes a receipt, on lines of its own for people to look at.
func (r Receipt) Marshal() ([]byte, error) {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return nil, fmt.Errorf("write a receipt: %w", err)
	}
	return append(b, '\n'), nil
}

// ParseReceipt reads a receipt. It checks nothing but the form.
func ParseReceipt(b []byte) (Receipt, error) {
	var r Receipt
	if err := parseJSON("a freeze receipt", b, &r); err != nil {
		return Receipt{}, err
	}
	switch {
	case r.Format != ReceiptFormat:
		return Receipt{}, fmt.Errorf("%w: this program reads receipts of the format %s", ErrMalformed, ReceiptFormat)
	case len(r.Recent.Leaves) > MaxRecent, len(r.Commits) > 3*maxHolders:
		return Receipt{}, fmt.Errorf("%w: a receipt with more leaves or commits than it may have", ErrMalformed)
	}
	return r, nil
}
