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
		Short: "Bahi's own figures beside raw JetStream, in the same run",
		Long: `Bench makes ledgers in a temporary directory and measures appending, folding,
asking and freezing, each beside what it stands on, in the same run on the same
machine. It tells medians. Compare ratios within a run, not runs.

Measures: ` + strings.Join(bench.Names(), ", ") + ".",
		Example: `  bahi bench
  bahi bench --events 300000 --only append_bundles,rebuild_counts --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			for _, name := range o.Only {
				if !slices.Contains(bench.Names(), name) {
					return usage("there is no measure %q; there are %s", name, strings.Join(bench.Names(), ", "))
				}
			}
			if !p.json {
				fmt.Fprintf(p.stdout, "%-18s %9s %14s %12s %12s %8s  %s\n", "measure", "events", "per second", "p50", "p99", "ratio", "beside")
			}
			return bench.Run(c.Context(), o, func(m bench.Measure) error {
				if p.json {
					return p.print(m)
				}
				ratio, beside := "", ""
				if m.LimitRate > 0 {
					ratio, beside = fmt.Sprintf("%.2f", m.PerSecond/m.LimitRate), fmt.Sprintf("%s, %s/s", m.Limit, grouped(int64(m.LimitRate)))
					if m.LimitP50 > 0 {
						beside += fmt.Sprintf(", p50 %s, p99 %s", latency(m.LimitP50), latency(m.LimitP99))
					}
				}
				_, err := fmt.Fprintf(p.stdout, "%-18s %9s %14s %12s %12s %8s  %s\n", m.Name, grouped(int64(m.Events)), grouped(int64(m.PerSecond)), latency(m.P50), latency(m.P99), ratio, beside)
				return err
			})
		},
	}
	p.jsonFlag(c)
	f := c.Flags()
	f.IntVar(&o.Events, "events", 100_000, "about how many events each measure takes")
	f.StringSliceVar(&o.Only, "only", nil, "measure only these, several with commas")
	f.IntVar(&o.Rounds, "rounds", 3, "tell the median of so many rounds")
	return c
}

// latency writes microseconds for people.
func latency(us float64) string {
	switch {
	case us == 0:
		return ""
	case us < 1000:
		return fmt.Sprintf("%.0f µs", us)
	default:
		return fmt.Sprintf("%.1f ms", us/1000)
	}
}
