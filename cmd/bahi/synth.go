package main

import (
	"bufio"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/synth"
)

func (p *program) synthCommand() *cobra.Command {
	var file, through string
	var o synth.Options
	c := &cobra.Command{
		Use:   "synth --counts FILE",
		Short: "Make people and submissions that reproduce a file of real counters",
		Long: `Synth reads a file of public counters (daily and cumulative, or weekly
differences) and writes submissions as NDJSON, in order of time, that reproduce
it: registrations, doses, and withdrawals on the days on which the real counters
fell. The people are invented. The same seed gives the same bytes.`,
		Example: `  bahi synth --counts muzaffarpur_daily.csv --district BR_Muzaffarpur | bahi submit --data ./ledger --sandbox -
  bahi synth --counts bihar_weekly.csv --scale 0.01 --seed 7 > submissions.ndjson`,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := os.Open(file)
			if err != nil {
				return exit{exitUsage, err}
			}
			defer f.Close()
			counters, err := synth.ReadCounts(f)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if through != "" {
				if o.Through, err = domain.ParseDay(through); err != nil {
					return usage("--through: %w", err)
				}
			}
			out := bufio.NewWriterSize(p.stdout, 1<<20)
			bar := p.meter("making submissions")
			summary, err := synth.Write(c.Context(), out, counters, o, bar.to)
			bar.done()
			if err != nil {
				return err
			}
			if err := out.Flush(); err != nil {
				return err
			}
			fmt.Fprintln(p.stderr, summary)
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&file, "counts", "", "CSV file of counters")
	f.StringVar(&o.District, "district", "", "key (BR_Muzaffarpur) or LGD code of one district (default: all of the file's)")
	f.Float64Var(&o.Scale, "scale", 1, "multiply every counter")
	f.Uint64Var(&o.Seed, "seed", 1, "another seed makes other people")
	f.StringVar(&through, "through", "", "last day to reproduce (default: all of a weekly file, a daily one to 2021-04-03)")
	must(c.MarkFlagRequired("counts"))
	return c
}
