package centre

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"time"

	"bahi/domain"
)

// States of a bundle that has no verdicts, or none any more.
const (
	StateWaiting = "waiting"
	StateRefused = "refused"
	StateUnknown = "unknown"
)

// Verdicts returns the verdicts of a bundle, or the state it is in without. That
// of a bundle which the ledger refused has the code.
func (c *Centre) Verdicts(ctx context.Context, id domain.UUID) (a Answer, state, code string, err error) {
	lines, ok, err := c.spool.verdictsOf(ctx, id)
	if err != nil || ok {
		return Answer{id, lines}, "", "", err
	}
	for _, r := range c.spool.listRefused() {
		if r.Bundle == id {
			return Answer{}, StateRefused, r.Code, nil
		}
	}
	waits, err := c.spool.waits(ctx, id)
	if err != nil || waits {
		return Answer{}, StateWaiting, "", err
	}
	// It may have been answered since it was first looked for.
	lines, ok, err = c.spool.verdictsOf(ctx, id)
	if err != nil || ok {
		return Answer{id, lines}, "", "", err
	}
	return Answer{}, StateUnknown, "", nil
}

// AllVerdicts gives the verdicts that are kept, bundle by bundle, the oldest
// first. They are kept for 30 days.
func (c *Centre) AllVerdicts(ctx context.Context) iter.Seq2[Answer, error] {
	return c.spool.allVerdicts(ctx)
}

// Retry has bundles that the ledger refused tried again, each in its old place:
// one, or all of them with the zero id. It returns how many.
func (c *Centre) Retry(ctx context.Context, id domain.UUID) (int, error) {
	return c.spool.retry(ctx, id)
}

// Status says how a centre is doing.
type Status struct {
	District domain.District `json:"district"`
	Centre   string          `json:"centre"`
	Waiting  Waiting         `json:"waiting"`
	Refused  []Refused       `json:"refused"` // bundles that the ledger could not take in
	Running  *Running        `json:"running"` // null when no process forwards
}

// Waiting is what the spool holds for the ledger.
type Waiting struct {
	Bundles uint64     `json:"bundles"`
	Oldest  *time.Time `json:"oldest,omitempty"`
	Bytes   uint64     `json:"bytes"` // refused bundles included
	Limit   int64      `json:"limit"` // bytes
	Files   int        `json:"files"` // taken from the folder, without all of their verdicts
	Full    bool       `json:"full"`  // a file waits for room
}

// Running is what a process has done since it started.
type Running struct {
	Link        LinkState  `json:"link"`
	Holding     string     `json:"holding,omitempty"` // the code of what must be mended before anything goes on
	LastSuccess *time.Time `json:"last_success,omitempty"`
	Forwarded   int64      `json:"forwarded"` // bundles
	Exchanges   int64      `json:"exchanges"` // with the ledger, of one bundle or several
	Failures    int64      `json:"failures"`  // exchanges without an answer
	Verdicts    Counts     `json:"verdicts"`
}

// Status says how the centre is doing.
func (c *Centre) Status(ctx context.Context) (Status, error) {
	state, err := c.spool.state(ctx)
	if err != nil {
		return Status{}, err
	}
	refused := c.spool.listRefused()
	s := Status{
		District: c.config.District, Centre: c.config.Centre, Refused: append([]Refused{}, refused...),
		Waiting: Waiting{Bundles: state.Msgs - min(uint64(len(refused)), state.Msgs), Bytes: state.Bytes, Limit: c.config.MaxBytes, Full: c.folder.waits.Load()},
	}
	if first, ok, err := c.spool.next(ctx, 0); err != nil {
		return Status{}, err
	} else if ok {
		s.Waiting.Oldest = &first.since
	}
	files, err := os.ReadDir(filepath.Join(c.config.Dir, folderTaken))
	if err != nil {
		return Status{}, err
	}
	s.Waiting.Files = len(files)
	if f := c.forwarder.Load(); f != nil {
		t := f.look()
		s.Running = &Running{
			Link: f.link.look(), Holding: t.holding, Forwarded: t.forwarded, Exchanges: t.exchanges, Failures: t.failures, Verdicts: t.counts,
		}
		if !t.last.IsZero() {
			s.Running.LastSuccess = &t.last
		}
	}
	return s, nil
}
