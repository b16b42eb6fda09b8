package vault

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"bahi/domain"
)

// maxSectors bounds the key file to 512 MiB: 800 districts × 7 groups × 187
// generations.
const maxSectors = 1 << 20

// keyring is the key file: a sector a cohort, two while a freeze of listed persons
// goes from one epoch of its key to the next, written in place and flushed,
// never by a temporary file and a rename, which would leave the old bytes on the
// disk.
type keyring struct {
	path string
	file *os.File

	// write is held by whoever changes the file. It comes before mu.
	write sync.Mutex
	next  int   // the first sector beyond the end
	free  []int // sectors of zeros: laid out by a crash, never written

	// mu guards what follows. It is held for reading as long as a key is in
	// use, so that destroy returns only when nobody works with it any more.
	mu      sync.RWMutex
	slots   map[domain.Cohort]*slot   // of the latest epoch
	older   map[domain.Cohort][]*slot // of epochs before it, to be destroyed
	damaged []*SectorError
	closed  bool
}

// slot is a sector in memory. Its state is the file's; the key is wiped before
// the file is touched, so a slot may be live on disk and unusable here.
type slot struct {
	sector
	place int
	wiped bool
}

func (s *slot) wipe() {
	clear(s.key[:])
	s.wiped = true
}

func openKeyring(path string) (*keyring, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, privateFile)
	if err != nil {
		return nil, fmt.Errorf("cannot open the cohort keys: %w", err)
	}
	k := &keyring{path: path, file: f, slots: make(map[domain.Cohort]*slot), older: make(map[domain.Cohort][]*slot)}
	if err := k.load(); err != nil {
		f.Close()
		return nil, err
	}
	return k, nil
}

func (k *keyring) load() error {
	info, err := k.file.Stat()
	if err != nil {
		return fmt.Errorf("cannot read the cohort keys: %w", err)
	}
	if err := checkPrivate(info, k.path, privateFile); err != nil {
		return err
	}
	if info.Size() > maxSectors*sectorSize {
		return fmt.Errorf("%s has more than %d sectors: not a key file", k.path, maxSectors)
	}
	var b [sectorSize]byte
	defer clear(b[:])
	for {
		n, err := io.ReadFull(io.NewSectionReader(k.file, int64(k.next)*sectorSize, sectorSize), b[:])
		if err == io.EOF {
			// A process that was killed may have left sectors unflushed, and
			// what is loaded here is relied upon.
			return k.flush()
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return fmt.Errorf("cannot read the cohort keys: %w", err)
		}
		s := &slot{place: k.next}
		reason := s.decode(b[:n])
		if reason == "" && k.slots[s.cohort] != nil && !k.besides(s) {
			reason = "the file has the cohort twice"
			clear(s.key[:])
		}
		switch {
		case reason != "":
			k.damaged = append(k.damaged, &SectorError{Path: k.path, Sector: s.place, Cohort: s.cohort, Reason: reason})
		case s.state == KeyAbsent:
			k.free = append(k.free, s.place)
		default:
			k.place(s)
		}
		k.next++
	}
}

func (k *keyring) close() error {
	k.write.Lock()
	defer k.write.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil
	}
	for c, s := range k.slots {
		clear(s.key[:])
		for _, s := range k.older[c] {
			clear(s.key[:])
		}
	}
	clear(k.slots)
	clear(k.older)
	k.closed = true
	return k.file.Close()
}

// damage returns why the file has no usable sector of the cohort, if that is so.
// The caller holds mu.
func (k *keyring) damage(c domain.Cohort) *SectorError {
	for _, e := range k.damaged {
		if e.Cohort == c {
			return e
		}
	}
	return nil
}

func (k *keyring) state(c domain.Cohort) KeyState {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if s := k.slots[c]; s != nil {
		return s.state
	}
	if k.damage(c) != nil {
		return KeyDamaged
	}
	return KeyAbsent
}

