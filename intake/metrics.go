package intake

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// The outcomes of taking in a bundle.
const (
	bundleTaken       = "taken"       // decided; some of what is in it may be refused
	bundleQuarantined = "quarantined" // as a whole
	bundleWaits       = "waits"       // it comes again
)

func newBundleCounter() *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "bahi_intake_bundles_total", Help: "Centres' bundles by what became of them, and those that were not taken in by the code of why.",
	}, []string{"outcome", "code"})
	c.WithLabelValues(bundleTaken, "")
	c.WithLabelValues(bundleWaits, "")
	return c
}

func gauge(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }

var (
	gaugeWaiting         = gauge("bahi_intake_bundles_waiting", "Centres' bundles that wait to be taken in.")
	gaugeOldest          = gauge("bahi_intake_oldest_seconds", "How long the bundle has waited that waits longest; 0 when none does.")
	gaugeQuarantine      = gauge("bahi_quarantine_items", "Items in quarantine, each a bundle or what was refused of one.")
	gaugeQuarantineBytes = gauge("bahi_quarantine_bytes", "Bytes that they take.")
)

// gauges tell what lies in the door's streams.
type gauges struct{ *Door }

// Collectors are the door's metrics, for a registry: none of them names a centre.
func (d *Door) Collectors() []prometheus.Collector {
	return []prometheus.Collector{d.bundles, gauges{d}}
}

// Describe is for the registry.
func (gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{gaugeWaiting, gaugeOldest, gaugeQuarantine, gaugeQuarantineBytes} {
		to <- d
	}
}

// gaugePatience bounds what a look at the streams may take.
const gaugePatience = 5 * time.Second

// Collect looks. What it is not told it leaves out.
func (g gauges) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), gaugePatience)
	defer cancel()
	value := func(d *prometheus.Desc, v float64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	if waits, ok := stateOf(ctx, g.js, streamIntake); ok {
		oldest := 0.0
		if waits.Msgs > 0 {
			oldest = max(time.Since(waits.FirstTime).Seconds(), 0)
		}
		value(gaugeWaiting, float64(waits.Msgs))
		value(gaugeOldest, oldest)
	}
	if quarantine, ok := stateOf(ctx, g.js, streamQuarantine); ok {
		value(gaugeQuarantine, float64(quarantine.Msgs))
		value(gaugeQuarantineBytes, float64(quarantine.Bytes))
	}
}

// stateOf asks anew: a stream's own word is what it was when it was opened.
func stateOf(ctx context.Context, js jetstream.JetStream, name string) (jetstream.StreamState, bool) {
	s, err := streamOf(ctx, js, name)
	if s == nil || err != nil {
		return jetstream.StreamState{}, false
	}
	return s.CachedInfo().State, true
}
