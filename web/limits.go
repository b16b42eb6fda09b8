package web

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// limits bound what a client can take from the service.
type limits struct {
	header time.Duration // to send the headers
	read   time.Duration // between two pieces of a body
	body   time.Duration // for the whole of a body that is not a stream
	write  time.Duration // to take a piece of the answer
	answer time.Duration // for the ledger to answer a question
	send   time.Duration // for the whole of a large table to be taken
	gather time.Duration // that submissions of a stream wait for company
	linger time.Duration // that a body is still read after an answer that did not need all of it
	wait   time.Duration // for a place among the streams of submissions
	drain  time.Duration // for requests to end when the service ends
	stands time.Duration // between two looks at whether who asks would still be let in
	silent time.Duration // that submissions may come without any that is decided

	connections int
	waiting     int   // connections of one address, not this machine's, on which nothing is asked
	streams     int   // of submissions at a time
	perToken    int   // of submissions at a time by one token
	readings    int   // of the whole ledger at a time: replays, explanations, audits
	perReader   int   // of them, and of large tables, by one token
	works       int   // rebuilds and verifications at a time
	tables      int   // large tables of counts, or counts as known within a day, at a time
	followers   int   // of the ledger's end at a time
	whole       int64 // bytes of a body of submissions that is read before it is decided
	json        int64 // bytes of a JSON body
	headers     int   // bytes of headers
}

var defaultLimits = limits{
	header: 10 * time.Second,
	read:   30 * time.Second,
	body:   30 * time.Second,
	write:  30 * time.Second,
	answer: 2 * time.Minute,
	send:   10 * time.Minute,
	gather: 5 * time.Millisecond,
	linger: 500 * time.Millisecond,
	wait:   5 * time.Second,
	drain:  30 * time.Second,
	stands: 2 * time.Second,
	silent: 2 * time.Minute,

	connections: 1024,
	waiting:     64,
	streams:     256,
	perToken:    8,
	readings:    4,
	perReader:   2,
	works:       4,
	tables:      8,
	followers:   16,
	whole:       256 << 10,
	json:        64 << 10,
	headers:     16 << 10,
}

// places are a bounded number of things that may go on at a time.
type places chan struct{}

// take takes a place, waiting for at most that long.
func (p places) take(ctx context.Context, wait time.Duration) bool {
	select {
	case p <- struct{}{}:
		return true
	default:
	}
	if wait <= 0 {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case p <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

func (p places) leave() { <-p }

// body is a request's body that may not keep the service waiting: each piece has
// its time, and the whole has its time unless it is a stream.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	piece   time.Duration

	mu          sync.Mutex // protects what follows, and orders deadlines
	end         time.Time  // of the whole; zero for a stream
	over        bool       // everything is read, reading has failed, or nobody reads any more
	interrupted bool
}

// newBody starts the clock. It runs from here and not from the first Read, for
// the server itself reads what a handler leaves.
func newBody(r *http.Request, control *http.ResponseController, l limits) *body {
	b := &body{ReadCloser: r.Body, control: control, piece: l.read, end: time.Now().Add(l.body)}
	if r.ContentLength != 0 {
		b.allow()
	}
	return b
}

// bodyOf is the body of a request as the server bounds it.
func bodyOf(r *http.Request) *body { return r.Body.(*body) }

// Read sets the deadline for the next piece. After the last it takes the deadline
// away, or it would end the answer, which may take longer than the question did.
func (b *body) Read(p []byte) (int, error) {
	b.allow()
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.over = true
		if err == io.EOF && !b.interrupted { // after a failure nothing is to be waited for
			_ = b.control.SetReadDeadline(time.Time{})
		}
	}
	return n, err
}

func (b *body) allow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over || b.interrupted {
		return
	}
	deadline := time.Now().Add(b.piece)
	if !b.end.IsZero() && b.end.Before(deadline) {
		deadline = b.end
	}
	_ = b.control.SetReadDeadline(deadline) // only a test's recorder cannot
}

// stream lets the body take as long as it keeps coming.
func (b *body) stream() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end = time.Time{}
}

// interrupt ends a Read that is waiting, and every later one, unless all is read.
func (b *body) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.interrupted = true
		_ = b.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// within leaves the body that much time to end.
func (b *body) within(d time.Duration) {
	b.mu.Lock()
	b.end = time.Now().Add(d)
	b.mu.Unlock()
	b.allow()
}

// leave ends what other goroutines may do to the body, as [exchange.leave] does.
func (b *body) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
}

func (b *body) isOver() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.over
}

// boundedListener accepts no more connections than there are places.
type boundedListener struct {
	net.Listener
	places places
	framed bool // watch where requests end
	closed chan struct{}
	close  func() error
}

func bounded(l net.Listener, connections int) *boundedListener {
	b := &boundedListener{Listener: l, places: make(places, connections), closed: make(chan struct{})}
	b.close = sync.OnceValue(func() error {
		close(b.closed)
		return l.Close()
	})
	return b
}

// Accept waits for a place, then for a connection.
func (b *boundedListener) Accept() (net.Conn, error) {
	select {
	case b.places <- struct{}{}:
	case <-b.closed:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		b.places.leave()
		return nil, err
	}
	bound := &boundedConn{Conn: c, leave: sync.OnceFunc(b.places.leave)}
	if b.framed {
		bound.framing = &framing{}
	}
	return bound, nil
}

// Close ends Accept.
func (b *boundedListener) Close() error { return b.close() }

type boundedConn struct {
	net.Conn
	leave   func()
	framing *framing // nil when it is not watched
}

// Read shows what it read to the watcher.
func (c *boundedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.framing != nil {
		c.framing.watch(b[:n])
	}
	return n, err
}

// Close leaves the place.
func (c *boundedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
