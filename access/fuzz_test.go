package access_test

import (
	"testing"

	"bahi/access"
	"bahi/vault"
)

// FuzzBearer: whatever is shown as a token, nothing but a token that was issued lets
// anybody in.
func FuzzBearer(f *testing.F) {
	o := newOffice(f)
	issued := o.issue(f, forOfficer)
	role, err := o.keys.RoleToken(vault.RoleOfficer)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		issued.Text, role, "", "..", "a.b.c", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJiYWhpL3Rlc3QifQ.", "eyJhbGciOiJFZERTQSJ9.e30.AAAA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := o.Bearer(t.Context(), text, false)
		if err == nil && text != issued.Text {
			t.Errorf("%q lets in %+v", text, p)
		}
		if err != nil && p != (access.Principal{}) {
			t.Errorf("%q is refused and is %+v", text, p)
		}
	})
}
