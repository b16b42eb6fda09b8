package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"bahi/internal/natstest"
	"bahi/projections"
)

// eventsOf reads server-sent events as a browser does: the data of each, joined from
// its lines, until the stream ends.
func eventsOf(t *testing.T, from io.Reader) (events []string) {
	t.Helper()
	var data []string
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		switch field, value, _ := strings.Cut(lines.Text(), ":"); {
		case lines.Text() == "" && data != nil:
			events, data = append(events, strings.Join(data, "\n")), nil
		case field == "data":
			data = append(data, strings.TrimPrefix(value, " "))
		case lines.Text() != "":
			t.Errorf("no line of an event: %q", lines.Text())
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return events
}

func (s *service) watching(t *testing.T, method, path string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+s.token(t, operator))
	r.Header.Set("Accept", eventsType)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestRebuildAsEvents: the rebuild of a view as server-sent events.
func TestRebuildAsEvents(t *testing.T) {
	t.Parallel()
	s := start(t)
	settle(t, s)
	answer := s.watching(t, "POST", "/v1/projections/counts/rebuild")
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != eventsType {
		t.Fatalf("answered %d %v", answer.StatusCode, answer.Header)
	}
	events := eventsOf(t, answer.Body)
	var last workLine[projections.Rebuilt]
	if len(events) == 0 || json.Unmarshal([]byte(events[len(events)-1]), &last) != nil || last.Result == nil || !last.Result.Swapped {
		t.Errorf("events %q", events)
	}
	missing := s.watching(t, "POST", "/v1/projections/persons/rebuild")
	defer missing.Body.Close()
	if missing.StatusCode != http.StatusNotFound || missing.Header.Get("Content-Type") != problemType {
		t.Errorf("an unknown one is answered %d %v", missing.StatusCode, missing.Header)
	}
}

// TestWatchRebuild watches rebuilds that somebody else has begun.
func TestWatchRebuild(t *testing.T) {
	t.Parallel()
	s := start(t)
	settle(t, s)
	c := s.client(t, operator)
	if _, err := c.WatchRebuild(t.Context(), "people", nil); !errors.Is(err, projections.ErrNoRebuild) {
		t.Errorf("nothing to watch: %v", err)
	}
	if _, err := c.WatchRebuild(t.Context(), "persons", nil); !errors.Is(err, projections.ErrUnknownView) {
		t.Errorf("an unknown view: %v", err)
	}
	ctx, enough := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { // one rebuild after another
		for {
			if _, err := s.ledger.RebuildView(ctx, "people", projections.RebuildOptions{}, nil); err != nil {
				ended <- err
				return
			}
		}
	}()
	for deadline := time.Now().Add(natstest.Patience); ; {
		answer := s.watching(t, "GET", "/v1/projections/people/rebuild")
		if answer.StatusCode == http.StatusNotFound && time.Now().Before(deadline) { // between two
			answer.Body.Close()
			continue
		}
		events := eventsOf(t, answer.Body)
		answer.Body.Close()
		if len(events) == 0 || !strings.Contains(events[len(events)-1], `"swapped":true`) {
			t.Errorf("answered %d: %q", answer.StatusCode, events)
		}
		break
	}
	enough()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
