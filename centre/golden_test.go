package centre

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"bahi/domain"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden: what an earlier version left on a centre's disk is read, for it may
// have waited for weeks: the key file, a sealed bundle, and what is kept of an
// exchange.
func TestGolden(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("testdata", "golden")
	wantBundle := bundle{
		File: idOf(9, 1).String(), First: 500,
		Items: []item{
			{Line: 501, ID: idOf(1, 1).String(), Submission: json.RawMessage(`{"type":"dose","id":"` + idOf(1, 1).String() + `"}`), Dropped: []string{"address"}},
			{Line: 502, Code: domain.CodeBadJSON, Field: "at", Message: "the line is not one JSON object"},
		},
	}
	wantSent := sent{ID: idOf(8, 1), Replies: []byte{1, 2, 3}, Bundles: []sentBundle{{Sequence: 7, Lines: 2}}}
	if *update {
		k, err := openKey(filepath.Join(dir, "bundles.key"), true)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := wantBundle.encode()
		if err != nil {
			t.Fatal(err)
		}
		x, err := json.Marshal(wantSent)
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range map[string][]byte{"bundle": k.seal(plain, "bundle.golden"), "sent": k.seal(x, "sent")} {
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	// A checkout leaves files readable to all, which keys may not be.
	path := filepath.Join(t.TempDir(), "bundles.key")
	if err := os.WriteFile(path, read("bundles.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := openKey(path, false)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := k.open(read("bundle"), "bundle.golden")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := decodeBundle(plain); err != nil || !reflect.DeepEqual(b, wantBundle) {
		t.Errorf("%+v, %v", b, err)
	}
	if plain, err = k.open(read("sent"), "sent"); err != nil {
		t.Fatal(err)
	}
	var x sent
	if err := json.Unmarshal(plain, &x); err != nil || !reflect.DeepEqual(x, wantSent) {
		t.Errorf("%+v, %v", x, err)
	}
}
