package web

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
)

// framing watches where the requests on a connection of HTTP/1 end, for one thing
// that net/http does not tell: a head with both Content-Length and
// Transfer-Encoding. A proxy in front that goes by the former would take for the
// body what is read here as the next request, somebody else's. net/http itself
// refuses whatever else is ambiguous.
type framing struct {
	head     []byte // of the request that is coming in
	body     int64  // bytes of a body that are still to come
	blind    bool   // nothing more is watched: this request ends the connection
	smuggles atomic.Bool
}

// watch is shown what was read of the connection, before net/http sees it.
func (f *framing) watch(b []byte) {
	for len(b) > 0 && !f.blind {
		if skip := min(f.body, int64(len(b))); skip > 0 {
			f.body -= skip
			b = b[skip:]
			continue
		}
		from := max(0, len(f.head)-3)
		f.head = append(f.head, b...)
		end := endOfHead(f.head, from)
		if end < 0 {
			f.blind = len(f.head) > 2*defaultLimits.headers // net/http refuses it
			return
		}
		b = b[len(b)-(len(f.head)-end):]
		f.length(f.head[:end])
		f.head = f.head[:0]
	}
	if f.blind {
		f.head = nil
	}
}

// endOfHead returns where a head ends, behind its blank line, or -1.
func endOfHead(b []byte, from int) int {
	for i := from; i < len(b); i++ {
		if b[i] != '\n' {
			continue
		}
		switch {
		case i+1 < len(b) && b[i+1] == '\n':
			return i + 2
		case i+2 < len(b) && b[i+1] == '\r' && b[i+2] == '\n':
			return i + 3
		}
	}
	return -1
}

// length reads how long the body is. A chunked one is not followed: the answer to
// it ends the connection.
func (f *framing) length(head []byte) {
	var sized, coded bool
	for line := range bytes.Lines(head) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, []byte("Content-Length")):
			sized = true
			n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
			if f.body = n; err != nil || n < 0 {
				f.blind = true // net/http refuses it
			}
		case bytes.EqualFold(name, []byte("Transfer-Encoding")):
			coded = true
		}
	}
	if coded {
		f.blind = true
		f.smuggles.Store(sized)
	}
}

type framingKey struct{}

// withFraming is for [http.Server.ConnContext].
func withFraming(ctx context.Context, c net.Conn) context.Context {
	if b, ok := c.(*boundedConn); ok && b.framing != nil {
		return context.WithValue(ctx, framingKey{}, b.framing)
	}
	return ctx
}

// smuggles tells whether the length of the request can be understood in two ways.
func smuggles(r *http.Request) bool {
	f, ok := r.Context().Value(framingKey{}).(*framing)
	return ok && f.smuggles.Load()
}
