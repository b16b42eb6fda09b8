package domain_test

import (
	"reflect"
	"testing"
	"time"

	"bahi/domain"
)

func FuzzParseDay(f *testing.F) {
	for _, s := range []string{"2021-01-16", "1970-01-01", "2024-02-29", "2023-02-29", "0000-01-01", "9999-12-31", "2021-1-16", "", "2021-01-16 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := domain.ParseDay(s)
		if err != nil {
			return
		}
		if d.String() != s {
			t.Errorf("%q is %s", s, d)
		}
		if domain.DayOf(d.Start()) != d || domain.DayOf(d.End()) != d || domain.DayOf(d.Start().Add(-time.Millisecond)) != d-1 {
			t.Errorf("%s does not begin and end on itself", d)
		}
	})
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2021-01-16", "2021-01-16T10:05:00+05:30", "2021-01-15T18:30:00Z", "2021-01-16T10:05:00.123456789-23:59", "2021-01-16T24:00:00Z", "9999-12-31T23:59:59Z", "0000-01-01T00:00:00+14:00", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at, err := domain.ParseTime(s)
		if err != nil {
			return
		}
		again, err := domain.ParseTime(at.Format(time.RFC3339Nano))
		if err != nil || !again.Equal(at) || domain.DayOf(again) != domain.DayOf(at) {
			t.Errorf("%q is %s, and that is %s, %v", s, at, again, err)
		}
		if ist := at.In(domain.IndianStandardTime); domain.DayOf(at) != domain.Date(ist.Year(), ist.Month(), ist.Day()) {
			t.Errorf("%q is on %s", s, domain.DayOf(at))
		} else if _, err := ist.MarshalJSON(); err != nil {
			t.Errorf("%q cannot be told: %v", s, err)
		}
	})
}

func FuzzReference(f *testing.F) {
	for _, s := range []string{"21679381234566", "21679381234567", "00000000000000", "२१६७९३८१२३४५६६", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if domain.Reference(s).Check() == nil && domain.MakeReference(s[:13]) != domain.Reference(s) {
			t.Errorf("%q passes with another check digit than it is given", s)
		}
	})
}

func FuzzParseUUID(f *testing.F) {
	for _, s := range []string{"018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001", "018F3C1E-7A52-7BB0-9A1C-2F64D1C0A001", "018f3c1e7a527bb09a1c2f64d1c0a001", "018f3c1e-7a52-7bb0-9a1c-2f64d1c0a00g", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := domain.ParseUUID(s)
		if err != nil {
			return
		}
		if again, err := domain.ParseUUID(u.String()); err != nil || again != u {
			t.Errorf("%q is %s, and that is %s, %v", s, u, again, err)
		}
	})
}

// FuzzCheck sends anything through Normalise, Check and Decide: no panic, a
// second Normalise changes nothing, and what passes keeps to its bounds.
func FuzzCheck(f *testing.F) {
	f.Add(uint8(0), "21679381234566", "Sita Devi", "9000000001", "123456789012", uint8(1), uint8(1), uint8(1), 1961, uint16(208), int64(1610771700))
	f.Add(uint8(1), "21679381234566", "208001", "4120Z001", "", uint8(1), uint8(1), uint8(1), 0, uint16(208), int64(1610771700))
	f.Add(uint8(1), "018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001", "208001", "4120Z001", "", uint8(2), uint8(3), uint8(0), 0, uint16(208), int64(1630771700))
	f.Add(uint8(6), "", "DL/2021/117", "authority", "", uint8(0), uint8(2), uint8(7), 0, uint16(208), int64(1610771700))
	f.Add(uint8(0), " ", "+91+91", "+91+919000000", "ß ıſ", uint8(99), uint8(200), uint8(255), -1, uint16(0), int64(-1))
	f.Fuzz(func(t *testing.T, kind uint8, person, a, b, c string, x, y, z uint8, year int, district uint16, at int64) {
		s := anySubmission(kind, person, a, b, c, x, y, z, year, district, at)
		s = domain.Normalise(s)
		if again := domain.Normalise(s); !reflect.DeepEqual(again, s) {
			t.Errorf("normalised twice:\n%+v\n%+v", s, again)
		}
		if domain.Check(s) != nil {
			return
		}
		if r, ok := s.(domain.Registration); ok && (len(r.Name) > 400 || len(r.Mobile) != 10 || len(r.PhotoID.Number) > 24) {
			t.Errorf("%+v passes", r)
		}
		k := domain.Known{Authority: x&1 == 0, AuthorityKey: y&1 == 0, Person: vaccinated("2021-06-01", "2021-07-01"), Request: domain.RequestState(z)}
		event, err := domain.Decide(k, domain.BuiltInRules(), s, time.Unix(at, 0).Add(time.Hour))
		if (event == nil) == (err == nil) {
			t.Errorf("event %v, error %v", event, err)
		}
	})
}

func anySubmission(kind uint8, person, a, b, c string, x, y, z uint8, year int, district uint16, at int64) domain.Submission {
	h := domain.Heading{ID: numberedID(year), At: time.Unix(at, 0)}
	reference, d := domain.Reference(person), domain.District(district)
	registration, err := domain.ParseUUID(person)
	if err == nil {
		reference = ""
	}
	switch kind % 7 {
	case 0:
		return domain.Registration{Heading: h, Person: reference, District: d, Group: domain.Group(x), Name: a, BirthYear: year, Sex: domain.Sex(y),
			Mobile: b, PhotoID: domain.PhotoID{Type: domain.PhotoIDType(z), Number: c}, Restated: err == nil}
	case 1:
		return domain.DoseGiven{Heading: h, Person: reference, Registration: registration, District: d, Centre: a, Vaccine: domain.Vaccine(x), Batch: b, Number: domain.DoseNumber(y)}
	case 2:
		return domain.RegistrationWithdrawal{Heading: h, Person: reference, Registration: registration, Reason: domain.Reason(x)}
	case 3:
		return domain.DoseWithdrawal{Heading: h, Person: reference, Registration: registration, Number: domain.DoseNumber(x), Reason: domain.Reason(y)}
	case 4:
		return domain.ReversalRequest{Heading: h, Person: reference, Registration: registration, To: domain.Status(x), Reason: domain.Reason(y)}
	case 5:
		return domain.ReversalDecision{Heading: h, Request: numberedID(int(z)), Approve: x&1 == 0, By: a}
	}
	return domain.Freeze{Heading: h, District: d, Groups: []domain.Group{domain.Group(z)}, Standing: x&2 == 0, Mode: domain.FreezeMode(y), Order: a, By: b}
}
