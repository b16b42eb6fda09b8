package centre

import (
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// outage is a TCP proxy between a centre and the ledger that does to a link what
// links have done to them.
type outage struct {
	listener net.Listener

	mu     sync.Mutex // guards what follows
	target string
	links  map[*wire]bool
	silent bool // new connections are taken and never answered
}

// wire is one connection through the proxy.
type wire struct {
	near, far net.Conn
	dead      atomic.Bool  // what is sent vanishes, in both directions, and nobody is told
	deaf      atomic.Bool  // what the ledger sends vanishes
	left      atomic.Int64 // bytes that still pass towards the ledger before the link breaks; negative for no end
}

func openOutage(t testing.TB) *outage {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &outage{listener: listener, links: map[*wire]bool{}}
	go o.accept()
	t.Cleanup(func() {
		listener.Close()
		o.cut()
	})
	return o
}

func (o *outage) url() string { return "nats://" + o.listener.Addr().String() }

// to leads new connections to another address; with "" they are refused.
func (o *outage) to(address string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.target = address
}

func (o *outage) accept() {
	for {
		near, err := o.listener.Accept()
		if err != nil {
			return
		}
		o.mu.Lock()
		target, silent := o.target, o.silent
		o.mu.Unlock()
		w := &wire{near: near}
		w.left.Store(-1)
		if silent {
			w.dead.Store(true)
		} else if w.far, err = net.Dial("tcp", target); err != nil {
			near.Close()
			continue
		}
		o.mu.Lock()
		o.links[w] = true
		o.mu.Unlock()
		go w.up()
		if w.far != nil {
			go w.down()
		}
	}
}

// up carries what the centre sends.
func (w *wire) up() {
	buffer := make([]byte, 4096)
	for {
		n, err := w.near.Read(buffer)
		if err != nil {
			w.reset()
			return
		}
		if w.dead.Load() {
			continue
		}
		if left := w.left.Load(); left >= 0 {
			if int64(n) >= left { // in the middle of whatever it is
				_, _ = w.far.Write(buffer[:left])
				w.reset()
				return
			}
			w.left.Store(left - int64(n))
		}
		if _, err := w.far.Write(buffer[:n]); err != nil {
			w.reset()
			return
		}
	}
}

// down carries what the ledger sends.
func (w *wire) down() {
	buffer := make([]byte, 4096)
	for {
		n, err := w.far.Read(buffer)
		if err != nil {
			if !w.dead.Load() {
				w.reset()
			}
			return
		}
		if w.dead.Load() || w.deaf.Load() {
			continue
		}
		if _, err := w.near.Write(buffer[:n]); err != nil {
			w.reset()
			return
		}
	}
}

// reset ends a connection on both sides with a RST, where it says anything.
func (w *wire) reset() {
	for _, c := range []net.Conn{w.near, w.far} {
		if c, ok := c.(*net.TCPConn); ok {
			_ = c.SetLinger(0)
			c.Close()
		}
	}
}

func (o *outage) each(do func(*wire)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for w := range o.links {
		do(w)
	}
}

// cut resets every connection.
func (o *outage) cut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for w := range o.links {
		w.reset()
	}
	clear(o.links)
}

func (o *outage) setSilent(silent bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.silent = silent
}

// strike does one kind of harm, chosen by chance, for some milliseconds.
func (o *outage) strike() {
	pause := func(most time.Duration) { time.Sleep(rand.N(most)) }
	switch rand.IntN(4) {
	case 0: // cut off, and cut off again while it comes back
		o.cut()
		pause(20 * time.Millisecond)
	case 1: // cut in the middle of a message
		o.each(func(w *wire) { w.left.Store(rand.Int64N(40_000)) })
		pause(40 * time.Millisecond)
		o.cut()
	case 2: // half-open: nobody is told, and who connects anew is not answered either
		o.setSilent(true)
		o.each(func(w *wire) { w.dead.Store(true) })
		pause(300 * time.Millisecond)
		o.setSilent(false)
		o.cutLater()
	case 3: // what was sent arrives, the answers do not
		o.each(func(w *wire) { w.deaf.Store(true) })
		pause(30 * time.Millisecond)
		o.cut()
	}
}

// cutLater forgets the connections, which stay as dead as they are until the
// centre gives them up.
func (o *outage) cutLater() {
	o.mu.Lock()
	defer o.mu.Unlock()
	clear(o.links)
}
