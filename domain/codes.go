package domain

import "fmt"

// District is a Local Government Directory district code: Muzaffarpur is 208.
// [KnownDistrict] tells whether the directory has it.
type District uint16

// Group is a priority group of the vaccination drive. Together with the
// district and a generation it makes a [Cohort].
type Group uint8

// The priority groups, in the order in which the drive opened to them.
const (
	HealthCareWorker Group = iota + 1 // HCW
	FrontLineWorker                   // FLW
	Age60Plus                         // AGE60_PLUS
	Age45To60                         // AGE45_60
	Age18To44                         // AGE18_44
	Age15To17                         // AGE15_17
	Age12To14                         // AGE12_14
)

var groupCodes = []string{"", "HCW", "FLW", "AGE60_PLUS", "AGE45_60", "AGE18_44", "AGE15_17", "AGE12_14"}

// Groups returns every priority group.
func Groups() []Group {
	return []Group{HealthCareWorker, FrontLineWorker, Age60Plus, Age45To60, Age18To44, Age15To17, Age12To14}
}

// Sex is as the vaccination portal records it.
type Sex uint8

// The values of Sex.
const (
	Female      Sex = iota + 1 // F
	Male                       // M
	Transgender                // T
)

var sexCodes = []string{"", "F", "M", "T"}

// Vaccine is a licensed product. Two schedules of one product are two vaccines.
type Vaccine uint8

// The vaccines that the rules know.
const (
	Covishield    Vaccine = iota + 1 // COVISHIELD
	Covaxin                          // COVAXIN
	SputnikV                         // SPUTNIK_V
	Corbevax                         // CORBEVAX
	ZyCoVD                           // ZYCOV_D, three doses
	ZyCoVDTwoDose                    // ZYCOV_D_2DOSE
)

var vaccineCodes = []string{"", "COVISHIELD", "COVAXIN", "SPUTNIK_V", "CORBEVAX", "ZYCOV_D", "ZYCOV_D_2DOSE"}

// DoseNumber is 1, 2 or 3 of the primary series, or [Precaution].
type DoseNumber uint8

// Precaution is the dose after a completed primary series, elsewhere called a
// booster. It is written "precaution".
const Precaution DoseNumber = 4

// Status is a person's vaccination status by the series of the vaccine given.
type Status uint8

// The statuses. The zero value is no status: the person is not registered.
const (
	Unvaccinated Status = iota + 1 // unvaccinated: registered, no dose standing
	Partial                        // partial: the series has begun
	Full                           // full: the primary series is complete
)

var statusCodes = []string{"", "unvaccinated", "partial", "full"}

// Reason is why an entry is withdrawn or a status reversed. There is no free
// text in the ledger.
type Reason uint8

// The reasons.
const (
	ReasonDuplicate       Reason = iota + 1 // duplicate
	ReasonEnteredInError                    // entered_in_error
	ReasonIssuedByMistake                   // issued_by_mistake
	ReasonUnknownMember                     // unknown_member
	ReasonOther                             // other
)

var reasonCodes = []string{"", "duplicate", "entered_in_error", "issued_by_mistake", "unknown_member", "other"}

// PhotoIDType is a kind of identity document accepted at registration. From
// when each is accepted is a matter of the [Rules].
type PhotoIDType uint8

// The photo-ID types.
const (
	Aadhaar         PhotoIDType = iota + 1 // AADHAAR
	VoterID                                // EPIC
	Passport                               // PASSPORT
	DrivingLicence                         // DRIVING_LICENCE
	PANCard                                // PAN
	NPRSmartCard                           // NPR_SMART_CARD
	PensionDocument                        // PENSION_DOCUMENT
	DisabilityID                           // UDID
	StudentID                              // STUDENT_ID
)

var photoIDCodes = []string{"", "AADHAAR", "EPIC", "PASSPORT", "DRIVING_LICENCE", "PAN", "NPR_SMART_CARD", "PENSION_DOCUMENT", "UDID", "STUDENT_ID"}

// FreezeMode says what happens to the keys of frozen cohorts.
type FreezeMode uint8

// The freeze modes.
const (
	// Handover seals the keys to the national authority's offline key before
	// they are destroyed here: it, and only it, can still answer a citizen.
	Handover FreezeMode = iota + 1
	// Erase destroys the keys; nobody can open the details again.
	Erase
)

var freezeModeCodes = []string{"", "handover", "erase"}

func code(codes []string, i int) string {
	if i < len(codes) {
		return codes[i]
	}
	return ""
}

