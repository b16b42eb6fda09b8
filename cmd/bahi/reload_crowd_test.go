package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/access"
	"bahi/domain"
	"bahi/eventstore"
	"bahi/formats"
	"bahi/intake"
	"bahi/internal/natstest"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
	"bahi/web"
)

// crowd are those who use a service while its NATS server is not steady: who submit
// over HTTP, over NATS and from a centre's machine, and who read. What is sent are
// people who are registered, given a dose, and that dose is withdrawn.
type crowd struct {
	t       *testing.T
	at      *operated
	url     string
	enough  chan struct{}
	leaving sync.WaitGroup

	person      domain.Reference // one who is registered
	sent, taken atomic.Int64     // people: sent, and with all their verdicts

	mu   sync.Mutex // guards seen
	seen map[string]int
}

const perBundle = 5 // people

func newCrowd(t *testing.T, at *operated, url string) *crowd {
	t.Helper()
	c := &crowd{t: t, at: at, url: url, enough: make(chan struct{}), seen: map[string]int{}}
	first := mustExit(t, exitDone, bytes.NewReader(c.bundle(1, "208001")), "submit", "--data", at.file("d"), "-")
	c.took("first", parseVerdicts(t, []byte(first.stdout)), false)
	c.person = domain.Reference(verdicts(t, first.stdout)[0].Person)
	mustExit(t, exitRejected, strings.NewReader(dose(900)), "submit", "--server", at.url(), "--nkey", at.file("208002.nkey"), "--district", "208", "--centre", "208002", "-")
	for _, part := range []func(){
		func() { c.submit(1_000_000) }, func() { c.submit(2_000_000) },
		func() { c.publish(3_000_000) }, func() { c.forward(4_000_000) },
		c.read, c.manage,
	} {
		c.leaving.Go(part)
	}
	return c
}

// leave has everybody end what they began.
func (c *crowd) leave() {
	close(c.enough)
	c.leaving.Wait()
}

func (c *crowd) over() bool {
	select {
	case <-c.enough:
		return true
	default:
		return c.t.Failed()
	}
}

func (c *crowd) saw(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[what]++
}

// String tells what was answered how often.
func (c *crowd) String() string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(c.seen)) {
		all = append(all, fmt.Sprintf("%d × %s", c.seen[what], what))
	}
	return strings.Join(all, ", ")
}

// bundle returns the lines of people of a centre.
func (c *crowd) bundle(from int, centre string) []byte {
	c.sent.Add(perBundle)
	var b bytes.Buffer
	for i := from; i < from+3*perBundle; i += 3 {
		fmt.Fprintln(&b, registration(i))
		fmt.Fprintf(&b, `{"type":"dose","id":%q,"at":"2021-03-04","registration":%q,"district":208,"centre":%q,"vaccine":"COVISHIELD","batch":"4120Z001","dose":1}`+"\n", lineID(i+1), lineID(i), centre)
		fmt.Fprintf(&b, `{"type":"dose_withdrawal","id":%q,"at":"2021-03-05","registration":%q,"dose":1,"reason":"entered_in_error"}`+"\n", lineID(i+2), lineID(i))
	}
	return b.Bytes()
}

// took holds the verdicts of a bundle to what they have to be. A duplicate is what was
// sent before.
func (c *crowd) took(by string, verdicts []domain.Verdict, again bool) {
	c.saw(by)
	if len(verdicts) != 3*perBundle {
		c.t.Errorf("%s: %d verdicts", by, len(verdicts))
	}
	for _, v := range verdicts {
		if v.Outcome == domain.Rejected || v.Outcome == domain.Duplicate && !again {
			c.t.Errorf("%s: %+v", by, v)
		}
	}
	c.taken.Add(perBundle)
}

func (c *crowd) client(role string) *web.Client {
	token, err := os.ReadFile(filepath.Join(c.at.file("d-keys"), "tokens", role))
	if err != nil {
		c.t.Error(err)
	}
	client, err := web.Dial(c.url, strings.TrimSpace(string(token)))
	if err != nil {
		c.t.Error(err)
	}
	return client
}

