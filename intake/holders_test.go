package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/formats"
	"bahi/ledger"
	"bahi/vault"
)

func openServed(t *testing.T, dir string) *ledger.Ledger {
	t.Helper()
	l, err := ledger.Open(t.Context(), ledger.Config{
		Data: filepath.Join(dir, "data"), Keys: filepath.Join(dir, "keys"), Sandbox: true,
		Holders: func(s *eventstore.Store, k *vault.Vault) []ledger.Holder { return Holders(s.Connect, k) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return l
}

// openTestDoor opens the door of a ledger and does not serve yet.
func openTestDoor(t *testing.T, l *ledger.Ledger) *Door {
	t.Helper()
	conn, err := l.Store().Connect("intake")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	d, err := OpenDoor(t.Context(), conn, l.Vault(), func(ctx context.Context, s []domain.Submission) ([]domain.Verdict, error) {
		return l.Submit(ctx, ledger.Caller{Name: "centre"}, s)
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	d.pace = brisk
	return d
}

// serving serves until stop is called.
func (d *Door) serving(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// published is a bundle as a centre published it.
type published struct {
	subject string
	sealed  []byte
}

// publishSealed seals a bundle to the present key and publishes it.
func publishSealed(t *testing.T, js jetstream.JetStream, keys *vault.Vault, subject string, plain []byte) published {
	t.Helper()
	sealed, _, err := vault.SealBundle(keys.IntakePublicKey(), plain, []byte(subject))
	if err != nil {
		t.Fatal(err)
	}
	msg := nats.NewMsg(subject)
	msg.Data = sealed
	if _, err := js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
	return published{subject, sealed}
}

// poisonOf is a bundle with a person's data in it that cannot be taken in: it is
// too long.
func poisonOf(r domain.Registration) []byte {
	return append(formats.AppendSubmission(nil, r), strings.Repeat("\nx", BundleSize+1)...)
}

func messages(t *testing.T, js jetstream.JetStream, stream string) (all []*jetstream.RawStreamMsg) {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	for next := uint64(1); ; {
		m, err := s.GetMsg(t.Context(), next, jetstream.WithGetMsgSubject(">"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all, next = append(all, m), m.Sequence+1
	}
}

func personIn(n int, district domain.District) domain.Registration {
	r := canaries
	r.Heading = doseAt(100+n, "").Heading
	r.District = district
	r.Person = domain.MakeReference(fmt.Sprintf("73519468205%02d", n))
	r.Mobile = fmt.Sprintf("91827364%02d", n)
	r.PhotoID.Number = fmt.Sprintf("9182736450%02d", n)
	return r
}

func freezeOf(district domain.District) domain.Freeze {
	h := doseAt(900, "").Heading
	h.At = h.At.Add(48 * time.Hour)
	return domain.Freeze{Heading: h, District: district, Mode: domain.Erase, Order: "DL/2021/117", By: "authority"}
}

// TestFreezeEndsWhatCentresPublished freezes one of two districts while bundles of
// both wait and lie in quarantine.
func TestFreezeEndsWhatCentresPublished(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openServed(t, dir)
	door := openTestDoor(t, l)
	js, keys := door.js, l.Vault()

	// Taken in, and put into quarantine.
	stop := door.serving(t)
	frozen, neighbour := personIn(1, 208), personIn(2, 212)
	before := []published{
		publishSealed(t, js, keys, "intake.208.208001", formats.AppendSubmission(nil, frozen)),
		publishSealed(t, js, keys, "intake.212.212001", formats.AppendSubmission(nil, neighbour)),
		publishSealed(t, js, keys, "intake.208.208001", poisonOf(personIn(3, 208))),
		publishSealed(t, js, keys, "intake.212.212001", poisonOf(personIn(4, 212))),
	}
	eventually(t, "both are in quarantine", func() bool { return len(messages(t, js, streamQuarantine)) == 2 })
	eventually(t, "nothing waits", func() bool { return len(messages(t, js, streamIntake)) == 0 })
	stop()

	// Waiting.
	dose := doseAt(5, "208001")
	dose.Person = frozen.Person
	late := personIn(6, 208)
	before = append(before,
		publishSealed(t, js, keys, "intake.208.208001", formats.AppendSubmission(nil, dose)),
		publishSealed(t, js, keys, "intake.208.208002", formats.AppendSubmission(nil, late)),
		publishSealed(t, js, keys, "intake.208.208002", poisonOf(personIn(7, 208))),
		publishSealed(t, js, keys, "intake.212.212001", formats.AppendSubmission(nil, personIn(8, 212))),
	)

	type outcome struct {
		receipt ledger.FreezeReceipt
		err     error
	}
	done := make(chan outcome, 1)
	go func() {
		r, err := l.Freeze(context.WithoutCancel(t.Context()), freezeOf(208))
		done <- outcome{r, err}
	}()
	eventually(t, "the key rotates", func() bool { return keys.RetiredIntakeKeys() == 1 })
	select {
	case o := <-done:
		t.Fatalf("a freeze is complete while bundles wait: %+v, %v", o.receipt, o.err)
	case <-time.After(2 * patience): // the first call of the holder is over
	}
	if keys.RetiredIntakeKeys() != 1 {
		t.Error("the key of bundles that wait is destroyed, or it rotated twice")
	}
	after := publishSealed(t, js, keys, "intake.208.208001", poisonOf(personIn(9, 208)))
	door = openTestDoor(t, l)
	stop = door.serving(t)
	o := <-done
	if o.err != nil {
		t.Fatal(o.err)
	}
	stop()

	rows := map[string]int64{}
	for _, by := range o.receipt.Purged {
		if by.Rows != nil {
			rows[by.Holder] = *by.Rows
		}
	}
	names := len(o.receipt.Purged)
	if names != 5 || o.receipt.Purged[3].Holder != HolderIntake || o.receipt.Purged[4].Holder != HolderQuarantine {
		t.Errorf("the receipt lists %+v", o.receipt.Purged)
	}
	if rows[HolderIntake] != 3 || rows[HolderQuarantine] < 2 || rows[HolderQuarantine] > 3 {
		t.Errorf("acknowledged: %v; want 3 that waited, and 2 or 3 in quarantine", rows)
	}
	if o.receipt.Receipt == "" {
		t.Error("there is no signed receipt")
	}

	// Nothing that was published before opens, whatever is left of it in files.
	look := func(when string, keys *vault.Vault) {
		t.Helper()
		for i, p := range before {
			if _, _, err := keys.OpenBundle(p.sealed, []byte(p.subject)); !errors.Is(err, vault.ErrOtherKey) {
				t.Errorf("%s: bundle %d: %v", when, i, err)
			}
		}
		if _, _, err := keys.OpenBundle(after.sealed, []byte(after.subject)); err != nil {
			t.Errorf("%s: a bundle from after the order: %v", when, err)
		}
	}
	look("frozen", keys)

	// The other district's quarantine stays readable.
	var kept int
	for _, m := range messages(t, js, streamQuarantine) {
		if m.Subject != "quarantine.212.212001" {
			if !bytes.Equal(m.Data, after.sealed) {
				t.Errorf("%s is still in quarantine", m.Subject)
			}
			continue
		}
		kept++
		plain, _, err := keys.OpenBundle(m.Data, []byte("intake.212.212001"))
		if err != nil || !bytes.Equal(plain, poisonOf(personIn(4, 212))) {
			t.Errorf("the neighbour's bundle: %d bytes, %v", len(plain), err)
		}
		if m.Header.Get(HeaderCode) != string(BundleTooMany) || m.Header.Get(headerSince) == "" {
			t.Errorf("the neighbour's bundle has headers %v", m.Header)
		}
	}
	if kept != 1 {
		t.Errorf("%d bundles of the neighbour's are in quarantine", kept)
	}

	// What waited was taken in, once.
	for _, s := range []domain.Submission{dose, late, personIn(8, 212)} {
		verdicts, err := l.Submit(t.Context(), ledger.Caller{Name: "centre"}, []domain.Submission{s})
		if err != nil || verdicts[0].Outcome != domain.Duplicate {
			t.Errorf("what waited is not in the ledger: %+v, %v", verdicts, err)
		}
	}
	if _, err := l.Person(t.Context(), frozen.Person, ledger.Reader{Officer: "dio-208", Purpose: "verification"}); !errors.Is(err, ledger.ErrFrozen) {
		t.Errorf("the frozen person: %v", err)
	}
	if p, err := l.Person(t.Context(), late.Person, ledger.Reader{Officer: "dio-208", Purpose: "verification"}); err != nil || p.Name != late.Name {
		t.Errorf("who was registered after the order: %v", err)
	}
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	again, err := vault.Open(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	look("started again", again)
}

// TestEndingIsResumed cuts the door's part off after each of its steps. Whoever
// begins anew ends it, and the other district's quarantine survives.
func TestEndingIsResumed(t *testing.T) {
	t.Parallel()
	type cut func(t *testing.T, e *ending, s streams, order domain.FreezeOrdered)
	rotated := func(t *testing.T, e *ending, s streams, _ domain.FreezeOrdered) {
		t.Helper()
		if err := e.rotate(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	purged := func(t *testing.T, e *ending, s streams, order domain.FreezeOrdered) {
		rotated(t, e, s, order)
		if err := s.quarantine.Purge(t.Context(), jetstream.WithPurgeSubject("quarantine.208.*")); err != nil {
			t.Fatal(err)
		}
	}
	steps := []struct {
		name string
		cut  cut
	}{
		{"before the first", func(*testing.T, *ending, streams, domain.FreezeOrdered) {}},
		{"rotated", rotated},
		{"rotated as often as can be", func(t *testing.T, e *ending, s streams, order domain.FreezeOrdered) {
			for e.keys.RetiredIntakeKeys() < 7 {
				rotated(t, e, s, order)
			}
		}},
		{"quarantine purged", purged},
		{"copied, the originals not removed", func(t *testing.T, e *ending, s streams, order domain.FreezeOrdered) {
			purged(t, e, s, order)
			s.quarantine = forgetful{s.quarantine}
			if err := e.reseal(t.Context(), s); err == nil {
				t.Fatal("the cut did not happen")
			}
		}},
		{"sealed again", func(t *testing.T, e *ending, s streams, order domain.FreezeOrdered) {
			purged(t, e, s, order)
			if err := e.reseal(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}},
		{"all but acknowledged", func(t *testing.T, e *ending, s streams, order domain.FreezeOrdered) {
			rotated(t, e, s, order)
			if _, err := e.endQuarantine(t.Context(), s, order); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			h, m := openHouse(t), &memory{}
			h.serve(t, m.submit)
			js := h.inside(t)
			before := []published{
				publishSealed(t, js, h.keys, "intake.208.208001", poisonOf(personIn(1, 208))),
				publishSealed(t, js, h.keys, "intake.212.212001", poisonOf(personIn(2, 212))),
			}
			eventually(t, "both are in quarantine", func() bool { return h.stored(t, streamQuarantine) == 2 })
			eventually(t, "nothing waits", func() bool { return h.stored(t, streamIntake) == 0 })
			order := domain.FreezeOrdered{Freeze: domain.UUID{7}, District: 208}
			s := streams{js: js}
			var err error
			if s.intake, err = streamOf(t.Context(), js, streamIntake); err != nil {
				t.Fatal(err)
			}
			if s.quarantine, err = streamOf(t.Context(), js, streamQuarantine); err != nil {
				t.Fatal(err)
			}
			step.cut(t, &ending{connect: h.store.Connect, keys: h.keys, waited: map[domain.UUID]int64{}}, s, order)

			for _, holder := range Holders(h.store.Connect, h.keys) {
				if _, err := holder.Purge(t.Context(), order); err != nil {
					t.Fatalf("%s: %v", holder.Name, err)
				}
			}
			if n := h.keys.RetiredIntakeKeys(); n != 0 {
				t.Errorf("%d retired keys are left", n)
			}
			for _, p := range before {
				if _, _, err := h.keys.OpenBundle(p.sealed, []byte(p.subject)); !errors.Is(err, vault.ErrOtherKey) {
					t.Errorf("%s: %v", p.subject, err)
				}
			}
			left := messages(t, js, streamQuarantine)
			if len(left) != 1 {
				t.Fatalf("%d bundles are in quarantine", len(left))
			}
			plain, _, err := h.keys.OpenBundle(left[0].Data, []byte("intake.212.212001"))
			if err != nil || !bytes.Equal(plain, poisonOf(personIn(2, 212))) {
				t.Errorf("the neighbour's bundle: %d bytes, %v", len(plain), err)
			}
		})
	}
}

// forgetful is a stream whose messages are not removed: the process is gone.
type forgetful struct{ jetstream.Stream }

func (forgetful) Purge(context.Context, ...jetstream.StreamPurgeOpt) error {
	return errors.New("the process is gone")
}

// TestEndingWithoutADoor: where no bundle ever came there is nothing to end, and
// the key that centres know stays.
func TestEndingWithoutADoor(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	key := h.keys.IntakePublicKey()
	for _, doors := range []string{"none", "unused"} {
		if doors == "unused" {
			if err := openStreams(t.Context(), h.inside(t), 1); err != nil {
				t.Fatal(err)
			}
		}
		for _, holder := range Holders(h.store.Connect, h.keys) {
			if rows, err := holder.Purge(t.Context(), domain.FreezeOrdered{District: 208}); rows != 0 || err != nil {
				t.Errorf("%s, door %s: %d, %v", holder.Name, doors, rows, err)
			}
		}
	}
	if !bytes.Equal(h.keys.IntakePublicKey(), key) {
		t.Error("the key changed for nothing")
	}
}

// TestQuarantineDoesNotOutliveItsAge: what is sealed again keeps its age.
func TestQuarantineDoesNotOutliveItsAge(t *testing.T) {
	t.Parallel()
	h := openHouse(t)
	js := h.inside(t)
	if err := openStreams(t.Context(), js, 1); err != nil {
		t.Fatal(err)
	}
	for centre, age := range map[string]time.Duration{"young": time.Hour, "old": maxQuarantineAge + time.Hour} {
		sealed, _, err := vault.SealBundle(h.keys.IntakePublicKey(), []byte("{}"), []byte("intake.212."+centre))
		if err != nil {
			t.Fatal(err)
		}
		msg := nats.NewMsg("quarantine.212." + centre)
		msg.Data = sealed
		msg.Header.Set(headerSince, time.Now().Add(-age).UTC().Format(time.RFC3339))
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	for _, holder := range Holders(h.store.Connect, h.keys) {
		if _, err := holder.Purge(t.Context(), domain.FreezeOrdered{District: 208}); err != nil {
			t.Fatal(err)
		}
	}
	var left []string
	for _, m := range messages(t, js, streamQuarantine) {
		left = append(left, m.Subject)
	}
	if !slices.Equal(left, []string{"quarantine.212.young"}) {
		t.Errorf("in quarantine: %v", left)
	}
}
