package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/projections"
	"bahi/vault"
)

func (p *program) countsExplainCommand() *cobra.Command {
	var district, day, asKnown string
	c := &cobra.Command{
		Use:   "explain --district CODE --day DAY",
		Short: "Which commits moved a district's figures of one day",
		Long: `Explain lists the commits that moved what a district counts as having happened on one
day: when each was recorded, how many events of which kind it has of that day, and by
how much it moved which figure. Together they are the new part of that day's row in
"counts --by day". What was recorded after --as-known is left out.

Commits are told to whoever opens the ledger, and through a service to operators and
auditors. Others are told the days on which it was recorded.`,
		Example: `  bahi counts explain --data ./ledger --district 208 --day 2021-02-13
  bahi counts explain --data ./ledger --district 208 --day 2021-02-13 --as-known 2021-03-04 --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			counts, err := countsQuery(district, "", day, asKnown)
			if err != nil {
				return usage("%s", strings.Replace(err.Error(), "--as-of", "--day", 1))
			}
			q := projections.ExplainQuery{District: counts.District, Day: counts.AsOf, AsKnown: counts.AsKnown}
			return p.with(c.Context(), vault.RoleOperator, func(d door) error {
				return p.explain(c.Context(), d, q)
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	f := c.Flags()
	f.StringVar(&district, "district", "", "LGD code of the district (Muzaffarpur is 208)")
	f.StringVar(&day, "day", "", "the day on which it happened")
	f.StringVar(&asKnown, "as-known", "", "leave out what was recorded after this time or the end of this day (default: now)")
	must(c.MarkFlagRequired("district"))
	must(c.MarkFlagRequired("day"))
	return c
}

func (p *program) explain(ctx context.Context, d door, q projections.ExplainQuery) error {
	var sum projections.Figures
	if !p.json {
		fmt.Fprintf(p.stdout, "%s (%d), what happened on %s\n\n", domain.DistrictName(q.District), q.District, q.Day)
	}
	err := d.Explain(ctx, q, func(m projections.Movement) error {
		sum = sum.Plus(m.Figures)
		if p.json {
			m.Recorded = m.Recorded.Truncate(time.Second)
			return p.print(m)
		}
		kinds := []string{}
		for _, kind := range slices.Sorted(maps.Keys(m.Events)) {
			kinds = append(kinds, fmt.Sprintf("%d %s", m.Events[kind], kind))
		}
		of := fmt.Sprintf("commit %-8d %s", m.Commit, m.Recorded.Format("2006-01-02 15:04"))
		if m.Commit == 0 {
			of = "recorded " + m.RecordedDay.String()
		}
		_, err := fmt.Fprintf(p.stdout, "%s  %s: %s\n", of, strings.Join(kinds, ", "), moved(m.Figures))
		return err
	})
	if err != nil || p.json {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "together: %s\n", moved(sum))
	return err
}

// moved writes figures that are not 0, with their signs.
func moved(f projections.Figures) string {
	var words []string
	for _, n := range []struct {
		by   int64
		name string
	}{
		{f.Registered, "registered"}, {f.Dose1, "dose 1"}, {f.Dose2, "dose 2"}, {f.Dose3, "dose 3"}, {f.Precaution, "precaution"},
		{f.Unvaccinated, "unvaccinated"}, {f.Partial, "partial"}, {f.Full, "full"}, {f.Frozen, "frozen"}, {f.PendingReversals, "pending reversals"},
	} {
		if n.by > 0 {
			words = append(words, fmt.Sprintf("%s +%s", n.name, grouped(n.by)))
		} else if n.by < 0 {
			words = append(words, fmt.Sprintf("%s %s", n.name, grouped(n.by)))
		}
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}
