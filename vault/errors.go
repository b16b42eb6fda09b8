package vault

import (
	"errors"
	"fmt"

	"bahi/domain"
)

// The errors on which callers decide. None of them, nor any other error of this
// package, holds personal data or key material.
var (
	// ErrLocked: another process has the keys directory open.
	ErrLocked = errors.New("another process has the keys open; stop it, or let it do the work")

	// ErrKeyDestroyed: a freeze destroyed the cohort's key. What was sealed
	// under it cannot be opened here any more.
	ErrKeyDestroyed = errors.New("the key was destroyed by a freeze")

	// ErrKeyMissing: the vault has no key for the cohort, or not the epoch that
	// the record was sealed under. For an open cohort with people in it this
	// means that the key file is not the ledger's, or is damaged. Who puts one back
	// that is older than a freeze puts erased keys back, too.
	ErrKeyMissing = errors.New("the vault does not have this key; put the ledger's own key file back, today's and none from before a freeze")

	// ErrNotHandedOver: a handover does not have the key of the cohort or the person.
	ErrNotHandedOver = errors.New("this handover does not have the key")

	// ErrCorrupt: sealed bytes do not open. They were changed, or belong to
	// another cohort, person or kind of record.
	ErrCorrupt = errors.New("sealed bytes cannot be opened: they were changed, or belong elsewhere")

	// ErrOtherKey: a handover, challenge or bundle is sealed to a key that is
	// not the one at hand.
	ErrOtherKey = errors.New("sealed to another key")

	// ErrClosed: the vault was closed.
	ErrClosed = errors.New("the vault is closed")

	// ErrTooLarge: something to be sealed exceeds its bound.
	ErrTooLarge = errors.New("too large to be sealed")
)

// SectorError says that a sector of the key file cannot be used. Other sectors
// are not affected. It counts as [ErrKeyMissing].
type SectorError struct {
	Path   string
	Sector int           // from 0; the sector begins at byte 512 × Sector
	Cohort domain.Cohort // the zero value when the sector does not tell
	Reason string
}

func (e *SectorError) Error() string {
	whose := "of an unknown cohort"
	if e.Cohort != (domain.Cohort{}) {
		whose = "of cohort " + e.Cohort.String()
	}
	return fmt.Sprintf("%s, sector %d, %s: %s; put the file back from its copy, unless that is from before a freeze, or, if nobody is registered in that cohort, fill the sector with zeros",
		e.Path, e.Sector, whose, e.Reason)
}

// Is makes a SectorError an [ErrKeyMissing].
func (e *SectorError) Is(target error) bool { return target == ErrKeyMissing }

// PermissionError says that others could read or change what they must not.
type PermissionError struct {
	Path string
	Mode uint32 // permission bits
	Want uint32
}

func (e *PermissionError) Error() string {
	return fmt.Sprintf("%s is open to other users (mode %04o); run: chmod %o %s", e.Path, e.Mode, e.Want, e.Path)
}
