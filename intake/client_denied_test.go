package intake

import (
	"context"
	"errors"
	"strings"
	"testing"

	"bahi/domain"
	"bahi/formats"
	"bahi/internal/natstest"
)

// TestDenied: who signs in with another centre's nkey is told so at once, and not that
// the server is slow. What the same client sends as the right centre meanwhile goes on.
func TestDenied(t *testing.T) {
	t.Parallel()
	h, m := openHouse(t), &memory{}
	h.serve(t, m.submit)
	one := []domain.Submission{doseAt(1, "208001")}
	for name, key := range map[string][]byte{"the key asked for": nil, "the key pinned": h.keys.IntakePublicKey()} {
		t.Run(name, func(t *testing.T) {
			options := ClientOptions{IntakeKey: key, Receipt: natstest.Patience, Verdicts: natstest.Patience}
			right := h.centre(t, options)
			options.Seed, options.InboxPrefix = right.options.Seed, InboxPrefix(208, "208002")
			wrong, err := Dial("nats://"+h.store.Address(), options)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(wrong.Close)
			for range 2 { // a second time, too
				_, err = wrong.Publish(natstest.Context(t), 208, "208002", one)
				var denied *DeniedError
				if !errors.As(err, &denied) || denied.District != 208 || denied.Centre != "208002" || !strings.Contains(denied.Subject, "208.208002") {
					t.Errorf("as another centre: %v", err)
				}
			}
			if key != nil {
				sealed, err := Seal(key, 208, "208002", domain.UUID{7}, append(formats.AppendSubmission(nil, one[0]), '\n'))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := right.Verdicts(natstest.Context(t), sealed); !errors.As(err, new(*DeniedError)) {
					t.Errorf("asking for another centre's verdicts: %v", err)
				}
			}
			if v, err := right.Publish(natstest.Context(t), 208, "208001", one); err != nil || len(v) != 1 {
				t.Errorf("as itself: %v", err)
			}
			if len(wrong.calls)+len(right.calls) != 0 {
				t.Error("calls that ended are remembered")
			}
		})
	}
}

// TestDeniedKey: who may not ask for the key is told that there is none.
func TestDeniedKey(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	right := h.centre(t, ClientOptions{Receipt: natstest.Patience})
	wrong, err := Dial("nats://"+h.store.Address(), ClientOptions{Seed: right.options.Seed, Receipt: natstest.Patience}) // without its inbox prefix
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wrong.Close)
	var denied *DeniedError
	if _, err := wrong.IntakeKey(context.Background()); !errors.Is(err, ErrNoKey) || !errors.As(err, &denied) || denied.Subject != "_INBOX" {
		t.Errorf("%v", err)
	}
}
