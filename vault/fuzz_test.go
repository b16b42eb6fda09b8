package vault

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"bahi/domain"
)

// What a decoder accepts is exactly what the encoder writes.

func FuzzRegistrationPlaintext(f *testing.F) {
	for _, d := range []domain.Details{someDetails, {}} {
		b, err := appendRegistration(nil, d, someTokens)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, tokens, ok := parseRegistration(b)
		if !ok {
			return
		}
		again, err := appendRegistration(nil, d, tokens)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x was read, and is written as %x (%v)", b, again, err)
		}
	})
}

func FuzzDosePlaintext(f *testing.F) {
	for _, d := range []domain.DoseParticulars{someDose, {}} {
		b, err := appendDose(nil, d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, ok := parseDose(b)
		if !ok {
			return
		}
		again, err := appendDose(nil, d)
		if err != nil || !bytes.Equal(again, b) {
			t.Errorf("%x was read, and is written as %x (%v)", b, again, err)
		}
	})
}

// The fuzzer changes a sector; the checksum is put right, so that it gets past it.
func FuzzSector(f *testing.F) {
	for _, s := range []*sector{fixedKey(), {state: KeyDestroyed, held: true, cohort: hcw, epoch: 1}, {state: KeyDestroyed, cohort: flw}} {
		var b [sectorSize]byte
		s.encode(&b)
		f.Add(b[:], true)
		f.Add(b[:77], false)
	}
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend && len(b) == sectorSize {
			b = bytes.Clone(b)
			sum := sha256.Sum256(b[:480])
			copy(b[480:], sum[:])
		}
		var s, again sector
		if reason := s.decode(b); reason != "" {
			if s.key != [32]byte{} || s.state != KeyAbsent {
				t.Errorf("unusable (%s), and yet it has a key", reason)
			}
			return
		}
		if s.state == KeyAbsent {
			return
		}
		var written [sectorSize]byte
		s.encode(&written)
		if reason := again.decode(written[:]); reason != "" || again != s {
			t.Errorf("%x was read, and is written as something else (%s)", b, reason)
		}
	})
}

func FuzzSealedRecord(f *testing.F) {
	key := fixedKey()
	w := &workspace{plain: pad([]byte{1, 0, 0}, doseBlock)}
	f.Add(w.seal(key, kindDose, somebody))
	f.Add([]byte{suiteRecord, 0, 1})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if _, _, err := openRegistration(keysOf(key, somebody), sealed); !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrKeyMissing) {
			t.Errorf("opened what nobody sealed: %v", err)
		}
		if _, err := openDose(keysOf(key, somebody), sealed); err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrKeyMissing) {
			t.Error(err)
		}
	})
}

func FuzzHandover(f *testing.F) {
	key := authority(f)
	v := open(f)
	if err := v.EnsureKeys(hcw); err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(f.TempDir(), "1.handover")
	if _, err := v.WriteHandover(path, domain.UUID{1}, []domain.Cohort{hcw}, key.Public()); err != nil {
		f.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file, false)
	f.Add(file[:len(file)-65], true)
	f.Add([]byte("{\"bahi\":\"handover\",\"version\":1}\n\n"), true)
	f.Add([]byte("{\"bahi\":\"handover\",\"version\":2}\n\n"), true)
	f.Fuzz(func(t *testing.T, b []byte, mend bool) {
		if mend {
			b = fmt.Appendf(bytes.Clone(b), "%x\n", sha256.Sum256(b))
		}
		if h, err := OpenHandover(b, key); err == nil && !bytes.Equal(b, file) {
			t.Errorf("opened %v, which nobody wrote", h)
		}
	})
}

func FuzzKeyFiles(f *testing.F) {
	key := authority(f)
	private, err := key.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(private)
	f.Add(key.Public().Marshal())
	f.Add([]byte(armour(intakeKeyLabel, make([]byte, 32)) + "\n"))
	f.Add([]byte(pepperLabel + ":AAAA"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, err := ParseAuthorityKey(b); err == nil {
			again, err := k.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParseAuthorityKey(again); err != nil {
				t.Error(err)
			}
		}
		if p, err := ParseAuthorityPublicKey(b); err == nil {
			if again, err := ParseAuthorityPublicKey(p.Marshal()); err != nil || again.ID() != p.ID() {
				t.Error(err)
			}
		}
		if keys, err := parseIntakeKeys(b); err == nil && (len(keys) == 0 || len(keys) > maxIntakeKeys) {
			t.Errorf("%d intake keys", len(keys))
		}
		if key, err := unarmour(pepperLabel, string(b)); err == nil {
			if again, err := unarmour(pepperLabel, armour(pepperLabel, key)); err != nil || !bytes.Equal(again, key) {
				t.Error(err)
			}
		}
	})
}

func FuzzBundle(f *testing.F) {
	v := open(f)
	sealed, opener, err := SealBundle(v.IntakePublicKey(), []byte("bundle"), nil)
	if err != nil {
		f.Fatal(err)
	}
	_, sealer, err := v.OpenBundle(sealed, nil)
	if err != nil {
		f.Fatal(err)
	}
	reply, err := sealer.Seal([]byte("verdicts"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:bundleHeader])
	f.Add(reply)
	f.Fuzz(func(t *testing.T, b []byte) {
		if bundle, _, err := v.OpenBundle(b, nil); err == nil && !bytes.Equal(b, sealed) && len(bundle) > MaxBundle {
			t.Error("a bundle beyond its bound")
		}
		if _, err := opener.Open(b); err == nil && !bytes.Equal(b, reply) {
			t.Error("opened a reply that nobody sealed")
		}
	})
}
