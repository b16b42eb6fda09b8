package notices

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/internal/natstest"
	"bahi/ledger"
)

// The fixture's people are numbered; everything about one follows from the number.

func uuidOf(kind byte, n int) domain.UUID {
	return domain.UUID{0: kind, 6: 0x70, 8: 0x80, 14: byte(n >> 8), 15: byte(n)}
}

func referenceOf(n int) domain.Reference { return domain.MakeReference(fmt.Sprintf("2%012d", n)) }

func heading(kind byte, n int, when string) domain.Heading {
	t, err := domain.ParseTime(when)
	if err != nil {
		panic(err)
	}
	return domain.Heading{ID: uuidOf(kind, n), At: t}
}

func registrationOf(n int, d domain.District, when string) domain.Registration {
	return domain.Registration{
		Heading: heading(1, n, when), Person: referenceOf(n), District: d, Group: domain.HealthCareWorker,
		Name: fmt.Sprintf("Canary Kumari %d", n), BirthYear: 1961, Sex: domain.Female, Mobile: fmt.Sprintf("9%09d", 700_000_000+n),
		PhotoID: domain.PhotoID{Type: domain.Aadhaar, Number: fmt.Sprintf("1%011d", 77_000_000_000+n)},
	}
}

func doseOf(n int, number domain.DoseNumber, d domain.District, when string) domain.DoseGiven {
	return domain.DoseGiven{
		Heading: heading(1+byte(number), n, when), Person: referenceOf(n), District: d,
		Centre: "CENTRE-CANARY", Vaccine: domain.Covishield, Batch: "BATCH-CANARY", Number: number,
	}
}

func requestOf(n int, to domain.Status, when string) domain.ReversalRequest {
	return domain.ReversalRequest{Heading: heading(7, n, when), Person: referenceOf(n), To: to, Reason: domain.ReasonIssuedByMistake}
}

func decisionOf(n int, approve bool, when string) domain.ReversalDecision {
	return domain.ReversalDecision{Heading: heading(8, n, when), Request: uuidOf(7, n), Approve: approve, By: "OFFICER-CANARY"}
}

// canaries stand for what must not be told.
var canaries = []string{"Canary", "CANARY", "1961"}

// story is a submission of each kind that is told of, and several of some.
func story() []domain.Submission {
	return []domain.Submission{
		registrationOf(1, 208, "2021-01-16T10:05:07+05:30"),
		registrationOf(2, 208, "2021-01-16T10:06:07+05:30"),
		registrationOf(3, 216, "2021-01-16T10:07:07+05:30"),
		doseOf(1, 1, 208, "2021-01-17T10:00:00+05:30"),
		doseOf(1, 2, 212, "2021-02-20T10:00:00+05:30"),
		doseOf(2, 1, 208, "2021-02-21T10:00:00+05:30"),
		doseOf(3, 1, 216, "2021-02-21T10:01:00+05:30"),
		domain.DoseWithdrawal{Heading: heading(9, 2, "2021-02-22T11:22:33+05:30"), Person: referenceOf(2), Number: 1, Reason: domain.ReasonEnteredInError},
		requestOf(1, domain.Unvaccinated, "2021-03-01T09:00:00+05:30"),
		requestOf(3, domain.Unvaccinated, "2021-03-02T09:00:00+05:30"),
		registrationOf(4, 216, "2021-03-05T10:00:00+05:30"),
		decisionOf(1, true, "2021-03-06T12:34:56+05:30"),
		decisionOf(3, false, "2021-03-06T13:34:56+05:30"),
		domain.RegistrationWithdrawal{Heading: heading(10, 4, "2021-03-07T13:00:00+05:30"), Person: referenceOf(4), Reason: domain.ReasonDuplicate},
		domain.Freeze{
			Heading: heading(11, 1, "2021-03-08T10:11:12+05:30"), District: 208, Groups: []domain.Group{domain.HealthCareWorker},
			Mode: domain.Erase, Standing: true, Order: "DL/2021/117", By: "OFFICER-CANARY",
		},
		domain.Freeze{
			Heading: heading(11, 2, "2021-03-09T10:11:12+05:30"), District: 216, Persons: []domain.Reference{referenceOf(3)},
			Mode: domain.Erase, Order: "DL/2021/118", By: "OFFICER-CANARY",
		},
	}
}

var authority = ledger.Caller{Name: "authority", Authority: true}

