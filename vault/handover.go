package vault

import (
	"bytes"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"bahi/domain"
)

// A handover is a text file of three lines:
//
//	{"bahi":"handover","version":1,"freeze":"…","cohorts":[…],"authority":"…","pepper":"…","suite":"…"}
//	base64 of the HPKE encapsulation (1,120 bytes) and ciphertext
//	sha256 of the two lines above, ends of line included, in hexadecimal
//
// HPKE's info is "bahi handover 1" and the first line with its end. What is
// sealed is a JSON list of the cohorts with their keys:
//
//	[{"district":208,"group":"HCW","generation":1,"epoch":1,"key":"<base64>"}]
//
// A record of the ledger then opens as seal.go says. A freeze of listed persons
// hands over their record keys, and no cohort's: the file's version is 2, its
// first line names the cohorts that they came from and how many persons there are,
// and what is sealed is a list of those:
//
//	[{"district":208,"group":"HCW","generation":1,"epoch":1,"person":"<hexadecimal token>","key":"<base64>"}]
type handoverHeader struct {
	Bahi      string           `json:"bahi"`
	Version   int              `json:"version"`
	Freeze    domain.UUID      `json:"freeze"`
	Cohorts   []handoverCohort `json:"cohorts"`
	Persons   int              `json:"persons,omitempty"` // in version 2
	Authority string           `json:"authority"`         // id of the key it is sealed to
	Pepper    string           `json:"pepper"`            // id of the pepper of its person tokens
	Suite     string           `json:"suite"`
}

type handoverCohort struct {
	District   domain.District `json:"district"`
	Group      domain.Group    `json:"group"`
	Generation uint16          `json:"generation"`
	Epoch      uint16          `json:"epoch"`
	Person     string          `json:"person,omitempty"` // in version 2, in the sealed list only
	Key        []byte          `json:"key,omitempty"`    // in the sealed list only
}

func (c handoverCohort) cohort() domain.Cohort {
	return domain.Cohort{District: c.District, Group: c.Group, Generation: c.Generation}
}

const (
	handoverInfo   = "bahi handover 1"
	versionCohorts = 1
	versionListed  = 2
	handoverSuite  = "HPKE MLKEM768-X25519, HKDF-SHA256, AES-256-GCM"

	// maxHandover bounds a handover file; 10,000 cohorts make about 2.5 MB.
	maxHandover = 16 << 20
)

var errHandover = errors.New("this is no whole handover file; take another copy of it")

// handoverFile is a handover that has not been opened.
type handoverFile struct {
	header handoverHeader
	line   []byte // the first, with its end
	sealed []byte // encapsulation and ciphertext
}

func parseHandover(file []byte) (*handoverFile, error) {
	if len(file) > maxHandover {
		return nil, errHandover
	}
	lines := bytes.SplitAfter(file, []byte{'\n'})
	if len(lines) != 4 || len(lines[3]) != 0 {
		return nil, errHandover
	}
	body := file[:len(lines[0])+len(lines[1])]
	sum := sha256.Sum256(body)
	if string(lines[2]) != hex.EncodeToString(sum[:])+"\n" {
		return nil, errHandover
	}
	h := &handoverFile{line: lines[0]}
	if err := json.Unmarshal(lines[0], &h.header); err != nil || h.header.Bahi != "handover" {
		return nil, errHandover
	}
	if h.header.Version != versionCohorts && h.header.Version != versionListed {
		return nil, errors.New("the handover is of a version that this program does not know")
	}
	var err error
	if h.sealed, err = base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSuffix(lines[1], []byte{'\n'}))); err != nil {
		return nil, errHandover
	}
	return h, nil
}

func (h *handoverFile) info() []byte { return append([]byte(handoverInfo), h.line...) }

func cohortsOf(h handoverHeader) []domain.Cohort {
	cohorts := make([]domain.Cohort, len(h.Cohorts))
	for i, c := range h.Cohorts {
		cohorts[i] = c.cohort()
	}
	return cohorts
}

