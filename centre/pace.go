package centre

import (
	"math/rand/v2"
	"time"

	"bahi/intake"
)

// pace is how patient a centre is. Tests are less so.
type pace struct {
	connect   time.Duration // to make a connection
	ping      time.Duration // a connection without an answer for twice this is dead
	receipt   time.Duration // for the server's receipt of a bundle, over a slow link
	verdicts  time.Duration // for the verdicts, after the receipt
	reconnect backoff       // between attempts to connect
	again     backoff       // between attempts to get a bundle to the server
	silent    backoff       // between attempts to get a received bundle answered
	hold      time.Duration // between attempts while something must be mended by hand
	asks      int           // so often a question after an earlier exchange may stay without an answer
	refusals  int           // so often a bundle is refused before it is set aside
	grace     time.Duration // for the bundle in hand, and for requests, when the centre ends
	look      time.Duration // between looks into the folder
	settled   time.Duration // a file that was written to since may still grow

	bundle   int // submissions that are kept together
	exchange int // submissions that go to the ledger together
}

var steady = pace{
	connect:   10 * time.Second,
	ping:      20 * time.Second,
	receipt:   90 * time.Second,
	verdicts:  90 * time.Second,
	reconnect: backoff{500 * time.Millisecond, 30 * time.Second},
	again:     backoff{time.Second, 30 * time.Second},
	silent:    backoff{time.Second, 5 * time.Minute},
	hold:      time.Minute,
	asks:      5,
	refusals:  3,
	grace:     5 * time.Second,
	look:      time.Second,
	settled:   2 * time.Second,
	bundle:    intake.BundleSize,
	exchange:  intake.BundleSize,
}

// backoff doubles a pause after each failure, from the first to the most.
type backoff struct{ first, most time.Duration }

// after returns the pause after the nth failure, from 1. A part of it is chance:
// centres that lost the same link do not come back as one.
func (b backoff) after(n int) time.Duration {
	pause := b.most
	if n < 20 {
		pause = min(b.first<<(max(n, 1)-1), b.most)
	}
	return pause/2 + rand.N(pause/2+1)
}
