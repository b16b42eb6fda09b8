package vault

import (
	"encoding/binary"
	"fmt"

	"bahi/domain"
)

// The plaintext of a sealed registration, format 1:
//
//	 0   1  1
//	 1  16  token of the mobile number
//	17  16  token of the photo ID
//	33  16  digest of the registration
//	49   2  year of birth, big endian
//	51   1  photo-ID type: 1 Aadhaar, 2 EPIC, 3 passport, 4 driving licence,
//	        5 PAN, 6 NPR smart card, 7 pension document, 8 UDID, 9 student ID
//	52      name, mobile number, last four of the photo-ID number: each its
//	        length in bytes (unsigned varint) and UTF-8 text
//	        padding: 0x80, then zeros up to a multiple of 64
//
// The plaintext of a sealed dose, format 1:
//
//	0   1  1
//	1      centre, batch: each its length in bytes (unsigned varint) and UTF-8 text
//	       padding: 0x80, then zeros up to a multiple of 32
//
// The padding keeps the length of a name out of the ledger: a registration is
// 128 bytes long with any name up to 58 bytes (19 characters of Devanagari), 192
// with nearly any other.
const (
	plaintextFormat = 1

	registrationBlock = 64
	doseBlock         = 32

	// maxText bounds each text, in bytes; the rules of submissions are stricter.
	maxText = 1024
)

func appendText(b []byte, s string) ([]byte, error) {
	if len(s) > maxText {
		return b, ErrTooLarge
	}
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...), nil
}

// pad appends 0x80 and zeros (ISO/IEC 7816-4).
func pad(b []byte, block int) []byte {
	b = append(b, 0x80)
	for len(b)%block != 0 {
		b = append(b, 0)
	}
	return b
}

// padded tells whether plain ends as pad ends it; rest is what follows its texts.
func padded(plain, rest []byte, block int) bool {
	if len(plain)%block != 0 || len(rest) == 0 || len(rest) > block || rest[0] != 0x80 {
		return false
	}
	for _, x := range rest[1:] {
		if x != 0 {
			return false
		}
	}
	return true
}

func appendRegistration(b []byte, d domain.Details, t domain.RegistrationTokens) ([]byte, error) {
	if d.BirthYear < 0 || d.BirthYear > 0xffff {
		return b, fmt.Errorf("a year of birth has at most five digits: %w", ErrTooLarge)
	}
	b = append(b, plaintextFormat)
	b = append(b, t.Mobile[:]...)
	b = append(b, t.PhotoID[:]...)
	b = append(b, t.Content[:]...)
	b = binary.BigEndian.AppendUint16(b, uint16(d.BirthYear))
	b = append(b, byte(d.PhotoIDType))
	for _, s := range [...]string{d.Name, d.Mobile, d.PhotoIDLast4} {
		var err error
		if b, err = appendText(b, s); err != nil {
			return b, err
		}
	}
	return pad(b, registrationBlock), nil
}

func appendDose(b []byte, d domain.DoseParticulars) ([]byte, error) {
	b, err := appendText(append(b, plaintextFormat), d.Centre)
	if err != nil {
		return b, err
	}
	if b, err = appendText(b, d.Batch); err != nil {
		return b, err
	}
	return pad(b, doseBlock), nil
}

func parseTokens(b []byte) (t domain.RegistrationTokens, rest []byte, ok bool) {
	if len(b) < 49 || b[0] != plaintextFormat {
		return t, nil, false
	}
	copy(t.Mobile[:], b[1:])
	copy(t.PhotoID[:], b[17:])
	copy(t.Content[:], b[33:])
	return t, b[49:], true
}

func parseText(b []byte) (s string, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > maxText || n > uint64(len(b)-size) || size > 1 && n < 0x80 {
		return "", nil, false
	}
	return string(b[size : size+int(n)]), b[size+int(n):], true
}

func parseRegistration(plain []byte) (d domain.Details, t domain.RegistrationTokens, ok bool) {
	t, b, ok := parseTokens(plain)
	if !ok || len(b) < 3 {
		return d, t, false
	}
	d.BirthYear = int(binary.BigEndian.Uint16(b))
	d.PhotoIDType = domain.PhotoIDType(b[2])
	b = b[3:]
	for _, s := range [...]*string{&d.Name, &d.Mobile, &d.PhotoIDLast4} {
		if *s, b, ok = parseText(b); !ok {
			return d, t, false
		}
	}
	return d, t, padded(plain, b, registrationBlock)
}

func parseDose(plain []byte) (d domain.DoseParticulars, ok bool) {
	if len(plain) == 0 || plain[0] != plaintextFormat {
		return d, false
	}
	b := plain[1:]
	if d.Centre, b, ok = parseText(b); !ok {
		return d, false
	}
	if d.Batch, b, ok = parseText(b); !ok {
		return d, false
	}
	return d, padded(plain, b, doseBlock)
}