// WriteHandover seals the keys of the cohorts to the authority's key, writes
// them to path and returns the file's SHA-256. File and directory are flushed
// before it returns, so the keys may be destroyed next. The file holds no
// personal data; only the authority can open it.
//
// Where path has a whole handover of the same freeze and cohorts to the same
// key, its hash is returned and nothing is written: after a crash the step is
// simply repeated, even when the keys are gone. A handover of something else is
// never overwritten. A cohort without a live key is an error, [ErrKeyMissing] or
// [ErrKeyDestroyed]: a handover that lacks a key promises what it cannot keep.
func (v *Vault) WriteHandover(path string, freeze domain.UUID, cohorts []domain.Cohort, to AuthorityPublicKey) (hash [32]byte, err error) {
	cohorts = slices.Clone(cohorts)
	slices.SortFunc(cohorts, compareCohorts)
	cohorts = slices.Compact(cohorts)
	return v.writeHandover(path, handoverHeader{Version: versionCohorts, Freeze: freeze, Cohorts: named(cohorts)}, to, func() ([]handoverCohort, error) {
		return v.cohortKeys(cohorts)
	})
}

// Listed are persons of a cohort and the epoch of its key that their handover
// begins with; wrapped keys in the ledger lead on to earlier ones.
type Listed struct {
	domain.CohortEpoch
	Persons []domain.PersonToken
}

// WriteHandoverOfListed hands over the record keys of listed persons, as
// [Vault.WriteHandover] does those of cohorts: 100 bytes and 2 µs each.
func (v *Vault) WriteHandoverOfListed(path string, freeze domain.UUID, listed []Listed, to AuthorityPublicKey) (hash [32]byte, err error) {
	header := handoverHeader{Version: versionListed, Freeze: freeze, Cohorts: []handoverCohort{}}
	for _, l := range listed {
		header.Cohorts = append(header.Cohorts, named([]domain.Cohort{l.Cohort})...)
		header.Persons += len(l.Persons)
	}
	return v.writeHandover(path, header, to, func() ([]handoverCohort, error) { return v.personKeys(listed) })
}

func named(cohorts []domain.Cohort) []handoverCohort {
	out := make([]handoverCohort, len(cohorts))
	for i, c := range cohorts {
		out[i] = handoverCohort{District: c.District, Group: c.Group, Generation: c.Generation}
	}
	return out
}

func (v *Vault) writeHandover(path string, header handoverHeader, to AuthorityPublicKey, keys func() ([]handoverCohort, error)) (hash [32]byte, err error) {
	if to.public == nil {
		return hash, errors.New("no authority key to hand over to")
	}
	header.Bahi, header.Authority, header.Suite = "handover", to.idText(), handoverSuite
	header.Pepper = hex.EncodeToString(v.pepper.id[:])
	if hash, found, err := findHandover(path, header); found || err != nil {
		return hash, err
	}
	file, err := makeHandover(header, to, keys)
	if err != nil {
		return hash, fmt.Errorf("cannot hand keys over: %w", err)
	}
	if err := writeWhole(path, file); err != nil {
		return hash, fmt.Errorf("cannot write the handover: %w", err)
	}
	return sha256.Sum256(file), nil
}

func compareCohorts(a, b domain.Cohort) int {
	if a.District != b.District {
		return int(a.District) - int(b.District)
	}
	if a.Group != b.Group {
		return int(a.Group) - int(b.Group)
	}
	return int(a.Generation) - int(b.Generation)
}

