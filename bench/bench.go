package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options say what to measure. The zero value measures everything.
type Options struct {
	Events int      // about how many events each measure appends or folds; 100,000 when 0
	Only   []string // names of measures
	Rounds int      // the median of so many is told; 3 when 0
	Dir    string   // where ledgers are made and removed again; the system's temporary directory when empty
}

// Measure is one figure beside its limit.
type Measure struct {
	Name      string  `json:"measure"`
	Events    int     `json:"events"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_us,omitempty"` // of one call, in microseconds
	P99       float64 `json:"p99_us,omitempty"`
	Limit     string  `json:"limit,omitempty"` // what it is measured beside
	LimitRate float64 `json:"limit_per_second,omitempty"`
	LimitP50  float64 `json:"limit_p50_us,omitempty"` // where one call of the limit was timed, too
	LimitP99  float64 `json:"limit_p99_us,omitempty"`
	RSS       int64   `json:"rss_mib"` // resident memory of the process at the end
}

// Names returns the names of the measures, in the order in which they run.
func Names() []string {
	names := make([]string, len(measures))
	for i, m := range measures {
		names[i] = m.name
	}
	return names
}

// sample is one round of a measure.
type sample struct {
	events    int
	took      time.Duration
	latencies []time.Duration
	limit     float64 // events a second of what it is measured beside

	limitLatencies []time.Duration
}

type measure struct {
	name  string
	limit string
	round func(context.Context, Options) (sample, error)
}

var measures = []measure{
	{"append_bundles", "raw JetStream, same messages, fsynced", appendBundles},
	{"append_singles", "raw JetStream, 64 writers, one event a message, fsynced", appendSingles},
	{"http_singles_200", "raw JetStream, 200 publishers, one event a message, fsynced", httpSingles},
	{"rebuild_counts", "raw JetStream, same messages read", rebuild("counts")},
	{"rebuild_people", "raw JetStream, same messages read", rebuild("people")},
	{"rebuild_register", "raw JetStream, same messages read", rebuild("register")},
	{"rebuild_merkle", "raw JetStream, same messages read", rebuild("merkle")},
	{"replay_commits", "raw JetStream, one event a message, read", replayCommits},
	{"counts_query", "", countsQuery},
	{"person_read", "", personRead},
	{"freeze", "", freeze},
	{"freeze_refusal", "", freezeRefusal},
	{"frozen_people", "", rebuildFrozen("people")},
	{"frozen_register", "", rebuildFrozen("register")},
}

// Run measures and tells each figure as it is there: the median round of each.
func Run(ctx context.Context, o Options, tell func(Measure) error) error {
	if o.Events <= 0 {
		o.Events = 100_000
	}
	if o.Rounds <= 0 {
		o.Rounds = 3
	}
	for _, name := range o.Only {
		if !slices.Contains(Names(), name) {
			return fmt.Errorf("there is no measure %q; there are %s", name, strings.Join(Names(), ", "))
		}
	}
	dir, err := os.MkdirTemp(o.Dir, "bahi-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, m := range measures {
		if len(o.Only) > 0 && !slices.Contains(o.Only, m.name) {
			continue
		}
		var samples []sample
		for i := range o.Rounds {
			round := o
			round.Dir = filepath.Join(dir, m.name+strconv.Itoa(i))
			runtime.GC()
			debug.FreeOSMemory()
			s, err := m.round(ctx, round)
			if err != nil {
				return fmt.Errorf("measure %s: %w", m.name, err)
			}
			samples = append(samples, s)
			os.RemoveAll(round.Dir)
		}
		if err := tell(median(m, samples)); err != nil {
			return err
		}
	}
	return nil
}

func median(m measure, samples []sample) Measure {
	rates, limits := make([]float64, 0, len(samples)), make([]float64, 0, len(samples))
	var latencies, limitLatencies []time.Duration
	for _, s := range samples {
		rates = append(rates, float64(s.events)/s.took.Seconds())
		limits = append(limits, s.limit)
		latencies = append(latencies, s.latencies...)
		limitLatencies = append(limitLatencies, s.limitLatencies...)
	}
	slices.Sort(rates)
	slices.Sort(limits)
	out := Measure{Name: m.name, Events: samples[0].events, PerSecond: rates[len(rates)/2], Limit: m.limit, LimitRate: limits[len(limits)/2], RSS: residentMiB()}
	out.P50, out.P99 = percentiles(latencies)
	out.LimitP50, out.LimitP99 = percentiles(limitLatencies)
	return out
}

// percentiles are in microseconds, 0 when nothing was timed.
func percentiles(latencies []time.Duration) (p50, p99 float64) {
	n := len(latencies)
	if n == 0 {
		return 0, 0
	}
	slices.Sort(latencies)
	return microseconds(latencies[n/2]), microseconds(latencies[n*99/100])
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// residentMiB reads the process's resident memory; 0 where the system does not
// tell.
func residentMiB() int64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize()) >> 20
}
