package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// patience is how long a verb works in silence before it shows how far it is.
const patience = 2 * time.Second

// meter shows progress on stderr: a bar on a terminal, elsewhere a line every
// five seconds. Its methods may be called on a nil meter.
type meter struct {
	out      io.Writer
	what     string
	terminal bool
	start    time.Time
	events   float64 // a second, where that says more than what is counted
	bar      *progressbar.ProgressBar
	spoke    time.Time
}

func (p *program) meter(what string) *meter {
	f, ok := p.stderr.(*os.File)
	return &meter{out: p.stderr, what: what, terminal: ok && term.IsTerminal(int(f.Fd())), start: time.Now()}
}

// to shows that done of total is done; total 0 means that nobody knows.
func (m *meter) to(done, total int64) {
	if m == nil || time.Since(m.start) < patience {
		return
	}
	if m.terminal {
		if m.bar == nil {
			m.bar = progressbar.NewOptions64(max(total, -1),
				progressbar.OptionSetWriter(m.out), progressbar.OptionSetDescription(m.what),
				progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond),
				progressbar.OptionSetPredictTime(total > 0), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))
		}
		if total > 0 && m.bar.GetMax64() != total {
			m.bar.ChangeMax64(total)
		}
		m.bar.Set64(done)
		return
	}
	if time.Since(m.spoke) < 5*time.Second {
		return
	}
	m.spoke = time.Now()
	rate := float64(done) / time.Since(m.start).Seconds()
	if total > 0 {
		left := time.Duration(float64(total-done)/max(rate, 1)) * time.Second
		shown := grouped(int64(rate)) + "/s"
		if m.events > 0 {
			shown = grouped(int64(m.events)) + " events/s"
		}
		fmt.Fprintf(m.out, "%s: %s of %s, %s, %s left\n", m.what, grouped(done), grouped(total), shown, left)
		return
	}
	fmt.Fprintf(m.out, "%s: %s, %s/s\n", m.what, grouped(done), grouped(int64(rate)))
}

// pace tells how many events a second are done, where commits are what is counted.
func (m *meter) pace(events float64) {
	if m == nil {
		return
	}
	if m.events = events; m.bar != nil && events > 0 {
		m.bar.Describe(fmt.Sprintf("%s, %s events/s", m.what, grouped(int64(events))))
	}
}

// done removes the bar.
func (m *meter) done() {
	if m != nil && m.bar != nil {
		m.bar.Finish()
	}
}

// grouped writes a number with commas between thousands.
func grouped(n int64) string {
	s := fmt.Sprint(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
