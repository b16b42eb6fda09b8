package vault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"bahi/domain"
)

var (
	survivor = domain.PersonToken{1, 2, 3}
	listed   = domain.PersonToken{7, 7, 7}
)

// rekey takes a cohort from one epoch to the next and returns the survivor's
// wrapped key.
func rekey(t *testing.T, v *Vault, c domain.Cohort, epoch uint16) []byte {
	t.Helper()
	if err := v.NextEpoch(c, epoch); err != nil {
		t.Fatal(err)
	}
	keys, err := v.WrapKeys(domain.CohortEpoch{Cohort: c, Epoch: epoch}, []domain.PersonToken{survivor})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := v.DestroyBefore(domain.CohortEpoch{Cohort: c, Epoch: epoch}); err != nil || n != 1 {
		t.Fatalf("DestroyBefore: %d, %v", n, err)
	}
	if len(keys) != 1 || keys[0].Person != survivor || len(keys[0].Sealed) != 63 {
		t.Fatalf("wrapped %v", keys)
	}
	return keys[0].Sealed
}

func sealFor(t *testing.T, v *Vault, p domain.PersonToken, batch string) []byte {
	t.Helper()
	sealed, err := v.SealDose(hcw, p, domain.DoseParticulars{Batch: batch})
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

// Over several freezes of listed persons, who stays opens the records of every
// epoch, and who was listed opens none of before.
func TestEpochs(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw, flw); err != nil {
		t.Fatal(err)
	}
	neighbour := sealedDose(t, v, flw)
	var records, theirs, wrapped, keys [][]byte
	for epoch := uint16(2); epoch <= 4; epoch++ {
		records = append(records, sealFor(t, v, survivor, fmt.Sprint("B", epoch-1)))
		theirs = append(theirs, sealFor(t, v, listed, "L"))
		keys = append(keys, keyOf(t, v, hcw))
		wrapped = append(wrapped, rekey(t, v, hcw, epoch))
	}
	records = append(records, sealFor(t, v, survivor, "B4"))

	try := func(v *Vault, when string) {
		t.Helper()
		for i, sealed := range records {
			d, err := v.OpenDose(hcw, survivor, sealed, wrapped...)
			if err != nil || d.Batch != fmt.Sprint("B", i+1) {
				t.Errorf("%s, epoch %d: %+v, %v", when, i+1, d, err)
			}
		}
		if _, err := v.OpenDose(hcw, survivor, records[0], wrapped[0], wrapped[2]); !errors.Is(err, ErrKeyDestroyed) {
			t.Errorf("%s, with a link missing: %v", when, err)
		}
		for i, sealed := range theirs {
			if _, err := v.OpenDose(hcw, listed, sealed); !errors.Is(err, ErrKeyDestroyed) {
				t.Errorf("%s, listed, epoch %d: %v", when, i+1, err)
			}
			if _, err := v.OpenDose(hcw, listed, sealed, wrapped...); err == nil {
				t.Errorf("%s, listed, epoch %d: opens with somebody else's keys", when, i+1)
			}
		}
		if err := opens(v, flw, neighbour); err != nil {
			t.Error(err)
		}
	}
	try(v, "at once")
	info, err := os.Stat(filepath.Join(v.dir, "cohorts.keys"))
	if err != nil || info.Size() != 3*sectorSize {
		t.Errorf("the key file has %d bytes after three epochs, %v", info.Size(), err)
	}
	v = reopen(t, v)
	try(v, "after a restart")
	for i, key := range keys {
		if files := filesWith(t, v.dir, key); files != nil {
			t.Errorf("the key of epoch %d is in %v", i+1, files)
		}
	}

	if n, err := v.Destroy(hcw); err != nil || n != 1 {
		t.Fatalf("Destroy: %d, %v", n, err)
	}
	if _, err := v.OpenDose(hcw, survivor, records[3], wrapped...); !errors.Is(err, ErrKeyDestroyed) {
		t.Errorf("a destroyed cohort: %v", err)
	}
	if err := v.NextEpoch(hcw, 5); !errors.Is(err, ErrKeyDestroyed) {
		t.Errorf("a new epoch of a destroyed cohort: %v", err)
	}
}

