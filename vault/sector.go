package vault

import (
	"crypto/sha256"
	"encoding/binary"

	"bahi/domain"
)

// sectorSize is the unit that disks write whole or not at all; a key is never
// spread over two of them.
const sectorSize = 512

// KeyState is what the key file says about a cohort's key.
type KeyState uint8

// The states of a key.
const (
	KeyAbsent    KeyState = iota // the file does not know the cohort
	KeyLive                      // the key is there
	KeyDestroyed                 // the key was overwritten, or none is ever to be made
	KeyDamaged                   // a sector names the cohort and cannot be used
)

func (s KeyState) String() string {
	return [...]string{"absent", "live", "destroyed", "damaged"}[s]
}

// A sector is the place of one cohort's key. Numbers are big endian; unused
// bytes are zero.
//
//	  0   8  "BAHI-KEY"
//	  8   1  format of the sector, 1
//	  9   1  state: 1 live, 2 destroyed
//	 10   1  1 when there ever was a key: 0 in a sector that only bars one
//	 11   1  unused
//	 12   2  district
//	 14   2  group
//	 16   2  generation
//	 18   2  key epoch, from 1
//	 20   8  SHA-256, cut, of bytes 0 to 7 and 12 to 17: of a damaged sector one
//	         still has to know whether it can be believed whose it is
//	 28   4  unused
//	 32  32  key; zeros when destroyed
//	 64 416  unused
//	480  32  SHA-256 of bytes 0 to 479
type sector struct {
	state  KeyState
	held   bool // there was a key at some time
	cohort domain.Cohort
	epoch  uint16
	key    [32]byte
}

const (
	sectorMagic  = "BAHI-KEY"
	sectorFormat = 1
)

func (s *sector) encode(b *[sectorSize]byte) {
	clear(b[:])
	copy(b[:], sectorMagic)
	b[8] = sectorFormat
	b[9] = byte(s.state)
	if s.held {
		b[10] = 1
	}
	binary.BigEndian.PutUint16(b[12:], uint16(s.cohort.District))
	binary.BigEndian.PutUint16(b[14:], uint16(s.cohort.Group))
	binary.BigEndian.PutUint16(b[16:], s.cohort.Generation)
	binary.BigEndian.PutUint16(b[18:], s.epoch)
	whose := identitySum(b[:])
	copy(b[20:28], whose[:])
	copy(b[32:64], s.key[:])
	sum := sha256.Sum256(b[:480])
	copy(b[480:], sum[:])
}

func identitySum(b []byte) [8]byte {
	sum := sha256.Sum256([]byte(string(b[:8]) + string(b[12:18])))
	return [8]byte(sum[:])
}

// decode reads a sector. When it cannot be used it returns why, and the cohort
// if it can still be believed whose it is. A sector of zeros is free: it returns
// state KeyAbsent and no reason.
func (s *sector) decode(b []byte) (reason string) {
	*s = sector{}
	if len(b) == sectorSize && [sectorSize]byte(b) == ([sectorSize]byte{}) {
		return ""
	}
	if len(b) < 28 || string(b[:8]) != sectorMagic {
		return "it does not begin with " + sectorMagic
	}
	if b[8] != sectorFormat {
		return "it is of a format that this version does not know"
	}
	cohort := domain.Cohort{
		District:   domain.District(binary.BigEndian.Uint16(b[12:])),
		Generation: binary.BigEndian.Uint16(b[16:]),
	}
	if group := binary.BigEndian.Uint16(b[14:]); group < 256 {
		cohort.Group = domain.Group(group)
	}
	if !validCohort(cohort) || identitySum(b) != [8]byte(b[20:28]) {
		return "it does not tell its cohort"
	}
	s.cohort = cohort
	if len(b) != sectorSize {
		return "it is cut short"
	}
	if [32]byte(b[480:]) != sha256.Sum256(b[:480]) {
		return "its checksum does not fit"
	}
	s.state = KeyState(b[9])
	s.held = b[10] == 1
	s.epoch = binary.BigEndian.Uint16(b[18:])
	copy(s.key[:], b[32:64])
	if s.state != KeyLive && s.state != KeyDestroyed || s.state == KeyLive && (!s.held || s.epoch == 0 || s.key == [32]byte{}) {
		*s = sector{cohort: cohort}
		return "it contradicts itself"
	}
	return ""
}

func validCohort(c domain.Cohort) bool {
	return c.District != 0 && c.Group.String() != "" && c.Generation != 0
}
