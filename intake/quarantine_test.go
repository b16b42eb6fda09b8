package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	"bahi/domain"
	"bahi/formats"
	"bahi/internal/natstest"
	"bahi/ledger"
	"bahi/vault"
)

// refusing is a memory that refuses doses of the batch "REFUSED" as long as it is
// told to.
func (m *memory) refusing(still *atomic.Bool) Submitter {
	return func(ctx context.Context, submissions []domain.Submission) ([]domain.Verdict, error) {
		verdicts := make([]domain.Verdict, len(submissions))
		for i, s := range submissions {
			if d, ok := s.(domain.DoseGiven); ok && d.Batch == "REFUSED" && still.Load() {
				verdicts[i] = domain.Verdict{ID: d.ID.String(), Outcome: domain.Rejected, Person: d.Person, Reject: &domain.Rejection{Code: domain.CodeDoseMissing, Field: "dose", Message: "report the first dose first"}}
				continue
			}
			v, err := m.submit(ctx, []domain.Submission{s})
			if err != nil {
				return nil, err
			}
			verdicts[i] = v[0]
		}
		return verdicts, nil
	}
}

func refusedDose(n int) domain.DoseGiven {
	d := doseAt(n, "208001")
	d.Batch = "REFUSED"
	return d
}

func quarantineOf(t *testing.T, h *house, submit Submitter) *Quarantine {
	t.Helper()
	q, err := NewQuarantine(h.config(t, submit))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func list(t *testing.T, q *Quarantine, query QuarantineQuery) []Quarantined {
	t.Helper()
	page, err := q.List(natstest.Context(t), query)
	if err != nil {
		t.Fatal(err)
	}
	return page.Items
}

// TestPoison: what of a bundle that cannot be taken in may lie in quarantine, under
// which code, and what its sender is told.
func TestPoison(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	other, err := vault.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	canary := "Canary-Kumari-9123456780"
	d := h.open(t, func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
		if s[0].(domain.DoseGiven).Batch == "PANIC" {
			panic(canary)
		}
		return m.submit(ctx, s)
	})
	d.serving(t)
	c := h.anyCentre(t, ClientOptions{})
	const subject = "intake.208.208001"
	seal := func(v *vault.Vault, info string, lines ...string) []byte {
		sealed, _, err := vault.SealBundle(v.IntakePublicKey(), []byte(strings.Join(lines, "\n")), []byte(info))
		if err != nil {
			t.Fatal(err)
		}
		return sealed
	}
	line := func(s domain.Submission) string { return string(formats.AppendSubmission(nil, s)) }
	panics := doseAt(1, "208001")
	panics.Batch = "PANIC"
	many := make([]string, BundleSize+1)
	for n := range many {
		many[n] = line(doseAt(n, "208001"))
	}
	many[3], many[4] = `{"address":"`+canary+`"}`, line(doseAt(4, "208002"))
	changed := seal(h.keys, subject, samples[1])
	changed[len(changed)-1] ^= 1
	cases := []struct {
		subject string
		data    []byte
		code    BundleCode
		kept    int  // submissions
		bundle  bool // the sealed bundle is kept
	}{
		{subject, []byte(samples[1]), BundleCannotOpen, 0, false},
		{subject, nil, BundleCannotOpen, 0, false},
		{subject, changed, BundleCannotOpen, 0, true},
		{subject, seal(h.keys, "intake.208.208002", samples[1]), BundleCannotOpen, 0, true},
		{subject, seal(other, subject, samples[1]), BundleOtherKey, 0, true},
		{subject, seal(h.keys, subject, "\n\n"), BundleEmpty, 0, false},
		{subject, seal(h.keys, subject, strings.Repeat("x\n", BundleSize+1)), BundleTooMany, 0, false},
		{subject, seal(h.keys, subject, many...), BundleTooMany, BundleSize - 1, false},
		{subject, seal(h.keys, subject, line(panics), "x"), BundleCrashed, 1, false},
		{"intake." + canary + ".x", seal(h.keys, "", samples[1]), BundleBadSubject, 0, false},
		{"intake.0208.x", seal(h.keys, "", samples[1]), BundleBadSubject, 0, false},
	}
	after := uint64(0)
	for i, want := range cases {
		inbox := InboxPrefix(208, "208001") + fmt.Sprint(".", i)
		replies, err := c.conn.SubscribeSync(inbox)
		if err != nil {
			t.Fatal(err)
		}
		c.put(t, want.subject, inbox, want.data)
		var page QuarantinePage
		eventually(t, "it is in quarantine", func() bool {
			if page, err = d.quarantine.List(natstest.Context(t), QuarantineQuery{After: after}); err != nil {
				t.Fatal(err)
			}
			return len(page.Items) == 1
		})
		s, err := d.quarantine.find(natstest.Context(t), page.Items[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		after = s.sequence
		place := fmt.Sprint(s.District, s.Centre, s.From)
		if want.code == BundleBadSubject {
			if place != "0unknown0" {
				t.Errorf("case %d is of %s", i, place)
			}
		} else {
			reply, err := replies.NextMsg(natstest.Patience)
			if err != nil {
				t.Fatalf("case %d: %v", i, err)
			}
			if got := reply.Header.Get(HeaderCode); got != string(want.code) || len(reply.Data) != 0 {
				t.Errorf("case %d answered %q with %d bytes, want %q", i, got, len(reply.Data), want.code)
			}
			if place != "208208001208" {
				t.Errorf("case %d is of %s", i, place)
			}
		}
		if s.Code != want.code || s.Kept != want.kept || s.Rows != want.kept || (len(s.content) > 0) != (want.kept > 0 || want.bundle) {
			t.Errorf("case %d is %+v with %d bytes", i, s.Quarantined, len(s.content))
		}
		rows, bundle, err := d.quarantine.open(s)
		if err != nil || len(rows) != want.kept || want.bundle != bytes.Equal(bundle, want.data) && len(want.data) > 0 {
			t.Errorf("case %d: %d rows, a bundle of %d bytes, %v", i, len(rows), len(bundle), err)
		}
		if want.kept == 0 {
			// There is nothing to be tried, or it fails as before: it stays.
			if r, err := d.quarantine.Retry(natstest.Context(t), s.ID, 0); err != nil || r.Accepted+r.Duplicate+r.Rejected > 0 || r.Code != want.code {
				t.Errorf("case %d tried again: %+v, %v", i, r, err)
			}
			if want.bundle {
				after++
			}
		}
	}
	// What came after is taken in.
	if verdicts, err := c.Publish(t.Context(), 208, "208001", []domain.Submission{doseAt(2, "208001")}); err != nil || verdicts[0].Outcome != domain.Accepted {
		t.Errorf("%v, %v", verdicts, err)
	}
	if log := h.log.String(); strings.Contains(log, canary) || !strings.Contains(log, "crashed") {
		t.Errorf("the log says what a panic held, or not that there was one:\n%s", log)
	}
	for _, s := range messages(t, d.js, streamQuarantine) {
		for name, values := range s.Header {
			if !slices.Contains([]string{HeaderCode, headerFrom, headerRows, headerKept, headerTries, headerSince}, name) && !strings.HasPrefix(name, "Nats-") || strings.Contains(fmt.Sprint(values), canary) {
				t.Errorf("in quarantine with header %s: %v", name, values)
			}
		}
	}
	if q := list(t, d.quarantine, QuarantineQuery{}); len(q) != len(cases) {
		t.Errorf("%d lie in quarantine", len(q))
	}
}

// TestRefusedRows: what of a bundle was refused lies in quarantine, those of it that
// can be tried again with their submission, and nothing that is not collected.
func TestRefusedRows(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	var refuses atomic.Bool
	refuses.Store(true)
	d := h.open(t, m.refusing(&refuses))
	d.serving(t)
	c := h.centre(t, ClientOptions{})
	frozen := refusedDose(7)
	frozen.Person = domain.MakeReference("7351946820517")
	h.frozen.Store(frozen.Person, true)
	line := func(s domain.Submission) string { return string(formats.AppendSubmission(nil, s)) }
	bundle := strings.Join([]string{
		samples[0], line(refusedDose(1)), "not JSON", swap(samples[0], `"sex"`, `"address":"Mithanpura","sex"`), line(frozen), line(refusedDose(2)),
		line(doseAt(3, "208002")),
	}, "\n")
	if _, err := c.PublishBundle(t.Context(), 208, "208001", domain.UUID{9}, []byte(bundle)); err != nil {
		t.Fatal(err)
	}
	items := list(t, d.quarantine, QuarantineQuery{})
	if len(items) != 1 {
		t.Fatalf("in quarantine: %+v", items)
	}
	is := items[0]
	codes := map[domain.Code]int{domain.CodeDoseMissing: 3, domain.CodeBadJSON: 1, domain.CodeNotCollected: 1, domain.CodeNotAllowed: 1}
	if is.Code != CodeRejected || is.Rows != 6 || is.Kept != 2 || fmt.Sprint(is.Codes) != fmt.Sprint(codes) || is.Bundle != (domain.UUID{9}).String() {
		t.Errorf("it is %+v", is)
	}
	if is.Expires.Sub(is.Since) != maxQuarantineAge || time.Since(is.Since) > natstest.Patience {
		t.Errorf("it came at %s and goes at %s", is.Since, is.Expires)
	}

	shown, err := d.quarantine.Show(natstest.Context(t), QuarantineReading{ID: is.ID, District: 208, Officer: "dio-208", Purpose: "grievance"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(shown)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, r := range shown.Shown {
		told = append(told, fmt.Sprintf("%d %t", r.Row, r.Submission != nil))
	}
	if want := []string{"1 true", "2 false", "3 false", "4 false", "5 true", "6 false"}; !slices.Equal(told, want) {
		t.Errorf("shown %q, want %q", told, want)
	}
	for what, want := range map[string]bool{"Mithanpura": false, string(frozen.Person): false, ref: true, "report the first dose first": true} {
		if strings.Contains(string(text), what) != want {
			t.Errorf("%q is shown: %v", what, !want)
		}
	}
	if len(h.read) != 2 || h.read[0] != is.ID {
		t.Errorf("recorded readings of %v", h.read)
	}
	if found := filesWith(t, h.dir, []byte("Mithanpura"), []byte(ref), []byte(frozen.Person)); len(found) > 0 {
		t.Errorf("in the clear in %v", found)
	}

	// The second half of it, and what may be shown no more.
	h.frozen.Store(refusedDose(1).Person, true)
	shown, err = d.quarantine.Show(natstest.Context(t), QuarantineReading{ID: is.ID, Officer: "dio-208", Purpose: "grievance", After: 4, Limit: 1})
	if err != nil || len(shown.Shown) != 1 || shown.Next != 5 || !shown.Shown[0].Withheld || shown.Shown[0].Submission != nil || strings.Contains(string(shown.Shown[0].Verdict), ref) {
		t.Errorf("the fifth row: %+v, %v", shown, err)
	}
	for _, bad := range []struct {
		reading QuarantineReading
		want    error
	}{
		{QuarantineReading{ID: domain.UUID{1}, Officer: "dio-208"}, ledger.ErrNotFound},
		{QuarantineReading{ID: is.ID, District: 209, Officer: "dio-209"}, ledger.ErrNotFound},
		{QuarantineReading{ID: is.ID}, ledger.ErrBadRequest},
		{QuarantineReading{ID: is.ID, Officer: "dio-208", Limit: maxRowsPage + 1}, ledger.ErrBadRequest},
		{QuarantineReading{ID: is.ID, Officer: "dio-208", After: -1}, ledger.ErrBadRequest},
	} {
		if _, err := d.quarantine.Show(natstest.Context(t), bad.reading); !errors.Is(err, bad.want) {
			t.Errorf("%+v: %v", bad.reading, err)
		}
	}
	if _, err := d.quarantine.Drop(natstest.Context(t), is.ID, 209); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("dropped from another district: %v", err)
	}
	if _, err := d.quarantine.Drop(natstest.Context(t), is.ID, 208); err != nil || len(list(t, d.quarantine, QuarantineQuery{})) != 0 {
		t.Errorf("dropped: %v", err)
	}
}

// TestRetry: what was refused is accepted after the cause is mended, in a real
// ledger; what is refused again stays with its new reason and its age.
func TestRetry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openServed(t, dir)
	d := openTestDoor(t, l)
	stop := d.serving(t)
	person := personIn(1, 208)
	first, third := doseAt(1, "208001"), doseAt(3, "208001")
	first.Person, third.Person = person.Person, person.Person
	third.At, third.Number = third.At.Add(24*time.Hour), 2
	publishSealed(t, d.js, l.Vault(), "intake.208.208001", append(append(formats.AppendSubmission(nil, first), '\n'), formats.AppendSubmission(nil, third)...))
	eventually(t, "nothing waits", func() bool { return len(messages(t, d.js, streamIntake)) == 0 })
	stop()
	items := list(t, d.quarantine, QuarantineQuery{District: 208, Centre: "208001"})
	if len(items) != 1 || items[0].Codes[domain.CodeUnknownPerson] != 2 {
		t.Fatalf("in quarantine: %+v", items)
	}
	was := items[0]
	r, err := d.quarantine.Retry(natstest.Context(t), was.ID, 208)
	if err != nil || r.Rejected != 2 || r.Tries != 1 || r.Rows != 2 {
		t.Errorf("before the registration: %+v, %v", r, err)
	}
	if v, err := l.Submit(t.Context(), ledger.Caller{Name: "centre"}, []domain.Submission{person}); err != nil || v[0].Outcome != domain.Accepted {
		t.Fatal(v, err)
	}
	r, err = d.quarantine.Retry(natstest.Context(t), was.ID, 208)
	if err != nil || r.Accepted != 1 || r.Rejected != 1 || r.Tries != 2 || r.Rows != 1 {
		t.Errorf("after the registration: %+v, %v", r, err)
	}
	items = list(t, d.quarantine, QuarantineQuery{})
	if len(items) != 1 || items[0].ID != was.ID || fmt.Sprint(items[0].Codes) != "map[interval_too_short:1]" || !items[0].Since.Equal(was.Since) {
		t.Errorf("in quarantine: %+v", items)
	}
	ttl := messages(t, d.js, streamQuarantine)[0].Header.Get("Nats-TTL")
	if left, err := time.ParseDuration(ttl); err != nil || left > maxQuarantineAge || left < maxQuarantineAge-time.Hour {
		t.Errorf("it expires in %s", ttl)
	}

	// A dose that is refused for its own fault is taken back; what then is left fits.
	withdrawal := domain.DoseWithdrawal{Heading: doseAt(4, "").Heading, Person: person.Person, Number: 1, Reason: domain.ReasonEnteredInError}
	withdrawal.At = withdrawal.At.Add(48 * time.Hour)
	if v, err := l.Submit(t.Context(), ledger.Caller{Name: "centre"}, []domain.Submission{withdrawal}); err != nil || v[0].Outcome != domain.Accepted {
		t.Fatal(v, err)
	}
	if r, err = d.quarantine.Retry(natstest.Context(t), was.ID, 0); err != nil || r.Codes[domain.CodeDoseMissing] != 1 {
		t.Errorf("without a first dose: %+v, %v", r, err)
	}
	if _, err := d.quarantine.Retry(natstest.Context(t), domain.UUID{1}, 0); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("of nothing: %v", err)
	}
}

// TestRetryAtOnce: of several attempts at the same time each row is taken in once,
// and none comes back.
func TestRetryAtOnce(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	var refuses atomic.Bool
	refuses.Store(true)
	d := h.open(t, m.refusing(&refuses))
	d.serving(t)
	if _, err := h.centre(t, ClientOptions{}).Publish(t.Context(), 208, "208001", []domain.Submission{refusedDose(1), refusedDose(2)}); err != nil {
		t.Fatal(err)
	}
	id := list(t, d.quarantine, QuarantineQuery{})[0].ID
	attempts := func() {
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				if _, err := d.quarantine.Retry(natstest.Context(t), id, 0); err != nil && !errors.Is(err, ledger.ErrNotFound) {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	attempts()
	if items := list(t, d.quarantine, QuarantineQuery{}); len(items) != 1 || items[0].Kept != 2 || items[0].Tries < 1 {
		t.Errorf("refused again: %+v", items)
	}
	refuses.Store(false)
	attempts()
	if items := list(t, d.quarantine, QuarantineQuery{}); len(items) != 0 || len(m.order) != 2 {
		t.Errorf("taken in: %v; in quarantine: %+v", m.order, items)
	}
}

// TestRetryOfBundles: a bundle over which the ledger failed, and one whose key was
// away, are taken in when that is mended.
func TestRetryOfBundles(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	var fails atomic.Bool
	fails.Store(true)
	submit := func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
		if fails.Load() {
			panic("a fault")
		}
		return m.submit(ctx, s)
	}
	d := h.open(t, submit)
	stop := d.serving(t)
	publishSealed(t, d.js, h.keys, "intake.208.208001", formats.AppendSubmission(nil, doseAt(1, "208001")))
	eventually(t, "it is in quarantine", func() bool { return len(list(t, d.quarantine, QuarantineQuery{})) == 1 })
	crashed := list(t, d.quarantine, QuarantineQuery{})[0]
	if _, err := d.quarantine.Retry(natstest.Context(t), crashed.ID, 0); !errors.Is(err, errCrashedAgain) {
		t.Errorf("tried before it is mended: %v", err)
	}
	fails.Store(false)
	if r, err := d.quarantine.Retry(natstest.Context(t), crashed.ID, 0); err != nil || r.Accepted != 1 || r.Rows != 0 {
		t.Errorf("tried when it is mended: %+v, %v", r, err)
	}

	keyFile := filepath.Join(h.dir, "keys", "intake.key")
	old, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	oldKey := h.keys.IntakePublicKey()
	if err := h.keys.RotateIntakeKey(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.keys.DestroyRetiredIntakeKeys(); err != nil {
		t.Fatal(err)
	}
	b, err := Seal(oldKey, 208, "208001", domain.UUID{3}, formats.AppendSubmission(nil, doseAt(2, "208001")))
	if err != nil {
		t.Fatal(err)
	}
	h.anyCentre(t, ClientOptions{}).put(t, "intake.208.208001", "", b.Sealed)
	eventually(t, "it is in quarantine", func() bool { return len(list(t, d.quarantine, QuarantineQuery{})) == 1 })
	id := list(t, d.quarantine, QuarantineQuery{})[0].ID
	if r, err := d.quarantine.Retry(natstest.Context(t), id, 0); err != nil || r.Code != BundleOtherKey || r.Tries != 1 || r.Accepted > 0 {
		t.Errorf("tried before the key is back: %+v, %v", r, err)
	}
	stop()
	h.keys.Close()
	if err := os.WriteFile(keyFile, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if h.keys, err = vault.Open(filepath.Join(h.dir, "keys")); err != nil {
		t.Fatal(err)
	}
	q := quarantineOf(t, h, submit)
	if r, err := q.Retry(natstest.Context(t), id, 0); err != nil || r.Accepted != 1 || len(list(t, q, QuarantineQuery{})) != 0 {
		t.Errorf("tried when the key is back: %+v, %v", r, err)
	}
}

// TestCustodyMoves: who was nobody is registered in another district before a further
// attempt; what is left of the row is in that one's quarantine, with its age.
func TestCustodyMoves(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	var refuses, registered atomic.Bool
	refuses.Store(true)
	config := h.config(t, m.refusing(&refuses))
	config.Custody = func(_ context.Context, from domain.District, s []domain.Submission) ([]domain.District, error) {
		if registered.Load() {
			from = 212
		}
		return slices.Repeat([]domain.District{from}, len(s)), nil
	}
	d, err := OpenDoor(natstest.Context(t), config)
	if err != nil {
		t.Fatal(err)
	}
	d.serving(t)
	if _, err := h.centre(t, ClientOptions{}).Publish(t.Context(), 208, "208001", []domain.Submission{refusedDose(1)}); err != nil {
		t.Fatal(err)
	}
	was := list(t, d.quarantine, QuarantineQuery{District: 208})[0]
	registered.Store(true)
	if r, err := d.quarantine.Retry(natstest.Context(t), was.ID, 0); err != nil || r.Rejected != 1 || r.Rows != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	items := list(t, d.quarantine, QuarantineQuery{})
	if len(items) != 1 || items[0].District != 212 || items[0].From != 208 || items[0].Bundle != was.Bundle || items[0].Tries != 1 || !items[0].Since.Equal(was.Since) {
		t.Fatalf("in quarantine: %+v, before: %+v", items, was)
	}
	refuses.Store(false)
	if r, err := d.quarantine.Retry(natstest.Context(t), items[0].ID, 212); err != nil || r.Accepted != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestCutOffInTheMiddle hands the same bundle over again, as the server does when the
// process ended after any step: it comes to the same, and lies in quarantine once.
func TestCutOffInTheMiddle(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	var refuses atomic.Bool
	refuses.Store(true)
	d := h.open(t, m.refusing(&refuses))
	b, err := Seal(h.keys.IntakePublicKey(), 208, "208001", domain.UUID{9},
		append(append(formats.AppendSubmission(nil, doseAt(1, "208001")), '\n'), formats.AppendSubmission(nil, refusedDose(2))...))
	if err != nil {
		t.Fatal(err)
	}
	origin := Origin{Subject: "intake.5.208.208001", Sequence: 3, Stored: time.Now().Truncate(time.Hour)}
	delivered := func(named bool) *message.Message {
		msg := message.NewMessage("", b.Sealed)
		if named {
			msg.Metadata.Set(HeaderBundle, b.ID.String())
		}
		msg.SetContext(context.WithValue(t.Context(), originKey{}, origin))
		return msg
	}
	lost := errors.New("the process is gone")
	sound := d.config
	cuts := []struct {
		name string
		cut  func()
	}{
		{"before the ledger", func() {
			d.config.Submit = func(context.Context, []domain.Submission) ([]domain.Verdict, error) { return nil, lost }
		}},
		{"before the quarantine", func() {
			d.quarantine.config.Custody = func(context.Context, domain.District, []domain.Submission) ([]domain.District, error) {
				return nil, lost
			}
		}},
		{"before the verdicts are kept", func() {
			if err := d.js.DeleteStream(natstest.Context(t), streamVerdicts); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, named := range []bool{true, false} {
		for _, c := range cuts[:map[bool]int{true: 3, false: 2}[named]] {
			c.cut()
			if err := d.takeIn(delivered(named)); err == nil {
				t.Errorf("%s: not cut off", c.name)
			}
			d.config, d.quarantine.config = sound, sound
			eventually(t, "the streams are open", func() bool { // the server clears away what was deleted behind its answer
				return openStreams(natstest.Context(t), d.js, 1) == nil
			})
		}
		for range 2 { // and after the verdicts are kept, before the server knows
			if err := d.takeIn(delivered(named)); err != nil {
				t.Error(err)
			}
		}
	}
	items := list(t, d.quarantine, QuarantineQuery{})
	if len(items) != 2 || items[0].Rows != 1 || items[1].Rows != 1 || len(m.order) != 1 {
		t.Errorf("taken in: %v; in quarantine, once with the bundle's name and once without: %+v", m.order, items)
	}
	kept, err := d.keptVerdicts(natstest.Context(t), sender{208, "208001"}, b.ID)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := b.read(&nats.Msg{Data: kept.Data}); err != nil || len(v) != 2 || v[0].Outcome != domain.Duplicate || v[1].Outcome != domain.Rejected {
		t.Errorf("kept verdicts: %v, %v", v, err)
	}
}

// TestFreezeBetweenAskingAndSealing: the ledger is asked whether a row may be kept, a
// freeze comes and ends, and then the row is to be sealed: it is asked about again.
func TestFreezeBetweenAskingAndSealing(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	var refuses atomic.Bool
	refuses.Store(true)
	dose := refusedDose(1)
	config := h.config(t, m.refusing(&refuses))
	asked := 0
	config.Custody = func(ctx context.Context, from domain.District, s []domain.Submission) ([]domain.District, error) {
		districts, err := h.custody(ctx, from, s)
		if asked++; asked == 1 {
			h.frozen.Store(dose.Person, true)
			_, err = h.keys.DestroyQuarantineKey(208, domain.UUID{7})
		}
		return districts, err
	}
	d, err := OpenDoor(natstest.Context(t), config)
	if err != nil {
		t.Fatal(err)
	}
	d.pace = brisk
	d.serving(t)
	if _, err := h.centre(t, ClientOptions{}).Publish(t.Context(), 208, "208001", []domain.Submission{dose}); err != nil {
		t.Fatal(err)
	}
	if items := list(t, d.quarantine, QuarantineQuery{}); len(items) != 1 || items[0].Rows != 1 || items[0].Kept != 0 || asked != 2 {
		t.Errorf("asked %d times, in quarantine: %+v", asked, items)
	}
}

// TestPagesOfQuarantine walks through a quarantine of two districts.
func TestPagesOfQuarantine(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	q := quarantineOf(t, h, m.submit)
	if page, err := q.List(natstest.Context(t), QuarantineQuery{}); err != nil || len(page.Items) != 0 || page.Next != 0 {
		t.Errorf("without a stream: %+v, %v", page, err)
	}
	h.open(t, m.submit)
	for n := range 7 {
		from := sender{208 + domain.District(n%2)*4, "c-" + fmt.Sprint(n%3)}
		a := arrival{from: from, bundle: domain.UUID{byte(n + 1)}, named: true, since: time.Now()}
		d := doseAt(n, from.Centre)
		d.District = from.District
		if err := q.file(natstest.Context(t), a, CodeRejected, []row{{submission: d}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		query QuarantineQuery
		want  []int
	}{
		{QuarantineQuery{}, []int{7}},
		{QuarantineQuery{Limit: 7}, []int{7}},
		{QuarantineQuery{Limit: 3}, []int{3, 3, 1}},
		{QuarantineQuery{District: 208, Limit: 2}, []int{2, 2}},
		{QuarantineQuery{District: 212, Centre: "c-0"}, []int{1}},
		{QuarantineQuery{Centre: "c-1", Limit: 1}, []int{1, 1}},
		{QuarantineQuery{Centre: "nobody"}, []int{0}},
	} {
		var got []int
		for query := c.query; ; {
			page, err := q.List(natstest.Context(t), query)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, len(page.Items))
			if query.After = page.Next; page.Next == 0 {
				break
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v: pages of %v, want %v", c.query, got, c.want)
		}
	}
	for _, bad := range []QuarantineQuery{{Limit: -1}, {Limit: maxItemsPage + 1}, {Centre: "a.b"}, {Centre: "*"}, {Centre: ">"}, {After: math.MaxUint64}, {After: math.MaxInt64}} {
		if _, err := q.List(natstest.Context(t), bad); !errors.Is(err, ledger.ErrBadRequest) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// TestContentOfQuarantine: what is written is read again, in parts that each fit.
func TestContentOfQuarantine(t *testing.T) {
	t.Parallel()
	var rows []row
	for n := range 100 {
		v := domain.Verdict{ID: numbered(n), Outcome: domain.Rejected, Reject: &domain.Rejection{Code: domain.CodeDoseMissing, Message: "…"}}
		switch n % 3 {
		case 0:
			rows = append(rows, row{&v, doseAt(n, "208001")})
		case 1:
			rows = append(rows, row{verdict: &v})
		default:
			rows = append(rows, row{submission: doseAt(n, "208001")})
		}
	}
	for _, most := range []int{1, 1000, 1 << 20} {
		var got []row
		for _, run := range split(rows, most) {
			content := appendRows(run)
			if len(run) > 1 && len(content) > most+100 {
				t.Errorf("a part of %d bytes, %d are allowed", len(content), most)
			}
			part, bundle, err := parseContent(content)
			if err != nil || bundle != nil {
				t.Fatal(err)
			}
			got = append(got, part...)
		}
		if !bytes.Equal(appendRows(got), appendRows(rows)) {
			t.Errorf("in parts of %d bytes the rows change", most)
		}
	}
}

func FuzzContentOfQuarantine(f *testing.F) {
	v := domain.Verdict{Line: 1, Outcome: domain.Rejected, Reject: &domain.Rejection{Code: domain.CodeBadJSON}}
	f.Add(appendRows([]row{{&v, nil}, {nil, doseAt(1, "208001")}}))
	f.Add(appendBundleContent([]byte("x")))
	f.Add([]byte("bahi quarantine 1 rows 2\n\n\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, bundle, err := parseContent(b)
		if err != nil || bundle != nil {
			return
		}
		again, _, err := parseContent(appendRows(rows))
		if err != nil || !bytes.Equal(appendRows(again), appendRows(rows)) {
			t.Errorf("%q is read, and written as something else (%v)", b, err)
		}
	})
}
