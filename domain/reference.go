package domain

import "errors"

// Reference is a person's reference number: 14 digits, the last of them a
// Verhoeff check digit, which catches every single wrong digit and every swap
// of two neighbours. It is personal data and never leaves memory; a
// [PersonToken] stands for it everywhere else.
type Reference string

// ReferenceLength is the number of digits of a reference number.
const ReferenceLength = 14

var (
	errReferenceForm  = errors.New("a reference number has 14 digits")
	errReferenceCheck = errors.New("the check digit of the reference number does not fit; one digit is wrong or two are swapped")
)

// Check tells why r is not a reference number, or returns nil.
func (r Reference) Check() error {
	if len(r) != ReferenceLength {
		return errReferenceForm
	}
	for i := range len(r) {
		if r[i] < '0' || r[i] > '9' {
			return errReferenceForm
		}
	}
	if verhoeff(string(r)) != 0 {
		return errReferenceCheck
	}
	return nil
}

// MakeReference appends the check digit to 13 digits.
// It panics when body is not 13 digits: callers make it from a number.
func MakeReference(body string) Reference {
	if len(body) != ReferenceLength-1 {
		panic("domain: a reference number is made from 13 digits")
	}
	return Reference(body + string('0'+inverse[verhoeff(body+"0")]))
}

// The tables of Verhoeff's scheme: the dihedral group of order ten, its
// permutation by place, and inverses. J. Verhoeff, Error Detecting Decimal
// Codes, Mathematical Centre Tract 29, 1969.
var (
	product = [10][10]byte{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		{1, 2, 3, 4, 0, 6, 7, 8, 9, 5},
		{2, 3, 4, 0, 1, 7, 8, 9, 5, 6},
		{3, 4, 0, 1, 2, 8, 9, 5, 6, 7},
		{4, 0, 1, 2, 3, 9, 5, 6, 7, 8},
		{5, 9, 8, 7, 6, 0, 4, 3, 2, 1},
		{6, 5, 9, 8, 7, 1, 0, 4, 3, 2},
		{7, 6, 5, 9, 8, 2, 1, 0, 4, 3},
		{8, 7, 6, 5, 9, 3, 2, 1, 0, 4},
		{9, 8, 7, 6, 5, 4, 3, 2, 1, 0},
	}
	permutation = [8][10]byte{
		{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
		{1, 5, 7, 6, 2, 8, 3, 0, 9, 4},
		{5, 8, 0, 3, 7, 9, 6, 1, 4, 2},
		{8, 9, 1, 6, 0, 4, 3, 5, 2, 7},
		{9, 4, 5, 3, 1, 2, 6, 8, 7, 0},
		{4, 2, 8, 6, 5, 7, 3, 9, 0, 1},
		{2, 7, 9, 3, 8, 0, 6, 4, 1, 5},
		{7, 0, 4, 6, 9, 1, 3, 2, 5, 8},
	}
	inverse = [10]byte{0, 4, 3, 2, 1, 5, 6, 7, 8, 9}
)

// verhoeff returns the checksum of digits; 0 means that the last one fits.
func verhoeff(digits string) byte {
	var c byte
	for i := range len(digits) {
		c = product[c][permutation[i%8][digits[len(digits)-1-i]-'0']]
	}
	return c
}
