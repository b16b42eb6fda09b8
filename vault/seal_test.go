package vault

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"bahi/domain"
)

var (
	someDetails = domain.Details{Name: "सुनीता देवी", BirthYear: 1961, Mobile: "9000000001", PhotoIDType: domain.Aadhaar, PhotoIDLast4: "1111"}
	someTokens  = domain.RegistrationTokens{Mobile: domain.MobileToken{1, 2, 3}, PhotoID: domain.PhotoIDToken{4, 5, 6}, Content: domain.Digest{7, 8, 9}}
	someDose    = domain.DoseParticulars{Centre: "208001", Batch: "4120Z001"}
	somebody    = domain.PersonToken{0xaa, 0xbb}
)

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw); err != nil {
		t.Fatal(err)
	}
	for _, d := range []domain.Details{
		someDetails,
		{},
		{Name: "Md. Asif-ul-Haque O'Brien", BirthYear: 65535, Mobile: "+919000000001", PhotoIDType: domain.StudentID, PhotoIDLast4: "ॐ"},
		{Name: strings.Repeat("न", maxText/3)},
	} {
		sealed, err := v.SealRegistration(hcw, somebody, d, someTokens)
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed)%registrationBlock != recordOverhead {
			t.Errorf("%d bytes sealed", len(sealed))
		}
		got, tokens, err := v.OpenRegistration(hcw, somebody, sealed)
		if err != nil || got != d || tokens != someTokens {
			t.Errorf("opened to something else: %v", err)
		}
		if tokens, err := v.OpenTokens(hcw, somebody, sealed); err != nil || tokens != someTokens {
			t.Errorf("tokens: %v", err)
		}
		again, err := v.SealRegistration(hcw, somebody, d, someTokens)
		if err != nil || bytes.Equal(again, sealed) {
			t.Error("sealed to the same bytes twice")
		}
	}
	for _, d := range []domain.DoseParticulars{someDose, {}, {Centre: strings.Repeat("c", maxText), Batch: strings.Repeat("b", maxText)}} {
		sealed, err := v.SealDose(hcw, somebody, d)
		if err != nil {
			t.Fatal(err)
		}
		if len(sealed)%doseBlock != recordOverhead {
			t.Errorf("%d bytes sealed", len(sealed))
		}
		if got, err := v.OpenDose(hcw, somebody, sealed); err != nil || got != d {
			t.Errorf("opened to something else: %v", err)
		}
	}
}

// TestSealerInTurns: one sealer seals for whoever comes, under the key that holds then,
// and no longer under one that has ended.
func TestSealerInTurns(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw, flw); err != nil {
		t.Fatal(err)
	}
	sealer := v.Sealer()
	turns := func() {
		t.Helper()
		another := domain.PersonToken{0xcc}
		for _, c := range []domain.Cohort{hcw, flw, flw, hcw} {
			for _, p := range []domain.PersonToken{somebody, another, another, somebody} {
				sealed, err := sealer.Dose(c, p, someDose)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := v.OpenDose(c, p, sealed); err != nil || got != someDose {
					t.Errorf("%s: opened to something else: %v", c, err)
				}
			}
		}
	}
	turns()
	if err := v.NextEpoch(hcw, 2); err != nil { // whose key the sealer has
		t.Fatal(err)
	}
	turns()
	if _, err := v.Destroy(hcw); err != nil {
		t.Fatal(err)
	}
	if _, err := sealer.Dose(hcw, somebody, someDose); !errors.Is(err, ErrKeyDestroyed) {
		t.Errorf("sealed under a key that has ended: %v", err)
	}
}

// The length of what is sealed does not tell the length of a name.
func TestSealedLength(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw); err != nil {
		t.Fatal(err)
	}
	lengths := map[int]bool{}
	for _, name := range []string{"Ram", "Sunita Devi", "सुनीता देवी", "Mohammad Shamsuddin Ansari", strings.Repeat("x", 58)} {
		d := someDetails
		d.Name = name
		sealed, err := v.SealRegistration(hcw, somebody, d, someTokens)
		if err != nil {
			t.Fatal(err)
		}
		lengths[len(sealed)] = true
	}
	if len(lengths) != 1 || !lengths[159] {
		t.Errorf("lengths %v", lengths)
	}
}

func TestSealTooLarge(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", maxText+1)
	for _, d := range []domain.Details{{Name: long}, {Mobile: long}, {PhotoIDLast4: long}, {BirthYear: -1}, {BirthYear: 65536}} {
		if _, err := v.SealRegistration(hcw, somebody, d, someTokens); !errors.Is(err, ErrTooLarge) {
			t.Errorf("registration: %v", err)
		}
	}
	for _, d := range []domain.DoseParticulars{{Centre: long}, {Batch: long}} {
		if _, err := v.SealDose(hcw, somebody, d); !errors.Is(err, ErrTooLarge) {
			t.Errorf("dose: %v", err)
		}
	}
}

