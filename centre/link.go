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
	conn    *nats.Conn
	log     *slog.Logger
	foreign string // says that the nkey is not this centre's

	mu     sync.Mutex // guards what follows
	state  LinkState
	up     context.Context // done once the link is down
	down   context.CancelCauseFunc
	came   chan struct{}           // closed when the link comes up
	denied bool                    // the server has said so since the link last went down
	ends   context.CancelCauseFunc // ends what is under way; nil when nothing is
}

// LinkState says whether the ledger's server is in reach.
type LinkState struct {
	Up     bool      `json:"up"`
	Since  time.Time `json:"since"`
	Server string    `json:"server"`
	Fault  string    `json:"fault,omitempty"` // why the last attempt failed; of a link that is up, why nothing goes over it
	Cuts   int64     `json:"cuts"`            // how often the link went down since the start
}

var (
	errLinkDown = errors.New("the link went down")
	errDenied   = errors.New("the server does not let this nkey speak for the centre")
)

// openLink begins to connect. It fails only on what no later attempt can mend,
// such as an address that is none.
func openLink(c Config, p pace) (*link, error) {
	l := &link{log: c.Log, came: make(chan struct{}), state: LinkState{Server: redacted(c.Server), Since: time.Now()}}
	l.foreign = fmt.Sprintf("this nkey is not that of centre %s of district %d, or the centre is not registered; nothing goes on until that is mended", c.Centre, c.District)
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
		nats.UseOldRequestStyle(), // each exchange asks anew whether it may listen
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
	// Whose nkey it is shows when the centre's own part is listened to, at every sign-in
	// and not only when there is something to send.
	if _, err := conn.Subscribe(intake.InboxPrefix(c.District, c.Centre)+".link", func(*nats.Msg) {}); err != nil {
		conn.Close()
		return nil, fmt.Errorf("listen at %s: %w", l.state.Server, err)
	}
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
	l.state.Up, l.state.Since = true, time.Now()
	if !l.denied { // which may be heard before
		l.state.Fault = ""
	}
	l.up, l.down = context.WithCancelCause(context.Background())
	close(l.came)
	l.log.Info("the link to the ledger is up", "server", l.state.Server)
}

func (l *link) fell(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.denied = false
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
	switch {
	case err == nil:
	case errors.Is(err, nats.ErrPermissionViolation):
		if !l.denied {
			l.log.Error(l.foreign, "server", l.state.Server, "code", intake.CodeNotPermitted)
		}
		l.denied, l.state.Fault = true, l.foreign
		if l.ends != nil {
			l.ends(errDenied)
		}
	default:
		l.state.Fault = err.Error()
	}
}

// during has end be called when the server denies what is under way until stop is.
func (l *link) during(end context.CancelCauseFunc) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = end
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.ends = nil
	}
}

// answered notes that the ledger answers: whatever was at fault is mended.
func (l *link) answered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.denied, l.state.Fault = false, ""
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
