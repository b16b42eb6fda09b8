package ledger

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/vault"
)

// aDriveSaved freezes a drive of which a copy was saved before: data and keys, as
// they lay on the disk. The ledger is closed; traces are those of the doomed.
func aDriveSaved(t testing.TB) (d *drive, saved string, traces []trace) {
	t.Helper()
	d, saved = aDrive(t, 120, 20), filepath.Join(t.TempDir(), "saved")
	traces = tracesOf(t, d.l, d.doomed...)
	shut(t, d.l)
	if err := os.CopyFS(saved, os.DirFS(d.dir)); err != nil {
		t.Fatal(err)
	}
	keepPrivate(t, filepath.Join(saved, "keys"))
	d.l = open(t, d.dir)
	d.freeze(t)
	shut(t, d.l)
	return d, saved, traces
}

// keepPrivate takes from others what a copy gave them, or the vault does not open.
func keepPrivate(t testing.TB, keys string) {
	t.Helper()
	err := filepath.WalkDir(keys, func(path string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// putBack replaces files or directories with saved ones.
func putBack(t testing.TB, dir, saved string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		from, to := filepath.Join(saved, path), filepath.Join(dir, path)
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(from)
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			err = os.CopyFS(to, os.DirFS(from))
		} else {
			var b []byte
			if b, err = os.ReadFile(from); err == nil {
				err = os.WriteFile(to, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The whole data directory from before a freeze, with today's keys. That ledger does
// not know of the freeze, and its rows are all there: they open under no key. The
// order, given again with the handover in its place, purges the copy, too.
func TestDataPutBackYieldsNothing(t *testing.T) {
	t.Parallel()
	d, saved, traces := aDriveSaved(t)
	handover, err := os.ReadFile(d.l.handoverPath(uuidOf(9, 1)))
	if err != nil {
		t.Fatal(err)
	}
	putBack(t, d.dir, saved, "data")
	d.l = open(t, d.dir)
	d.wantRefused(t, "put back")
	listed := 0
	for _, r := range d.doomed {
		token := d.l.vault.PersonToken(r.Person)
		record, err := d.l.people.Person(token)
		if err != nil || len(record.Sealed) == 0 || len(record.Doses) != 1 {
			t.Fatalf("the copy does not have what was saved: %+v, %v", record, err)
		}
		listed++
		if _, _, err := d.l.vault.OpenRegistration(record.Cohort, token, record.Sealed); !errors.Is(err, vault.ErrKeyDestroyed) {
			t.Errorf("a saved registration: %v", err)
		}
		if _, err := d.l.vault.OpenTokens(record.Cohort, token, record.Sealed); !errors.Is(err, vault.ErrKeyDestroyed) {
			t.Errorf("saved tokens: %v", err)
		}
		if _, err := d.l.vault.OpenDose(record.Cohort, token, record.Doses[0].Sealed); !errors.Is(err, vault.ErrKeyDestroyed) {
			t.Errorf("a saved dose: %v", err)
		}
	}
	if listed != 120 {
		t.Errorf("%d people were listed", listed)
	}
	shut(t, d.l)

	if err := errors.Join(os.MkdirAll(filepath.Dir(d.l.handoverPath(uuidOf(9, 1))), 0o700), os.WriteFile(d.l.handoverPath(uuidOf(9, 1)), handover, 0o600)); err != nil {
		t.Fatal(err)
	}
	d.l = open(t, d.dir)
	d.freeze(t)
	d.wantRefused(t, "ordered again")
	wantFound(t, "ordered again", hunt(t, d.dir, traces), traces, forgotten)
	check(t, d.l)
}

// Views from before a freeze under today's ledger: it knows of the freeze, refuses,
// and purges what was put back, although it was purged once already.
func TestViewsPutBackArePurgedAgain(t *testing.T) {
	t.Parallel()
	for name, views := range map[string][]string{
		"people":   {"data/people"},
		"register": {"data/register"},
		"all":      {"data/people", "data/register", "data/counts", "data/merkle"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, saved, traces := aDriveSaved(t)
			putBack(t, d.dir, saved, views...)
			if got := hunt(t, d.dir, traces); len(got[mobileToken])+len(got[sealedRegistration]) < 2 {
				t.Fatalf("nothing was put back: %v", got)
			}
			d.l = open(t, d.dir)
			d.wantRefused(t, "opened") // and has folded what the views missed
			wantFound(t, "opened", hunt(t, d.dir, traces), traces, forgotten)
			check(t, d.l)
			d.reopen(t)
			wantFound(t, "opened again", hunt(t, d.dir, traces), traces, forgotten)
			d.wantRefused(t, "opened again")
		})
	}
}

// An old key file under today's ledger: its keys are destroyed again before anything
// is answered, and the log says so loudly.
func TestKeysPutBackAreDestroyedAgain(t *testing.T) {
	t.Parallel()
	d, saved, traces := aDriveSaved(t)
	putBack(t, d.dir, saved, "keys/cohorts.keys")
	if got := hunt(t, d.dir, traces); got.places(cohortKey) != "keys/cohorts.keys" {
		t.Fatalf("no key was put back: %v", got)
	}
	var log syncedBuffer
	l, err := Open(t.Context(), Config{Data: d.dir + "/data", Keys: d.dir + "/keys", Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer shut(t, l)
	d.l = l
	if said := log.String(); !bytes.Contains([]byte(said), []byte("level=ERROR")) || !bytes.Contains([]byte(said), []byte("PUT BACK")) {
		t.Errorf("the log says %q", said)
	}
	d.wantRefused(t, "with the old keys")
	wantFound(t, "with the old keys", hunt(t, d.dir, traces), traces, forgotten)
	for _, group := range d.order().Groups {
		if s := l.vault.State(domain.Cohort{District: muzaffarpur, Group: group, Generation: 1}); s != vault.KeyDestroyed {
			t.Errorf("the key of %s is %s", group, s)
		}
	}
}

type syncedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncedBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncedBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// What no freeze can reach, so that nobody promises it: copies that somebody else
// has. An old key file opens today's ledger, which keeps the ciphertext for ever; an
// old register gives mobile numbers to whoever has the pepper.
func TestCopiesThatAFreezeCannotReach(t *testing.T) {
	t.Parallel()
	d, saved, traces := aDriveSaved(t)
	old, err := vault.Open(filepath.Join(saved, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	d.l = open(t, d.dir)
	opened := 0
	for c, err := range d.l.store.Read(t.Context(), eventstore.Reading{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range c.Entries {
			if r, ok := e.Event.(domain.PersonRegistered); ok && r.Cohort.District == muzaffarpur && r.Cohort.Group != domain.Age60Plus {
				if details, _, err := old.OpenRegistration(r.Cohort, r.Person, r.Sealed); err == nil && details.Name != "" {
					opened++
				}
			}
		}
	}
	if opened != len(d.doomed) {
		t.Errorf("an old key file together with the ledger opens %d of %d frozen people: docs/THREATS.md says all", opened, len(d.doomed))
	}
	if got := hunt(t, saved, guesses(thief(t, d.dir+"/keys")))[mobileToken]["data/register"]; got != len(d.doomed)+len(d.neighbours) {
		t.Errorf("an old register together with the pepper gives %d mobile numbers: docs/THREATS.md says all", got)
	}
	if got := hunt(t, d.dir, traces); got.places(mobileToken) != "" {
		t.Errorf("and today's: %v", got)
	}
}