func TestOpenElsewhere(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw, flw); err != nil {
		t.Fatal(err)
	}
	registration, err := v.SealRegistration(hcw, somebody, someDetails, someTokens)
	if err != nil {
		t.Fatal(err)
	}
	dose, err := v.SealDose(hcw, somebody, someDose)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, want error, c domain.Cohort, p domain.PersonToken, registration, dose []byte) {
		t.Helper()
		d, tokens, err := v.OpenRegistration(c, p, registration)
		if !errors.Is(err, want) || d != (domain.Details{}) || tokens != (domain.RegistrationTokens{}) {
			t.Errorf("%s: OpenRegistration: %v", what, err)
		}
		if tokens, err := v.OpenTokens(c, p, registration); !errors.Is(err, want) || tokens != (domain.RegistrationTokens{}) {
			t.Errorf("%s: OpenTokens: %v", what, err)
		}
		if d, err := v.OpenDose(c, p, dose); !errors.Is(err, want) || d != (domain.DoseParticulars{}) {
			t.Errorf("%s: OpenDose: %v", what, err)
		}
	}
	check("another cohort", ErrCorrupt, flw, somebody, registration, dose)
	check("an unknown cohort", ErrKeyMissing, old, somebody, registration, dose)
	check("another person", ErrCorrupt, hcw, domain.PersonToken{0xaa, 0xbc}, registration, dose)
	check("another kind", ErrCorrupt, hcw, somebody, dose, registration)
	for i := range registration {
		r, d := bytes.Clone(registration), bytes.Clone(dose)
		r[i] ^= 1
		d[i%len(d)] ^= 1
		want := ErrCorrupt
		if i == 1 { // the key epoch: one that is to come
			want = ErrKeyMissing
		}
		if i < len(dose) {
			check(fmt.Sprintf("byte %d changed", i), want, hcw, somebody, r, d)
		} else if _, _, err := v.OpenRegistration(hcw, somebody, r); !errors.Is(err, ErrCorrupt) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for n := range dose {
		check(fmt.Sprintf("cut to %d bytes", n), ErrCorrupt, hcw, somebody, registration[:n], dose[:n])
	}
	long := make([]byte, maxRecord+1)
	long[0], long[2] = suiteRecord, 1
	check("too long", ErrCorrupt, hcw, somebody, long, long)

	// The cohort and the kind are bound, not only the key.
	v.keys.slots[flw].key = v.keys.slots[hcw].key
	check("another cohort with the same key", ErrCorrupt, flw, somebody, registration, dose)
	v.keys.slots[hcw].epoch = 2
	check("an epoch that has ended", ErrKeyDestroyed, hcw, somebody, registration, dose)
	registration[2], dose[2] = 2, 2
	check("another epoch claimed", ErrCorrupt, hcw, somebody, registration, dose)
}

// fixedKey is the sector that the golden records were sealed under.
func fixedKey() *sector {
	s := &sector{state: KeyLive, held: true, cohort: hcw, epoch: 1}
	copy(s.key[:], "a cohort key of thirty-two bytes")
	return s
}

// keysOf are the person's record keys under one cohort key.
func keysOf(s *sector, p domain.PersonToken) *recordKeys {
	h := &Handover{keys: map[domain.Cohort]*sector{s.cohort: s}}
	return h.recordKeys(s.cohort, p, nil)
}

// Formats that have to be read in decades: what was sealed by an earlier version
// opens, and plaintexts and sectors are the same bytes.
func TestFormatsGolden(t *testing.T) {
	t.Parallel()
	registration, err := appendRegistration(nil, someDetails, someTokens)
	if err != nil {
		t.Fatal(err)
	}
	dose, err := appendDose(nil, someDose)
	if err != nil {
		t.Fatal(err)
	}
	var live, bar [sectorSize]byte
	fixedKey().encode(&live)
	(&sector{state: KeyDestroyed, held: true, cohort: hcw, epoch: 1}).encode(&bar)
	golden(t, "formats.golden", fmt.Appendf(nil, "registration\n%sdose\n%skey live\n%skey destroyed\n%s",
		hex.Dump(registration), hex.Dump(dose), hex.Dump(live[:]), hex.Dump(bar[:])))

	if *update {
		w := &workspace{plain: registration}
		text := fmt.Appendf(nil, "%x\n", w.seal(fixedKey(), kindRegistration, somebody))
		w.plain = dose
		text = fmt.Appendf(text, "%x\n", w.seal(fixedKey(), kindDose, somebody))
		if err := os.WriteFile("testdata/sealed.golden", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile("testdata/sealed.golden")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text))
	sealed := make([][]byte, len(lines))
	for i, line := range lines {
		if sealed[i], err = hex.DecodeString(line); err != nil {
			t.Fatal(err)
		}
	}
	if d, tokens, err := openRegistration(keysOf(fixedKey(), somebody), sealed[0]); err != nil || d != someDetails || tokens != someTokens {
		t.Errorf("the registration: %v", err)
	}
	if d, err := openDose(keysOf(fixedKey(), somebody), sealed[1]); err != nil || d != someDose {
		t.Errorf("the dose: %v", err)
	}
	byTheDocument(t, sealed[1])
}

// byTheDocument opens the golden dose as the comments of seal.go and
// plaintext.go say, with nothing of this package.
func byTheDocument(t *testing.T, sealed []byte) {
	recordKey, err := hkdf.Expand(sha256.New, []byte("a cohort key of thirty-two bytes"), "bahi record"+string(somebody[:]), 32)
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(recordKey)
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	bound := "bahi sealed" + "\x01" + "\x00\x01" + "\x02" + "\x00\xd0" + "\x01" + "\x00\x01" + string(somebody[:])
	plain, err := gcm.Open(nil, sealed[3:15], sealed[15:], []byte(bound))
	if err != nil {
		t.Fatal(err)
	}
	if want := "\x01\x06208001\x084120Z001\x80" + strings.Repeat("\x00", 14); string(plain) != want {
		t.Errorf("the dose is %q", plain)
	}
}
