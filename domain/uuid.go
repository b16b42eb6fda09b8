package domain

import (
	"encoding/hex"
	"errors"
)

// UUID is an identifier that the ledger keeps as it was given: of a freeze or
// of a reversal request, which the authority names again later.
type UUID [16]byte

// String returns the UUID in its usual form of five groups.
func (u UUID) String() string {
	var b [36]byte
	hex.Encode(b[:8], u[:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:], u[10:])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// MarshalText writes the usual form.
func (u UUID) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads the usual form.
func (u *UUID) UnmarshalText(b []byte) (err error) { *u, err = ParseUUID(string(b)); return err }

var errUUID = errors.New("an id is a UUID, such as 018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001")

// ParseUUID reads a UUID in its usual form of five groups, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return u, errUUID
	}
	digits := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(u[:], []byte(digits)); err != nil {
		return UUID{}, errUUID
	}
	return u, nil
}
