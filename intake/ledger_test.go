package intake

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"bahi/domain"
	"bahi/formats"
	"bahi/internal/natstest"
	"bahi/ledger"
	"bahi/vault"
)

// canaries are a person's data that must not be found anywhere.
var canaries = domain.Registration{
	Person: domain.MakeReference("7351946820517"), District: 208, Group: domain.HealthCareWorker,
	Name: "कैनरी Kanariya Kumari", BirthYear: 1961, Sex: domain.Female, Mobile: "9182736450",
	PhotoID: domain.PhotoID{Type: domain.Aadhaar, Number: "918273645012"},
}

func canaryBytes() [][]byte {
	return [][]byte{[]byte("कैनरी"), []byte("Kanariya"), []byte(canaries.Person), []byte(canaries.Mobile), []byte(canaries.PhotoID.Number)}
}

// filesWith returns the files below dir that hold any of what is looked for.
func filesWith(t *testing.T, dir string, wanted ...[]byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil // removed since it was listed
		}
		for _, w := range wanted {
			if bytes.Contains(b, w) {
				found = append(found, path)
			}
		}
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return found
}

// TestThroughTheDoorIntoALedger takes bundles into a real ledger and looks for
// personal data wherever they have been: waiting, in quarantine, taken in, and
// in the log.
func TestThroughTheDoorIntoALedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	l, err := ledger.Open(t.Context(), ledger.Config{Data: data, Keys: filepath.Join(dir, "keys"), Sandbox: true, ListenNATS: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	conn, err := l.Store().Connect("intake")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	log := &syncBuffer{}
	config, err := For(t.Context(), l, conn, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug - 4})))
	if err != nil {
		t.Fatal(err)
	}
	door, err := OpenDoor(natstest.Context(t), config)
	if err != nil {
		t.Fatal(err)
	}
	centres, err := l.Store().Connect("centres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(centres.Close)
	c, err := NewClient(centres, ClientOptions{IntakeKey: l.Vault().IntakePublicKey()})
	if err != nil {
		t.Fatal(err)
	}

	registration := canaries
	registration.Heading = doseAt(1, "").Heading
	dose := doseAt(2, "208001")
	dose.Person = canaries.Person
	wrong := registration
	wrong.ID, wrong.PhotoID.Number = doseAt(3, "").ID, "1"
	freeze := domain.Freeze{Heading: doseAt(4, "").Heading, District: 208, Mode: domain.Handover, Order: "DL/2021/117", By: "authority"}
	bundle := []domain.Submission{registration, dose, wrong, freeze}

	// Waiting, and for the quarantine: one sealed to a key that nobody has.
	other, err := vault.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	lost, _, err := vault.SealBundle(other.IntakePublicKey(), formats.AppendSubmission(nil, registration), []byte("intake.208.208009"))
	if err != nil {
		t.Fatal(err)
	}
	c.put(t, "intake.208.208009", "", lost)
	type answer struct {
		verdicts []domain.Verdict
		err      error
	}
	answered := make(chan answer, 1)
	go func() {
		verdicts, err := c.Publish(t.Context(), 208, "208001", bundle)
		answered <- answer{verdicts, err}
	}()
	waiting := func() uint64 {
		s, err := door.js.Stream(natstest.Context(t), streamIntake)
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().State.Msgs
	}
	eventually(t, "both bundles wait", func() bool { return waiting() == 2 })
	look := func(when string) {
		t.Helper()
		if found := filesWith(t, data, canaryBytes()...); len(found) > 0 {
			t.Errorf("%s: personal data in %v", when, found)
		}
	}
	look("waiting")
	if len(filesWith(t, data, []byte("208009"))) == 0 {
		t.Error("the search finds nothing, not even a subject")
	}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- door.Serve(ctx) }()
	a := <-answered
	if a.err != nil {
		t.Fatal(a.err)
	}
	var got []string
	for _, v := range a.verdicts {
		s := v.Outcome.String()
		if v.Reject != nil {
			s += " " + string(v.Reject.Code)
		}
		got = append(got, s)
	}
	if want := "[accepted accepted rejected bad_value rejected not_allowed]"; fmt.Sprint(got) != want {
		t.Errorf("verdicts %v, want %s", got, want)
	}
	if a.verdicts[0].Person != canaries.Person {
		t.Error("the verdict does not name the person")
	}
	again, err := c.Publish(t.Context(), 208, "208001", bundle[:2])
	if err != nil || again[0].Outcome != domain.Duplicate || again[1].Outcome != domain.Duplicate {
		t.Errorf("the same again: %+v, %v", again, err)
	}
	eventually(t, "nothing waits", func() bool { return waiting() == 0 })
	look("taken in")
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, canary := range canaryBytes() {
		if bytes.Contains([]byte(log.String()), canary) {
			t.Errorf("the log says %s", canary)
		}
	}
	if !bytes.Contains([]byte(log.String()), []byte(BundleOtherKey)) {
		t.Error("the log does not tell of the quarantine")
	}
}