// borrow returns the slot of a live key and holds mu for reading; the caller
// gives it back with mu.RUnlock. When it returns an error nothing is held.
func (k *keyring) borrow(c domain.Cohort) (*slot, error) {
	k.mu.RLock()
	s := k.slots[c]
	if s != nil && s.state == KeyLive && !s.wiped {
		return s, nil
	}
	defer k.mu.RUnlock()
	if k.closed {
		return nil, ErrClosed
	}
	if s != nil {
		return nil, fmt.Errorf("cohort %s: %w", c, ErrKeyDestroyed)
	}
	if e := k.damage(c); e != nil {
		return nil, e
	}
	return nil, fmt.Errorf("cohort %s: %w", c, ErrKeyMissing)
}

// lacking returns those of the cohorts that need a key made, each once, and an
// error when one of them must not have one.
func (k *keyring) lacking(cohorts []domain.Cohort) (lacking []domain.Cohort, err error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.closed {
		return nil, ErrClosed
	}
	for _, c := range cohorts {
		switch s := k.slots[c]; {
		case s != nil && s.state == KeyLive && !s.wiped:
		case s != nil:
			return nil, fmt.Errorf("cohort %s: %w", c, ErrKeyDestroyed)
		case !validCohort(c):
			return nil, fmt.Errorf("%s is no cohort", c)
		case k.damage(c) != nil:
			return nil, k.damage(c)
		case !slices.Contains(lacking, c):
			lacking = append(lacking, c)
		}
	}
	return lacking, nil
}

// places returns n sectors to write to and how many of them were free. They are
// taken only when the caller has flushed them.
func (k *keyring) places(n int) (places []int, reused int, err error) {
	reused = min(n, len(k.free))
	places = slices.Clone(k.free[:reused])
	for i := range n - reused {
		places = append(places, k.next+i)
	}
	if k.next+n-reused > maxSectors {
		return nil, 0, fmt.Errorf("%s is full: it has %d sectors", k.path, k.next)
	}
	return places, reused, nil
}

func (k *keyring) take(n, reused int) {
	k.free = k.free[reused:]
	k.next += n - reused
}

func (k *keyring) put(place int, s *sector) error {
	var b [sectorSize]byte
	defer clear(b[:])
	s.encode(&b)
	if _, err := k.file.WriteAt(b[:], int64(place)*sectorSize); err != nil {
		return fmt.Errorf("cannot write a cohort key: %w", err)
	}
	return nil
}

// zero overwrites a sector that nobody needs any more.
func (k *keyring) zero(place int) error {
	if _, err := k.file.WriteAt(make([]byte, sectorSize), int64(place)*sectorSize); err != nil {
		return fmt.Errorf("cannot overwrite a cohort key: %w", err)
	}
	return nil
}

func (k *keyring) flush() error {
	if err := k.file.Sync(); err != nil {
		return fmt.Errorf("cannot flush the cohort keys: %w", err)
	}
	return nil
}

func (k *keyring) ensure(cohorts []domain.Cohort) error {
	if lacking, err := k.lacking(cohorts); err != nil || len(lacking) == 0 {
		return err
	}
	k.write.Lock()
	defer k.write.Unlock()
	lacking, err := k.lacking(cohorts) // again: another caller may have been first
	if err != nil || len(lacking) == 0 {
		return err
	}
	places, reused, err := k.places(len(lacking))
	if err != nil {
		return err
	}
	made := make([]*slot, len(lacking))
	for i, c := range lacking {
		made[i] = &slot{place: places[i], sector: sector{state: KeyLive, held: true, cohort: c, epoch: 1}}
		rand.Read(made[i].key[:])
		if err := k.put(places[i], &made[i].sector); err != nil {
			return err
		}
	}
	if err := k.flush(); err != nil {
		return err // nobody has seen these keys; the next attempt writes over them
	}
	k.take(len(made), reused)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range made {
		k.slots[s.cohort] = s
	}
	return nil
}

