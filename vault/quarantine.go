package vault

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"bahi/domain"
)

// What lies in quarantine is sealed to the key of the district whose people it is
// about:
//
//	0  1  suite, 1: AES-256-GCM
//	1  8  key id: the first bytes of SHA-256 of "bahi quarantine key" ‖ the key
//	9     nonce (12), ciphertext, tag (16)
//
// The additional data is "bahi quarantine 1" ‖ the first nine bytes ‖ district (2) ‖
// id (16) ‖ subject: what was sealed for one place opens in no other.
const (
	suiteQuarantine    = 1
	quarantineHeader   = 9
	quarantineOverhead = quarantineHeader + 12 + 16
	quarantineInfo     = "bahi quarantine 1"

	// MaxQuarantined is the greatest length in bytes of what goes into quarantine:
	// a sealed bundle of the greatest length, and a word about it. It fits a NATS
	// message of 1 MiB, headers included.
	MaxQuarantined = MaxBundle + 2<<10
)

// quarantineKeyFile has a 512-byte sector a district, that of district n at byte
// 512 × n, overwritten in place. Numbers are big endian; unused bytes are zero.
//
//	  0   8  "BAHI-QUA"
//	  8   1  format of the sector, 1
//	  9   1  state: 1 live, 2 destroyed
//	 10   2  district
//	 12   4  unused
//	 16  16  id of the freeze that ended the key before; zeros when none did
//	 32  32  key; zeros when destroyed
//	 64 416  unused
//	480  32  SHA-256 of bytes 0 to 479
//
// A sector that does not hold together is as good as none: what was sealed to its
// key is lost, and the next message makes another. Nobody depends on the
// quarantine, and the door must not stand still.
const (
	quarantineKeyFile      = "quarantine.keys"
	quarantineSectorMagic  = "BAHI-QUA"
	quarantineSectorFormat = 1
)

type quarantineSector struct {
	state    KeyState
	district domain.District
	freeze   domain.UUID
	key      [32]byte
}

func (s *quarantineSector) encode(b *[sectorSize]byte) {
	clear(b[:])
	copy(b[:], quarantineSectorMagic)
	b[8], b[9] = quarantineSectorFormat, byte(s.state)
	binary.BigEndian.PutUint16(b[10:], uint16(s.district))
	copy(b[16:], s.freeze[:])
	copy(b[32:], s.key[:])
	sum := sha256.Sum256(b[:480])
	copy(b[480:], sum[:])
}

var errSectorFormat = errors.New("it is of a format that this version does not know; update the program")

// decode reads the sector at a district's place. One that cannot be used has the
// state KeyAbsent; only one of a later format is an error.
func (s *quarantineSector) decode(b *[sectorSize]byte, place domain.District) error {
	*s = quarantineSector{district: place}
	if string(b[:8]) != quarantineSectorMagic {
		return nil
	}
	if b[8] != quarantineSectorFormat {
		return errSectorFormat
	}
	if [32]byte(b[480:]) != sha256.Sum256(b[:480]) {
		return nil
	}
	state, key := KeyState(b[9]), [32]byte(b[32:64])
	defer clear(key[:])
	live := state == KeyLive && key != [32]byte{}
	if !live && (state != KeyDestroyed || key != [32]byte{}) || domain.District(binary.BigEndian.Uint16(b[10:])) != place {
		return nil
	}
	s.state, s.freeze, s.key = state, domain.UUID(b[16:32]), key
	return nil
}

func (s *quarantineSector) id() [8]byte {
	sum := sha256.Sum256(append([]byte("bahi quarantine key"), s.key[:]...))
	return [8]byte(sum[:])
}

// quarantineKeys are the keys of the districts' quarantines.
type quarantineKeys struct {
	file *os.File

	// write is held by whoever changes the file. It comes before mu.
	write sync.Mutex

	// mu guards what follows. It is held for reading as long as a key is in use,
	// so that destroy returns only when nobody works with it any more.
	mu      sync.RWMutex
	sectors map[domain.District]*quarantineSector
	ended   uint64 // how often a key was destroyed since the file was opened
	closed  bool
}

