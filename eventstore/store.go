package eventstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Times that bound what the store waits for.
const (
	connectTimeout = 5 * time.Second // for a connection to an external server
	connectTries   = 5
	connectPause   = 100 * time.Millisecond
	requestTimeout = 10 * time.Second // for an acknowledgement or an answer, unless the context ends earlier
)

// Config says where the ledger is kept. Without a URL it is kept in Dir by a
// server inside this process.
type Config struct {
	Dir                          string // the embedded server's directory; one process at a time
	MaxBytes                     int64  // the most the embedded server stores; 0 means what it holds and three quarters of the disk space that is free at the start, and at least 8 GiB
	Listen                       string // host:port at which the embedded server listens for centres; empty means it does not
	ListenCertificate, ListenKey string // PEM files of a TLS certificate and its key for Listen; without them it speaks no TLS

	URL         string // an external NATS server, or several with commas between them
	Credentials string // a file for URL that [SignIn] takes; empty for none
	Replicas    int    // of the streams, when URL is a cluster; 0 means 1

	Log *slog.Logger // of what goes wrong with connections and nobody is told of; nil: nothing is logged
}

// Store is the ledger: the streams LEDGER, of commits, and AUDIT, of who read a
// person's details. Its methods may be called by several goroutines at once.
type Store struct {
	config   Config
	embedded *embedded // nil with an external server
	nc       *nats.Conn
	js       jetstream.JetStream
	ledger   jetstream.Stream
	audit    jetstream.Stream

	auditing chan struct{} // holds a token while an audit record is appended: one at a time
	close    sync.Once
	closed   error
}

// Open opens the ledger and makes its streams where they do not exist. Errors:
// [ErrLocked] when another process has the directory, [ErrUnreachable] when no
// server answers within five seconds, [ErrUnfit] when an external server keeps
// a stream in a way that could lose history.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{config: c, auditing: make(chan struct{}, 1)}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*requestTimeout)
	defer cancel()
	if s.config.URL == "" {
		if s.embedded, err = startEmbedded(s.config); err != nil {
			return err
		}
	}
	if s.nc, err = s.connect("bahi ledger", userLedger); err != nil {
		return err
	}
	if err := s.allowed(ctx); err != nil {
		return err
	}
	if s.js, err = jetstream.New(s.nc, jetstream.WithDefaultTimeout(requestTimeout)); err != nil {
		return err
	}
	if s.ledger, err = s.openStream(ctx, ledgerConfig(s.config.Replicas)); err != nil {
		return err
	}
	s.audit, err = s.openStream(ctx, auditConfig(s.config.Replicas))
	return err
}

// allowed refuses credentials that may not look at the ledger, such as a centre's. A
// server does not answer what it does not allow: one would wait for nothing.
func (s *Store) allowed(ctx context.Context) error {
	err := s.nc.PublishRequest("$JS.API.STREAM.INFO."+streamLedger, s.nc.NewInbox(), nil)
	if err == nil {
		err = s.nc.FlushWithContext(ctx)
	}
	if err == nil && errors.Is(s.nc.LastError(), nats.ErrPermissionViolation) {
		err = s.nc.LastError()
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %w", redacted(s.config.URL), ErrUnreachable, err)
	}
	return nil
}

// Connect opens a further connection to the same server, for a room that has
// subjects of its own. The caller closes it before the store.
//
// On the embedded server it lands in the account of the intake: what arrives there
// can neither see nor name a subject of the ledger, not even as the
// address to which a server sends an acknowledgement. An external server's
// operator has to see to that: there the connection has the rights of the
// credentials.
func (s *Store) Connect(name string) (*nats.Conn, error) {
	return s.connect(name, userIntake)
}

func (s *Store) connect(name, user string) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name(name),
		nats.Timeout(connectTimeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(time.Second),
		nats.ErrorHandler(s.trouble(name)),
		nats.IgnoreAuthErrorAbort(), // an operator mends a configuration that lacks us
		nats.ReconnectBufSize(-1),   // what cannot be sent now fails now, rather than be sent when nobody waits for it
	}
	address := s.config.URL
	if s.embedded != nil {
		address = "" // in process, whatever the address; it is there, however busy
		options = append(options, nats.Timeout(signInTimeout*time.Second), nats.InProcessServer(s.embedded.server), nats.UserInfo(user, s.embedded.doorkeeper.password))
	} else if s.config.Credentials != "" {
		signIn, err := SignIn(s.config.Credentials)
		if err != nil {
			return nil, err
		}
		options = append(options, signIn)
	}
	nc, err := Dial(address, options...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", redacted(s.config.URL), ErrUnreachable, err)
	}
	return nc, nil
}

