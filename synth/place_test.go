package synth

import (
	"testing"

	"bahi/domain"
)

func TestElsewhere(t *testing.T) {
	t.Parallel()
	home, ok := findPlace("208")
	if !ok || home.key != "BR_Muzaffarpur" {
		t.Fatal(home)
	}
	generated := map[domain.District]bool{208: true}
	for _, want := range []string{"BR_Darbhanga", "BR_Gopalganj", "BR_Saharsa"} {
		got, err := elsewhereOf(home, generated)
		if err != nil || got.key != want {
			t.Errorf("%s, %v, want %s", got.key, err, want)
		}
		generated[got.district] = true
	}
	for _, p := range places() {
		if p.state() == "BR" {
			generated[p.district] = true
		}
	}
	if got, err := elsewhereOf(home, generated); err != nil || got.key != "DL_New Delhi" {
		t.Errorf("with all of the state: %s, %v", got.key, err)
	}
	for _, p := range places() {
		generated[p.district] = p.key != "KL_Kannur"
	}
	if got, err := elsewhereOf(home, generated); err != nil || got.key != "KL_Kannur" {
		t.Errorf("with one district left: %s, %v", got.key, err)
	}
	for _, p := range places() {
		generated[p.district] = true
	}
	if _, err := elsewhereOf(home, generated); err == nil {
		t.Error("somebody came from nowhere")
	}
}

// TestPlaces holds the table to the directory, and to what numbers are made of.
func TestPlaces(t *testing.T) {
	t.Parallel()
	keys, codes := map[string]bool{}, map[domain.District]bool{}
	for _, p := range places() {
		if !domain.KnownDistrict(p.district) || p.district > 999 || p.rank >= 950 {
			t.Errorf("%+v", p)
		}
		if keys[p.key] || codes[p.district] {
			t.Errorf("%+v is there twice", p)
		}
		keys[p.key], codes[p.district] = true, true
	}
	if d, ok := DistrictOf("BR_Patna"); !ok || d != 212 {
		t.Errorf("Patna is %d", d)
	}
}
