package projections

import "time"

// Step is what a rebuild or a verification is about.
type Step string

// The steps, in the order in which a rebuild takes them.
const (
	StepFolding   Step = "folding"
	StepMerging   Step = "merging"   // what was written in sorted runs becomes one, opened as readers need it
	StepComparing Step = "comparing" // with the live generation
	StepChecking  Step = "checking"  // against the ledger
	StepSwapping  Step = "swapping"  // the new one takes over
)

// Progress is how far a piece of work has come.
type Progress struct {
	View   string  `json:"view,omitempty"`
	Step   Step    `json:"step,omitempty"`
	Done   uint64  `json:"done"`                  // commits
	Total  uint64  `json:"total"`                 // 0 when nobody knows
	Events uint64  `json:"events,omitempty"`      // that were folded or checked
	Rate   float64 `json:"rate,omitempty"`        // events a second
	Left   float64 `json:"eta_seconds,omitempty"` // of the step; 0 when nobody knows
}

// meter tells progress. It is for one goroutine at a time.
type meter struct {
	view    string
	tell    func(Progress)
	began   time.Time
	entries uint64 // since it began

	now     Progress
	started time.Time // of the step
	from    uint64    // commits that were done before
	before  uint64    // entries, likewise
}

func newMeter(view string, tell func(Progress)) *meter {
	return &meter{view: view, tell: tell, began: time.Now(), started: time.Now()}
}

// step begins a step, or tells a new total of the one at hand.
func (m *meter) step(s Step, done, total uint64) {
	if m.now.Step != s {
		m.started, m.from, m.before = time.Now(), done, m.entries
	}
	m.now = Progress{View: m.view, Step: s, Done: done, Total: total, Events: m.entries, Rate: m.now.Rate}
	m.say()
}

// folded tells that the commits through a sequence are done, with so many entries
// more.
func (m *meter) folded(done, entries uint64) {
	m.entries += entries
	took := time.Since(m.started).Seconds()
	m.now.Done, m.now.Events = done, m.entries
	if took > 0 {
		m.now.Rate = float64(m.entries-m.before) / took
	}
	m.now.Left = 0
	if now := m.now; now.Total > done && done > m.from {
		m.now.Left = took / float64(done-m.from) * float64(now.Total-done)
	}
	m.say()
}

func (m *meter) say() {
	if m.tell != nil {
		m.tell(m.now)
	}
}