// openLedger opens a ledger in a directory of the test's own: a sandbox, unless it
// is given a clock.
func openLedger(t testing.TB, now func() time.Time) *ledger.Ledger {
	t.Helper()
	dir := t.TempDir()
	l, err := ledger.Open(t.Context(), ledger.Config{Data: dir + "/data", Keys: dir + "/keys", Sandbox: now == nil, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Errorf("close the ledger: %v", err)
		}
	})
	return l
}

// submit submits one after another, so that each has a commit of its own.
func submit(t testing.TB, l *ledger.Ledger, all ...domain.Submission) {
	t.Helper()
	for _, s := range all {
		verdicts, err := l.Submit(t.Context(), authority, []domain.Submission{s})
		if err != nil {
			t.Fatal(err)
		}
		if verdicts[0].Outcome != domain.Accepted {
			t.Fatalf("%T: %s %v", s, verdicts[0].Outcome, verdicts[0].Reject)
		}
	}
}

// quick is a follower's pace in tests.
var quick = pace{
	counts: 5 * time.Millisecond, look: time.Millisecond, keep: time.Hour, publish: natstest.Patience,
	standby: 5 * time.Millisecond, pause: time.Millisecond, longest: 10 * time.Millisecond,
}

func connect(t testing.TB, l *ledger.Ledger) *nats.Conn {
	t.Helper()
	conn, err := l.Store().Connect("notices")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func openFollower(t testing.TB, l *ledger.Ledger, o Options) *Follower {
	t.Helper()
	f, err := Open(natstest.Context(t), l, connect(t, l), o)
	if err != nil {
		t.Fatal(err)
	}
	f.pace = quick
	return f
}

// serving is a follower at work.
type serving struct {
	stop  context.CancelFunc
	ended chan error
}

func serve(t testing.TB, f *Follower) serving {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := serving{cancel, make(chan error, 1)}
	go func() { s.ended <- f.Serve(ctx) }()
	t.Cleanup(cancel)
	return s
}

func (s serving) end(t testing.TB) {
	t.Helper()
	s.stop()
	select {
	case err := <-s.ended:
		if err != nil {
			t.Errorf("serving ended with %v", err)
		}
	case <-time.After(natstest.Patience):
		t.Fatal("serving does not end")
	}
}

// notice is one as a subscriber gets it.
type notice struct {
	subject  string
	sequence uint64
	stored   time.Time
	headers  nats.Header
	raw      []byte
	Event
	Data map[string]any
}

// stored reads the stream, in its order, and checks each notice in it.
func stored(t testing.TB, f *Follower) (notices []notice) {
	t.Helper()
	info, err := f.stream.Info(natstest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	for sequence := info.State.FirstSeq; sequence <= info.State.LastSeq; sequence++ {
		m, err := f.stream.GetMsg(natstest.Context(t), sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject == subjectPlace {
			continue
		}
		n := notice{subject: m.Subject, sequence: m.Sequence, stored: m.Time, headers: m.Header, raw: m.Data}
		n.check(t)
		notices = append(notices, n)
	}
	return notices
}

var attributeName = regexp.MustCompile(`^[a-z0-9]{1,20}$`)

// check reads a notice and holds it against what CloudEvents 1.0 asks for.
func (n *notice) check(t testing.TB) {
	t.Helper()
	bad := func(why string, v any) { t.Errorf("%s on %s: %s: %v", n.raw, n.subject, why, v) }
	var attributes map[string]any
	if err := json.Unmarshal(n.raw, &attributes); err != nil {
		bad("not JSON", err)
		return
	}
	for name, value := range attributes {
		if text, isText := value.(string); !attributeName.MatchString(name) || name != "data" && (!isText || text == "") {
			bad("an attribute is a text with a name of letters and digits", name)
		}
	}
	d := json.NewDecoder(bytes.NewReader(n.raw))
	d.DisallowUnknownFields()
	n.Event.Data = &n.Data
	if err := d.Decode(&n.Event); err != nil {
		bad("other attributes", err)
	}
	if _, err := url.Parse(n.Source); n.ID == "" || n.Source == "" || n.Type == "" || n.SpecVersion != "1.0" || err != nil {
		bad("required attributes", err)
	}
	if _, err := time.Parse(time.RFC3339, n.Time); err != nil {
		bad("time", err)
	}
	if n.DataContentType != "application/json" || n.headers.Get("Content-Type") != ContentType {
		bad("content types", n.headers)
	}
	district, kind, ok := strings.Cut(strings.TrimPrefix(n.subject, "notice."), ".")
	if !ok || Type(domain.NoticeKind(kind)) != n.Type || fmt.Sprint(n.Data["district"]) != district {
		bad("subject", n.subject)
	}
}

// expected is what the ledger has to be told of, by itself: the ids of the events'
// notices in their order, and the changes of counts.
type expected struct {
	ids     []string
	changes []change
}

type change struct {
	commit uint64
	domain.District
	domain.Day
}

func expect(t testing.TB, l *ledger.Ledger) (e expected) {
	t.Helper()
	for c, err := range l.Store().Read(t.Context(), eventstore.Reading{}) {
		if err != nil {
			t.Fatal(err)
		}
		for i, entry := range c.Entries {
			k := 0
			domain.Notices(entry.Event, domain.DayOf(entry.Recorded), func(n domain.Notice) {
				if n.Kind == domain.NoticeCountsChanged {
					e.changes = append(e.changes, change{c.Sequence, n.District, n.Day})
					return
				}
				e.ids = append(e.ids, fmt.Sprintf("%d-%d-%d", c.Sequence, i, k))
				k++
			})
		}
	}
	return e
}

// until waits until the stream says that a place is reached.
func until(t testing.TB, f *Follower, reached func(place) bool) {
	t.Helper()
	var at place
	for deadline := time.Now().Add(natstest.Patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if at = placeIn(t, f); reached(at) {
			return
		}
	}
	t.Fatalf("the notices are at %+v", at)
}

// placeIn is how far the notices have come.
func placeIn(t testing.TB, f *Follower) place {
	t.Helper()
	_, m, err := f.tail(natstest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	at, err := placeOf(m.Header)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// idOf reads the place in the last of the ids.
func idOf(t testing.TB, ids []string) (commit uint64, entry, notice int) {
	t.Helper()
	if _, err := fmt.Sscanf(ids[len(ids)-1], "%d-%d-%d", &commit, &entry, &notice); err != nil {
		t.Fatal(err)
	}
	return commit, entry, notice
}

// told waits until everything of a ledger is told.
func (e expected) told(t testing.TB, f *Follower) {
	t.Helper()
	until(t, f, e.reached(t))
}

// reached tells whether a place is behind everything but reversals that are due.
func (e expected) reached(t testing.TB) func(place) bool {
	commit, entry, notice := idOf(t, e.ids)
	return func(p place) bool {
		return p.isOut(commit, entry, notice) && p.Counted >= e.changes[len(e.changes)-1].commit
	}
}

// compare holds the stream against what was expected: each notice of an event once,
// in the order of the ledger, and each change of counts within the span of a notice
// of its own.
func (e expected) compare(t testing.TB, notices []notice) {
	t.Helper()
	var ids []string
	through := map[domain.District]uint64{} // told, by district
	left := map[domain.District][]change{}
	for _, c := range e.changes {
		left[c.District] = append(left[c.District], c)
	}
	seen := map[string]bool{}
	for _, n := range notices {
		if seen[n.ID] {
			t.Errorf("%s is told twice", n.ID)
		}
		seen[n.ID] = true
		switch n.Type {
		case Type(domain.NoticeCountsChanged):
			var commit uint64
			var d domain.District
			fmt.Sscanf(n.ID, "counts-%d-%d", &commit, &d)
			if commit <= through[d] {
				t.Errorf("%s comes after one through %d", n.ID, through[d])
			}
			through[d] = commit
			from, to := dayOf(n.Data["from"]), dayOf(n.Data["to"])
			covers := span{to, from}
			for len(left[d]) > 0 && left[d][0].commit <= commit {
				day := left[d][0].Day
				covers = span{min(covers.from, day), max(covers.to, day)}
				left[d] = left[d][1:]
			}
			if covers != (span{from, to}) {
				t.Errorf("%s spans %s to %s, want %s to %s", n.ID, from, to, covers.from, covers.to)
			}
		case Type(domain.NoticeReversalDue):
			if !seen[n.Subject] {
				t.Errorf("%s comes before the request", n.ID)
			}
		case Type(domain.NoticeReversalRequested):
			seen[n.Subject] = true
			ids = append(ids, n.ID)
		default:
			ids = append(ids, n.ID)
		}
	}
	if fmt.Sprint(ids) != fmt.Sprint(e.ids) {
		t.Errorf("told are %v,\nwant %v", ids, e.ids)
	}
	for d, changes := range left {
		if len(changes) > 0 {
			t.Errorf("changes of %d are not told: %v", d, changes)
		}
	}
}

func dayOf(v any) domain.Day {
	d, err := domain.ParseDay(fmt.Sprint(v))
	if err != nil {
		panic(err)
	}
	return d
}

// logged is a log that can be read while it is written.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *logged) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(l, nil)) }
