package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"bahi/domain"
)

var refused = domain.UUID{0x01, 0x8f, 0x3c}

const refusedAt = "quarantine.208.208001.018f3c00-0000-0000-0000-000000000000"

func sealRefused(t testing.TB, v *Vault, d domain.District) []byte {
	t.Helper()
	sealed, err := v.SealQuarantine(v.QuarantinesEnded(), d, refused, refusedAt, []byte("a refused dose"))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func opensRefused(v *Vault, d domain.District, sealed []byte) error {
	plain, err := v.OpenQuarantine(d, refused, refusedAt, sealed)
	if err == nil && string(plain) != "a refused dose" {
		return errors.New("opened to something else")
	}
	return err
}

// quarantineKeyOf returns a copy of a district's live key.
func quarantineKeyOf(t testing.TB, v *Vault, d domain.District) []byte {
	t.Helper()
	s, err := v.quarantine.borrow(d)
	if err != nil {
		t.Fatal(err)
	}
	defer v.quarantine.mu.RUnlock()
	return bytes.Clone(s.key[:])
}

func TestQuarantineOpensInItsPlaceAlone(t *testing.T) {
	t.Parallel()
	v := open(t)
	if state, _ := v.QuarantineKey(208); state != KeyAbsent {
		t.Errorf("before the first use the key is %s", state)
	}
	sealed := sealRefused(t, v, 208)
	if state, freeze := v.QuarantineKey(208); state != KeyLive || freeze != (domain.UUID{}) {
		t.Errorf("after the first use the key is %s, behind freeze %s", state, freeze)
	}
	sealRefused(t, v, 212)
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	for _, q := range []struct {
		name     string
		district domain.District
		id       domain.UUID
		subject  string
		sealed   []byte
		want     error
	}{
		{"as it was sealed", 208, refused, refusedAt, sealed, nil},
		{"another id", 208, domain.UUID{1}, refusedAt, sealed, ErrCorrupt},
		{"another subject", 208, refused, "quarantine.208.208002", sealed, ErrCorrupt},
		{"another district", 212, refused, refusedAt, sealed, ErrKeyDestroyed},
		{"a district without a key", 1, refused, refusedAt, sealed, ErrKeyDestroyed},
		{"changed", 208, refused, refusedAt, changed, ErrCorrupt},
		{"cut short", 208, refused, refusedAt, sealed[:quarantineOverhead-1], ErrCorrupt},
		{"another suite", 208, refused, refusedAt, append([]byte{2}, sealed[1:]...), ErrCorrupt},
		{"nothing", 208, refused, refusedAt, nil, ErrCorrupt},
	} {
		if plain, err := v.OpenQuarantine(q.district, q.id, q.subject, q.sealed); !errors.Is(err, q.want) || (err == nil) != (plain != nil) {
			t.Errorf("%s: %q, %v", q.name, plain, err)
		}
	}
	if _, err := v.SealQuarantine(0, 208, refused, refusedAt, make([]byte, MaxQuarantined+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too much: %v", err)
	}
	v = reopen(t, v)
	if err := opensRefused(v, 208, sealed); err != nil {
		t.Errorf("opened again: %v", err)
	}
	v.Close()
	if _, err := v.SealQuarantine(0, 208, refused, refusedAt, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := v.DestroyQuarantineKey(208, refused); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestDestroyQuarantineKey: one district's messages open nowhere afterwards, and
// those of others go on.
func TestDestroyQuarantineKey(t *testing.T) {
	t.Parallel()
	v := open(t)
	sealed, neighbours := sealRefused(t, v, 208), sealRefused(t, v, 212)
	key, ended := quarantineKeyOf(t, v, 208), v.QuarantinesEnded()
	if files := filesWith(t, v.dir, key); len(files) != 1 || files[0] != quarantineKeyFile {
		t.Fatalf("the key is in %v", files)
	}
	before, err := os.ReadFile(filepath.Join(v.dir, quarantineKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} { // a repetition, as after a crash
		if held, err := v.DestroyQuarantineKey(208, domain.UUID{7}); held != want || err != nil {
			t.Errorf("destroyed: %v, %v", held, err)
		}
	}
	if files := filesWith(t, v.dir, key); files != nil {
		t.Errorf("the key is still in %v", files)
	}
	if _, err := v.SealQuarantine(ended, 208, refused, refusedAt, nil); !errors.Is(err, ErrKeyDestroyed) {
		t.Errorf("what was found fit to be kept before the freeze is sealed after it: %v", err)
	}
	for range 2 {
		if err := opensRefused(v, 208, sealed); !errors.Is(err, ErrKeyDestroyed) {
			t.Errorf("of the frozen district: %v", err)
		}
		if err := opensRefused(v, 212, neighbours); err != nil {
			t.Errorf("of another district: %v", err)
		}
		if state, freeze := v.QuarantineKey(208); state != KeyDestroyed || freeze != (domain.UUID{7}) {
			t.Errorf("the key is %s, by freeze %s", state, freeze)
		}
		v = reopen(t, v)
	}
	later := sealRefused(t, v, 208)
	v = reopen(t, v)
	if err := errors.Join(opensRefused(v, 208, later), opensRefused(v, 212, neighbours)); err != nil {
		t.Error(err)
	}
	if state, freeze := v.QuarantineKey(208); state != KeyLive || freeze != (domain.UUID{7}) {
		t.Errorf("a new key is %s, behind freeze %s", state, freeze)
	}

	// A file from before the freeze is put back: it opens, and can be told.
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(v.dir, quarantineKeyFile), before, 0o600); err != nil {
		t.Fatal(err)
	}
	v = open(t, v.dir)
	if state, freeze := v.QuarantineKey(208); state != KeyLive || freeze == (domain.UUID{7}) {
		t.Errorf("an old key cannot be told from today's: %s, behind freeze %s", state, freeze)
	}
}

// TestQuarantineKeyOnFailingDisk: no key is used that is not on disk, and one that
// was to be destroyed opens nothing, whatever the disk says.
func TestQuarantineKeyOnFailingDisk(t *testing.T) {
	t.Parallel()
	v := open(t)
	sealed := sealRefused(t, v, 208)
	sound := v.quarantine.file
	broken, err := os.Open(sound.Name()) // cannot be written to
	if err != nil {
		t.Fatal(err)
	}
	defer broken.Close()
	v.quarantine.file = broken
	if _, err := v.SealQuarantine(0, 212, refused, refusedAt, nil); err == nil {
		t.Error("sealed to a key that is not on disk")
	}
	if state, _ := v.QuarantineKey(212); state != KeyAbsent {
		t.Errorf("a key that was not flushed is %s", state)
	}
	if _, err := v.DestroyQuarantineKey(208, domain.UUID{7}); err == nil {
		t.Error("destroyed on a failing disk")
	}
	if err := opensRefused(v, 208, sealed); !errors.Is(err, ErrKeyDestroyed) {
		t.Errorf("opened: %v", err)
	}
	v.quarantine.file = sound
	if _, err := v.DestroyQuarantineKey(208, domain.UUID{7}); err != nil {
		t.Fatal(err)
	}
	v = reopen(t, v)
	if state, freeze := v.QuarantineKey(208); state != KeyDestroyed || freeze != (domain.UUID{7}) {
		t.Errorf("the key is %s, by freeze %s", state, freeze)
	}
}

// TestTornQuarantineSector: a sector that was written in part costs its own
// district's messages, and nobody else's.
func TestTornQuarantineSector(t *testing.T) {
	t.Parallel()
	v := open(t)
	sealed, neighbours := sealRefused(t, v, 208), sealRefused(t, v, 209)
	path := filepath.Join(v.dir, quarantineKeyFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{1, 9, 31, 63, 479, 511} {
		torn := bytes.Clone(whole)
		clear(torn[208*sectorSize+cut : 209*sectorSize])
		v.Close()
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		v = open(t, v.dir)
		if err := opensRefused(v, 208, sealed); !errors.Is(err, ErrKeyDestroyed) {
			t.Errorf("cut after %d: %v", cut, err)
		}
		if err := opensRefused(v, 209, neighbours); err != nil {
			t.Errorf("cut after %d, the neighbour's: %v", cut, err)
		}
		later := sealRefused(t, v, 208)
		v = reopen(t, v)
		if err := opensRefused(v, 208, later); err != nil {
			t.Errorf("cut after %d, sealed later: %v", cut, err)
		}
	}
	newer := bytes.Clone(whole)
	newer[208*sectorSize+8] = 2
	v.Close()
	if err := os.WriteFile(path, newer, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(v.dir); !errors.Is(err, errSectorFormat) {
		t.Errorf("a later format: %v", err)
	}
}

// TestQuarantineKeysInUse destroys keys under those who seal and open.
func TestQuarantineKeysInUse(t *testing.T) {
	t.Parallel()
	v := open(t)
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			d := domain.District(208 + worker%2)
			for n := range 200 {
				if worker == 0 && n%20 == 0 {
					if _, err := v.DestroyQuarantineKey(d, domain.UUID{byte(n)}); err != nil {
						t.Error(err)
					}
				}
				sealed, err := v.SealQuarantine(v.QuarantinesEnded(), d, refused, refusedAt, []byte("a refused dose"))
				if errors.Is(err, ErrKeyDestroyed) {
					continue
				}
				if err == nil {
					err = opensRefused(v, d, sealed)
				}
				if err != nil && !(d == 208 && errors.Is(err, ErrKeyDestroyed)) {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

// TestQuarantineByTheDocument holds the format to the comments of quarantine.go,
// with nothing else of this package.
func TestQuarantineByTheDocument(t *testing.T) {
	t.Parallel()
	s := quarantineSector{state: KeyLive, district: 208, freeze: domain.UUID{7}}
	copy(s.key[:], "a quarantine key of 32 bytes....")
	var live, ended [sectorSize]byte
	s.encode(&live)
	(&quarantineSector{state: KeyDestroyed, district: 208, freeze: domain.UUID{7}}).encode(&ended)
	golden(t, "quarantine.golden", fmt.Appendf(nil, "key live\n%skey destroyed\n%s", hex.Dump(live[:]), hex.Dump(ended[:])))

	v := open(t)
	sealed := sealRefused(t, v, 208)
	key := quarantineKeyOf(t, v, 208)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	bound := "bahi quarantine 1" + string(sealed[:9]) + "\x00\xd0" + string(refused[:]) + refusedAt
	plain, err := gcm.Open(nil, sealed[9:21], sealed[21:], []byte(bound))
	if err != nil || string(plain) != "a refused dose" {
		t.Errorf("%q, %v", plain, err)
	}
	if id := sha256.Sum256(append([]byte("bahi quarantine key"), key...)); !bytes.Equal(sealed[1:9], id[:8]) || sealed[0] != 1 {
		t.Errorf("the head is %x", sealed[:9])
	}
}

func FuzzQuarantineSector(f *testing.F) {
	for _, s := range []quarantineSector{{state: KeyLive, district: 208, key: [32]byte{1}}, {state: KeyDestroyed, district: 208, freeze: domain.UUID{7}}} {
		var b [sectorSize]byte
		s.encode(&b)
		f.Add(b[:], true)
		f.Add(b[:77], false)
	}
	f.Fuzz(func(t *testing.T, content []byte, mend bool) {
		var b, written [sectorSize]byte
		copy(b[:], content)
		if mend {
			sum := sha256.Sum256(b[:480])
			copy(b[480:], sum[:])
		}
		var s, again quarantineSector
		if err := s.decode(&b, 208); err != nil || s.state == KeyAbsent {
			if s.key != [32]byte{} {
				t.Error("unusable, and yet it has a key")
			}
			return
		}
		s.encode(&written)
		if err := again.decode(&written, 208); err != nil || again != s {
			t.Errorf("%x was read, and is written as something else (%v)", b, err)
		}
	})
}

func FuzzOpenQuarantine(f *testing.F) {
	v := open(f)
	sealed := sealRefused(f, v, 208)
	f.Add(sealed)
	f.Add(sealed[:quarantineHeader])
	f.Add([]byte{suiteQuarantine})
	f.Fuzz(func(t *testing.T, b []byte) {
		plain, err := v.OpenQuarantine(208, refused, refusedAt, b)
		if err == nil && !bytes.Equal(b, sealed) {
			t.Errorf("opened %q, which nobody sealed", plain)
		}
		if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrKeyDestroyed) {
			t.Error(err)
		}
	})
}

// TestReplyKeyIsKept: whoever kept the key to a bundle's replies opens them later.
func TestReplyKeyIsKept(t *testing.T) {
	t.Parallel()
	v := open(t)
	sealed, opener, err := SealBundle(v.IntakePublicKey(), []byte("bundle"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, sealer, err := v.OpenBundle(sealed, nil)
	if err != nil {
		t.Fatal(err)
	}
	reply, err := sealer.Seal([]byte("verdicts"))
	if err != nil {
		t.Fatal(err)
	}
	kept := opener.Bytes()
	again, err := ParseReplyOpener(kept)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Open(reply); err != nil || string(plain) != "verdicts" {
		t.Errorf("%q, %v", plain, err)
	}
	for _, b := range [][]byte{nil, kept[:32], append([]byte{2}, kept[1:]...), append(kept, 0)} {
		if _, err := ParseReplyOpener(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes were read as a key: %v", len(b), err)
		}
	}
}
