package formats

import (
	"math"
	"strconv"
	"strings"

	"bahi/domain"
)

// The native codes, as spreadsheets and people write them: in any case, with
// spaces for underscores.
var (
	readGroup  = codeReader(domain.ParseGroup, strings.ToUpper)
	readReason = codeReader(domain.ParseReason, strings.ToLower)
	readStatus = codeReader(domain.ParseStatus, strings.ToLower)
)

func codeReader[T any](parse func(string) (T, error), inCase func(string) string) func(string) (T, *reason) {
	return func(s string) (T, *reason) {
		v, err := parse(s)
		if err != nil {
			v, err = parse(codeCase(s, inCase))
		}
		switch {
		case err == nil:
			return v, nil
		case trimmed(s) == "":
			return v, errEmpty
		}
		return v, badValue(err.Error()) // it names the codes and not the value
	}
}

func codeCase(s string, inCase func(string) string) string {
	return strings.ReplaceAll(inCase(trimmed(s)), " ", "_")
}

var (
	errID       = &reason{domain.CodeBadID, "an id is a UUID, such as 018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001"}
	errDecision = badValue("a decision is approve or reject")
	errFlag     = badValue("the value is true or false")
	errDistrict = &reason{domain.CodeUnknownDistrict, "a district is its LGD code, such as 208, or its name, where only one is called so"}
)

func readUUID(s string) (domain.UUID, *reason) {
	u, err := domain.ParseUUID(trimmed(s))
	if err != nil {
		return u, errID
	}
	return u, nil
}

func readDecision(s string) (approve bool, wrong *reason) {
	switch strings.ToLower(trimmed(s)) {
	case "approve":
		return true, nil
	case "reject":
		return false, nil
	}
	return false, errDecision
}

func readFlag(s string) (bool, *reason) {
	switch strings.ToLower(trimmed(s)) {
	case "true", "1":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, errFlag
}

// readPlain reads the code of a centre or of a batch. A spreadsheet that takes it
// for a number may have spoilt it.
func readPlain(s string) (string, *reason) {
	s = trimmed(s)
	switch {
	case s == "":
		return "", errEmpty
	case isScientific(s):
		return "", errScientific
	}
	return s, nil
}

// readDistrict reads a district's LGD code, or its name. Whether the directory
// has the code is for the ledger to say, as of a native submission.
func readDistrict(s string) (domain.District, *reason) {
	s = wholeNumber(westernDigits(trimmed(s)))
	if allDigits(s) {
		code, err := strconv.Atoi(s)
		if err != nil || code < 1 || code > math.MaxUint16 {
			return 0, errDistrict
		}
		return domain.District(code), nil
	}
	if d, ok := readDistrictName(s, ""); ok {
		return d, nil
	}
	return 0, errDistrict
}