// findHandover looks for a handover that was written before. What is not whole
// counts as not there. What it finds is flushed: a process that was killed may
// have renamed it into place and not come to that.
func findHandover(path string, wanted handoverHeader) (hash [32]byte, found bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return hash, false, nil
	}
	if err != nil {
		return hash, false, fmt.Errorf("cannot read the handover: %w", err)
	}
	defer f.Close()
	file, err := io.ReadAll(io.LimitReader(f, maxHandover+1))
	if err != nil {
		return hash, false, fmt.Errorf("cannot read the handover: %w", err)
	}
	h, err := parseHandover(file)
	if err != nil {
		return hash, false, nil
	}
	if h.header.Version != wanted.Version || h.header.Freeze != wanted.Freeze || h.header.Authority != wanted.Authority ||
		!slices.Equal(cohortsOf(h.header), cohortsOf(wanted)) || h.header.Persons != wanted.Persons {
		return hash, false, fmt.Errorf("%s is the handover of something else; move it away", path)
	}
	if err := errors.Join(f.Sync(), syncDir(filepath.Dir(path))); err != nil {
		return hash, false, fmt.Errorf("cannot flush the handover: %w", err)
	}
	return sha256.Sum256(file), true, nil
}

func (v *Vault) cohortKeys(cohorts []domain.Cohort) ([]handoverCohort, error) {
	keys := named(cohorts)
	for i, c := range cohorts {
		s, err := v.keys.borrow(c)
		if err != nil {
			return keys, err
		}
		keys[i].Epoch, keys[i].Key = s.epoch, bytes.Clone(s.key[:])
		v.keys.mu.RUnlock()
	}
	return keys, nil
}

func (v *Vault) personKeys(listed []Listed) (keys []handoverCohort, err error) {
	for _, l := range listed {
		if _, err := v.keys.borrow(l.Cohort); err != nil {
			return keys, err
		}
		s := v.keys.ofEpoch(l.Cohort, l.Epoch)
		if s == nil || s.wiped {
			v.keys.mu.RUnlock()
			return keys, fmt.Errorf("cohort %s, key epoch %d: %w", l.Cohort, l.Epoch, ErrKeyMissing)
		}
		for _, p := range l.Persons {
			k := named([]domain.Cohort{l.Cohort})[0]
			k.Epoch, k.Person, k.Key = l.Epoch, hex.EncodeToString(p[:]), recordKey(s.key[:], p)
			keys = append(keys, k)
		}
		v.keys.mu.RUnlock()
	}
	return keys, nil
}

// makeHandover seals what keys returns. Of whole cohorts the first line names the
// epochs, too.
func makeHandover(header handoverHeader, to AuthorityPublicKey, sealing func() ([]handoverCohort, error)) ([]byte, error) {
	keys, err := sealing()
	defer func() {
		for _, k := range keys {
			clear(k.Key)
		}
	}()
	if err != nil {
		return nil, err
	}
	for i := range header.Cohorts {
		c := &header.Cohorts[i]
		for _, k := range keys {
			if k.cohort() == c.cohort() {
				c.Epoch = k.Epoch
				break
			}
		}
	}
	line, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	h := &handoverFile{line: append(line, '\n')}
	plain, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	sealed, err := hpke.Seal(to.public, kdf, aead, h.info(), plain)
	if err != nil {
		return nil, err
	}
	file := append(h.line, base64.StdEncoding.EncodeToString(sealed)...)
	file = append(file, '\n')
	if len(file) > maxHandover-2*sha256.Size-1 {
		return nil, ErrTooLarge
	}
	sum := sha256.Sum256(file)
	return fmt.Appendf(file, "%x\n", sum), nil
}

// Handover is an opened handover: the keys of the cohorts of one freeze, in the
// authority's hands.
//
// The authority finds a person in the ledger by token, which only the pepper can
// make of a reference number, and the pepper is not handed over: its holder can
// test every number against the whole ledger, not these cohorts alone. So either
// the node that keeps the pepper (PepperID says which) answers with the token,
// or the authority opens the registrations of a cohort one by one, a microsecond
// each, and compares with the card and mobile number that the citizen shows.
type Handover struct {
	Freeze   domain.UUID
	Cohorts  []domain.Cohort
	PepperID [16]byte

	keys    map[domain.Cohort]*sector
	persons map[handedPerson]handedKey
}

type handedPerson struct {
	cohort domain.Cohort
	person domain.PersonToken
}

type handedKey struct {
	epoch uint16
	key   [32]byte
}

