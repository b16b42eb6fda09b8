package vault

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

const intakeKeyFile = "intake.key"

// ErrTooManyKeys: the intake key cannot rotate before retired keys are destroyed.
var ErrTooManyKeys = errors.New("too many retired intake keys; serve the ledger until the bundles that wait are taken in")

// RotateIntakeKey makes a new intake key, which is given out from then on. The one
// before is retired: what was sealed to it still opens, until
// [Vault.DestroyRetiredIntakeKeys]. A crash leaves the keys as they were or as they
// are to be. It returns [ErrTooManyKeys] when 7 retired keys are there already.
func (v *Vault) RotateIntakeKey() error {
	v.rotating.Lock()
	defer v.rotating.Unlock()
	present := *v.intake.Load()
	if len(present) == maxIntakeKeys {
		return ErrTooManyKeys
	}
	private, err := kem.GenerateKey()
	if err != nil {
		return fmt.Errorf("cannot make an intake key: %w", err)
	}
	return v.changeIntakeKeys(append([]intakeKey{newIntakeKey(private)}, present...))
}

// RetiredIntakeKeys returns how many retired intake keys still open bundles.
func (v *Vault) RetiredIntakeKeys() int { return len(*v.intake.Load()) - 1 }

// DestroyRetiredIntakeKeys overwrites the retired intake keys on the disk, and
// returns how many there were. What was sealed to them never opens again:
// [Vault.OpenBundle] answers [ErrOtherKey]. In memory their seeds are overwritten;
// what the standard library derived from them is let go of, and gone when the
// collector reuses the memory.
func (v *Vault) DestroyRetiredIntakeKeys() (int, error) {
	v.rotating.Lock()
	defer v.rotating.Unlock()
	present := *v.intake.Load()
	if len(present) == 1 {
		return 0, nil
	}
	if err := v.changeIntakeKeys(slices.Clone(present[:1])); err != nil {
		return 0, err
	}
	for _, k := range present[1:] {
		if seed, err := k.private.Bytes(); err == nil {
			clear(seed) // the key's own bytes
		}
	}
	return len(present) - 1, nil
}

// changeIntakeKeys is called with rotating held. After an error the file may have
// the new keys or the old ones, and memory has the old ones: both do their part,
// and the next change makes them one again.
func (v *Vault) changeIntakeKeys(keys []intakeKey) error {
	if err := writeIntakeKeys(filepath.Join(v.dir, intakeKeyFile), keys); err != nil {
		return err
	}
	v.intake.Store(&keys)
	return nil
}
