package vault

import (
	"crypto/rand"
	"fmt"
	"slices"

	"bahi/domain"
)

// A freeze of listed persons has to end what a cohort's key opens for a few, and
// for nobody else. So the cohort's key gets a new epoch; each of those who stay
// has their record key of the epoch before wrapped, which is to say sealed as a
// record of the new epoch; and the key of the epoch before is destroyed. A record
// opens in its own epoch, or from a later one down, wrapped key by wrapped key:
//
//	cohort key of epoch 3 ─HKDF─► record key 3 ─opens─► record key 2 ─opens─► record key 1
//
// Whoever was listed at the step from 1 to 2 has no such chain. One wrapped key,
// 63 bytes, is made per person and freeze, however many epochs there were.

// recordKeys are the record keys of one person: those that somebody can make, and
// the wrapped ones.
type recordKeys struct {
	cohort  domain.Cohort
	person  domain.PersonToken
	held    func(epoch uint16) ([]byte, error) // makes a key that its caller wipes, or says why not
	wrapped [][]byte
}

// of returns the record key of an epoch. The caller wipes it.
func (k *recordKeys) of(epoch uint16) ([]byte, error) {
	key, missing := k.held(epoch)
	if missing == nil {
		return key, nil
	}
	for _, wrapped := range k.wrapped {
		// Each step goes up an epoch, so there are at most as many as wrapped keys.
		if next := sealedEpoch(wrapped); next == 0 || next != epoch+1 {
			continue
		}
		w := workspaces.Get().(*workspace)
		defer w.release()
		if err := w.open(k, kindKey, wrapped); err != nil {
			return nil, err
		}
		if len(w.plain) != 32 {
			return nil, fmt.Errorf("cohort %s: unknown form: %w", k.cohort, ErrCorrupt)
		}
		return slices.Clone(w.plain), nil
	}
	return nil, missing
}

// recordKeys holds mu for reading; the caller gives it back with mu.RUnlock. When
// it returns an error nothing is held.
func (k *keyring) recordKeys(c domain.Cohort, p domain.PersonToken, wrapped [][]byte) (*recordKeys, error) {
	latest, err := k.borrow(c)
	if err != nil {
		return nil, err
	}
	held := func(epoch uint16) ([]byte, error) {
		s := k.ofEpoch(c, epoch)
		switch {
		case s != nil && !s.wiped:
			return recordKey(s.key[:], p), nil
		case epoch < latest.epoch:
			return nil, fmt.Errorf("cohort %s, key epoch %d: %w", c, epoch, ErrKeyDestroyed)
		}
		return nil, fmt.Errorf("cohort %s, key epoch %d instead of %d: %w", c, latest.epoch, epoch, ErrKeyMissing)
	}
	return &recordKeys{cohort: c, person: p, held: held, wrapped: wrapped}, nil
}

// ofEpoch returns the slot of a cohort's live key of that epoch, or nil. The
// caller holds mu.
func (k *keyring) ofEpoch(c domain.Cohort, epoch uint16) *slot {
	if s := k.slots[c]; s != nil && s.epoch == epoch && s.state == KeyLive {
		return s
	}
	for _, s := range k.older[c] {
		if s.epoch == epoch {
			return s
		}
	}
	return nil
}

// besides tells whether a sector that was read can stand beside the other ones of
// its cohort: a live key of another epoch, unless the latest was to be the end of
// it.
func (k *keyring) besides(s *slot) bool {
	latest := k.slots[s.cohort]
	if s.epoch < latest.epoch && s.state != KeyLive || s.epoch > latest.epoch && latest.state != KeyLive {
		return false
	}
	return s.epoch != latest.epoch && !slices.ContainsFunc(k.older[s.cohort], func(o *slot) bool { return o.epoch == s.epoch })
}

// place puts a sector that was read where it belongs.
func (k *keyring) place(s *slot) {
	latest := k.slots[s.cohort]
	if latest != nil && s.epoch < latest.epoch {
		s, latest = latest, s
	}
	k.slots[s.cohort] = s
	if latest != nil {
		k.older[s.cohort] = append(k.older[s.cohort], latest)
	}
}

func (k *keyring) nextEpoch(c domain.Cohort, epoch uint16) error {
	k.write.Lock()
	defer k.write.Unlock()
	latest, err := k.borrow(c)
	if err != nil {
		return err
	}
	has := latest.epoch
	k.mu.RUnlock()
	switch has {
	case epoch:
		return nil
	case epoch - 1:
	default:
		return fmt.Errorf("cohort %s, key epoch %d instead of %d: %w", c, has, epoch-1, ErrKeyMissing)
	}
	places, reused, err := k.places(1)
	if err != nil {
		return err
	}
	next := &slot{place: places[0], sector: sector{state: KeyLive, held: true, cohort: c, epoch: epoch}}
	rand.Read(next.key[:])
	if err := k.put(next.place, &next.sector); err != nil {
		return err
	}
	if err := k.flush(); err != nil {
		return err // nobody has seen this key; the next attempt writes over it
	}
	k.take(1, reused)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.place(next)
	return nil
}