func openQuarantineKeys(path string) (*quarantineKeys, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, privateFile)
	if err != nil {
		return nil, fmt.Errorf("cannot open the keys of the quarantine: %w", err)
	}
	k := &quarantineKeys{file: f, sectors: make(map[domain.District]*quarantineSector)}
	if err := k.load(path); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot read the keys of the quarantine: %w", err), k.close())
	}
	return k, nil
}

func (k *quarantineKeys) load(path string) error {
	info, err := k.file.Stat()
	if err != nil {
		return err
	}
	if err := checkPrivate(info, path, privateFile); err != nil {
		return err
	}
	const districts = 1 << 16
	if info.Size() > districts*sectorSize {
		return fmt.Errorf("%s has more than %d sectors: not a key file", path, districts)
	}
	var b [sectorSize]byte
	defer clear(b[:])
	for place := range districts {
		switch _, err := io.ReadFull(k.file, b[:]); err {
		case nil:
		case io.EOF, io.ErrUnexpectedEOF:
			return k.file.Sync() // a process that was killed may have left sectors unflushed
		default:
			return err
		}
		s := &quarantineSector{}
		if err := s.decode(&b, domain.District(place)); err != nil {
			return fmt.Errorf("%s, sector %d: %w", path, place, err)
		}
		if s.state != KeyAbsent {
			k.sectors[s.district] = s
		}
	}
	return k.file.Sync()
}

func (k *quarantineKeys) close() error {
	k.write.Lock()
	defer k.write.Unlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil
	}
	for _, s := range k.sectors {
		clear(s.key[:])
	}
	clear(k.sectors)
	k.closed = true
	return k.file.Close()
}

// put writes a sector and flushes it.
func (k *quarantineKeys) put(s *quarantineSector) error {
	var b [sectorSize]byte
	defer clear(b[:])
	s.encode(&b)
	if _, err := k.file.WriteAt(b[:], int64(s.district)*sectorSize); err != nil {
		return fmt.Errorf("cannot write a key of the quarantine: %w", err)
	}
	if err := k.file.Sync(); err != nil {
		return fmt.Errorf("cannot flush the keys of the quarantine: %w", err)
	}
	return nil
}

// borrow returns a district's live key, or nil when there is none, and holds mu
// for reading; the caller gives it back with mu.RUnlock. When it returns an error
// nothing is held.
func (k *quarantineKeys) borrow(d domain.District) (*quarantineSector, error) {
	k.mu.RLock()
	if k.closed {
		k.mu.RUnlock()
		return nil, ErrClosed
	}
	if s := k.sectors[d]; s != nil && s.state == KeyLive {
		return s, nil
	}
	return nil, nil
}

// ensure makes a key for a district that has none. It is on disk before anybody
// can use it.
func (k *quarantineKeys) ensure(d domain.District) error {
	k.write.Lock()
	defer k.write.Unlock()
	k.mu.RLock()
	closed, present := k.closed, k.sectors[d]
	k.mu.RUnlock()
	if closed {
		return ErrClosed
	}
	s := &quarantineSector{state: KeyLive, district: d}
	if present != nil {
		if present.state == KeyLive {
			return nil // another caller was first
		}
		s.freeze = present.freeze
	}
	rand.Read(s.key[:])
	if err := k.put(s); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sectors[d] = s
	return nil
}

// destroy ends a district's key. In memory it ends before the file is touched, so
// that nothing opens even if writing then fails.
func (k *quarantineKeys) destroy(d domain.District, freeze domain.UUID) (held bool, err error) {
	k.write.Lock()
	defer k.write.Unlock()
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		return false, ErrClosed
	}
	if s := k.sectors[d]; s != nil {
		held = s.state == KeyLive
		clear(s.key[:])
	}
	// Of no freeze yet: were writing to fail, a new key may be made.
	k.sectors[d] = &quarantineSector{state: KeyDestroyed, district: d}
	k.ended++
	k.mu.Unlock()
	ended := &quarantineSector{state: KeyDestroyed, district: d, freeze: freeze}
	if err := k.put(ended); err != nil {
		return held, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sectors[d] = ended
	return held, nil
}

func quarantineBinding(header []byte, d domain.District, id domain.UUID, subject string) []byte {
	b := append([]byte(quarantineInfo), header...)
	b = binary.BigEndian.AppendUint16(b, uint16(d))
	b = append(b, id[:]...)
	return append(b, subject...)
}