// destroy bars the cohorts for good and returns how many of them ever had a key.
func (k *keyring) destroy(cohorts []domain.Cohort) (held int, err error) {
	k.write.Lock()
	defer k.write.Unlock()
	doomed, err := k.wipe(cohorts)
	if err != nil {
		return 0, err
	}
	unplaced := 0
	for _, s := range doomed {
		if s.place < 0 {
			unplaced++
		}
	}
	places, reused, err := k.places(unplaced)
	if err != nil {
		return 0, err
	}
	rest := places
	var freed []int
	for _, s := range doomed {
		if s.held {
			held++
		}
		for _, older := range k.older[s.cohort] {
			if err := k.zero(older.place); err != nil {
				return 0, err
			}
			freed = append(freed, older.place)
		}
		if s.place < 0 {
			s.place, rest = rest[0], rest[1:]
		} else if s.state == KeyDestroyed {
			continue
		}
		bar := sector{state: KeyDestroyed, held: s.held, cohort: s.cohort, epoch: s.epoch}
		if err := k.put(s.place, &bar); err != nil {
			return 0, err
		}
	}
	// A damaged sector may still hold the bytes of a key.
	ruined := func(e *SectorError) bool { return slices.Contains(cohorts, e.Cohort) }
	for _, e := range k.damaged {
		if ruined(e) {
			if err := k.zero(e.Sector); err != nil {
				return 0, err
			}
		}
	}
	if err := k.flush(); err != nil {
		return 0, err
	}
	k.take(unplaced, reused)
	k.free = append(k.free, freed...)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range doomed {
		s.state = KeyDestroyed
		k.slots[s.cohort] = s
		delete(k.older, s.cohort)
	}
	k.damaged = slices.DeleteFunc(k.damaged, ruined)
	return held, nil
}

// wipe ends the use of the cohorts' keys in memory and returns a slot for each of
// them, once; those that the file has no usable sector of have place -1. From
// here on nothing opens, even if writing to the file then fails.
func (k *keyring) wipe(cohorts []domain.Cohort) ([]*slot, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, ErrClosed
	}
	doomed := make([]*slot, 0, len(cohorts))
	seen := make(map[domain.Cohort]bool, len(cohorts))
	for _, c := range cohorts {
		if !validCohort(c) {
			return nil, fmt.Errorf("%s is no cohort", c)
		}
		if seen[c] {
			continue
		}
		seen[c] = true
		s := k.slots[c]
		if s == nil {
			s = &slot{place: -1, sector: sector{cohort: c, held: k.damage(c) != nil}}
			// The key may be in a sector that no longer tells whose it is.
			if e := k.damage(domain.Cohort{}); e != nil && !s.held {
				return nil, e
			}
		}
		doomed = append(doomed, s)
	}
	for _, s := range doomed {
		s.wipe()
		for _, older := range k.older[s.cohort] {
			older.wipe()
		}
	}
	return doomed, nil
}

// EnsureKeys makes the keys that the cohorts lack. They are on disk, flushed,
// before it returns: one flush of the file when any is made, a look into a map
// each, 50 ns, when none is. It returns [ErrKeyDestroyed] for a cohort that was frozen
// and a [*SectorError] for one whose sector is damaged; then it makes none.
//
// A cohort in which people are registered has its key already. When
// [Vault.State] says otherwise the key file is not the ledger's: refuse to start
// instead of making another key.
func (v *Vault) EnsureKeys(cohorts ...domain.Cohort) error { return v.keys.ensure(cohorts) }

// State tells what the key file says about the cohort's key.
func (v *Vault) State(c domain.Cohort) KeyState { return v.keys.state(c) }

// Damaged returns the sectors of the key file that cannot be used.
func (v *Vault) Damaged() []*SectorError {
	v.keys.mu.RLock()
	defer v.keys.mu.RUnlock()
	return slices.Clone(v.keys.damaged)
}

// Destroy ends the cohorts' keys for good. Before it returns they are wiped from
// memory and overwritten in place in the key file, flushed, and nobody is in the
// middle of using them. A cohort without a key is barred from ever having one.
//
// It returns how many of the cohorts had a key. After an error, or a crash, call
// it again: the count will be the same. In the meantime nothing opens under keys
// that it was given. What the standard library derived from a key is let go of, and
// gone when the collector reuses the memory.
func (v *Vault) Destroy(cohorts ...domain.Cohort) (destroyed int, err error) {
	return v.keys.destroy(cohorts)
}
