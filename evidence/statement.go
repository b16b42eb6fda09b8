package evidence

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"bahi/domain"
)

// countingRule is the rule by which a [Statement] counts, in words; [Recount] is
// the same in Go. A statement names it and its hash, so that nobody can say later
// that something else was counted.
//
//go:embed counting-1.txt
var countingRule string

var countingRuleLine = func() string {
	sum := sha256.Sum256([]byte(countingRule))
	return "bahi/counting/1 sha256:" + hex.EncodeToString(sum[:])
}()

// Figures are the counts of a statement, in people and doses.
type Figures struct {
	Registered, Dose1, Dose2, Dose3, Precaution int64
	Unvaccinated, Partial, Full                 int64
	Frozen, PendingReversals                    int64
}

// named returns the figures in the order in which a statement has them.
func (f *Figures) named() []figure {
	return []figure{
		{"registered", &f.Registered},
		{"dose1", &f.Dose1}, {"dose2", &f.Dose2}, {"dose3", &f.Dose3}, {"precaution", &f.Precaution},
		{"unvaccinated", &f.Unvaccinated}, {"partial", &f.Partial}, {"full", &f.Full},
		{"frozen", &f.Frozen}, {"pending_reversals", &f.PendingReversals},
	}
}

type figure struct {
	name  string
	value *int64
}

// Statement says how many were counted in a district, of which tree.
type Statement struct {
	Tree     Checkpoint      // origin, size and root
	District domain.District // 0: all of them
	AsOf     domain.Day
	AsKnown  time.Time // millisecond resolution
	Rules    string    // version of the rules by which submissions were decided
	Figures
}

const statementTitle = "bahi count statement 1"

// timeLayout is RFC 3339 with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z07:00"

func (s Statement) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\norigin %s\ntree %d %s\n", statementTitle, s.Tree.Origin, s.Tree.Size, s.Tree.Root)
	fmt.Fprintf(&b, "district %s\nas_of %s\nas_known %s\n", districtText(s.District), s.AsOf, timeText(s.AsKnown))
	fmt.Fprintf(&b, "rules %s\ncounting %s\n", s.Rules, countingRuleLine)
	for _, f := range s.named() {
		fmt.Fprintf(&b, "%s %d\n", f.name, *f.value)
	}
	return b.String()
}

func timeText(t time.Time) string { return t.In(domain.IndianStandardTime).Format(timeLayout) }

func districtText(d domain.District) string {
	if d == 0 {
		return "all"
	}
	return strconv.Itoa(int(d))
}

// Sign returns the statement as a signed note.
func (s Statement) Sign(key note.Signer) ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return sign(s.text(), key)
}

// check holds what must be true of any counts.
func (s Statement) check() error {
	if err := s.Tree.check(); err != nil {
		return err
	}
	if s.Unvaccinated+s.Partial+s.Full != s.Registered {
		return fmt.Errorf("%w: unvaccinated, partial and full do not add up to the registered", ErrContradiction)
	}
	if s.Rules == "" || len(s.Rules) > 64 || strings.ContainsAny(s.Rules, " \n") {
		return fmt.Errorf("%w: the version of the rules", ErrMalformed)
	}
	return nil
}

// IsStatement tells whether a signed note calls itself a count statement.
func IsStatement(signed []byte) bool { return bytes.HasPrefix(signed, []byte(statementTitle+"\n")) }

// OpenStatement reads a signed statement. Errors: [ErrMalformed], [ErrSignature],
// [ErrContradiction].
func OpenStatement(signed []byte, keys Keys) (Statement, error) {
	n, err := open("a count statement", signed, keys)
	if err != nil {
		return Statement{}, err
	}
	s, err := parseStatement(n.Text)
	if err != nil {
		return Statement{}, err
	}
	return s, signedBy(n, s.Tree.Origin)
}

// parseStatement reads the text of a statement. There is one way to write each:
// what was read is written again and compared.
func parseStatement(text string) (s Statement, err error) {
	l := reader{rest: text}
	l.title(statementTitle)
	s.Tree = l.tree()
	s.District = l.district()
	s.AsOf = parsed(&l, "as_of", domain.ParseDay)
	s.AsKnown = parsed(&l, "as_known", parseTime)
	s.Rules = l.field("rules")
	l.field("counting")
	for _, f := range s.named() {
		*f.value = parsed(&l, f.name, func(v string) (int64, error) { return strconv.ParseInt(v, 10, 64) })
	}
	if l.failed != "" || s.text() != text {
		return Statement{}, l.error("a count statement")
	}
	return s, s.check()
}

func parseTime(s string) (time.Time, error) { return time.Parse(timeLayout, s) }

// reader reads the lines "name value" of a text, in their order.
type reader struct {
	rest   string
	failed string // the name of the first line that is not what it should be
}

func (r *reader) title(want string) {
	line, rest, ok := strings.Cut(r.rest, "\n")
	if !ok || line != want {
		r.fail("title")
	}
	r.rest = rest
}

func (r *reader) fail(name string) {
	if r.failed == "" {
		r.failed = name
	}
}

// at tells whether the next line has that name.
func (r *reader) at(name string) bool { return strings.HasPrefix(r.rest, name+" ") }

func (r *reader) field(name string) string {
	line, rest, ok := strings.Cut(r.rest, "\n")
	value, named := strings.CutPrefix(line, name+" ")
	if !ok || !named {
		r.fail(name)
		return ""
	}
	r.rest = rest
	return value
}

func (r *reader) error(what string) error {
	if r.failed == "" {
		r.failed = "form"
	}
	return fmt.Errorf("%w: the line %q of %s", ErrMalformed, r.failed, what)
}

func parsed[T any](r *reader, name string, parse func(string) (T, error)) T {
	v, err := parse(r.field(name))
	if err != nil {
		r.fail(name)
	}
	return v
}

// tree reads the two lines origin and tree.
func (r *reader) tree() (c Checkpoint) {
	c.Origin = r.field("origin")
	size, root, _ := strings.Cut(r.field("tree"), " ")
	var ok bool
	var err error
	if c.Size, ok = parseSize(size); !ok {
		r.fail("tree")
	}
	if c.Root, err = tlog.ParseHash(root); err != nil {
		r.fail("tree")
	}
	return c
}

func (r *reader) district() domain.District {
	return parsed(r, "district", func(v string) (domain.District, error) {
		if v == "all" {
			return 0, nil
		}
		n, err := strconv.ParseUint(v, 10, 16)
		return domain.District(n), err
	})
}
