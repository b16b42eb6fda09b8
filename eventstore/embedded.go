package eventstore

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// The accounts and users of the embedded server. They share nothing but what
// centreServices and centreInboxes name. A centre that says where the answer to a
// message is to be sent has the server publish there, with the server's own rights:
// in the account of the ledger into the ledger, in that of the intake into another
// centre's bundles or verdicts. In an account of its own there is nothing to hit.
const (
	accountLedger  = "LEDGER"
	accountIntake  = "INTAKE"
	accountCentres = "CENTRES"

	userLedger = "ledger" // this process, all of the ledger's account
	userIntake = "intake" // this process, all of the intake's account
)

// startTimeout bounds how long the server may take to recover its streams.
const startTimeout = 2 * time.Minute

// embedded is a NATS server in this process, and the lock on its directory.
type embedded struct {
	server     *server.Server
	lock       *os.File
	doorkeeper *doorkeeper
}

// startEmbedded locks the directory and starts a server on it that flushes
// every message to disk before it acknowledges it.
func startEmbedded(c Config) (_ *embedded, err error) {
	e := &embedded{doorkeeper: &doorkeeper{password: rand.Text()}}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.stop())
		}
	}()
	if c.Dir == "" {
		return nil, errors.New("the ledger needs a data directory or the address of a NATS server")
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	if e.lock, err = lockDir(c.Dir); err != nil {
		return nil, err
	}

	options := &server.Options{
		ServerName:        "bahi",
		JetStream:         true,
		StoreDir:          c.Dir,
		JetStreamMaxStore: storeBound(c),
		SyncAlways:        true,
		DontListen:        c.Listen == "",
		NoSigs:            true,
		NoLog:             true,
	}
	if err := listen(options, c); err != nil {
		return nil, err
	}
	options.Accounts = []*server.Account{
		server.NewAccount(accountLedger), server.NewAccount(accountIntake), server.NewAccount(accountCentres),
	}
	options.AuthTimeout = signInTimeout
	options.AlwaysEnableNonce = true // for nkeys, of which the server itself has none
	options.CustomClientAuthentication = e.doorkeeper

	if e.server, err = server.NewServer(options); err != nil {
		return nil, fmt.Errorf("start the embedded server: %w", err)
	}
	log := &lastWords{}
	e.server.SetLoggerV2(log, false, false, false)
	go e.server.Start()
	for begun := time.Now(); !e.server.ReadyForConnections(50 * time.Millisecond); {
		if reason := log.fatal(); reason != "" {
			return nil, fmt.Errorf("start the embedded server: %s", reason)
		}
		if time.Since(begun) > startTimeout {
			return nil, fmt.Errorf("start the embedded server: it was not ready after %s", startTimeout)
		}
	}
	if err := e.openAccounts(); err != nil {
		return nil, fmt.Errorf("start the embedded server's streams: %w", err)
	}
	return e, nil
}

// leastBound is room for what the streams of the doors set aside, 3.5 GiB, on disks
// of any size: a server that sets aside more than it may store opens no stream.
const leastBound = 8 << 30

// storeBound is how much the server may store. Its own default is three quarters of
// the space that is free, from which it takes off what it holds already: a ledger that
// has grown beyond that could not be appended to after a restart.
func storeBound(c Config) int64 {
	if c.MaxBytes != 0 {
		return c.MaxBytes
	}
	var disk syscall.Statfs_t
	if syscall.Statfs(c.Dir, &disk) != nil {
		return leastBound
	}
	return boundOf(held(filepath.Join(c.Dir, server.JetStreamStoreDir)), int64(disk.Bavail)*int64(disk.Bsize))
}

// boundOf is what is held and three quarters of what is free.
func boundOf(held, free int64) int64 { return max(held+free/4*3, leastBound) }

// held is how many bytes the files below a directory have.
func held(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // nothing is there yet
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// openAccounts gives the accounts their streams and what they share, and then lets
// connections in.
func (e *embedded) openAccounts() error {
	accounts := map[string]*server.Account{}
	for _, name := range []string{accountLedger, accountIntake, accountCentres} {
		account, err := e.server.LookupAccount(name) // a copy of the one in the options
		if err != nil {
			return err
		}
		accounts[name] = account
	}
	ledger, intake, centres := accounts[accountLedger], accounts[accountIntake], accounts[accountCentres]
	err := errors.Join(ledger.EnableJetStream(nil, nil), intake.EnableJetStream(nil, nil))
	for _, subject := range centreServices {
		err = errors.Join(err, intake.AddServiceExport(subject, []*server.Account{centres}), centres.AddServiceImport(intake, subject, subject))
	}
	inboxes := CentreInboxes()
	err = errors.Join(err, intake.AddStreamExport(inboxes, []*server.Account{centres}), centres.AddStreamImport(intake, inboxes, ""))
	if err != nil {
		return err
	}
	e.doorkeeper.open(ledger, intake, centres)
	return nil
}

// listen sets where the server takes centres' connections, if anywhere.
func listen(o *server.Options, c Config) error {
	if c.Listen == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen for centres: %w", err)
	}
	o.Host = host
	if o.Port, err = strconv.Atoi(port); err != nil {
		return fmt.Errorf("listen for centres: %q is not a port", port)
	}
	if o.Port == 0 {
		o.Port = server.RANDOM_PORT
	}
	if c.ListenCertificate == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.ListenCertificate, c.ListenKey)
	if err != nil {
		return fmt.Errorf("listen for centres with TLS: %w", err)
	}
	o.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	o.TLS, o.TLSTimeout = true, tlsTimeout
	return nil
}

// How long a centre may take for the handshake of TLS, and for all until it has signed
// in, in seconds: its link may be poor.
const (
	tlsTimeout    = 10
	signInTimeout = 2 * tlsTimeout
)

// stop shuts the server down, waits for it, and lets go of the directory.
func (e *embedded) stop() error {
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
	if e.lock == nil {
		return nil
	}
	return unlock(e.lock)
}

// lockDir takes the directory for this process until the file is closed or the
// process ends, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
		}
		return nil, fmt.Errorf("lock the data directory: %w", err)
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
