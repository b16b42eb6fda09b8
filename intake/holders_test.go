package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/formats"
	"bahi/internal/natstest"
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
	config, err := For(t.Context(), l, conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDoor(natstest.Context(t), config)
	if err != nil {
		t.Fatal(err)
	}
	d.pace = brisk
	return d
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
	if _, err := js.PublishMsg(natstest.Context(t), msg); err != nil {
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
	s, err := js.Stream(natstest.Context(t), stream)
	if err != nil {
		t.Fatal(err)
	}
	for next := uint64(1); ; {
		m, err := s.GetMsg(natstest.Context(t), next, jetstream.WithGetMsgSubject(">"))
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

// sealedIn collects what lies in quarantine, as who copies the stream would.
func sealedIn(t *testing.T, q *Quarantine) (all []stored) {
	t.Helper()
	page, err := q.List(natstest.Context(t), QuarantineQuery{})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range page.Items {
		s, err := q.find(natstest.Context(t), item.ID)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// opensUnder tells which of the copies open with the keys in a directory, by the
// district whose key that is.
func opensUnder(t *testing.T, dir string, copies []stored) map[domain.District]int {
	t.Helper()
	keys, err := vault.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer keys.Close()
	opened := map[domain.District]int{}
	for _, s := range copies {
		if _, err := keys.OpenQuarantine(s.District, s.ID, s.subject(), s.content); err == nil {
			opened[s.District]++
		}
	}
	return opened
}

// TestFreezeEndsWhatCentresPublished freezes one of two districts while bundles of
// both wait and lie in quarantine, one of them published from the other district.
func TestFreezeEndsWhatCentresPublished(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openServed(t, dir)
	door := openTestDoor(t, l)
	js, keys := door.js, l.Vault()

	// Taken in, and put into quarantine: a person of 208 is refused at a centre of 212.
	stop := door.serving(t)
	frozen, neighbour := personIn(1, 208), personIn(2, 212)
	refused := func(n int, of domain.Registration, centre sender) []byte {
		d := doseAt(n, centre.Centre)
		d.Person, d.District, d.Number = of.Person, centre.District, 2
		return formats.AppendSubmission(nil, d)
	}
	before := []published{
		publishSealed(t, js, keys, "intake.208.208001", formats.AppendSubmission(nil, frozen)),
		publishSealed(t, js, keys, "intake.212.212001", formats.AppendSubmission(nil, neighbour)),
		publishSealed(t, js, keys, "intake.208.208001", poisonOf(personIn(3, 208))),
		publishSealed(t, js, keys, "intake.212.212001", poisonOf(personIn(4, 212))),
	}
	eventually(t, "nothing waits", func() bool { return len(messages(t, js, streamIntake)) == 0 })
	before = append(before,
		publishSealed(t, js, keys, "intake.212.212001", refused(20, frozen, sender{212, "212001"})),
		publishSealed(t, js, keys, "intake.212.212001", refused(21, neighbour, sender{212, "212001"})),
	)
	eventually(t, "four are in quarantine", func() bool { return len(messages(t, js, streamQuarantine)) == 4 })
	eventually(t, "nothing waits", func() bool { return len(messages(t, js, streamIntake)) == 0 })
	stop()
	copies := sealedIn(t, door.quarantine)
	oldKeys, err := os.ReadFile(filepath.Join(dir, "keys", "quarantine.keys"))
	if err != nil {
		t.Fatal(err)
	}

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
	if n := len(o.receipt.Purged); n != 5 || o.receipt.Purged[3].Holder != HolderIntake || o.receipt.Purged[4].Holder != HolderQuarantine {
		t.Errorf("the receipt lists %+v", o.receipt.Purged)
	}
	// Of what waited one goes into quarantine; of what came after, one may.
	if rows[HolderIntake] != 3 || rows[HolderQuarantine] < 3 || rows[HolderQuarantine] > 4 {
		t.Errorf("acknowledged: %v; want 3 that waited, and 3 or 4 in quarantine", rows)
	}
	if o.receipt.Receipt == "" {
		t.Error("there is no signed receipt")
	}

	// No bundle from before opens, whatever is left of it in files.
	for i, p := range before {
		if _, _, err := keys.OpenBundle(p.sealed, []byte(p.subject)); !errors.Is(err, vault.ErrOtherKey) {
			t.Errorf("bundle %d: %v", i, err)
		}
	}
	if _, _, err := keys.OpenBundle(after.sealed, []byte(after.subject)); err != nil {
		t.Errorf("a bundle from after the order: %v", err)
	}

	// The other district's quarantine stays as it was.
	for _, s := range copies {
		is, err := door.quarantine.find(natstest.Context(t), s.ID)
		if gone := errors.Is(err, ledger.ErrNotFound); gone != (s.District == 208) || !gone && !bytes.Equal(is.content, s.content) {
			t.Errorf("%s: %v", s.subject(), err)
		}
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

	// What was copied of the quarantine opens with today's keys as far as it is the
	// neighbour's; and an old key file that is put back lasts until the next start.
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	keysDir := filepath.Join(dir, "keys")
	if opened := opensUnder(t, keysDir, copies); opened[208] != 0 || opened[212] != 2 || len(copies) != 4 {
		t.Errorf("of %d copies open: %v", len(copies), opened)
	}
	if err := os.WriteFile(filepath.Join(keysDir, "quarantine.keys"), oldKeys, 0o600); err != nil {
		t.Fatal(err)
	}
	if opened := opensUnder(t, keysDir, copies); opened[208] != 2 {
		t.Errorf("with the old key file open: %v", opened)
	}
	if err := openServed(t, dir).Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if opened := opensUnder(t, keysDir, copies); opened[208] != 0 || opened[212] != 2 {
		t.Errorf("after the next start open: %v", opened)
	}
}

// TestEndingIsResumed cuts the door's part off after each of its steps. Whoever
// begins anew ends it, and the other district's quarantine is left as it is.
func TestEndingIsResumed(t *testing.T) {
	t.Parallel()
	type cut func(t *testing.T, e *ending, s streams, order domain.FreezeOrdered)
	rotated := func(t *testing.T, e *ending, s streams, _ domain.FreezeOrdered) {
		t.Helper()
		if err := e.rotate(natstest.Context(t), s); err != nil {
			t.Fatal(err)
		}
	}
	ended := func(t *testing.T, e *ending, s streams, order domain.FreezeOrdered) {
		rotated(t, e, s, order)
		if _, err := e.endIntake(natstest.Context(t), s, order); err != nil {
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
		{"intake ended", ended},
		{"quarantine key destroyed", func(t *testing.T, e *ending, s streams, order domain.FreezeOrdered) {
			ended(t, e, s, order)
			s.quarantine = forgetful{s.quarantine}
			if _, err := e.endQuarantine(natstest.Context(t), s, order); err == nil {
				t.Fatal("the cut did not happen")
			}
		}},
		{"all but acknowledged", func(t *testing.T, e *ending, s streams, order domain.FreezeOrdered) {
			ended(t, e, s, order)
			if _, err := e.endQuarantine(natstest.Context(t), s, order); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			h, m := openHouse(t), &memory{}
			door := h.open(t, m.submit)
			door.serving(t)
			before := []published{
				publishSealed(t, door.js, h.keys, "intake.208.208001", poisonOf(personIn(1, 208))),
				publishSealed(t, door.js, h.keys, "intake.212.212001", poisonOf(personIn(2, 212))),
			}
			eventually(t, "both are in quarantine", func() bool { return h.stored(t, streamQuarantine) == 2 })
			eventually(t, "nothing waits", func() bool { return h.stored(t, streamIntake) == 0 })
			copies := sealedIn(t, door.quarantine)
			order := domain.FreezeOrdered{Freeze: domain.UUID{7}, District: 208}
			s := streams{conn: door.config.Conn}
			var err error
			if s.intake, err = streamOf(natstest.Context(t), door.js, streamIntake); err != nil {
				t.Fatal(err)
			}
			if s.quarantine, err = streamOf(natstest.Context(t), door.js, streamQuarantine); err != nil {
				t.Fatal(err)
			}
			step.cut(t, &ending{connect: h.store.Connect, keys: h.keys, waited: map[domain.UUID]int64{}}, s, order)

			for _, holder := range Holders(h.store.Connect, h.keys) {
				if _, err := holder.Purge(natstest.Context(t), order); err != nil {
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
			left := sealedIn(t, door.quarantine)
			if len(copies) != 2 || len(left) != 1 || left[0].District != 212 || left[0].Kept != 1 {
				t.Fatalf("%d were in quarantine, and left are %+v", len(copies), left)
			}
			if rows, _, err := door.quarantine.open(left[0]); err != nil || rows[0].submission.(domain.Registration).Mobile != personIn(2, 212).Mobile {
				t.Errorf("the neighbour's: %v, %v", rows, err)
			}
			for _, s := range copies {
				if _, _, err := door.quarantine.open(s); errors.Is(err, ledger.ErrFrozen) != (s.District == 208) {
					t.Errorf("the copy of %s: %v", s.subject(), err)
				}
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
			if err := openStreams(natstest.Context(t), h.inside(t), 1); err != nil {
				t.Fatal(err)
			}
		}
		for _, holder := range Holders(h.store.Connect, h.keys) {
			if rows, err := holder.Purge(natstest.Context(t), domain.FreezeOrdered{District: 208}); rows != 0 || err != nil {
				t.Errorf("%s, door %s: %d, %v", holder.Name, doors, rows, err)
			}
		}
	}
	if !bytes.Equal(h.keys.IntakePublicKey(), key) {
		t.Error("the key changed for nothing")
	}
}
