package centre

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ErrLocked is the error when another process has the directory.
var ErrLocked = errors.New("another process has the centre's directory")

// startTimeout bounds how long the server may take to recover its streams.
const startTimeout = 2 * time.Minute

// startServer starts a NATS server in this process that keeps its streams in dir,
// flushes every message to disk before it acknowledges it, and is reached from
// this process alone. How much it stores is bounded by its streams.
func startServer(dir string) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName:        "bahi-centre",
		JetStream:         true,
		StoreDir:          dir,
		JetStreamMaxStore: 1 << 50,
		SyncAlways:        true,
		MaxPayload:        maxRecord,
		DontListen:        true,
		NoSigs:            true,
		NoLog:             true,
	})
	if err != nil {
		return nil, fmt.Errorf("start the spool: %w", err)
	}
	log := &lastWords{}
	s.SetLoggerV2(log, false, false, false)
	go s.Start()
	for begun := time.Now(); !s.ReadyForConnections(50 * time.Millisecond); {
		reason := log.fatal()
		if reason == "" && time.Since(begun) > startTimeout {
			reason = "it was not ready after " + startTimeout.String()
		}
		if reason != "" {
			stopServer(s)
			return nil, fmt.Errorf("start the spool: %s", reason)
		}
	}
	return s, nil
}

func stopServer(s *server.Server) {
	s.Shutdown()
	s.WaitForShutdown()
}

// lockDir takes the directory for this process until the file is closed or the
// process ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the centre's directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
		}
		return nil, fmt.Errorf("lock the centre's directory: %w", err)
	}
	return f, nil
}

// unlock lets go of the directory at once, whatever process that is just being
// started has a copy of the file.
func unlock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// lastWords is a logger that remembers why a server gave up: it says the reason
// nowhere else.
type lastWords struct {
	mu     sync.Mutex // guards reason
	reason string
}

func (l *lastWords) fatal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reason
}

// Fatalf is called when the server cannot go on.
func (l *lastWords) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reason = fmt.Sprintf(format, v...)
}

// The server's other words are for its own log, which an embedded one has not.

func (l *lastWords) Errorf(string, ...any)  {}
func (l *lastWords) Noticef(string, ...any) {}
func (l *lastWords) Warnf(string, ...any)   {}
func (l *lastWords) Debugf(string, ...any)  {}
func (l *lastWords) Tracef(string, ...any)  {}
