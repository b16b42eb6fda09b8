package vault

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"bahi/domain"
)

// keyOf returns a copy of a cohort's live key.
func keyOf(t testing.TB, v *Vault, c domain.Cohort) []byte {
	t.Helper()
	s, err := v.keys.borrow(c)
	if err != nil {
		t.Fatal(err)
	}
	defer v.keys.mu.RUnlock()
	return bytes.Clone(s.key[:])
}

// filesWith returns the files below dir that hold the bytes.
func filesWith(t testing.TB, dir string, wanted []byte) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, wanted) {
			files = append(files, filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sealedDose(t testing.TB, v *Vault, c domain.Cohort) []byte {
	t.Helper()
	sealed, err := v.SealDose(c, v.PersonToken(reference), domain.DoseParticulars{Centre: "208001", Batch: "4120Z001"})
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func opens(v *Vault, c domain.Cohort, sealed []byte) error {
	d, err := v.OpenDose(c, v.PersonToken(reference), sealed)
	if err == nil && d != (domain.DoseParticulars{Centre: "208001", Batch: "4120Z001"}) {
		return errors.New("opened to something else")
	}
	return err
}

func TestEnsureKeys(t *testing.T) {
	t.Parallel()
	v := open(t)
	if got := v.State(hcw); got != KeyAbsent {
		t.Errorf("before: %s", got)
	}
	if _, err := v.SealDose(hcw, domain.PersonToken{}, domain.DoseParticulars{}); !errors.Is(err, ErrKeyMissing) {
		t.Errorf("sealed without a key: %v", err)
	}
	if err := v.EnsureKeys(hcw, flw, hcw); err != nil {
		t.Fatal(err)
	}
	key := keyOf(t, v, hcw)
	if err := v.EnsureKeys(hcw, old); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(keyOf(t, v, hcw), key) {
		t.Error("an existing key was replaced")
	}
	sealed := sealedDose(t, v, flw)
	info, err := os.Stat(filepath.Join(v.dir, "cohorts.keys"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() != 3*sectorSize {
		t.Errorf("the key file has %d bytes for three cohorts", info.Size())
	}
	v = reopen(t, v)
	for _, c := range []domain.Cohort{hcw, flw, old} {
		if got := v.State(c); got != KeyLive {
			t.Errorf("%s is %s", c, got)
		}
	}
	if err := opens(v, flw, sealed); err != nil {
		t.Error(err)
	}
	for _, c := range []domain.Cohort{{}, {District: 208, Group: 99, Generation: 1}, {District: 208, Group: 1}} {
		if v.EnsureKeys(c) == nil {
			t.Errorf("made a key for %s", c)
		}
		if _, err := v.Destroy(c); err == nil {
			t.Errorf("destroyed the key of %s", c)
		}
	}
}

func TestDestroy(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw, flw, old); err != nil {
		t.Fatal(err)
	}
	keys := [][]byte{keyOf(t, v, hcw), keyOf(t, v, flw)}
	if got := filesWith(t, v.dir, keys[0]); !slices.Equal(got, []string{"cohorts.keys"}) {
		t.Fatalf("the key is in %v", got)
	}
	inMemory := v.keys.slots[hcw]
	sealed, survivor := sealedDose(t, v, hcw), sealedDose(t, v, old)

	gone := func(v *Vault) {
		t.Helper()
		for _, key := range keys {
			if files := filesWith(t, v.dir, key); files != nil {
				t.Errorf("a destroyed key is still in %v", files)
			}
		}
		for _, c := range []domain.Cohort{hcw, flw} {
			if got := v.State(c); got != KeyDestroyed {
				t.Errorf("%s is %s", c, got)
			}
			if err := v.EnsureKeys(old, c); !errors.Is(err, ErrKeyDestroyed) {
				t.Errorf("EnsureKeys: %v", err)
			}
			if _, err := v.SealDose(c, domain.PersonToken{}, domain.DoseParticulars{}); !errors.Is(err, ErrKeyDestroyed) {
				t.Errorf("SealDose: %v", err)
			}
		}
		if err := opens(v, hcw, sealed); !errors.Is(err, ErrKeyDestroyed) {
			t.Errorf("OpenDose: %v", err)
		}
		if err := opens(v, old, survivor); err != nil {
			t.Errorf("the neighbour: %v", err)
		}
	}
	for range 2 { // the second time there is nothing left to do
		n, err := v.Destroy(hcw, flw, hcw)
		if err != nil || n != 2 {
			t.Fatalf("Destroy: %d, %v", n, err)
		}
		gone(v)
	}
	if inMemory.key != [32]byte{} {
		t.Error("the key is still in memory")
	}
	v = reopen(t, v)
	gone(v)
	if n, err := v.Destroy(hcw, flw); err != nil || n != 2 {
		t.Errorf("after a restart: %d, %v", n, err)
	}
	// Under the next generation nothing of the old one opens.
	next := hcw
	next.Generation++
	if err := v.EnsureKeys(next); err != nil {
		t.Fatal(err)
	}
	if err := opens(v, next, sealed); !errors.Is(err, ErrCorrupt) {
		t.Errorf("under the next generation: %v", err)
	}
}

func TestDestroyBarsAbsentCohort(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw); err != nil {
		t.Fatal(err)
	}
	if n, err := v.Destroy(flw, hcw); err != nil || n != 1 {
		t.Fatalf("Destroy: %d, %v", n, err)
	}
	v = reopen(t, v)
	if err := v.EnsureKeys(flw); !errors.Is(err, ErrKeyDestroyed) {
		t.Errorf("EnsureKeys: %v", err)
	}
	if n, err := v.Destroy(flw, hcw); err != nil || n != 1 {
		t.Errorf("again: %d, %v", n, err)
	}
}

// A key file put back from before the freeze is destroyed again, and the
// neighbours' newer keys in it are not touched.
func TestDestroyAfterOldFilePutBack(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw, flw); err != nil {
		t.Fatal(err)
	}
	sealed, key := sealedDose(t, v, hcw), keyOf(t, v, hcw)
	path := filepath.Join(v.dir, "cohorts.keys")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Destroy(hcw); err != nil {
		t.Fatal(err)
	}
	v.Close()
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	v = open(t, v.dir)
	if v.State(hcw) != KeyLive {
		t.Fatal("the old file was not put back")
	}
	if n, err := v.Destroy(hcw); err != nil || n != 1 {
		t.Fatalf("Destroy: %d, %v", n, err)
	}
	if err := opens(v, hcw, sealed); !errors.Is(err, ErrKeyDestroyed) {
		t.Error(err)
	}
	if files := filesWith(t, v.dir, key); files != nil {
		t.Errorf("the key is in %v", files)
	}
}

// When the disk fails in the middle, nothing opens any more, no success is
// claimed, and a repetition finishes.
func TestDestroyOnFailingDisk(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw, flw); err != nil {
		t.Fatal(err)
	}
	sealed, key := sealedDose(t, v, hcw), keyOf(t, v, hcw)
	sound := v.keys.file
	broken, err := os.Open(sound.Name()) // cannot be written to
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	v.keys.file = broken
	if n, err := v.Destroy(hcw, old); err == nil {
		t.Fatalf("Destroy on a failing disk: %d", n)
	}
	if got := v.State(hcw); got != KeyLive {
		t.Errorf("State says %s of a key that is on disk", got)
	}
	if err := opens(v, hcw, sealed); !errors.Is(err, ErrKeyDestroyed) {
		t.Errorf("OpenDose: %v", err)
	}
	if err := v.EnsureKeys(old); err == nil {
		t.Error("EnsureKeys on a failing disk")
	}
	if got := v.State(old); got != KeyAbsent {
		t.Errorf("a key that was not flushed is %s", got)
	}
	v.keys.file = sound
	if n, err := v.Destroy(hcw, old); err != nil || n != 1 {
		t.Fatalf("Destroy again: %d, %v", n, err)
	}
	if files := filesWith(t, v.dir, key); files != nil {
		t.Errorf("the key is in %v", files)
	}
	v = reopen(t, v)
	if v.State(hcw) != KeyDestroyed || v.State(flw) != KeyLive || v.State(old) != KeyDestroyed {
		t.Errorf("states: %s, %s, %s", v.State(hcw), v.State(flw), v.State(old))
	}
}

// tear writes content to a new vault's key file and opens it.
func tear(t *testing.T, pepper, content []byte) *Vault {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"pepper": pepper, "cohorts.keys": content} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return open(t, dir)
}

