package centre

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"bahi/access"
	"bahi/domain"
	"bahi/intake"
	"bahi/internal/natstest"
	"bahi/vault"
)

// offline opens a centre that nobody lets work.
func offline(t *testing.T, c Config) *Centre {
	t.Helper()
	centre, err := open(t.Context(), c, brisk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { centre.Close() })
	return centre
}

func TestSpoolHoldsNothingInTheClear(t *testing.T) {
	t.Parallel()
	c := config(t)
	centre := offline(t, c)
	keep(t, centre, registration(1), dose(1, 1), registration(2))
	look := func(when string) {
		t.Helper()
		if found := filesWith(t, filepath.Dir(c.Dir), personal()...); len(found) > 0 {
			t.Errorf("%s: personal data in %v", when, found)
		}
	}
	look("waiting")
	centre.Close()
	look("closed")
	if len(filesWith(t, c.Dir, []byte("bundle."))) == 0 {
		t.Error("the search finds nothing, not even a subject")
	}
}

// TestForgottenOpensNowhere: once nothing waits, the key that sealed what did is
// overwritten.
func TestForgottenOpensNowhere(t *testing.T) {
	t.Parallel()
	ledger := openUpstream(t)
	c := config(t)
	c.Server, c.NATS = "nats://"+ledger.address(), ledger.signIn()
	centre := offline(t, c)
	id := keep(t, centre, registration(1))
	centre.Close()
	file := filepath.Join(c.Dir+"-keys", fileBundleKey)
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	working := run(t, c)
	if got := working.verdict(id); !slices.Equal(got, []string{"accepted"}) {
		t.Errorf("verdicts %v", got)
	}
	working.drained(patience)
	working.stop()
	after, err := os.ReadFile(file)
	if err != nil || len(after) != len(before) || bytes.Equal(after, before) {
		t.Errorf("the key file has %d bytes, the same as before: %t, %v", len(after), bytes.Equal(after, before), err)
	}
	if found := filesWith(t, filepath.Dir(c.Dir), before[len(keyLabel):]); len(found) > 0 {
		t.Errorf("the key is still in %v", found)
	}
}

func TestSpoolFull(t *testing.T) {
	t.Parallel()
	ledger := openUpstream(t)
	c := config(t)
	c.Server, c.NATS, c.MaxBytes = "nats://"+ledger.address(), ledger.signIn(), 32<<10
	centre := offline(t, c)
	kept := 0
	var full *FullError
	for n := 0; full == nil; n++ {
		err := centre.Keep(t.Context(), itemsOf([]domain.Submission{registration(n)}), func(Kept) error { kept++; return nil })
		if err != nil && !errors.As(err, &full) || n > 1000 {
			t.Fatal(err)
		}
	}
	if kept < 20 || full.Bundles != uint64(kept) || full.Limit != c.MaxBytes || full.Disk {
		t.Errorf("%d kept, then: %+v", kept, full)
	}
	centre.Close()
	// A file that is larger than the spool goes through it all the same.
	prepare(t, c, people(1000, 400))
	working := run(t, c)
	working.drained(patience)
	ledger.wantCounts(kept+400, 0, 0)
	if got := working.verdict(keep(t, working.Centre, registration(kept))); !slices.Equal(got, []string{"accepted"}) {
		t.Errorf("with room again: %v", got)
	}
}

// people are registrations of so many.
func people(first, count int) (s []domain.Submission) {
	for n := range count {
		s = append(s, registration(first+n))
	}
	return s
}

// TestFileLeavesRoom: a file does not take the room of those who wait for an
// answer.
func TestFileLeavesRoom(t *testing.T) {
	t.Parallel()
	c := config(t)
	c.MaxBytes = 64 << 10
	prepare(t, c, people(0, 2000))
	centre := run(t, c)
	eventually(t, patience, "the file waits for room", func() bool {
		s, err := centre.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Waiting.Full
	})
	keep(t, centre.Centre, registration(5000))
}