// destroyBefore ends the cohort's keys of epochs before one and tells whether
// there were any, now or, when a later one is here, at some time.
func (k *keyring) destroyBefore(c domain.Cohort, epoch uint16) (had bool, err error) {
	k.write.Lock()
	defer k.write.Unlock()
	doomed, had, err := k.wipeBefore(c, epoch)
	if err != nil {
		return false, err
	}
	for _, s := range doomed {
		if err := k.zero(s.place); err != nil {
			return false, err
		}
	}
	// A damaged sector beside a later key may still hold the bytes of one of these.
	ruined := func(e *SectorError) bool { return e.Cohort == c && had }
	for _, e := range k.damaged {
		if ruined(e) {
			if err := k.zero(e.Sector); err != nil {
				return false, err
			}
		}
	}
	if err := k.flush(); err != nil {
		return false, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.damaged = slices.DeleteFunc(k.damaged, ruined)
	for _, s := range doomed {
		k.free = append(k.free, s.place)
		if k.slots[c] == s {
			delete(k.slots, c)
		}
	}
	k.older[c] = slices.DeleteFunc(k.older[c], func(s *slot) bool { return slices.Contains(doomed, s) })
	if len(k.older[c]) == 0 {
		delete(k.older, c)
	}
	return had, nil
}

// wipeBefore ends the use of the keys in memory.
func (k *keyring) wipeBefore(c domain.Cohort, epoch uint16) (doomed []*slot, had bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, false, ErrClosed
	}
	doomed = k.before(c, epoch)
	for _, s := range doomed {
		s.wipe()
	}
	latest := k.slots[c]
	return doomed, len(doomed) > 0 || latest != nil && latest.epoch >= epoch, nil
}

// before returns the slots of the cohort's keys of epochs before one.
func (k *keyring) before(c domain.Cohort, epoch uint16) (slots []*slot) {
	if s := k.slots[c]; s != nil && s.state == KeyLive && s.epoch < epoch {
		slots = append(slots, s)
	}
	for _, s := range k.older[c] {
		if s.epoch < epoch {
			slots = append(slots, s)
		}
	}
	return slots
}

// NextEpoch begins an epoch of a cohort's key, the one after the present. The new
// key is on disk, flushed, before it returns, and everything is sealed under it
// from then on; the present one goes on opening until [Vault.DestroyBefore]. It
// can be called again.
//
// It returns [ErrKeyDestroyed], or [ErrKeyMissing] when the vault does not have
// the epoch before.
func (v *Vault) NextEpoch(c domain.Cohort, epoch uint16) error { return v.keys.nextEpoch(c, epoch) }

// WrapKeys wraps the persons' record keys of the epoch before this one, which is
// the cohort's latest: 63 bytes and 2 µs a person. Errors are those of
// [Vault.NextEpoch].
func (v *Vault) WrapKeys(c domain.CohortEpoch, persons []domain.PersonToken) ([]domain.WrappedKey, error) {
	latest, err := v.keys.borrow(c.Cohort)
	if err != nil {
		return nil, err
	}
	defer v.keys.mu.RUnlock()
	before := v.keys.ofEpoch(c.Cohort, c.Epoch-1)
	if latest.epoch != c.Epoch || before == nil || before.wiped {
		return nil, fmt.Errorf("cohort %s, key epoch %d: %w", c.Cohort, c.Epoch-1, ErrKeyMissing)
	}
	w := workspaces.Get().(*workspace)
	defer w.release()
	wrapped := make([]domain.WrappedKey, len(persons))
	for i, p := range persons {
		key := recordKey(before.key[:], p)
		w.plain = append(w.plain[:0], key...)
		clear(key)
		wrapped[i] = domain.WrappedKey{Person: p, Sealed: w.seal(&latest.sector, kindKey, p)}
	}
	return wrapped, nil
}

// HasBefore tells whether the key file has a key of the cohort of an epoch before
// this one.
func (v *Vault) HasBefore(c domain.Cohort, epoch uint16) bool {
	v.keys.mu.RLock()
	defer v.keys.mu.RUnlock()
	return len(v.keys.before(c, epoch)) > 0
}

// DestroyBefore ends the cohorts' keys of all epochs before the given ones, as
// [Vault.Destroy] does, and returns how many of the cohorts had such a key. What
// was sealed under them opens with wrapped keys alone. After an error, or a crash,
// call it again: the count will be the same.
func (v *Vault) DestroyBefore(cohorts ...domain.CohortEpoch) (destroyed int, err error) {
	for _, c := range cohorts {
		had, err := v.keys.destroyBefore(c.Cohort, c.Epoch)
		if err != nil {
			return 0, err
		}
		if had {
			destroyed++
		}
	}
	return destroyed, nil
}
