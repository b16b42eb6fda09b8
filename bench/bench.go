package bench

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Options say what to measure. The zero value measures what [Run] does by default.
type Options struct {
	Events int      // about how many events each measure appends or folds; when 0, what is enough for each
	Only   []string // names of measures; when empty, all but those that run only when they are named
	Rounds int      // of which the median is told; 5 when 0
	Dir    string   // where ledgers are made and removed again; the system's temporary directory when empty
}

// Measure is one figure beside its limit.
type Measure struct {
	Name      string  `json:"measure"`
	Events    int     `json:"events"`     // of the median round, in Unit
	PerSecond float64 `json:"per_second"` // of the same
	P50       float64 `json:"p50_us"`     // of one call in all rounds, in microseconds; where nothing smaller is called, of the whole
	P99       float64 `json:"p99_us"`
	Limit     string  `json:"limit,omitempty"`            // what it is measured beside
	LimitRate float64 `json:"limit_per_second,omitempty"` // the median of the rounds
	RSS       int64   `json:"rss_mib"`                    // the process's resident memory at the measure's peak

	Unit     string  `json:"unit"`                   // of Events and of both rates
	LimitP50 float64 `json:"limit_p50_us,omitempty"` // where one call of the limit was timed, too
	LimitP99 float64 `json:"limit_p99_us,omitempty"`
	Load     float64 `json:"load_per_second,omitempty"` // events that were submitted beside
	Disk     int64   `json:"disk_mib,omitempty"`        // of the ledger and its views, where the measure filled them
}

// defaultRounds is how many rounds a measure has.
const defaultRounds = 5

// Names returns the names of the measures, in the order in which they run.
func Names() []string {
	names := make([]string, len(measures))
	for i, m := range measures {
		names[i] = m.name
	}
	return names
}

// Run measures and tells each figure as soon as it is there.
func Run(ctx context.Context, o Options, tell func(Measure) error) (err error) {
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
	all := &stock{dir: dir, made: map[filling]string{}}
	for _, m := range measures {
		if wanted := slices.Contains(o.Only, m.name); !wanted && (m.named || len(o.Only) > 0) {
			continue
		}
		samples, err := m.rounds(ctx, all, cmp.Or(o.Events, m.events), cmp.Or(o.Rounds, defaultRounds))
		if err != nil {
			return fmt.Errorf("measure %s: %w", m.name, err)
		}
		if err := tell(m.median(samples)); err != nil {
			return err
		}
	}
	return nil
}

// measure is something to be measured.
type measure struct {
	name   string
	unit   string
	limit  string // what it is measured beside, or ""
	events int    // that are enough to tell
	named  bool   // it runs only when it is named

	// begin prepares what the rounds have in common, and returns one.
	begin func(context.Context, *stand) (round, error)
}

// round measures once.
type round func(context.Context) (sample, error)

// sample is what one round found.
type sample struct {
	events    int
	took      time.Duration
	latencies *histogram // of calls; nil when the whole is one
	memory    int64      // MiB at the peak
	disk      int64      // MiB in the end

	limit          float64 // a second
	limitLatencies *histogram
	load           float64 // a second
}

func (m measure) rounds(ctx context.Context, all *stock, events, rounds int) (samples []sample, err error) {
	s := &stand{stock: all, events: events}
	defer func() {
		if ended := s.end(); err == nil {
			err = ended
		}
	}()
	once, err := m.begin(ctx, s)
	if err != nil {
		return nil, err
	}
	for range rounds {
		runtime.GC()
		debug.FreeOSMemory()
		found, err := once(ctx)
		if err != nil {
			return nil, err
		}
		samples = append(samples, found)
	}
	return samples, nil
}

// median is the median round, beside the median of the limit's, with the latencies of
// all rounds and the most memory of any.
func (m measure) median(samples []sample) Measure {
	slices.SortFunc(samples, func(a, b sample) int { return cmp.Compare(a.rate(), b.rate()) })
	once := samples[len(samples)/2]
	out := Measure{Name: m.name, Unit: m.unit, Limit: m.limit, Events: once.events, PerSecond: once.rate()}
	var limits, loads []float64
	var latencies, limitLatencies histogram
	for _, s := range samples {
		limits = append(limits, s.limit)
		loads = append(loads, s.load)
		out.RSS, out.Disk = max(out.RSS, s.memory), max(out.Disk, s.disk)
		limitLatencies.merge(s.limitLatencies)
		if s.latencies == nil {
			latencies.add(s.took)
		}
		latencies.merge(s.latencies)
	}
	out.LimitRate, out.Load = middle(limits), middle(loads)
	out.P50, out.P99 = microseconds(latencies.quantile(0.50)), microseconds(latencies.quantile(0.99))
	out.LimitP50, out.LimitP99 = microseconds(limitLatencies.quantile(0.50)), microseconds(limitLatencies.quantile(0.99))
	return out
}

func (s sample) rate() float64 { return float64(s.events) / s.took.Seconds() }

func middle(of []float64) float64 {
	slices.Sort(of)
	return of[len(of)/2]
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