// Every step can be cut off by a crash and done again.
func TestEpochStepsAgain(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.NextEpoch(hcw, 2); !errors.Is(err, ErrKeyMissing) {
		t.Errorf("an epoch of a cohort without a key: %v", err)
	}
	if err := v.EnsureKeys(hcw); err != nil {
		t.Fatal(err)
	}
	sealed, first := sealFor(t, v, survivor, "B1"), keyOf(t, v, hcw)
	if err := v.NextEpoch(hcw, 3); !errors.Is(err, ErrKeyMissing) {
		t.Errorf("an epoch was skipped: %v", err)
	}
	for range 2 {
		if err := v.NextEpoch(hcw, 2); err != nil {
			t.Fatal(err)
		}
		v = reopen(t, v)
	}
	if !v.HasBefore(hcw, 2) || v.HasBefore(hcw, 1) {
		t.Error("two epochs are not two")
	}
	later := sealFor(t, v, survivor, "B2")
	for _, s := range [][]byte{sealed, later} { // both keys are there
		if _, err := v.OpenDose(hcw, survivor, s); err != nil {
			t.Error(err)
		}
	}
	two := domain.CohortEpoch{Cohort: hcw, Epoch: 2}
	keys, err := v.WrapKeys(two, []domain.PersonToken{survivor})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := v.DestroyBefore(two); err != nil || n != 1 {
			t.Errorf("DestroyBefore: %d, %v", n, err)
		}
		v = reopen(t, v)
	}
	if _, err := v.WrapKeys(two, []domain.PersonToken{survivor}); !errors.Is(err, ErrKeyMissing) {
		t.Errorf("wrapped under a key that is gone: %v", err)
	}
	if d, err := v.OpenDose(hcw, survivor, sealed, keys[0].Sealed); err != nil || d.Batch != "B1" {
		t.Errorf("%+v, %v", d, err)
	}
	if files := filesWith(t, v.dir, first); files != nil {
		t.Errorf("the first key is in %v", files)
	}
}

// A whole cohort destroyed in the middle of a new epoch loses both keys, and so
// does one whose end was cut off between the two sectors.
func TestDestroyBetweenEpochs(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw); err != nil {
		t.Fatal(err)
	}
	first := keyOf(t, v, hcw)
	if err := v.NextEpoch(hcw, 2); err != nil {
		t.Fatal(err)
	}
	second := keyOf(t, v, hcw)
	path := filepath.Join(v.dir, "cohorts.keys")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := v.Destroy(hcw); err != nil || n != 1 {
		t.Fatalf("Destroy: %d, %v", n, err)
	}
	v.Close()
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(after[:sectorSize], before[:sectorSize]) // the first sector was not reached
	if err := os.WriteFile(path, after, 0o600); err != nil {
		t.Fatal(err)
	}
	v = open(t, v.dir)
	if got := v.State(hcw); got != KeyDestroyed {
		t.Errorf("half destroyed, the key is %s", got)
	}
	if n, err := v.Destroy(hcw); err != nil || n != 1 {
		t.Fatalf("Destroy: %d, %v", n, err)
	}
	for _, key := range [][]byte{first, second} {
		if files := filesWith(t, v.dir, key); files != nil {
			t.Errorf("a key is in %v", files)
		}
	}
}

