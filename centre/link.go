package centre

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

	"bahi/intake"
)

// link is the connection to the ledger's NATS server. It is made again for ever.
type link struct {
	conn *nats.Conn
	log  *slog.Logger

	mu    sync.Mutex // guards what follows
	state LinkState
	up    context.Context // done once the link is down
	down  context.CancelCauseFunc
	came  chan struct{} // closed when the link comes up
}

// LinkState says whether the ledger's server is in reach.
type LinkState struct {
	Up     bool      `json:"up"`
	Since  time.Time `json:"since"`
	Server string    `json:"server"`
	Fault  string    `json:"fault,omitempty"` // why the last attempt failed
	Cuts   int64     `json:"cuts"`            // how often the link went down since the start
}

var errLinkDown = errors.New("the link went down")

// openLink begins to connect. It fails only on what no later attempt can mend,
// such as an address that is none.
func openLink(c Config, p pace) (*link, error) {
	l := &link{log: c.Log, came: make(chan struct{}), state: LinkState{Server: redacted(c.Server), Since: time.Now()}}
	l.up, l.down = context.WithCancelCause(context.Background())
	l.down(errLinkDown)
	conn, err := nats.Connect(c.Server, append([]nats.Option{
		nats.Name("bahi centre"),
		nats.CustomInboxPrefix(intake.InboxPrefix(c.District, c.Centre)),
		nats.Timeout(p.connect),
		nats.PingInterval(p.ping),
		nats.MaxPingsOutstanding(2),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // the operator may register the centre later
		nats.CustomReconnectDelay(p.reconnect.after),
		nats.ReconnectBufSize(-1), // what cannot be sent now fails now; the spool has it
		nats.ConnectHandler(func(*nats.Conn) { l.rose() }),
		nats.ReconnectHandler(func(*nats.Conn) { l.rose() }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { l.fell(err) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.failed(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { l.failed(err) }),
	}, c.NATS...)...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", l.state.Server, err)
	}
	l.conn = conn
	if conn.IsConnected() {
		l.rose() // the handler says so too, but perhaps later
	}
	return l, nil
}

func (l *link) rose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Up {
		return
	}
	l.state.Up, l.state.Fault, l.state.Since = true, "", time.Now()
	l.up, l.down = context.WithCancelCause(context.Background())
	close(l.came)
	l.log.Info("the link to the ledger is up", "server", l.state.Server)
}

func (l *link) fell(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.state.Up {
		return
	}
	l.state.Up, l.state.Since = false, time.Now()
	l.state.Cuts++
	if err != nil {
		l.state.Fault = err.Error()
	}
	l.down(errLinkDown)
	l.came = make(chan struct{})
	l.log.Warn("the link to the ledger is down; bundles are kept", "server", l.state.Server)
}

func (l *link) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.state.Fault = err.Error()
	}
}

func (l *link) look() LinkState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state
}

// wait waits until the link is up and returns a context that ends when it goes
// down, or ctx's error.
func (l *link) wait(ctx context.Context) (context.Context, error) {
	for {
		l.mu.Lock()
		up, came := l.up, l.came
		l.mu.Unlock()
		if up.Err() == nil {
			return up, nil
		}
		select {
		case <-came:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// doubt makes the connection anew: something was not answered, and a link that
// is cut without a word looks like one that is slow.
func (l *link) doubt() { _ = l.conn.ForceReconnect() }

func (l *link) close() { l.conn.Close() }

// redacted returns addresses without what signs in.
func redacted(addresses string) string {
	list := strings.Split(addresses, ",")
	for i, a := range list {
		u, err := url.Parse(strings.TrimSpace(a))
		if err != nil {
			list[i] = "(an address that cannot be read)"
			continue
		}
		u.User = nil // a user alone is a token
		list[i] = u.String()
	}
	return strings.Join(list, ",")
}
