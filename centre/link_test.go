package centre

import (
	"log/slog"
	"strings"
	"testing"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/intake"
)

// TestRegisteredLater: a centre that the ledger does not know is refused, goes on
// trying, and is let in once it is registered.
func TestRegisteredLater(t *testing.T) {
	t.Parallel()
	ledger := openUpstream(t)
	if err := ledger.l.Store().SetCentres(nil); err != nil {
		t.Fatal(err)
	}
	c := config(t)
	c.Server, c.NATS = "nats://"+ledger.address(), ledger.signIn()
	working := run(t, c)
	id := keep(t, working.Centre, registration(1))
	eventually(t, patience, "it is refused", func() bool {
		s, err := working.Status(t.Context())
		return err == nil && !s.Running.Link.Up && strings.Contains(s.Running.Link.Fault, "Authorization Violation")
	})
	if err := ledger.l.Store().SetCentres([]eventstore.CentreUser{{District: 208, Centre: "208001", NKey: public(t, ledger.seed)}}); err != nil {
		t.Fatal(err)
	}
	if got := working.verdict(id); len(got) != 1 || got[0] != "accepted" {
		t.Errorf("verdicts %v", got)
	}
}

// TestAnotherCentresNKey: a centre that signs in with another's says so in its status
// before there is anything to send, once in its log, and goes on when it is mended.
func TestAnotherCentresNKey(t *testing.T) {
	t.Parallel()
	ledger, log := openUpstream(t), &syncBuffer{}
	c := config(t)
	c.Centre, c.Server, c.NATS = "208002", "nats://"+ledger.address(), ledger.signIn()
	c.Log = slog.New(slog.NewTextHandler(log, nil))
	working := run(t, c)
	const says = "this nkey is not that of centre 208002 of district 208, or the centre is not registered"
	state := func() Running {
		s, err := working.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return *s.Running
	}
	eventually(t, patience, "the status says why nothing goes on", func() bool {
		r := state()
		return r.Link.Up && strings.HasPrefix(r.Link.Fault, says)
	})
	id := keep(t, working.Centre, registration(1))
	eventually(t, patience, "it waits to be mended", func() bool {
		r := state()
		return r.Holding == intake.CodeNotPermitted && r.Failures > 2
	})
	if said, cuts := strings.Count(log.String(), says), state().Link.Cuts; said < 1 || said > 1+int(cuts) {
		t.Errorf("it is said %d times, and the link was cut %d times:\n%s", said, cuts, log)
	}
	if err := ledger.l.Store().SetCentres([]eventstore.CentreUser{{District: 208, Centre: "208002", NKey: public(t, ledger.seed)}}); err != nil {
		t.Fatal(err)
	}
	if got := working.verdict(id); len(got) != 1 || got[0] != "accepted" {
		t.Errorf("verdicts %v", got)
	}
	eventually(t, patience, "nothing is wrong any more", func() bool {
		r := state()
		return r.Link.Up && r.Link.Fault == "" && r.Holding == ""
	})
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"nats://10.0.0.7:4222":                  "nats://10.0.0.7:4222",
		"nats://me:secret@a:1, tls://token@b:2": "nats://a:1,tls://b:2",
		"nats://me:sec%ret@a:1":                 "(an address that cannot be read)",
	} {
		if got := redacted(address); got != want {
			t.Errorf("%s is shown as %s", address, got)
		}
	}
}

// TestRegisteredOffline: the number that the ledger issues is not known yet, so a
// dose names its person by the registration.
func TestRegisteredOffline(t *testing.T) {
	t.Parallel()
	ledger := openUpstream(t)
	c := config(t)
	c.Server, c.NATS = "nats://"+ledger.address(), ledger.signIn()
	centre := offline(t, c)
	person, first, second := registration(1), dose(1, 1), dose(1, 2)
	person.Person = ""
	first.Person, first.Registration = "", person.ID
	second.Person, second.Registration = "", person.ID
	ids := []domain.UUID{keep(t, centre, person), keep(t, centre, first, second)}
	centre.Close()
	working := run(t, c)
	for _, id := range ids {
		for _, word := range working.verdict(id) {
			if word != "accepted" {
				t.Errorf("a verdict is %s", word)
			}
		}
	}
	ledger.wantCounts(1, 1, 1)
}
