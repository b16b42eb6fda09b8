package intake

import (
	"path/filepath"
	"testing"
	"time"

	"bahi/domain"
	"bahi/internal/natstest"
	"bahi/vault"
)

// TestShares: a centre that floods the quarantine and the verdicts pushes out its own
// and nothing of others, be it of a centre with the same code in another district.
func TestShares(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	d := h.open(t, m.submit)
	q := d.quarantine
	flooder, others := sender{208, "PHC-7"}, []sender{{212, "PHC-7"}, {208, "PHC-8"}}
	stranger, err := vault.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stranger.Close() })
	poison := func(from sender, n, size int) {
		t.Helper()
		sealed, _, err := vault.SealBundle(stranger.IntakePublicKey(), make([]byte, size), []byte(from.subject()))
		if err != nil {
			t.Fatal(err)
		}
		a := arrival{from: from, bundle: domain.UUID{1, byte(n >> 8), byte(n)}, named: true, since: time.Now()}
		if err := q.filePoison(natstest.Context(t), a, BundleOtherKey, sealed); err != nil {
			t.Fatal(err)
		}
		if err := d.keepVerdicts(natstest.Context(t), a, make([]byte, 1<<20-1000), ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range others {
		poison(from, 0, 100)
	}
	const flood = 3*quarantineSealedPerCentre + 1 + lookEvery*2
	for n := range flood {
		poison(flooder, n, 100)
	}
	of := func(from sender) (kept []Quarantined) {
		for _, is := range list(t, q, QuarantineQuery{Centre: from.Centre, Limit: maxItemsPage}) {
			if is.From == from.District {
				kept = append(kept, is)
			}
		}
		return kept
	}
	newest := domain.UUID{1, 0, flood - 1}
	if kept := of(flooder); len(kept) != quarantineSealedPerCentre || kept[len(kept)-1].Bundle != newest.String() {
		t.Errorf("of the flood %d are kept, want the newest %d", len(kept), quarantineSealedPerCentre)
	}
	if n, err := countOn(natstest.Context(t), d.config.Conn, d.verdicts, "verdict."+flooder.tokens()+".*"); err != nil || n != 64 {
		t.Errorf("of the flood %d verdicts are kept, %v", n, err)
	}
	for _, from := range others {
		n, err := countOn(natstest.Context(t), d.config.Conn, d.verdicts, "verdict."+from.tokens()+".*")
		if kept := of(from); len(kept) != 1 || err != nil || n != 1 {
			t.Errorf("of %v %d items and %d verdicts are kept, %v", from, len(kept), n, err)
		}
	}

	// Of a great bundle that does not open there is the code and nothing more.
	poison(sender{208, "great"}, 0, quarantineSealedBytes)
	s, err := q.find(natstest.Context(t), of(sender{208, "great"})[0].ID)
	if err != nil || len(s.content) > 0 || s.Code != BundleOtherKey {
		t.Errorf("%+v, %v", s.Quarantined, err)
	}
}

// TestWaitingIsShared: a centre of which as many bundles wait as may is refused, and
// no other centre is; all that it may have waiting is an eighth of the room.
func TestWaitingIsShared(t *testing.T) {
	t.Parallel()
	if maxBundlesPerCentre*maxMessage > maxIntakeBytes/8 {
		t.Error("one centre can take more than an eighth of what all have")
	}
	h, m := openHouse(t), &memory{}
	h.open(t, m.submit)
	c := h.anyCentre(t, ClientOptions{})
	for range maxBundlesPerCentre {
		c.put(t, "intake.208.208001", "", []byte("x"))
	}
	if _, err := c.js.Publish(natstest.Context(t), "intake.208.208001", []byte("x")); err == nil {
		t.Error("one more is received")
	}
	c.put(t, "intake.208.208002", "", []byte("x"))
}
