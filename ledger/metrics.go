package ledger

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bahi/domain"
	"bahi/eventstore"
)

// metrics are what a ledger counts while it works. Whatever can be looked up instead
// is looked up when somebody asks: see gauges. No label tells a district, a centre or
// a person.
type metrics struct {
	submissions *prometheus.CounterVec
	accepted    prometheus.Counter // of submissions, as are the next two
	duplicate   prometheus.Counter
	failed      prometheus.Counter
	answering   prometheus.Histogram

	appends     *prometheus.CounterVec
	flushing    prometheus.Histogram
	events      prometheus.Counter
	commitSize  prometheus.Histogram
	reads       *prometheus.CounterVec
	checkpoints prometheus.Counter

	waiting    atomic.Int64 // submissions that wait for their verdicts
	lastFailed atomic.Int64 // when an append last failed, in ns since 1970; 0 since one has not
}

// The outcomes of appends.
const (
	appendStored   = "stored"
	appendConflict = "conflict" // somebody else's commit came first; it is decided again
	appendUnknown  = "unknown"  // it may be stored; the ledger looks
	appendFailed   = "failed"
)

func newMetrics() *metrics {
	m := &metrics{
		submissions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bahi_submissions_total", Help: "Submissions that could be read, by their verdict, and rejected ones by their code; failed ones got no verdict.",
		}, []string{"outcome", "code"}),
		answering: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bahi_submission_seconds", Help: "From the call that brings submissions, 1 to 500 at a time, to their verdicts.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		appends: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bahi_appends_total", Help: "Commits that were sent to the event store, by what became of them; stored is acknowledged and flushed.",
		}, []string{"outcome"}),
		flushing: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bahi_append_seconds", Help: "From the sending of a commit to its acknowledgement, which follows the flush.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bahi_events_total", Help: "Events in commits that this node stored.",
		}),
		commitSize: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "bahi_commit_events", Help: "Events a commit that this node stored.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000},
		}),
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bahi_details_read_total", Help: "Readings of people's details that were recorded and answered, by purpose.",
		}, []string{"purpose"}),
		checkpoints: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "bahi_checkpoints_signed_total", Help: "Checkpoints that this node signed.",
		}),
	}
	m.accepted = m.submissions.WithLabelValues(domain.Accepted.String(), "")
	m.duplicate = m.submissions.WithLabelValues(domain.Duplicate.String(), "")
	m.failed = m.submissions.WithLabelValues("failed", "")
	for _, outcome := range []string{appendStored, appendConflict, appendUnknown, appendFailed} {
		m.appends.WithLabelValues(outcome)
	}
	for _, purpose := range Purposes {
		m.reads.WithLabelValues(purpose)
	}
	return m
}

func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		m.submissions, m.answering, m.appends, m.flushing, m.events, m.commitSize, m.reads, m.checkpoints,
	}
}

// answered notes the end of a call of n submissions. Codes are the domain's, so that
// there is an end to them.
func (m *metrics) answered(n int, verdicts []domain.Verdict, took time.Duration) {
	m.waiting.Add(-int64(n))
	m.answering.Observe(took.Seconds())
	if len(verdicts) < n {
		m.failed.Add(float64(n))
		return
	}
	accepted, duplicate := 0, 0
	for i := range verdicts {
		switch v := &verdicts[i]; {
		case v.Outcome == domain.Accepted:
			accepted++
		case v.Outcome == domain.Duplicate:
			duplicate++
		case v.Reject != nil:
			m.submissions.WithLabelValues(domain.Rejected.String(), string(v.Reject.Code)).Inc()
		}
	}
	if accepted > 0 {
		m.accepted.Add(float64(accepted))
	}
	if duplicate > 0 {
		m.duplicate.Add(float64(duplicate))
	}
}

// timed is append with its time and outcome noted.
func (m *metrics) timed(append func(context.Context, eventstore.Commit, uint64) (uint64, error)) func(context.Context, eventstore.Commit, uint64) (uint64, error) {
	return func(ctx context.Context, c eventstore.Commit, expected uint64) (uint64, error) {
		began := time.Now()
		sequence, err := append(ctx, c, expected)
		m.appended(len(c.Entries), time.Since(began), err)
		return sequence, err
	}
}

func (m *metrics) appended(events int, took time.Duration, err error) {
	outcome := appendStored
	switch {
	case err == nil:
		m.flushing.Observe(took.Seconds())
		m.commitSize.Observe(float64(events))
		m.events.Add(float64(events))
		m.lastFailed.Store(0)
	case errors.Is(err, eventstore.ErrConflict):
		outcome = appendConflict // the store answers
		m.lastFailed.Store(0)
	case errors.Is(err, eventstore.ErrUnknownOutcome):
		outcome = appendUnknown
		m.lastFailed.Store(time.Now().UnixNano())
	default:
		outcome = appendFailed
		if errors.Is(err, eventstore.ErrFull) || errors.Is(err, eventstore.ErrUnreachable) {
			m.lastFailed.Store(time.Now().UnixNano())
		}
	}
	m.appends.WithLabelValues(outcome).Inc()
}

// failing tells whether the last append failed, within that time.
func (m *metrics) failing(within time.Duration) bool {
	at := m.lastFailed.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < within
}