// SealQuarantine seals what is put into a district's quarantine under an id and a
// subject; it becomes 37 bytes longer. The district's key is made at first use,
// and again after a freeze destroyed it: then it costs a flush. It returns
// [ErrTooLarge] above [MaxQuarantined].
//
// What may be kept is found out before it is sealed, and a freeze may come in
// between. So it takes what [Vault.QuarantinesEnded] returned before that was asked,
// and returns [ErrKeyDestroyed] when a key was destroyed since: ask again.
func (v *Vault) SealQuarantine(ended uint64, d domain.District, id domain.UUID, subject string, plain []byte) ([]byte, error) {
	if len(plain) > MaxQuarantined {
		return nil, fmt.Errorf("more than %d bytes for the quarantine: %w", MaxQuarantined, ErrTooLarge)
	}
	for {
		s, err := v.quarantine.borrow(d)
		if err != nil {
			return nil, err
		}
		if v.quarantine.ended != ended {
			v.quarantine.mu.RUnlock()
			return nil, fmt.Errorf("the quarantine of district %d: %w", d, ErrKeyDestroyed)
		}
		if s == nil {
			v.quarantine.mu.RUnlock()
			if err := v.quarantine.ensure(d); err != nil {
				return nil, err
			}
			continue
		}
		defer v.quarantine.mu.RUnlock()
		key := s.id()
		sealed := make([]byte, 0, quarantineOverhead+len(plain))
		sealed = append(append(sealed, suiteQuarantine), key[:]...)
		return aesGCM(s.key[:]).Seal(sealed, nil, plain, quarantineBinding(sealed, d, id, subject)), nil
	}
}

// OpenQuarantine opens what [Vault.SealQuarantine] sealed for the same district, id
// and subject. It returns [ErrKeyDestroyed] when it was sealed to a key that the
// vault does not have any more, and [ErrCorrupt] when it was changed or belongs
// elsewhere.
func (v *Vault) OpenQuarantine(d domain.District, id domain.UUID, subject string, sealed []byte) ([]byte, error) {
	if len(sealed) < quarantineOverhead || len(sealed) > MaxQuarantined+quarantineOverhead || sealed[0] != suiteQuarantine {
		return nil, fmt.Errorf("not sealed for the quarantine: %w", ErrCorrupt)
	}
	s, err := v.quarantine.borrow(d)
	if err != nil {
		return nil, err
	}
	defer v.quarantine.mu.RUnlock()
	if header := sealed[:quarantineHeader]; s == nil || s.id() != [8]byte(header[1:]) {
		return nil, fmt.Errorf("the quarantine of district %d: %w", d, ErrKeyDestroyed)
	}
	plain, err := aesGCM(s.key[:]).Open(nil, nil, sealed[quarantineHeader:], quarantineBinding(sealed[:quarantineHeader], d, id, subject))
	if err != nil {
		return nil, fmt.Errorf("the quarantine of district %d: %w", d, ErrCorrupt)
	}
	return plain, nil
}

// QuarantinesEnded returns how often a quarantine key was destroyed since the vault
// was opened.
func (v *Vault) QuarantinesEnded() uint64 {
	v.quarantine.mu.RLock()
	defer v.quarantine.mu.RUnlock()
	return v.quarantine.ended
}

// QuarantineKey tells how it stands with a district's key, and which freeze ended
// the one before it. A key whose predecessor was ended by another freeze than the
// ledger's last one of the district is an old one that was put back.
func (v *Vault) QuarantineKey(d domain.District) (KeyState, domain.UUID) {
	v.quarantine.mu.RLock()
	defer v.quarantine.mu.RUnlock()
	if s := v.quarantine.sectors[d]; s != nil {
		return s.state, s.freeze
	}
	return KeyAbsent, domain.UUID{}
}

// DestroyQuarantineKey ends a district's key for good, as a freeze of the district
// does: wiped from memory, overwritten in its place, flushed, with nobody in the
// middle of using it. It tells whether there was one. What is sealed afterwards gets
// a new key. After an error, or a crash, call it again.
func (v *Vault) DestroyQuarantineKey(d domain.District, freeze domain.UUID) (held bool, err error) {
	return v.quarantine.destroy(d, freeze)
}
