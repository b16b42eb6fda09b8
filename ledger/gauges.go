package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bahi/eventstore"
	"bahi/projections"
)

// gaugePatience bounds what a look at the ledger may take.
const gaugePatience = 5 * time.Second

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	gaugeUp      = gauge("bahi_ledger_up", "1 when the event store answers, 0 when it does not; then what follows from its head is not told.")
	gaugeCommits = gauge("bahi_ledger_commits", "Commits in the ledger: the sequence of its head.")
	gaugeBytes   = gauge("bahi_ledger_bytes", "Bytes of the ledger's commits in the event store.")
	gaugeAudited = gauge("bahi_audit_records", "Records in the audit: readings, barriers, what was done about access.")
	gaugeWaiting = gauge("bahi_submissions_waiting", "Submissions that wait for their verdicts.")
	gaugeQueue   = gauge("bahi_queue_calls", "Calls whose submissions wait for the committer; at 64 further ones are held back.")

	gaugeLag        = gauge("bahi_view_lag_commits", "Commits of the ledger that a view has not folded.", "view")
	gaugeLagSeconds = gauge("bahi_view_lag_seconds", "How long ago the oldest commit was stored that a view has not folded; 0 when there is none.", "view")
	gaugeTrouble    = gauge("bahi_view_trouble", "1 when a view cannot be read or folded further.", "view")
	gaugeRebuilding = gauge("bahi_view_rebuilding", "1 while a view is rebuilt.", "view")
	gaugeRebuilt    = gauge("bahi_rebuild_commits", "Commits that a view's rebuild has done in the step that it is in; of one that was stopped, those it has folded.", "view")
	gaugeToRebuild  = gauge("bahi_rebuild_target_commits", "Commits that a view's rebuild has to do in the step that it is in; 0 when nobody knows.", "view")
	gaugeRate       = gauge("bahi_rebuild_events_per_second", "Events that a view's rebuild does in a second.", "view")

	gaugeFreezes        = gauge("bahi_freezes", "Freezes that were ordered, by whether every holder of details has carried them out.", "state")
	gaugeCheckpoint     = gauge("bahi_checkpoint_commits", "Commits that the last signed checkpoint covers.")
	gaugeCheckpointTime = gauge("bahi_checkpoint_timestamp_seconds", "When the last checkpoint was signed, since 1970; 0 before there is one.")
)

// gauges tell what can be looked up.
type gauges struct{ *Ledger }

// Collectors are the ledger's metrics, for a registry. They go on as long as the
// ledger does, and hold no personal data.
func (l *Ledger) Collectors() []prometheus.Collector {
	return append(l.metrics.collectors(), gauges{l})
}

// Describe is for the registry.
func (gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		gaugeUp, gaugeCommits, gaugeBytes, gaugeAudited, gaugeWaiting, gaugeQueue,
		gaugeLag, gaugeLagSeconds, gaugeTrouble, gaugeRebuilding, gaugeRebuilt, gaugeToRebuild, gaugeRate,
		gaugeFreezes, gaugeCheckpoint, gaugeCheckpointTime,
	} {
		to <- d
	}
}

// told is one look: what it finds goes to the registry.
type told chan<- prometheus.Metric

func (to told) value(d *prometheus.Desc, v float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func (to told) flag(d *prometheus.Desc, is bool, labels ...string) {
	v := 0.0
	if is {
		v = 1
	}
	to.value(d, v, labels...)
}

// Collect looks.
func (g gauges) Collect(metrics chan<- prometheus.Metric) {
	to := told(metrics)
	ctx, cancel := context.WithTimeout(context.Background(), gaugePatience)
	defer cancel()
	ctx, leave, err := g.enter(ctx)
	if err != nil {
		to.flag(gaugeUp, false)
		return
	}
	defer leave()
	to.value(gaugeWaiting, float64(g.metrics.waiting.Load()))
	to.value(gaugeQueue, float64(len(g.queue)))
	g.collectFreezes(to)
	g.collectCheckpoint(to)
	var stored eventstore.Info
	if err = g.store.CanAppend(); err == nil || errors.Is(err, eventstore.ErrFull) {
		stored, err = g.store.Info(ctx)
	}
	if err != nil {
		to.flag(gaugeUp, false)
		return
	}
	views, err := g.runner.Status(ctx)
	to.flag(gaugeUp, err == nil)
	to.value(gaugeCommits, float64(stored.Head))
	to.value(gaugeBytes, float64(stored.Bytes))
	to.value(gaugeAudited, float64(stored.Audited))
	ages := ages{Ledger: g.Ledger, of: map[uint64]float64{}}
	for _, v := range views {
		to.value(gaugeLag, float64(v.Lag), v.Name)
		if seconds, ok := ages.behind(ctx, v); ok {
			to.value(gaugeLagSeconds, seconds, v.Name)
		}
		to.flag(gaugeTrouble, v.Trouble != "", v.Name)
		to.flag(gaugeRebuilding, v.Step != "", v.Name)
		to.value(gaugeRebuilt, float64(v.Building), v.Name)
		to.value(gaugeToRebuild, float64(v.Total), v.Name)
		to.value(gaugeRate, v.Rate, v.Name)
	}
}

func (g gauges) collectFreezes(to told) {
	complete, awaited := 0, 0
	for _, f := range g.register.Freezes() {
		if len(f.Awaits()) > 0 {
			awaited++
		} else {
			complete++
		}
	}
	to.value(gaugeFreezes, float64(complete), "complete")
	to.value(gaugeFreezes, float64(awaited), "awaited")
}

func (g gauges) collectCheckpoint(to told) {
	var size, at float64
	if last := g.checkpoints.last.Load(); last != nil {
		size, at = float64(last.Size), float64(last.at.UnixMilli())/1000
	}
	to.value(gaugeCheckpoint, size)
	to.value(gaugeCheckpointTime, at)
}

// ages are those of commits that views have not folded. Views that lag by the same
// cost one reading.
type ages struct {
	*Ledger
	of map[uint64]float64
}

func (a ages) behind(ctx context.Context, v projections.ViewStatus) (seconds float64, ok bool) {
	if v.Lag == 0 {
		return 0, true
	}
	oldest := v.Folded + 1
	if seconds, ok = a.of[oldest]; ok {
		return seconds, true
	}
	at, err := a.store.StoredAt(ctx, oldest)
	if err != nil {
		return 0, false
	}
	a.of[oldest] = max(time.Since(at).Seconds(), 0)
	return a.of[oldest], true
}