// String names the freeze. It does not tell keys.
func (h *Handover) String() string { return "handover of freeze " + h.Freeze.String() }

// OpenHandover opens a handover file with the authority's key. It returns
// [ErrOtherKey] when the file is sealed to another key and an error when it is
// not whole.
func OpenHandover(file []byte, key *AuthorityKey) (*Handover, error) {
	f, err := parseHandover(file)
	if err != nil {
		return nil, err
	}
	if f.header.Authority != key.public.idText() {
		return nil, fmt.Errorf("the handover is for authority key %s: %w", hexOnly(f.header.Authority), ErrOtherKey)
	}
	plain, err := hpke.Open(key.private, kdf, aead, f.info(), f.sealed)
	if err != nil {
		return nil, fmt.Errorf("the handover: %w", ErrCorrupt)
	}
	defer clear(plain)
	var keys []handoverCohort
	if err := json.Unmarshal(plain, &keys); err != nil {
		return nil, fmt.Errorf("the handover: %w", ErrCorrupt)
	}
	h := &Handover{Freeze: f.header.Freeze, Cohorts: cohortsOf(f.header), keys: map[domain.Cohort]*sector{}, persons: map[handedPerson]handedKey{}}
	pepper, err := hex.DecodeString(f.header.Pepper)
	if err != nil || len(pepper) != len(h.PepperID) {
		return nil, errHandover
	}
	h.PepperID = [16]byte(pepper)
	for _, k := range keys {
		if len(k.Key) != 32 {
			return nil, fmt.Errorf("the handover: %w", ErrCorrupt)
		}
		if k.Person == "" {
			h.keys[k.cohort()] = &sector{state: KeyLive, held: true, cohort: k.cohort(), epoch: k.Epoch, key: [32]byte(k.Key)}
		} else {
			token, err := hex.DecodeString(k.Person)
			if err != nil || len(token) != domain.TokenSize {
				return nil, fmt.Errorf("the handover: %w", ErrCorrupt)
			}
			h.persons[handedPerson{k.cohort(), domain.PersonToken(token)}] = handedKey{k.Epoch, [32]byte(k.Key)}
		}
		clear(k.Key)
	}
	return h, nil
}

// hexOnly keeps an unchecked id from a file from putting anything else into a
// message.
func hexOnly(id string) string {
	if b, err := hex.DecodeString(id); err != nil || len(b) != 32 {
		return "(unreadable)"
	}
	return id
}

// recordKeys are the person's, when the handover has the key of the cohort, or of
// the person.
func (h *Handover) recordKeys(c domain.Cohort, p domain.PersonToken, wrapped [][]byte) *recordKeys {
	held := func(epoch uint16) ([]byte, error) {
		if s := h.keys[c]; s != nil && s.epoch == epoch {
			return recordKey(s.key[:], p), nil
		}
		if k, ok := h.persons[handedPerson{c, p}]; ok && k.epoch == epoch {
			return bytes.Clone(k.key[:]), nil
		}
		return nil, fmt.Errorf("cohort %s, key epoch %d: %w", c, epoch, ErrNotHandedOver)
	}
	return &recordKeys{cohort: c, person: p, held: held, wrapped: wrapped}
}

// OpenRegistration opens a sealed registration of the ledger, as
// [Vault.OpenRegistration] did before the freeze. It returns [ErrNotHandedOver] for
// a cohort, or a person, that is not in the handover, or [ErrCorrupt].
func (h *Handover) OpenRegistration(c domain.Cohort, p domain.PersonToken, sealed []byte, wrapped ...[]byte) (domain.Details, domain.RegistrationTokens, error) {
	return openRegistration(h.recordKeys(c, p, wrapped), sealed)
}

// OpenDose opens a sealed dose of the ledger. Errors are those of
// [Handover.OpenRegistration].
func (h *Handover) OpenDose(c domain.Cohort, p domain.PersonToken, sealed []byte, wrapped ...[]byte) (domain.DoseParticulars, error) {
	return openDose(h.recordKeys(c, p, wrapped), sealed)
}