// A key file of before a freeze of listed persons, put back in place of today's,
// loses what it brings; today's, put back again, has lost nothing.
func TestOldEpochPutBack(t *testing.T) {
	t.Parallel()
	v := open(t)
	if err := v.EnsureKeys(hcw); err != nil {
		t.Fatal(err)
	}
	sealed, first := sealFor(t, v, survivor, "B1"), keyOf(t, v, hcw)
	path := filepath.Join(v.dir, "cohorts.keys")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wrapped := rekey(t, v, hcw, 2)
	v.Close()
	today, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	v = open(t, v.dir)
	if !v.HasBefore(hcw, 2) {
		t.Fatal("the old file was not put back")
	}
	if n, err := v.DestroyBefore(domain.CohortEpoch{Cohort: hcw, Epoch: 2}); err != nil || n != 1 {
		t.Fatalf("DestroyBefore: %d, %v", n, err)
	}
	if _, err := v.OpenDose(hcw, survivor, sealed, wrapped); !errors.Is(err, ErrKeyMissing) {
		t.Errorf("without a key: %v", err)
	}
	if files := filesWith(t, v.dir, first); files != nil {
		t.Errorf("the key is in %v", files)
	}
	v.Close()
	if err := os.WriteFile(path, today, 0o600); err != nil {
		t.Fatal(err)
	}
	v = open(t, v.dir)
	if _, err := v.OpenDose(hcw, survivor, sealed, wrapped); err != nil {
		t.Error(err)
	}
}

// The handover of listed persons opens their records of every epoch, and nobody
// else's.
func TestHandoverOfListed(t *testing.T) {
	t.Parallel()
	v, key := open(t), authority(t)
	if err := v.EnsureKeys(hcw, flw); err != nil {
		t.Fatal(err)
	}
	first, other := sealFor(t, v, survivor, "B1"), sealFor(t, v, listed, "L1")
	wrapped := rekey(t, v, hcw, 2) // the survivor of this freeze is listed by the next
	second := sealFor(t, v, survivor, "B2")
	path := filepath.Join(t.TempDir(), "1.handover")
	list := []Listed{{CohortEpoch: domain.CohortEpoch{Cohort: hcw, Epoch: 2}, Persons: []domain.PersonToken{survivor}}}
	hash, err := v.WriteHandoverOfListed(path, domain.UUID{1}, list, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	rekey(t, v, hcw, 3)
	if again, err := v.WriteHandoverOfListed(path, domain.UUID{1}, list, key.Public()); err != nil || again != hash {
		t.Errorf("again: %v", err)
	}
	list[0].Persons = append(list[0].Persons, listed)
	if _, err := v.WriteHandoverOfListed(path, domain.UUID{1}, list, key.Public()); err == nil {
		t.Error("the handover of another list was taken for this one's")
	}
	if _, err := v.WriteHandoverOfListed(path+"2", domain.UUID{1}, list, key.Public()); !errors.Is(err, ErrKeyMissing) {
		t.Errorf("of a key that is gone: %v", err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := OpenHandover(file, key)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(h.Cohorts, []domain.Cohort{hcw}) {
		t.Errorf("its cohorts are %v", h.Cohorts)
	}
	for i, sealed := range [][]byte{first, second} {
		if d, err := h.OpenDose(hcw, survivor, sealed, wrapped); err != nil || d.Batch != fmt.Sprint("B", i+1) {
			t.Errorf("epoch %d: %+v, %v", i+1, d, err)
		}
	}
	if _, err := h.OpenDose(hcw, survivor, first); !errors.Is(err, ErrNotHandedOver) {
		t.Errorf("without the wrapped key: %v", err)
	}
	if _, err := h.OpenDose(hcw, listed, other, wrapped); !errors.Is(err, ErrNotHandedOver) {
		t.Errorf("somebody else: %v", err)
	}
}

func BenchmarkWrapKeys(b *testing.B) {
	v := open(b)
	if err := errors.Join(v.EnsureKeys(hcw), v.NextEpoch(hcw, 2)); err != nil {
		b.Fatal(err)
	}
	persons := make([]domain.PersonToken, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.WrapKeys(domain.CohortEpoch{Cohort: hcw, Epoch: 2}, persons); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(persons)), "ns/person")
}
