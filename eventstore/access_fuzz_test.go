package eventstore

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

// FuzzAccess: whatever stands on audit.access is refused or read; what is read can be
// written again, and reads back the same.
func FuzzAccess(f *testing.F) {
	for _, a := range []AuditAccess{
		{At: time.UnixMilli(1_614_859_800_000), Kind: TokenIssued, Token: "x", Role: "centre", District: 208, Centre: "208001", Expires: time.UnixMilli(1_614_859_900_000), By: "role:authority"},
		{At: time.UnixMilli(0), Kind: CentreAdded, District: 208, Centre: "208001", NKey: "U", Certificate: make([]byte, 32)},
	} {
		data, err := encodeAccess(a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{})
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := accessOf("audit.access", 7, data)
		if err != nil {
			if !errors.As(err, new(*DecodeError)) || !reflect.DeepEqual(a, AuditAccess{}) {
				t.Fatalf("%+v, %v", a, err)
			}
			return
		}
		again, err := encodeAccess(a)
		if err != nil {
			return // longer than what is written, and yet read
		}
		b, err := accessOf("audit.access", 7, again)
		if err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v reads back as %+v, %v", a, b, err)
		}
	})
}
