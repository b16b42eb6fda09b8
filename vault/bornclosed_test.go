package vault

import (
	"bytes"
	"errors"
	"testing"

	"bahi/domain"
)

func TestBornClosedOpensForTheAuthorityAlone(t *testing.T) {
	t.Parallel()
	key, err := GenerateAuthorityKey()
	if err != nil {
		t.Fatal(err)
	}
	c := domain.Cohort{District: 208, Group: domain.HealthCareWorker, Generation: 2}
	p := domain.PersonToken{1, 2, 3}
	details := domain.Details{Name: "Canary Kumari", BirthYear: 1980, Mobile: "9700000001", PhotoIDType: domain.Aadhaar, PhotoIDLast4: "0001"}
	tokens := domain.RegistrationTokens{Mobile: domain.MobileToken{4}, PhotoID: domain.PhotoIDToken{5}, Content: domain.Digest{6}}
	sealed, err := SealForAuthority(key.Public(), c, p, details, tokens)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte(details.Name)) || !SealedToAuthority(sealed) {
		t.Error("it is not sealed to the authority")
	}
	gotDetails, gotTokens, err := key.OpenRegistration(c, p, sealed)
	if err != nil || gotDetails != details || gotTokens != tokens {
		t.Errorf("the authority reads %+v %+v, %v", gotDetails, gotTokens, err)
	}

	stranger, err := GenerateAuthorityKey()
	if err != nil {
		t.Fatal(err)
	}
	other := c
	other.Generation++
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)-1] ^= 1
	for name, open := range map[string]func() error{
		"another key":    func() error { _, _, err := stranger.OpenRegistration(c, p, sealed); return err },
		"another cohort": func() error { _, _, err := key.OpenRegistration(other, p, sealed); return err },
		"another person": func() error { _, _, err := key.OpenRegistration(c, domain.PersonToken{9}, sealed); return err },
		"a flipped bit":  func() error { _, _, err := key.OpenRegistration(c, p, flipped); return err },
		"nothing":        func() error { _, _, err := key.OpenRegistration(c, p, nil); return err },
	} {
		if err := open(); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
}
