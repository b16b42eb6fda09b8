package eventstore

import (
	"os"
	"path/filepath"
	"testing"
)

// However little space is free when the server starts, what it holds already does not
// count against it, and there is room for what streams set aside.
func TestStoreBound(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ held, free, want int64 }{
		{0, 0, 8 << 30},
		{0, 1 << 30, 8 << 30},
		{0, 100 << 30, 75 << 30},
		{100 << 30, 4 << 30, 103 << 30},
		{100 << 30, 0, 100 << 30},
	} {
		if got := boundOf(c.held, c.free); got != c.want {
			t.Errorf("%d held, %d free: %d, want %d", c.held, c.free, got, c.want)
		}
	}
	dir := t.TempDir()
	if got := held(filepath.Join(dir, "none")); got != 0 {
		t.Errorf("nothing holds %d", got)
	}
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"x", "a/y", "a/b/z"} {
		if err := os.WriteFile(filepath.Join(dir, file), make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := held(dir); got != 3000 {
		t.Errorf("%d bytes are held", got)
	}
}