// refused tells whether an answer asks for patience. It may be nothing else than that
// or right.
func (c *crowd) refused(asked string, err error) bool {
	if err == nil {
		c.saw(asked)
		return false
	}
	var p *web.Problem
	if !errors.As(err, &p) || p.GetStatus() != http.StatusServiceUnavailable {
		c.t.Errorf("%s: %v (%+v)", asked, err, p)
		return true
	}
	c.saw(asked + " " + p.Code)
	time.Sleep(5 * time.Millisecond)
	return true
}

// submit sends bundles over HTTP, each until it is answered.
func (c *crowd) submit(from int) {
	client := c.client(vault.RoleCentre)
	defer client.Close()
	for ; !c.over(); from += 3 * perBundle {
		var submissions []domain.Submission
		for item, err := range formats.ReadNDJSON(bytes.NewReader(c.bundle(from, "208001"))) {
			if err != nil {
				c.t.Error(err)
			}
			submissions = append(submissions, item.Submission)
		}
		for again := false; !c.t.Failed(); again = true {
			if verdicts, err := client.Submit(c.t.Context(), submissions); !c.refused("submit", err) {
				c.took("submitted", verdicts, again)
				break
			}
		}
	}
}

// publish sends bundles over NATS, each until it is answered.
func (c *crowd) publish(from int) {
	client, err := intake.Dial(c.at.url(), intake.ClientOptions{Seed: c.at.file("208001.nkey"), InboxPrefix: intake.InboxPrefix(208, "208001")})
	if err != nil {
		c.t.Error(err)
		return
	}
	defer client.Close()
	for ; !c.over(); from += 3 * perBundle {
		lines := c.bundle(from, "208001")
		for !c.t.Failed() {
			verdicts, err := client.PublishBundle(c.t.Context(), 208, "208001", domain.UUID{4: byte(from >> 16), 5: byte(from >> 8), 6: byte(from)}, lines)
			if err == nil {
				c.took("published", verdicts, true)
				break
			}
			if !errors.Is(err, intake.ErrNoKey) && !errors.Is(err, intake.ErrNotReceived) && !errors.Is(err, intake.ErrNoVerdicts) {
				c.t.Errorf("publish: %v", err)
			}
			c.saw("publish again")
		}
	}
}

// forward gives files to a centre's own machine, and waits for all their verdicts.
func (c *crowd) forward(from int) {
	dir := c.at.file("centre")
	ctx, stop := context.WithCancel(c.t.Context())
	defer stop()
	var words bytes.Buffer
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run(ctx, []string{
			"centre", "run", "--dir", dir, "--district", "208", "--centre", "208002", "--listen", "",
			"--server", c.at.url(), "--nkey", c.at.file("208002.nkey"),
		}, nil, &bytes.Buffer{}, &words)
	}()
	files := 0
	for ; !c.over(); time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "in")); err != nil {
			continue // it has not begun
		}
		beside := filepath.Join(dir, "file")
		err := os.WriteFile(beside, c.bundle(from+3*perBundle*files, "208002"), 0o600)
		if err == nil {
			err = os.Rename(beside, filepath.Join(dir, "in", fmt.Sprint(files)))
		}
		if err != nil {
			c.t.Error(err)
		}
		files++
	}
	deadline := time.Now().Add(2 * natstest.Patience)
	for file := 0; file < files && !c.t.Failed(); time.Sleep(10 * time.Millisecond) {
		verdicts, err := os.ReadFile(filepath.Join(dir, "done", fmt.Sprint(file), "verdicts.ndjson"))
		select {
		case <-ended:
			c.t.Errorf("the centre's machine has ended: %s", words.String())
			return
		default:
		}
		switch {
		case err == nil && bytes.Count(verdicts, []byte("\n")) == 3*perBundle:
			c.took("forwarded", parseVerdicts(c.t, verdicts), true)
			file++
		case time.Now().After(deadline):
			c.t.Errorf("file %d has no verdicts", file)
		}
	}
	stop()
	<-ended
}

