package domain_test

import (
	"encoding"
	"errors"
	"fmt"
	"strings"
	"testing"

	"bahi/domain"
)

// coded is what every list of codes offers.
type coded interface {
	comparable
	fmt.Stringer
	encoding.TextMarshaler
}

// readBack holds a list of codes to its length, to reading what it writes, and
// to refusing what it does not know with a list of what it does.
func readBack[T coded](t *testing.T, count int, value func(int) T, parse func(string) (T, error), unmarshal func(*T, []byte) error) {
	t.Helper()
	seen := map[string]bool{"": true}
	for i := 1; i <= count; i++ {
		v := value(i)
		b, err := v.MarshalText()
		if seen[v.String()] || err != nil || string(b) != v.String() {
			t.Errorf("%T %d is %q, marshalled %q, %v", v, i, v, b, err)
		}
		seen[v.String()] = true
		if back, err := parse(v.String()); back != v || err != nil {
			t.Errorf("%q is %v, %v", v, back, err)
		}
		var back T
		if err := unmarshal(&back, b); back != v || err != nil {
			t.Errorf("%q is %v, %v", b, back, err)
		}
		if _, err := parse(strings.ToLower(v.String()) + " "); err == nil {
			t.Errorf("%q with a space passes", v)
		}
	}
	if v := value(count + 1); v.String() != "" {
		t.Errorf("%T %d is %q, beyond the list", v, count+1, v)
	}
	if _, err := parse(""); err == nil || !strings.Contains(err.Error(), value(count).String()) {
		t.Errorf("the error does not list the codes: %v", err)
	}
}

func TestCodes(t *testing.T) {
	t.Parallel()
	readBack(t, 7, func(i int) domain.Group { return domain.Group(i) }, domain.ParseGroup, (*domain.Group).UnmarshalText)
	readBack(t, 3, func(i int) domain.Sex { return domain.Sex(i) }, domain.ParseSex, (*domain.Sex).UnmarshalText)
	readBack(t, 6, func(i int) domain.Vaccine { return domain.Vaccine(i) }, domain.ParseVaccine, (*domain.Vaccine).UnmarshalText)
	readBack(t, 3, func(i int) domain.Status { return domain.Status(i) }, domain.ParseStatus, (*domain.Status).UnmarshalText)
	readBack(t, 5, func(i int) domain.Reason { return domain.Reason(i) }, domain.ParseReason, (*domain.Reason).UnmarshalText)
	readBack(t, 9, func(i int) domain.PhotoIDType { return domain.PhotoIDType(i) }, domain.ParsePhotoIDType, (*domain.PhotoIDType).UnmarshalText)
	readBack(t, 2, func(i int) domain.FreezeMode { return domain.FreezeMode(i) }, domain.ParseFreezeMode, (*domain.FreezeMode).UnmarshalText)
	for i, want := range []string{"1", "2", "3", "precaution"} {
		n, err := domain.ParseDoseNumber(want)
		if n != domain.DoseNumber(i+1) || err != nil || n.String() != want || !n.Valid() || n.Ordinal() == "" {
			t.Errorf("%q is %v, %v", want, n, err)
		}
	}
	if domain.DoseNumber(5).Valid() || domain.DoseNumber(0).Valid() {
		t.Error("doses 0 and 5 are valid")
	}
}

func TestTextForms(t *testing.T) {
	t.Parallel()
	if s := hcw.String(); s != "208/HCW/1" {
		t.Error(s)
	}
	var d domain.Day
	if err := d.UnmarshalText([]byte("2021-01-16")); err != nil || d != domain.Date(2021, 1, 16) || d.Year() != 2021 {
		t.Error(d, err)
	}
	if b, err := d.MarshalText(); string(b) != "2021-01-16" || err != nil {
		t.Errorf("%s, %v", b, err)
	}
	if err := d.UnmarshalText([]byte("16.1.2021")); err == nil || d != domain.Date(2021, 1, 16) {
		t.Error("a bad day changes the day, or passes")
	}
	var u domain.UUID
	if err := u.UnmarshalText([]byte("018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001")); err != nil {
		t.Error(err)
	}
	if b, err := u.MarshalText(); string(b) != "018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001" || err != nil {
		t.Errorf("%s, %v", b, err)
	}
	for o, want := range map[domain.Outcome]string{domain.Accepted: "accepted", domain.Duplicate: "duplicate", domain.Rejected: "rejected", 9: ""} {
		if o.String() != want {
			t.Errorf("outcome %d is %q", o, o)
		}
	}
}

func TestCheckOfficer(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"officer-7", "d.m@muzaffarpur", "A_1"} {
		if err := domain.CheckOfficer(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "officer 7", "अधिकारी", "a/b", strings.Repeat("a", 65)} {
		var rejection *domain.Rejection
		if err := domain.CheckOfficer(bad); !errors.As(err, &rejection) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestMisusePanics(t *testing.T) {
	t.Parallel()
	for name, misuse := range map[string]func(){
		"five doses":         func() { domain.Person{}.WithDoses(make([]domain.Dose, 5)...) },
		"a reference of two": func() { domain.MakeReference("21") },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			misuse()
		}()
	}
}
