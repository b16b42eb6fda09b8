package web

import (
	"log"
	"log/slog"
	"regexp"
	"strings"
)

// serverLog is the log of a server of the standard library, which names the addresses
// of who connects, and quotes what they sent and what a handler panicked with: nothing
// of it goes on.
func serverLog(to *slog.Logger) *log.Logger { return log.New(scrubbing{to}, "", 0) }

type scrubbing struct{ to *slog.Logger }

var (
	peerAddress = regexp.MustCompile(`(\[[0-9a-fA-F:]+(%[^\]]*)?\]|\[::ffff:[0-9.]+\]|\d+\.\d+\.\d+\.\d+):\d+`)
	quoted      = regexp.MustCompile(`"(\\.|[^"\\])*("|$)`)
)

// Write logs a line.
func (s scrubbing) Write(line []byte) (int, error) {
	about := "a handler broke"
	if text := string(line); !strings.Contains(text, "panic") {
		about = peerAddress.ReplaceAllString(quoted.ReplaceAllString(strings.TrimSpace(text), "…"), "a client")
	}
	s.to.Warn("trouble with a connection", "about", about)
	return len(line), nil
}
