package centre

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"bahi/domain"
)

// BundleState stands, as one line of JSON, for the verdicts of a bundle that has
// none: it is "waiting", or "refused" with the code of the reason.
type BundleState struct {
	Bundle domain.UUID `json:"bundle"`
	State  string      `json:"verdict"`
	Code   string      `json:"code,omitempty"`
}

// The states of a bundle without verdicts.
const (
	stateWaiting = "waiting"
	stateRefused = "refused"
)

// errUnknownBundle: the spool neither has the bundle nor, any more, its verdicts.
var errUnknownBundle = &Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "no such bundle; verdicts are kept for 30 days"}

// answerTo returns the verdicts of a bundle, or the state it is in without.
func (c *Centre) answerTo(ctx context.Context, id domain.UUID) (a Answer, without BundleState, err error) {
	lines, ok, err := c.spool.verdictsOf(ctx, id)
	if err != nil || ok {
		return Answer{id, lines}, BundleState{}, err
	}
	for _, r := range c.spool.listRefused() {
		if r.Bundle == id {
			return Answer{}, BundleState{id, stateRefused, r.Code}, nil
		}
	}
	waits, err := c.spool.waits(ctx, id)
	if err != nil || waits {
		return Answer{}, BundleState{Bundle: id, State: stateWaiting}, err
	}
	// It may have been answered since it was first looked for.
	lines, ok, err = c.spool.verdictsOf(ctx, id)
	if err == nil && !ok {
		err = errUnknownBundle
	}
	return Answer{id, lines}, BundleState{}, err
}

// Verdicts writes verdicts as NDJSON, each with its bundle: of one bundle, or, with
// the zero id, all that are kept, the oldest first. They are kept for 30 days. For
// a bundle that has none it writes a [BundleState]; of one that is unknown the
// error is a [*Problem] with the code not_found.
func (c *Centre) Verdicts(ctx context.Context, id domain.UUID, rejected bool, out io.Writer) error {
	if id == (domain.UUID{}) {
		for a, err := range c.spool.allVerdicts(ctx) {
			if err != nil {
				return err
			}
			if _, err := out.Write(a.Named(rejected)); err != nil {
				return err
			}
		}
		return nil
	}
	a, without, err := c.answerTo(ctx, id)
	if err != nil {
		return err
	}
	if without.State != "" {
		return json.NewEncoder(out).Encode(without)
	}
	_, err = out.Write(a.Named(rejected))
	return err
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
		Waiting: Waiting{Bundles: state.Msgs - min(uint64(len(refused)), state.Msgs), Bytes: state.Bytes, Limit: c.spool.limit, Full: c.folder.waits.Load()},
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