// Whatever part of a sector's write reached the disk, the neighbours keep
// working, nothing wrong opens, and the place is named.
func TestTornSector(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw, flw, old); err != nil {
		t.Fatal(err)
	}
	sealed, neighbour := sealedDose(t, v, flw), sealedDose(t, v, hcw)
	key := keyOf(t, v, flw)
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(v.dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	pepper, live := read("pepper"), read("cohorts.keys")
	if _, err := v.Destroy(flw); err != nil {
		t.Fatal(err)
	}
	destroyed := read("cohorts.keys")
	free := bytes.Clone(live)
	clear(free[sectorSize : 2*sectorSize])

	check := func(name string, content []byte) {
		v := tear(t, pepper, content)
		defer v.Close()
		if err := opens(v, hcw, neighbour); err != nil {
			t.Fatalf("%s: the neighbour: %v", name, err)
		}
		err := opens(v, flw, sealed)
		state := v.State(flw)
		damaged := v.Damaged()
		switch state {
		case KeyLive:
			if err != nil {
				t.Fatalf("%s: live and does not open: %v", name, err)
			}
		case KeyDestroyed:
			if !errors.Is(err, ErrKeyDestroyed) {
				t.Fatalf("%s: %v", name, err)
			}
		case KeyDamaged:
			var sector *SectorError
			if !errors.As(err, &sector) || sector.Sector != 1 || sector.Cohort != flw || !errors.Is(err, ErrKeyMissing) {
				t.Fatalf("%s: %v", name, err)
			}
			if err := v.EnsureKeys(flw); !errors.As(err, &sector) {
				t.Fatalf("%s: a key was made beside a damaged one: %v", name, err)
			}
		case KeyAbsent:
			if !errors.Is(err, ErrKeyMissing) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if (state == KeyDamaged || state == KeyAbsent && !bytes.Equal(content, free)) != (len(damaged) == 1) {
			t.Fatalf("%s: %s, damaged %v", name, state, damaged)
		}
		// Whatever can be told to be the cohort's is destroyed; what cannot
		// is refused, because the key may still be in it.
		if _, err := v.Destroy(flw); err != nil {
			if state != KeyAbsent || len(damaged) != 1 {
				t.Fatalf("%s: Destroy: %v", name, err)
			}
			return
		}
		if files := filesWith(t, v.dir, key); files != nil {
			t.Fatalf("%s: destroyed, and the key is in %v", name, files)
		}
		if v = reopen(t, v); v.State(flw) != KeyDestroyed || v.State(old) == KeyAbsent || len(v.Damaged()) != 0 {
			t.Fatalf("%s: after Destroy and a restart: %s, %s, %v", name, v.State(flw), v.State(old), v.Damaged())
		}
	}
	const start, end = sectorSize, 2 * sectorSize
	for n := 0; n <= sectorSize; n += 8 {
		if n > 64 && n < 472 {
			continue // unused bytes, the same before and after
		}
		half := func(before, after []byte) []byte {
			return slices.Concat(after[:start+n], before[start+n:])
		}
		check(fmt.Sprintf("made, %d bytes", n), half(free, live))
		check(fmt.Sprintf("destroyed, %d bytes", n), half(live, destroyed))
	}
	for _, n := range []int{0, 1, 9, 12, 15, 17, 19, 33, 63, 100, 480, 511} {
		flipped := bytes.Clone(live)
		flipped[start+n] ^= 0x40
		check(fmt.Sprintf("byte %d changed", n), flipped)
	}
	twice := slices.Concat(live, live[start:end])
	v = tear(t, pepper, twice)
	if err := opens(v, flw, sealed); err != nil || len(v.Damaged()) != 1 {
		t.Errorf("twice: %v, damaged %v", err, v.Damaged())
	}
	if n, err := v.Destroy(flw); err != nil || n != 1 {
		t.Errorf("twice: %d, %v", n, err)
	}
	if files := filesWith(t, v.dir, key); files != nil {
		t.Errorf("twice: the key is in %v", files)
	}
}

// A file that ends within a sector keeps what is whole; new keys go beyond.
func TestTruncatedKeyFile(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw, flw); err != nil {
		t.Fatal(err)
	}
	neighbour := sealedDose(t, v, hcw)
	pepper, err := os.ReadFile(filepath.Join(v.dir, "pepper"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(filepath.Join(v.dir, "cohorts.keys"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 8, 20, 63, 64, 500, 511} {
		v := tear(t, pepper, content[:sectorSize+n])
		if err := opens(v, hcw, neighbour); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if len(v.Damaged()) != 1 || v.State(flw) == KeyLive {
			t.Fatalf("%d bytes: %s, damaged %v", n, v.State(flw), v.Damaged())
		}
		if err := v.EnsureKeys(old); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		sealed := sealedDose(t, v, old)
		v = reopen(t, v)
		if err := opens(v, old, sealed); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if len(v.Damaged()) != 1 {
			t.Fatalf("%d bytes: the damage is forgotten", n)
		}
	}
}

// A process killed at any moment has on disk every key that it said it had.
func TestKilled(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	made, destroyed := map[domain.Cohort]bool{}, map[domain.Cohort]bool{}
	for round := range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
		child.Env = append(os.Environ(), "VAULT_TEST_DIR="+dir, fmt.Sprintf("VAULT_TEST_DISTRICT=%d", 100+round))
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var what string
			var c domain.Cohort
			if _, err := fmt.Sscan(lines.Text(), &what, &c.District, &c.Group, &c.Generation); err != nil {
				t.Fatalf("child says %q", lines.Text())
			}
			if what == "made" {
				made[c] = true
			} else {
				destroyed[c] = true
			}
			if n == 20+round {
				child.Process.Kill()
			}
		}
		child.Wait()
	}
	if len(made) < 30 || len(destroyed) < 15 {
		t.Fatalf("the children made only %d keys and destroyed %d", len(made), len(destroyed))
	}
	v := open(t, dir)
	if damaged := v.Damaged(); len(damaged) != 0 {
		t.Fatalf("damaged: %v", damaged)
	}
	for c := range destroyed {
		if v.State(c) != KeyDestroyed {
			t.Errorf("%s was destroyed and is %s", c, v.State(c))
		}
		delete(made, c)
	}
	undecided := 0 // destroyed, and killed before saying so
	for c := range made {
		switch v.State(c) {
		case KeyLive:
		case KeyDestroyed:
			undecided++
		default:
			t.Errorf("%s was made and is %s", c, v.State(c))
		}
	}
	if undecided > 3 {
		t.Errorf("%d keys were destroyed without a word; three processes were killed", undecided)
	}
}

func TestKilledChild(t *testing.T) {
	dir := os.Getenv("VAULT_TEST_DIR")
	if dir == "" {
		t.Skip("runs as a child of TestKilled")
	}
	v, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := domain.Cohort{Group: domain.HealthCareWorker}
	fmt.Sscan(os.Getenv("VAULT_TEST_DISTRICT"), &c.District)
	for c.Generation = 1; c.Generation < 10_000; c.Generation++ {
		if err := v.EnsureKeys(c); err != nil {
			t.Fatal(err)
		}
		fmt.Println("made", c.District, uint8(c.Group), c.Generation)
		if c.Generation%2 == 0 {
			if _, err := v.Destroy(c); err != nil {
				t.Fatal(err)
			}
			fmt.Println("destroyed", c.District, uint8(c.Group), c.Generation)
		}
	}
}

// Readers and writers of several cohorts while keys are made and destroyed:
// each call answers with what was sealed or with ErrKeyDestroyed, and once
// Destroy has returned only with the latter.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	v := open(t)
	const cohorts = 6
	cohort := func(i int) domain.Cohort {
		return domain.Cohort{District: 208, Group: hcw.Group, Generation: uint16(i + 1)}
	}
	var ready, users sync.WaitGroup
	var destroyed [cohorts]sync.WaitGroup
	for i := range cohorts {
		destroyed[i].Add(1)
		for range 2 {
			ready.Add(1)
			users.Go(func() {
				started := sync.OnceFunc(ready.Done)
				defer started()
				c := cohort(i)
				if err := v.EnsureKeys(c); err != nil {
					t.Errorf("EnsureKeys: %v", err)
					return
				}
				sealed := sealedDose(t, v, c)
				for {
					started()
					err := opens(v, c, sealed)
					if errors.Is(err, ErrKeyDestroyed) {
						break
					}
					if err != nil {
						t.Errorf("OpenDose: %v", err)
						return
					}
					if sealed, err = v.SealDose(c, v.PersonToken(reference), domain.DoseParticulars{Centre: "208001", Batch: "4120Z001"}); errors.Is(err, ErrKeyDestroyed) {
						break
					}
				}
				destroyed[i].Wait()
				if err := opens(v, c, sealed); !errors.Is(err, ErrKeyDestroyed) {
					t.Errorf("after Destroy: %v", err)
				}
			})
		}
	}
	ready.Wait()
	for i := range cohorts {
		if n, err := v.Destroy(cohort(i)); n != 1 || err != nil {
			t.Errorf("Destroy: %d, %v", n, err)
		}
		destroyed[i].Done()
	}
	users.Wait()
}

func TestKeyFileIsBounded(t *testing.T) {
	t.Parallel()
	v := open(t)
	v.Close()
	if err := os.Truncate(filepath.Join(v.dir, "cohorts.keys"), (maxSectors+1)*sectorSize); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(v.dir); err == nil || !strings.Contains(err.Error(), "not a key file") {
		t.Errorf("a file of holes: %v", err)
	}
}
