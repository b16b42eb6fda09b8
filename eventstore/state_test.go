package eventstore

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestStoredAt(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	began := time.Now()
	sequence, err := s.Append(t.Context(), bundle(1, 3), 0)
	if err != nil {
		t.Fatal(err)
	}
	at, err := s.StoredAt(t.Context(), sequence)
	if err != nil || at.Before(began.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("stored at %s, %v", at, err)
	}
	if _, err := s.StoredAt(t.Context(), sequence+1); !errors.Is(err, ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	if err := s.CanAppend(); err != nil {
		t.Error(err)
	}
	s.Close()
	if err := s.CanAppend(); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed store: %v", err)
	}
}

// TestTroubleNamesNoCentre: subjects are not logged.
func TestTroubleNamesNoCentre(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &Store{config: Config{Log: slog.New(slog.NewJSONHandler(&out, nil))}}
	tell := s.trouble("intake")
	tell(nil, nil, errors.New(`nats: permissions violation: Permissions Violation for Publish to "intake.208.208001"`))
	tell(nil, nil, nil)
	if got := out.String(); strings.Count(got, "\n") != 1 || strings.Contains(got, "208") || !strings.Contains(got, `"connection":"intake"`) {
		t.Errorf("logged %s", got)
	}
	(&Store{}).trouble("intake")(nil, nil, errors.New("slow"))
}
