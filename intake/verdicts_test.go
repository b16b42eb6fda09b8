package intake

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bahi/domain"
	"bahi/formats"
	"bahi/internal/natstest"
	"bahi/vault"
)

// TestVerdictsAfterTheAskerDied: a centre's process ends after it sent a bundle;
// another one, with what it kept, learns what became of it.
func TestVerdictsAfterTheAskerDied(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	d := h.open(t, m.submit)
	quick := ClientOptions{Attempts: 1, Verdicts: 50 * time.Millisecond}
	first := h.centre(t, quick)
	key, err := first.IntakeKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, err := Seal(key, 208, "208001", domain.UUID{9}, formats.AppendSubmission(nil, doseAt(1, "208001")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Verdicts(t.Context(), b); !errors.Is(err, ErrUnknownBundle) {
		t.Errorf("before it is sent: %v", err)
	}
	if _, err := first.Send(t.Context(), &b); !errors.Is(err, ErrNoVerdicts) || !b.Sent {
		t.Errorf("sent: %v", err)
	}
	kept := b.Replies.Bytes()
	first.Close()

	second := h.centre(t, ClientOptions{})
	again := SealedBundle{ID: b.ID, District: 208, Centre: "208001", Sealed: b.Sealed, Sent: true}
	if again.Replies, err = vault.ParseReplyOpener(kept); err != nil {
		t.Fatal(err)
	}
	if _, err := second.Verdicts(t.Context(), again); !errors.Is(err, ErrWaiting) {
		t.Errorf("while it waits: %v", err)
	}
	d.serving(t)
	verdicts, err := second.Send(t.Context(), &again)
	if err != nil || len(verdicts) != 1 || verdicts[0].Outcome != domain.Accepted {
		t.Errorf("taken in: %v, %v", verdicts, err)
	}
	if verdicts, err = second.Verdicts(t.Context(), again); err != nil || verdicts[0].Outcome != domain.Accepted {
		t.Errorf("asked again: %v, %v", verdicts, err)
	}
	if info, err := d.intake.Info(natstest.Context(t)); err != nil || info.State.LastSeq != 1 {
		t.Errorf("it was sent %d times", info.State.LastSeq)
	}

	// Nobody else opens them, and no other centre gets them.
	other, err := Seal(key, 208, "208001", b.ID, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Verdicts(t.Context(), other); !errors.Is(err, ErrUnknownBundle) {
		t.Errorf("with another key: %v", err)
	}
	neighbour := h.centreOf(t, sender{208, "208002"}, ClientOptions{})
	again.Centre = "208002"
	if _, err := neighbour.Verdicts(t.Context(), again); !errors.Is(err, ErrUnknownBundle) {
		t.Errorf("another centre: %v", err)
	}
	again.Centre, neighbour.options.Receipt = "208001", 200*time.Millisecond
	if _, err := neighbour.Verdicts(t.Context(), again); !errors.Is(err, context.DeadlineExceeded) && err == nil {
		t.Errorf("another centre, on the first one's subject: %v", err)
	}
	if found := filesWith(t, h.dir, []byte(ref), []byte(`"verdict"`)); len(found) > 0 {
		t.Errorf("in the clear in %v", found)
	}
}

// TestPublishedAgain: under the same name a bundle is asked for before it is sent a
// second time, and a code that is kept of it does not take the place of verdicts.
func TestPublishedAgain(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	var away atomic.Bool
	d := h.open(t, func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
		if away.Load() {
			return nil, errors.New("the disk is full")
		}
		return m.submit(ctx, s)
	})
	away.Store(true)
	d.serving(t)
	c := h.centre(t, ClientOptions{Attempts: 2, Verdicts: 100 * time.Millisecond})
	lines := formats.AppendSubmission(nil, doseAt(1, "208001"))
	publish := func() ([]domain.Verdict, error) {
		return c.PublishBundle(t.Context(), 208, "208001", domain.UUID{9}, lines)
	}
	for range 3 {
		if _, err := publish(); !errors.Is(err, ErrNoVerdicts) {
			t.Errorf("while the ledger is away: %v", err)
		}
	}
	away.Store(false)
	c.options.Verdicts = natstest.Patience
	eventually(t, "it is answered", func() bool {
		v, err := publish()
		return err == nil && v[0].Outcome == domain.Accepted
	})
	if info, err := d.intake.Info(natstest.Context(t)); err != nil || info.State.LastSeq != 1 {
		t.Errorf("it was sent %d times", info.State.LastSeq)
	}
	// Now the client knows nothing of it any more; it is decided again, to the same.
	if v, err := publish(); err != nil || v[0].Outcome != domain.Duplicate {
		t.Errorf("%v, %v", v, err)
	}

	// A bundle that cannot be taken in leaves its code, until it is sent anew.
	other, err := vault.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	wrong, err := Seal(other.IntakePublicKey(), 208, "208001", domain.UUID{8}, lines)
	if err != nil {
		t.Fatal(err)
	}
	var refused *BundleError
	for range 2 { // told, and then asked
		if _, err := c.Send(t.Context(), &wrong); !errors.As(err, &refused) || refused.Code != BundleOtherKey {
			t.Errorf("sealed to another key: %v", err)
		}
	}
	right, err := Seal(h.keys.IntakePublicKey(), 208, "208001", domain.UUID{8}, lines)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := c.Send(t.Context(), &right); err != nil || v[0].Outcome != domain.Duplicate {
		t.Errorf("sealed anew: %v, %v", v, err)
	}
	wrong.Sent = false
	if _, err := c.Send(t.Context(), &wrong); !errors.As(err, &refused) {
		t.Errorf("sealed to another key: %v", err)
	}
	if v, err := c.Verdicts(t.Context(), right); err != nil || v[0].Outcome != domain.Duplicate {
		t.Errorf("a code took the place of verdicts: %v, %v", v, err)
	}
}

// TestUnansweredIsBounded: a client that never gets an answer keeps a few bundles.
func TestUnansweredIsBounded(t *testing.T) {
	t.Parallel()
	c := &Client{}
	for n := range 3 * maxUnanswered {
		c.keep(SealedBundle{ID: domain.UUID{byte(n + 1)}, District: 208, Centre: "208001"}, [32]byte{})
	}
	if len(c.unanswered) != maxUnanswered {
		t.Errorf("%d are kept", len(c.unanswered))
	}
	if _, ok := c.take(208, "208001", domain.UUID{1}, [32]byte{}); ok {
		t.Error("the oldest is kept")
	}
	last := domain.UUID{byte(3 * maxUnanswered)}
	if _, ok := c.take(208, "208001", last, [32]byte{1}); ok {
		t.Error("other lines under the same name are taken for the same bundle")
	}
	if _, ok := c.take(208, "208001", last, [32]byte{}); !ok {
		t.Error("the newest is not kept")
	}
}

// TestBacklog: what waits is counted by centre, and told in the log when it waits for
// long.
func TestBacklog(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	goOn := make(chan struct{})
	d := h.open(t, func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
		select {
		case <-goOn:
			return m.submit(ctx, s)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	waiting := func() Backlog {
		b, err := Waiting(natstest.Context(t), d.config.Conn)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	begun := time.Now().Add(-time.Second)
	if b := waiting(); b.Bundles != 0 || len(b.Centres) != 0 || !b.Oldest.IsZero() {
		t.Errorf("nothing waits: %+v", b)
	}
	c := h.anyCentre(t, ClientOptions{})
	for n := range mostCentres + 5 {
		subject := fmt.Sprintf("intake.208.c-%d", n)
		publishSealed(t, c.js, h.keys, subject, formats.AppendSubmission(nil, doseAt(n, fmt.Sprintf("c-%d", n))))
	}
	publishSealed(t, c.js, h.keys, "intake.208.c-7", formats.AppendSubmission(nil, doseAt(200, "c-7")))
	b := waiting()
	if b.Bundles != mostCentres+6 || len(b.Centres) != mostCentres || b.Others != 5 || b.Centres[0] != (CentreWaits{208, "c-7", 2}) || b.Oldest.Before(begun) {
		t.Errorf("%d of %d centres and %d others wait, first %+v", b.Bundles, len(b.Centres), b.Others, b.Centres[0])
	}
	d.pace.stuck = 0
	d.serving(t)
	eventually(t, "the log says so", func() bool {
		return strings.Contains(h.log.String(), "bundles wait for long") && strings.Contains(h.log.String(), "most=intake.208.c-7")
	})
	close(goOn)
	eventually(t, "the log says that it is over", func() bool { return strings.Contains(h.log.String(), "do not wait for long any more") })
}
