package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"bahi/bench"
)

func (p *program) benchCommand() *cobra.Command {
	var o bench.Options
	c := &cobra.Command{
		Use:   "bench",
		Short: "Bahi's own figures beside raw JetStream and Pebble, in the same run",
		Long: `Bench makes ledgers in a temporary directory and measures appending, folding,
asking and freezing, each beside what it stands on, in the same run on the same
machine. It tells medians. Compare ratios within a run, not runs.

Columns: how much one round measured; how much of it a second, in the median
round; how long one call took in the median, and in the slowest hundredth of all
rounds (a bundle, a request, a question, or where nothing smaller is called the
whole); the rate divided by that of the limit; the most memory the process had; the
limit, and its rate.

Measures: ` + strings.Join(bench.Names(), ", ") + `.
freeze, frozen_people and frozen_register run only when they are named.`,
		Example: `  bahi bench
  bahi bench --events 1000000 --only append_bundles,rebuild_counts --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, name := range o.Only {
				if !slices.Contains(bench.Names(), name) {
					return usage("there is no measure %q; there are %s", name, strings.Join(bench.Names(), ", "))
				}
			}
			if o.Events < 0 || o.Rounds < 1 {
				return usage("--events and --rounds are numbers above 0")
			}
			if p.json {
				return bench.Run(c.Context(), o, func(m bench.Measure) error { return p.print(m) })
			}
			fmt.Fprintf(p.stdout, benchRow+"\n", "measure", "measured", "per second", "p50", "p99", "of limit", "memory", "limit")
			return bench.Run(c.Context(), o, p.printMeasure)
		},
	}
	p.jsonFlag(c)
	f := c.Flags()
	f.IntVar(&o.Events, "events", 0, "about how many events each measure takes (default enough for each)")
	f.StringSliceVar(&o.Only, "only", nil, "measure only these, several with commas")
	f.IntVar(&o.Rounds, "rounds", 5, "tell the median of so many rounds")
	return c
}

const benchRow = "%-18s %18s %12s %9s %9s %9s %9s  %s"

// printMeasure prints a row of the table for people.
func (p *program) printMeasure(m bench.Measure) error {
	ratio, beside := "", ""
	if m.LimitRate > 0 {
		ratio, beside = fmt.Sprintf("%.3g", m.PerSecond/m.LimitRate), fmt.Sprintf("%s: %s/s", m.Limit, grouped(int64(m.LimitRate)))
	}
	if m.LimitP50 > 0 {
		beside += fmt.Sprintf(", p50 %s, p99 %s", latency(m.LimitP50), latency(m.LimitP99))
	}
	if m.Load > 0 {
		beside += fmt.Sprintf("; load %s events/s", grouped(int64(m.Load)))
	}
	row := fmt.Sprintf(benchRow, m.Name, grouped(int64(m.Events))+" "+m.Unit, grouped(int64(m.PerSecond))+"/s",
		latency(m.P50), latency(m.P99), ratio, fmt.Sprintf("%d MiB", m.RSS), beside)
	_, err := fmt.Fprintln(p.stdout, strings.TrimRight(row, " "))
	return err
}

// latency writes microseconds for people.
func latency(us float64) string {
	switch {
	case us < 10:
		return fmt.Sprintf("%.1f µs", us)
	case us < 1000:
		return fmt.Sprintf("%.0f µs", us)
	case us < 1e6:
		return fmt.Sprintf("%.1f ms", us/1000)
	default:
		return fmt.Sprintf("%.2f s", us/1e6)
	}
}