// TestSpoolKeepsItsSize: who only looks leaves the spool as large as it is, and one
// made smaller keeps what it holds.
func TestSpoolKeepsItsSize(t *testing.T) {
	t.Parallel()
	c := config(t)
	centre := offline(t, c)
	keep(t, centre, people(0, 200)...)
	centre.Close()
	bundles := uint64(5)
	for _, change := range []struct {
		to, limit int64
		full      bool
	}{{0, c.MaxBytes, false}, {1 << 20, 1 << 20, false}, {8 << 10, 8 << 10, true}, {0, 8 << 10, true}, {1 << 20, 1 << 20, false}} {
		c.MaxBytes = change.to
		centre := offline(t, c)
		s, err := centre.Status(t.Context())
		if err != nil || s.Waiting.Bundles != bundles || s.Waiting.Limit != change.limit {
			t.Errorf("opened with %d: %+v, want %d bundles, %v", change.to, s.Waiting, bundles, err)
		}
		err = centre.Keep(t.Context(), itemsOf(people(900, 1)), func(Kept) error { bundles++; return nil })
		if errors.As(err, new(*FullError)) != change.full || !change.full && err != nil {
			t.Errorf("kept with %d: %v", change.to, err)
		}
		centre.Close()
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		harm  func(keys string) error
		waits bool
		want  error
	}{
		{"whole", func(string) error { return nil }, true, nil},
		{"torn, nothing waits", func(keys string) error { return os.Truncate(filepath.Join(keys, fileBundleKey), 30) }, false, nil},
		{"torn", func(keys string) error { return os.Truncate(filepath.Join(keys, fileBundleKey), 30) }, true, errDamaged},
		{"missing", func(keys string) error { return os.Remove(filepath.Join(keys, fileBundleKey)) }, true, ErrKeysMissing},
		{"all missing", os.RemoveAll, true, ErrKeysMissing},
		{"of verdicts torn", func(keys string) error { return os.Truncate(filepath.Join(keys, fileVerdictKey), 30) }, false, errDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := config(t)
			centre := offline(t, config)
			if c.waits {
				keep(t, centre, registration(1))
			}
			centre.Close()
			if err := c.harm(config.Dir + "-keys"); err != nil {
				t.Fatal(err)
			}
			again, err := open(t.Context(), config, brisk)
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Fatalf("opened again: %v, want %v", err, c.want)
			}
			if err == nil {
				keep(t, again, registration(2))
				again.Close()
			}
		})
	}
	t.Run("read by others", func(t *testing.T) {
		t.Parallel()
		config := config(t)
		offline(t, config).Close()
		if err := os.Chmod(filepath.Join(config.Dir+"-keys", fileToken), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t.Context(), config, brisk); err == nil {
			t.Error("a token that others may read is used")
		}
	})
}

func TestSealedForOneSubject(t *testing.T) {
	t.Parallel()
	k, err := openKey(filepath.Join(t.TempDir(), "a.key"), true)
	if err != nil {
		t.Fatal(err)
	}
	sealed := k.seal([]byte("what is kept"), "bundle.1")
	if plain, err := k.open(sealed, "bundle.1"); err != nil || string(plain) != "what is kept" {
		t.Errorf("%s, %v", plain, err)
	}
	if _, err := k.open(sealed, "bundle.2"); !errors.Is(err, errDamaged) {
		t.Errorf("opened for another subject: %v", err)
	}
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		if _, err := k.open(changed, "bundle.1"); !errors.Is(err, errDamaged) {
			t.Errorf("opened with byte %d changed: %v", i, err)
		}
	}
	for n := range sealed {
		if _, err := k.open(sealed[:n], "bundle.1"); !errors.Is(err, errDamaged) {
			t.Errorf("opened when cut to %d bytes: %v", n, err)
		}
	}
}

func TestWhoseDirectory(t *testing.T) {
	t.Parallel()
	c := config(t)
	centre := offline(t, c)
	if _, err := open(t.Context(), c, brisk); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	centre.Close()
	other := c
	other.Centre = "208002"
	var whose *OtherCentreError
	if _, err := open(t.Context(), other, brisk); !errors.As(err, &whose) || whose.Centre != "208001" || whose.District != 208 {
		t.Errorf("opened as another centre: %v", err)
	}
	looking := c
	looking.District, looking.Centre = 0, ""
	if s, err := offline(t, looking).Status(t.Context()); err != nil || s.Centre != "208001" {
		t.Errorf("opened to look: %+v, %v", s, err)
	}
	for _, wrong := range []Config{{Dir: t.TempDir() + "/a", District: 208, Centre: "a.b"}, {Dir: t.TempDir() + "/b", District: 9999, Centre: "x"}, {Dir: t.TempDir() + "/c", Keys: t.TempDir() + "/c"}} {
		if centre, err := open(t.Context(), wrong, brisk); err == nil {
			centre.Close()
			t.Errorf("opened: %+v", wrong)
		}
	}
	inside := c
	inside.Keys = filepath.Join(c.Dir, "keys")
	if _, err := open(t.Context(), inside, brisk); err == nil {
		t.Error("keys are taken that lie in the data directory")
	}
}