func parseCode[T ~uint8](codes []string, s, what string) (T, error) {
	for i, c := range codes {
		if i > 0 && c == s {
			return T(i), nil
		}
	}
	return 0, fmt.Errorf("%s is one of %s", what, list(codes[1:]))
}

func list(codes []string) string {
	out := ""
	for i, c := range codes {
		switch {
		case i == 0:
		case i == len(codes)-1:
			out += " or "
		default:
			out += ", "
		}
		out += c
	}
	return out
}

// String returns the group's code, such as HCW, or "" for none.
func (g Group) String() string { return code(groupCodes, int(g)) }

// ParseGroup reads a group's code.
func ParseGroup(s string) (Group, error) { return parseCode[Group](groupCodes, s, "a group") }

// MarshalText writes the code.
func (g Group) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// UnmarshalText reads the code.
func (g *Group) UnmarshalText(b []byte) (err error) { *g, err = ParseGroup(string(b)); return err }

// String returns F, M or T, or "" for none.
func (s Sex) String() string { return code(sexCodes, int(s)) }

// ParseSex reads F, M or T.
func ParseSex(s string) (Sex, error) { return parseCode[Sex](sexCodes, s, "sex") }

// MarshalText writes the code.
func (s Sex) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the code.
func (s *Sex) UnmarshalText(b []byte) (err error) { *s, err = ParseSex(string(b)); return err }

// String returns the vaccine's code, such as COVISHIELD, or "" for none.
func (v Vaccine) String() string { return code(vaccineCodes, int(v)) }

// ParseVaccine reads a vaccine's code.
func ParseVaccine(s string) (Vaccine, error) { return parseCode[Vaccine](vaccineCodes, s, "a vaccine") }

// MarshalText writes the code.
func (v Vaccine) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads the code.
func (v *Vaccine) UnmarshalText(b []byte) (err error) { *v, err = ParseVaccine(string(b)); return err }

var doseNumberCodes = []string{"", "1", "2", "3", "precaution"}

// String returns 1, 2, 3 or precaution, or "" for none.
func (n DoseNumber) String() string { return code(doseNumberCodes, int(n)) }

// ParseDoseNumber reads 1, 2, 3 or precaution.
func ParseDoseNumber(s string) (DoseNumber, error) {
	return parseCode[DoseNumber](doseNumberCodes, s, "a dose number")
}

// Valid tells whether n is one of the four dose numbers.
func (n DoseNumber) Valid() bool { return n >= 1 && n <= Precaution }

// Ordinal returns the number in words, for messages: first, second, third or
// precaution.
func (n DoseNumber) Ordinal() string {
	return code([]string{"", "first", "second", "third", "precaution"}, int(n))
}

// String returns unvaccinated, partial or full, or "" for none.
func (s Status) String() string { return code(statusCodes, int(s)) }

// ParseStatus reads unvaccinated, partial or full.
func ParseStatus(s string) (Status, error) { return parseCode[Status](statusCodes, s, "a status") }

// MarshalText writes the code.
func (s Status) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the code.
func (s *Status) UnmarshalText(b []byte) (err error) { *s, err = ParseStatus(string(b)); return err }

// String returns the reason's code, or "" for none.
func (r Reason) String() string { return code(reasonCodes, int(r)) }

// ParseReason reads a reason's code.
func ParseReason(s string) (Reason, error) { return parseCode[Reason](reasonCodes, s, "a reason") }

// MarshalText writes the code.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads the code.
func (r *Reason) UnmarshalText(b []byte) (err error) { *r, err = ParseReason(string(b)); return err }

// String returns the photo-ID type's code, such as AADHAAR, or "" for none.
func (t PhotoIDType) String() string { return code(photoIDCodes, int(t)) }

// ParsePhotoIDType reads a photo-ID type's code.
func ParsePhotoIDType(s string) (PhotoIDType, error) {
	return parseCode[PhotoIDType](photoIDCodes, s, "a photo-ID type")
}

// MarshalText writes the code.
func (t PhotoIDType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the code.
func (t *PhotoIDType) UnmarshalText(b []byte) (err error) {
	*t, err = ParsePhotoIDType(string(b))
	return err
}

// String returns handover or erase, or "" for none.
func (m FreezeMode) String() string { return code(freezeModeCodes, int(m)) }

// ParseFreezeMode reads handover or erase.
func ParseFreezeMode(s string) (FreezeMode, error) {
	return parseCode[FreezeMode](freezeModeCodes, s, "a freeze mode")
}

// MarshalText writes the code.
func (m FreezeMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the code.
func (m *FreezeMode) UnmarshalText(b []byte) (err error) {
	*m, err = ParseFreezeMode(string(b))
	return err
}