func parseVerdicts(t *testing.T, lines []byte) (all []domain.Verdict) {
	for line := range bytes.Lines(lines) {
		v, err := formats.ParseVerdict(line)
		if err != nil {
			t.Error(err)
		}
		all = append(all, v)
	}
	return all
}

var allDays = domain.Date(2021, time.March, 31)

// read asks for counts and for a person; both have to be right.
func (c *crowd) read() {
	analyst, officer := c.client(vault.RoleAnalyst), c.client(vault.RoleOfficer)
	defer analyst.Close()
	defer officer.Close()
	for !c.over() {
		before := c.taken.Load()
		counts, err := analyst.Counts(c.t.Context(), projections.CountsQuery{District: 208, AsOf: allDays})
		if after := c.sent.Load(); !c.refused("counts", err) && (counts.Registered < before || counts.Registered > after) {
			c.t.Errorf("%d are registered, of %d with verdicts and %d that were sent", counts.Registered, before, after)
		}
		person, err := officer.Person(c.t.Context(), c.person, ledger.Reader{Officer: "officer-7", Purpose: "legal"})
		if !c.refused("person", err) && person.Name != "Lakshmi Kumari" {
			c.t.Errorf("the person is called %q", person.Name)
		}
	}
}

// manage does what the authority and an operator do, and asks whether the service is
// ready.
func (c *crowd) manage() {
	authority, operator := c.client(vault.RoleAuthority), c.client(vault.RoleOperator)
	defer authority.Close()
	defer operator.Close()
	for ; !c.over(); time.Sleep(5 * time.Millisecond) {
		_, err := authority.IssueToken(c.t.Context(), access.Grant{Role: vault.RoleOfficer, District: 208, Officer: "officer-8"})
		c.refused("token", err)
		page, err := operator.ListQuarantine(c.t.Context(), intake.QuarantineQuery{})
		if !c.refused("quarantine", err) && len(page.Items) != 1 {
			c.t.Errorf("%d items lie in quarantine", len(page.Items))
		}
		response, err := http.Get(c.url + "/readyz")
		if err != nil {
			c.t.Error(err)
			continue
		}
		response.Body.Close()
		c.saw("readyz " + response.Status)
		if s := response.StatusCode; s != http.StatusOK && s != http.StatusServiceUnavailable {
			c.t.Errorf("readyz: %s", response.Status)
		}
	}
}

// check looks whether everything that was sent is there once, and is told once.
func (c *crowd) check() {
	t := c.t
	analyst := c.client(vault.RoleAnalyst)
	defer analyst.Close()
	sent := c.sent.Load()
	if taken := c.taken.Load(); taken != sent {
		t.Fatalf("%d people were sent, %d have their verdicts", sent, taken)
	}
	for deadline := time.Now().Add(natstest.Patience); ; {
		counts, err := analyst.Counts(t.Context(), projections.CountsQuery{District: 208, AsOf: allDays})
		if c.refused("counts", err) && time.Now().Before(deadline) {
			continue
		}
		if err != nil || counts.Registered != sent || counts.Dose1 != 0 {
			t.Errorf("of %d people: %+v, %v", sent, counts, err)
		}
		break
	}
	signIn, err := eventstore.SignIn(c.at.file("ledger.nkey"))
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(natstest.Connect(t, c.at.url(), signIn))
	if err != nil {
		t.Fatal(err)
	}
	notices, err := js.OrderedConsumer(natstest.Context(t), "NOTICES", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"notice.208.certificate_void"}})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	for int64(len(told)) < sent {
		m, err := notices.Next(jetstream.FetchMaxWait(natstest.Patience))
		if err != nil {
			t.Fatalf("%d of %d withdrawn doses are told: %v", len(told), sent, err)
		}
		var notice struct{ ID string }
		if err := json.Unmarshal(m.Data(), &notice); err != nil {
			t.Fatal(err)
		}
		if told[notice.ID] {
			t.Errorf("%s is told twice", notice.ID)
		}
		told[notice.ID] = true
	}
	if m, err := notices.Next(jetstream.FetchMaxWait(100 * time.Millisecond)); !errors.Is(err, nats.ErrTimeout) {
		t.Errorf("one more is told: %v, %v", m, err)
	}
}