// Dial connects to a NATS server. One that takes up a new configuration cuts off, or
// refuses, who is just signing in: so it is tried five times, within as much time as
// one may take.
func Dial(address string, options ...nats.Option) (conn *nats.Conn, err error) {
	begun := time.Now()
	for try := 1; ; try++ {
		conn, err = nats.Connect(address, options...)
		if err == nil || try == connectTries || time.Since(begun) > connectTimeout {
			return conn, err
		}
		time.Sleep(connectPause)
	}
}

// trouble logs what goes wrong with a connection beside any call. Without it the client
// would print it, with subjects, which name centres.
func (s *Store) trouble(name string) nats.ErrHandler {
	return func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if s.config.Log == nil || err == nil {
			return
		}
		what, _, _ := strings.Cut(err.Error(), "\"")
		s.config.Log.Warn("trouble with a connection to NATS", "connection", name, "about", strings.TrimSpace(what))
	}
}

// redacted returns addresses without the passwords that may stand in them.
func redacted(addresses string) string {
	if addresses == "" {
		return "the embedded server"
	}
	list := strings.Split(addresses, ",")
	for i, a := range list {
		u, err := url.Parse(strings.TrimSpace(a))
		if err != nil {
			list[i] = "(an address that cannot be read)"
			continue
		}
		list[i] = u.Redacted()
	}
	return strings.Join(list, ",")
}

// Close ends the connection, stops the embedded server and lets go of its
// directory. Reads under way end with an error. A second call does nothing.
func (s *Store) Close() error {
	s.close.Do(func() {
		if s.nc != nil {
			s.nc.Close()
		}
		if s.embedded != nil {
			s.closed = s.embedded.stop()
		}
	})
	return s.closed
}

// Address returns host:port at which the embedded server listens for centres,
// or "" when it does not.
func (s *Store) Address() string {
	if s.embedded == nil || s.config.Listen == "" {
		return ""
	}
	return s.embedded.server.Addr().String()
}

// Info are facts about the ledger for an operator.
type Info struct {
	Commits  uint64 `json:"commits"`
	Bytes    uint64 `json:"bytes"` // on disk, with the server's own marks
	First    uint64 `json:"first"` // sequence of the first commit; 0 when there is none
	Head     uint64 `json:"head"`  // sequence of the last commit; 0 when there is none
	Audited  uint64 `json:"audited"`
	Replicas int    `json:"replicas"`
	Embedded bool   `json:"embedded"`
	Server   string `json:"server"` // version of the NATS server
}

// Info asks the server for facts about the ledger.
func (s *Store) Info(ctx context.Context) (Info, error) {
	ledger, err := s.infoOf(ctx, s.ledger)
	if err != nil {
		return Info{}, s.explain("ask about the ledger", err)
	}
	audit, err := s.infoOf(ctx, s.audit)
	if err != nil {
		return Info{}, s.explain("ask about the audit record", err)
	}
	info := Info{
		Commits: ledger.State.Msgs, Bytes: ledger.State.Bytes, Head: ledger.State.LastSeq,
		Audited:  audit.State.Msgs,
		Replicas: ledger.Config.Replicas, Embedded: s.embedded != nil, Server: s.nc.ConnectedServerVersion(),
	}
	if info.Commits > 0 {
		info.First = ledger.State.FirstSeq
	}
	return info, nil
}

// Head returns the sequence of the last commit, 0 for an empty ledger.
func (s *Store) Head(ctx context.Context) (uint64, error) {
	info, err := s.infoOf(ctx, s.ledger)
	if err != nil {
		return 0, s.explain("find the ledger's head", err)
	}
	return info.State.LastSeq, nil
}

// The questions that the store asks the server. Each may be asked again.

func (s *Store) infoOf(ctx context.Context, stream jetstream.Stream) (*jetstream.StreamInfo, error) {
	return Ask(ctx, s.nc, func(ctx context.Context) (*jetstream.StreamInfo, error) { return stream.Info(ctx) })
}

func (s *Store) message(ctx context.Context, stream jetstream.Stream, sequence uint64) (*jetstream.RawStreamMsg, error) {
	return Ask(ctx, s.nc, func(ctx context.Context) (*jetstream.RawStreamMsg, error) { return stream.GetMsg(ctx, sequence) })
}

func (s *Store) lastMessage(ctx context.Context, stream jetstream.Stream, subject string) (*jetstream.RawStreamMsg, error) {
	return Ask(ctx, s.nc, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return stream.GetLastMsgForSubject(ctx, subject)
	})
}

// explain turns what the client says into an error of this package where there
// is one.
func (s *Store) explain(doing string, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
	case errors.Is(err, nats.ErrConnectionClosed):
		err = ErrClosed
	case errors.Is(err, jetstream.ErrMsgNotFound):
		err = ErrNotFound
	case Unanswered(err) && !errors.Is(err, ErrUnreachable):
		err = fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}