// TestBundleRefused: a bundle that the ledger cannot take in is set aside, those
// before and behind it go on, and it goes, too, when the fault is mended.
func TestBundleRefused(t *testing.T) {
	t.Parallel()
	ledger := openUpstream(t)
	ledger.poison.Store(true)
	c := config(t)
	c.Server, c.NATS = "nats://"+ledger.address(), ledger.signIn()
	centre := offline(t, c)
	keep(t, centre, registration(1), registration(2), registration(3))
	before := keep(t, centre, dose(1, 1))
	poison := dose(2, 1)
	poison.Batch = "POISON"
	bad := keep(t, centre, poison)
	behind := keep(t, centre, dose(3, 1))
	centre.Close()
	prepare(t, c, []domain.Submission{registration(4), poison})

	working := run(t, c)
	for _, id := range []domain.UUID{before, behind} {
		if got := working.verdict(id); !slices.Equal(got, []string{"accepted"}) {
			t.Errorf("verdicts %v", got)
		}
	}
	status := func() Status {
		t.Helper()
		s, err := working.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	working.drained(patience)
	s := status()
	if len(s.Refused) != 2 || s.Refused[0].Bundle != bad || s.Refused[0].Code != "crashed" || s.Waiting.Oldest != nil {
		t.Errorf("set aside: %+v", s)
	}
	if _, without, err := working.answerTo(t.Context(), bad); without != (BundleState{bad, stateRefused, "crashed"}) || err != nil {
		t.Errorf("the bundle is %+v, %v", without, err)
	}
	lines, err := os.ReadFile(filepath.Join(c.Dir, folderFailed, "people.ndjson", fileVerdicts))
	if err != nil || bytes.Count(lines, []byte(`"verdict":"refused"`)) != 2 || bytes.Count(lines, []byte(`"code":"crashed"`)) != 2 {
		t.Errorf("the file's verdicts: %s, %v", lines, err)
	}
	ledger.wantCounts(3, 2, 0)

	// It is remembered over a restart.
	working.stop()
	ledger.poison.Store(false)
	working = run(t, c)
	if s = status(); len(s.Refused) != 2 || s.Waiting.Bundles != 0 {
		t.Errorf("after a restart: %+v", s)
	}
	if n, err := working.Retry(t.Context(), domain.UUID{1}); n != 0 || err != nil {
		t.Errorf("%d of an unknown id are tried again, %v", n, err)
	}
	if n, err := working.Retry(t.Context(), bad); n != 1 || err != nil {
		t.Errorf("%d are tried again, %v", n, err)
	}
	if got := working.verdict(bad); !slices.Equal(got, []string{"accepted"}) {
		t.Errorf("verdicts %v", got)
	}
	if n, err := working.Retry(t.Context(), domain.UUID{}); n != 1 || err != nil {
		t.Errorf("%d are tried again, %v", n, err)
	}
	working.drained(patience)
	ledger.wantCounts(4, 3, 0)
	if s = status(); len(s.Refused) != 0 {
		t.Errorf("still set aside: %+v", s.Refused)
	}
}

// TestTooLargeForTheServer: a server of the operator's takes small messages only.
// What fits alone goes alone, and what does not is set aside.
func TestTooLargeForTheServer(t *testing.T) {
	t.Parallel()
	hub := natstest.Start(t, &server.Options{JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, MaxPayload: 24 << 10})
	ledger := &upstream{t: t, dir: t.TempDir(), nats: hub.ClientURL()}
	ledger.open()
	t.Cleanup(func() { ledger.shut() })
	c := config(t)
	c.Server = hub.ClientURL()
	centre := offline(t, c)
	keep(t, centre, people(0, 120)...)
	order := domain.Freeze{Heading: registration(9000).Heading, District: 208, Mode: domain.Erase, Order: "A/1", By: "x"}
	for n := range 5000 {
		order.Persons = append(order.Persons, registration(n).Person)
	}
	large := keep(t, centre, order)
	keep(t, centre, people(120, 40)...)
	centre.Close()
	working := run(t, c)
	working.drained(patience)
	ledger.wantCounts(160, 0, 0)
	if s, err := working.Status(t.Context()); err != nil || len(s.Refused) != 1 || s.Refused[0].Bundle != large || s.Refused[0].Code != codeTooLarge {
		t.Errorf("set aside: %+v, %v", s.Refused, err)
	}
}

// TestKeyOfTheLedgerChanges: what was kept before the ledger changed its key goes
// under the new one; a pinned key that is not the ledger's holds everything, and
// loses nothing.
func TestKeyOfTheLedgerChanges(t *testing.T) {
	t.Parallel()
	ledger := openUpstream(t)
	c := config(t)
	c.Server, c.NATS = "nats://"+ledger.address(), ledger.signIn()
	working := run(t, c)
	if got := working.verdict(keep(t, working.Centre, registration(1))); !slices.Equal(got, []string{"accepted"}) {
		t.Errorf("verdicts %v", got)
	}
	if err := ledger.l.Vault().RotateIntakeKey(); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.l.Vault().DestroyRetiredIntakeKeys(); err != nil {
		t.Fatal(err)
	}
	if got := working.verdict(keep(t, working.Centre, registration(2))); !slices.Equal(got, []string{"accepted"}) {
		t.Errorf("after the key changed: %v", got)
	}
	working.stop()

	other, err := vault.Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	pinned := make(chan []byte, 1)
	pinned <- other.IntakePublicKey()
	c.IntakeKey = func() ([]byte, error) {
		key := <-pinned
		pinned <- key
		return key, nil
	}
	working = run(t, c)
	id := keep(t, working.Centre, registration(3))
	eventually(t, patience, "it holds", func() bool {
		s, err := working.Status(context.Background())
		return err == nil && s.Running.Holding == "other_key" && len(s.Refused) == 0 && s.Waiting.Bundles == 1
	})
	<-pinned
	pinned <- ledger.l.Vault().IntakePublicKey()
	if got := working.verdict(id); !slices.Equal(got, []string{"accepted"}) {
		t.Errorf("with the ledger's key: %v", got)
	}
	working.released()
}

// TestLockedCentreWaits: while the ledger has locked it, a centre sets nothing aside
// and forgets nothing; unlocked, it goes on in its order. However often it tried, each
// bundle lies in the ledger's quarantine once.
func TestLockedCentreWaits(t *testing.T) {
	t.Parallel()
	ledger := openUpstream(t)
	c := config(t)
	c.Server, c.NATS = "nats://"+ledger.address(), ledger.signIn()
	nobody := domain.Verdict{Reject: &domain.Rejection{Code: domain.CodeUnknownPerson}}
	who := access.OverNATS(208, "208001")
	if err := ledger.who.Unknown(t.Context(), who, slices.Repeat([]domain.Verdict{nobody}, 500)); !errors.Is(err, access.ErrLocked) {
		t.Fatal(err)
	}
	working := run(t, c)
	first := keep(t, working.Centre, registration(1))
	eventually(t, patience, "it holds, and has tried some times", func() bool {
		s, err := working.Status(context.Background())
		return err == nil && s.Running.Holding == "locked" && len(s.Refused) == 0 && s.Waiting.Bundles == 1 && s.Running.Exchanges > 3
	})
	second := keep(t, working.Centre, dose(1, 1))
	if items := ledger.quarantined(); len(items) != 1 || items[0].Code != intake.BundleLocked || items[0].Kept != 1 {
		t.Errorf("in quarantine lies %+v", items)
	}
	if err := ledger.who.Unlock(t.Context(), access.Installation(vault.RoleAuthority), who.Token); err != nil {
		t.Fatal(err)
	}
	for _, id := range []domain.UUID{first, second} {
		if got := working.verdict(id); !slices.Equal(got, []string{"accepted"}) {
			t.Errorf("unlocked: %v", got)
		}
	}
	working.released()
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	b := backoff{500, 30_000}
	for n := range 100 {
		if got := b.after(n); got < 250 || got > 30_000 || n > 10 && got < 15_000 {
			t.Errorf("after %d failures: %d", n, got)
		}
	}
	seen := map[time.Duration]bool{}
	for range 20 {
		seen[b.after(5)] = true
	}
	if len(seen) < 2 {
		t.Error("no part of it is chance")
	}
}
