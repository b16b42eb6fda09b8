package intake

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"bahi/access"
	"bahi/domain"
	"bahi/eventstore"
	"bahi/formats"
	"bahi/internal/natstest"
	"bahi/ledger"
	"bahi/vault"
)

// guarded is a ledger with its door, and those who may come in.
type guarded struct {
	*Door
	ledger *ledger.Ledger
	who    *access.Registry
	shut   func()
}

// openGuarded opens a ledger that lies in dir, or will, and serves its centres.
func openGuarded(t *testing.T, dir string) guarded {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Config{Data: filepath.Join(dir, "data"), Keys: filepath.Join(dir, "keys"), Sandbox: true, ListenNATS: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	who, err := access.Open(t.Context(), access.Config{Store: l.Store(), Vault: l.Vault(), Origin: l.Origin()})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Store().Connect("intake")
	if err != nil {
		t.Fatal(err)
	}
	config, err := For(t.Context(), l, conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	config.Access = who
	d, err := OpenDoor(natstest.Context(t), config)
	if err != nil {
		t.Fatal(err)
	}
	d.pace = brisk
	stop := d.serving(t)
	return guarded{Door: d, ledger: l, who: who, shut: func() {
		stop()
		conn.Close()
		if err := errors.Join(who.Close(), l.Close(context.Background())); err != nil {
			t.Error(err)
		}
	}}
}

// dial dials in as a registered centre of district 208.
func (g guarded) dial(t *testing.T, centre, seed string) *Client {
	t.Helper()
	c, err := Dial("nats://"+g.ledger.Store().Address(), ClientOptions{
		IntakeKey: g.ledger.Vault().IntakePublicKey(), Receipt: natstest.Patience, Seed: seed, InboxPrefix: InboxPrefix(208, centre),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// person is the registration of somebody, and a first dose at a centre, from the
// number n on.
func person(n int, centre string) []domain.Submission {
	dose := doseAt(n, centre)
	dose.Person = domain.MakeReference(fmt.Sprintf("3%012d", n))
	registration := canaries
	registration.Heading, registration.Person = doseAt(n+1, "").Heading, dose.Person
	registration.Mobile, registration.PhotoID.Number = fmt.Sprintf("91%08d", n), fmt.Sprintf("9%011d", n)
	return []domain.Submission{registration, dose}
}

// tries are so many doses of people who are not known.
func tries(from, n int, centre string) []domain.Submission {
	doses := make([]domain.Submission, n)
	for i := range doses {
		dose := doseAt(from+i, centre)
		dose.Person = domain.MakeReference(fmt.Sprintf("4%012d", from+i))
		doses[i] = dose
	}
	return doses
}

// told is how many of the verdicts are that nobody is known.
func told(verdicts []domain.Verdict) (n int) {
	for _, v := range verdicts {
		if v.Reject != nil && v.Reject.Code == domain.CodeUnknownPerson {
			n++
		}
	}
	return n
}

// TestCentreThatProbesIsLocked: a centre with some unknown numbers in its day is
// answered; one that was told 500 of them is answered no more, until the authority
// unlocks it. Nothing of what it sent meanwhile is lost, and nobody waits for it.
func TestCentreThatProbesIsLocked(t *testing.T) {
	t.Parallel()
	const code, id = "208001", "nats:208:208001"
	dir := t.TempDir()
	g := openGuarded(t, dir)
	seeds := map[string]string{}
	for _, code := range []string{code, "208002"} {
		var public string
		public, seeds[code] = newNKey(t)
		if err := g.who.AddCentre(t.Context(), access.Installation(vault.RoleOperator), access.Centre{District: 208, Code: code, NKey: public}); err != nil {
			t.Fatal(err)
		}
	}
	c := g.dial(t, code, seeds[code])
	publish := func(c *Client, code string, s []domain.Submission) []domain.Verdict {
		t.Helper()
		verdicts, err := c.Publish(t.Context(), 208, code, s)
		if err != nil {
			t.Fatal(err)
		}
		return verdicts
	}
	// A drive with 499 numbers that nobody knows, 99 of them over HTTP, and the one
	// that is too many.
	if v := publish(c, code, person(1, code)); v[0].Outcome != domain.Accepted || v[1].Outcome != domain.Accepted {
		t.Fatalf("verdicts %+v", v)
	}
	if n := told(publish(c, code, tries(1000, 400, code))); n != 400 {
		t.Fatalf("%d of 400 are unknown", n)
	}
	token := access.Principal{Token: "its token", Role: vault.RoleCentre, District: 208, Centre: code}
	verdicts, err := g.ledger.Submit(t.Context(), ledger.Caller{Name: vault.RoleCentre}, tries(3000, 99, code))
	if err := errors.Join(err, g.who.Unknown(t.Context(), token, verdicts)); err != nil {
		t.Fatal(err)
	}
	if v := publish(c, code, person(11, code)); v[0].Outcome != domain.Accepted || v[1].Outcome != domain.Accepted {
		t.Fatalf("verdicts %+v", v)
	}
	if n := told(publish(c, code, tries(2000, 1, code))); n != 1 {
		t.Error("what is decided is answered")
	}

	// Locked, at the first time and the second.
	bundle := func(n int) SealedBundle {
		t.Helper()
		var lines []byte
		for _, s := range person(n, code) {
			lines = append(formats.AppendSubmission(lines, s), '\n')
		}
		b, err := Seal(g.ledger.Vault().IntakePublicKey(), 208, code, doseAt(n, "").ID, lines)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	wantLocked := func(c *Client, b *SealedBundle) {
		t.Helper()
		var refused *BundleError
		if v, err := c.Send(t.Context(), b); !errors.As(err, &refused) || refused.Code != BundleLocked {
			t.Fatalf("a locked centre is answered %+v, %v", v, err)
		}
	}
	again, gone := bundle(21), bundle(31)
	wantLocked(c, &again)
	wantLocked(c, &again)
	wantLocked(c, &gone)
	eventually(t, "nothing of it waits", func() bool {
		n, err := countOn(natstest.Context(t), g.config.Conn, g.intake, "intake.>")
		return err == nil && n == 0
	})
	if v := publish(g.dial(t, "208002", seeds["208002"]), "208002", person(41, "208002")); v[1].Outcome != domain.Accepted {
		t.Errorf("another centre is answered %+v", v)
	}
	var last eventstore.AuditAccess
	for a, err := range g.ledger.Store().Access(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		last = a
	}
	if last.Kind != eventstore.TokenLocked || last.Token != id || last.District != 208 || last.Centre != code || last.By != "ledger" {
		t.Errorf("the audit has %+v", last)
	}

	// It outlives a restart, and so does what lies in quarantine.
	g.shut()
	g = openGuarded(t, dir)
	t.Cleanup(func() { g.shut() })
	c = g.dial(t, code, seeds[code])
	wantLocked(c, &again)
	lying := func(of BundleCode) (items []Quarantined) {
		t.Helper()
		page, err := g.quarantine.List(natstest.Context(t), QuarantineQuery{Centre: code})
		if err != nil {
			t.Fatal(err)
		}
		for _, is := range page.Items {
			if is.Code == of {
				items = append(items, is)
			}
		}
		return items
	}
	items := lying(BundleLocked)
	if len(items) != 2 || items[0].Kept != 2 || items[1].Kept != 2 {
		t.Fatalf("in quarantine: %+v", items)
	}

	// Unlocked it goes on: what it sends again is taken in, and what it does not by
	// the operator.
	if err := g.who.Unlock(t.Context(), access.Installation(vault.RoleAuthority), id); err != nil {
		t.Fatal(err)
	}
	if v, err := c.Send(t.Context(), &again); err != nil || v[0].Outcome != domain.Accepted || v[1].Outcome != domain.Accepted {
		t.Fatalf("unlocked: %+v, %v", v, err)
	}
	for i, want := range []QuarantineRetried{{Duplicate: 2}, {Accepted: 2}} {
		if r, err := g.quarantine.Retry(natstest.Context(t), items[i].ID, 0); err != nil || r.Duplicate != want.Duplicate || r.Accepted != want.Accepted || r.Rows != 0 {
			t.Errorf("tried again: %+v, %v", r, err)
		}
	}
	if left := lying(BundleLocked); len(left) > 0 {
		t.Errorf("there stays %+v", left)
	}
	if n := told(publish(c, code, tries(5000, 400, code))); n != 400 {
		t.Errorf("the count does not begin anew: %d", n)
	}
}

// TestDecidedBeforeTheLock: a bundle that locked its centre and comes again, as after a
// crash before the server was told, is answered locked and changes nothing: its verdicts
// are kept, and what was refused of it lies in quarantine once.
func TestDecidedBeforeTheLock(t *testing.T) {
	t.Parallel()
	const code = "208001"
	g := openGuarded(t, t.TempDir())
	t.Cleanup(func() { g.shut() })
	public, seed := newNKey(t)
	if err := g.who.AddCentre(t.Context(), access.Installation(vault.RoleOperator), access.Centre{District: 208, Code: code, NKey: public}); err != nil {
		t.Fatal(err)
	}
	c := g.dial(t, code, seed)
	var lines []byte
	for _, s := range tries(1000, 500, code) {
		lines = append(formats.AppendSubmission(lines, s), '\n')
	}
	b, err := Seal(g.ledger.Vault().IntakePublicKey(), 208, code, doseAt(1, "").ID, lines)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Send(t.Context(), &b); err != nil || told(v) != 500 {
		t.Fatalf("%d are unknown, %v", told(v), err)
	}
	inbox := c.inbox(&b)
	answers, err := c.conn.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.publish(natstest.Context(t), &b, inbox); err != nil {
		t.Fatal(err)
	}
	answer, err := answers.NextMsgWithContext(natstest.Context(t))
	if err != nil || answer.Header.Get(HeaderCode) != string(BundleLocked) {
		t.Fatalf("again it is answered %+v, %v", answer, err)
	}
	eventually(t, "its verdicts are kept", func() bool {
		v, err := c.Verdicts(t.Context(), b)
		return err == nil && told(v) == 500
	})
	if items := list(t, g.quarantine, QuarantineQuery{}); len(items) != 1 || items[0].Code != CodeRejected || items[0].Kept != 500 {
		t.Errorf("in quarantine lies %+v", items)
	}
}
