package web

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"bahi/access"
)

// whileStanding is a context that ends when who asks would not be let in any more:
// what takes long does not outlast the token.
func (s *Server) whileStanding(ctx context.Context, who access.Principal) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		tick := time.NewTicker(s.limits.stands)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := s.access.Stands(who); err != nil {
				cancel(err)
				return
			}
		}
	}()
	return ctx, cancel
}

// ended returns why the service ended what a context is of; nil when it did not, or
// when it is shutting down, or the client is gone.
func ended(ctx context.Context) error {
	if why := context.Cause(ctx); why != nil && !errors.Is(why, context.Canceled) && !errors.Is(why, context.DeadlineExceeded) {
		return why
	}
	return nil
}

// errSilent: a stream of submissions had none for too long, whatever else came.
var errSilent = errors.New("no submission came")

// tally counts what goes on under a name, and takes no more than a number of it.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (t *tally) take(name string, most int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n[name] >= most {
		return false
	}
	if t.n == nil {
		t.n = map[string]int{}
	}
	t.n[name]++
	return true
}

func (t *tally) leave(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n[name]--; t.n[name] <= 0 {
		delete(t.n, name)
	}
}

// crowd closes connections of an address that has too many on which nothing is
// asked: half-open, or kept for later. Those of this machine are not counted.
type crowd struct {
	most  int
	tally tally

	mu      sync.Mutex
	waiting map[net.Conn]string
}

// state is for [http.Server.ConnState].
func (c *crowd) state(conn net.Conn, now http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	address, was := c.waiting[conn]
	switch is := now == http.StateNew || now == http.StateIdle; {
	case is && !was:
		host, _, err := net.SplitHostPort(conn.RemoteAddr().String())
		if err != nil || net.ParseIP(host).IsLoopback() {
			return
		}
		if !c.tally.take(host, c.most) {
			_ = conn.Close() // its server sees it end
			return
		}
		if c.waiting == nil {
			c.waiting = map[net.Conn]string{}
		}
		c.waiting[conn] = host
	case was && !is:
		delete(c.waiting, conn)
		c.tally.leave(address)
	}
}
