package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/projections"
	"bahi/vault"
)

// countsDiff is what changed between two states of knowledge.
type countsDiff struct {
	District domain.District `json:"district"`
	AsOf     domain.Day      `json:"as_of"`
	Since    time.Time       `json:"since"`
	AsKnown  time.Time       `json:"as_known"`
	projections.CountsChange
	By []projections.CountsChange `json:"by,omitzero"`
}

func (p *program) countsDiffCommand() *cobra.Command {
	var district, by, asOf, since, asKnown string
	c := &cobra.Command{
		Use:   "diff --district CODE --since TIME",
		Short: "What changed in a district's counts between two states of knowledge",
		Long: `Diff counts twice as of the same day: as it was known at --since and as it is known at
--as-known. What it shows is by how much the figures changed: late registrations and
doses, withdrawals, reversals, orders. --by splits them as "counts" does; rows that did
not change are left out. Rows of days are cumulative: the table shows the first of those
that changed by the same.`,
		Example: `  bahi counts diff --data ./ledger --district 208 --as-of 2021-02-28 --since 2021-02-28
  bahi counts diff --data ./ledger --district 208 --by day --since 2021-03-01 --as-known 2021-04-01 --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			before, err := countsQuery(district, by, asOf, since)
			if err != nil {
				return usage("%s", strings.Replace(err.Error(), "--as-known", "--since", 1))
			}
			after, err := countsQuery(district, by, asOf, asKnown)
			if err != nil {
				return usage("%w", err)
			}
			if slices.Contains(after.By, projections.ByDayKnown) {
				return usage("%w", errors.New("--by: a difference between two states of knowledge is split by day, not by day-known"))
			}
			return p.with(c.Context(), vault.RoleOfficer, func(d door) error { return p.diff(c.Context(), d, before, after) })
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	f := c.Flags()
	f.StringVar(&district, "district", "", "LGD code of the district (Muzaffarpur is 208)")
	f.StringVar(&by, "by", "", "break down by group, vaccine, sex or day, several with commas")
	f.StringVar(&asOf, "as-of", "", "count what happened up to this day (default: today)")
	f.StringVar(&since, "since", "", "the earlier state of knowledge: a time, or the end of a day")
	f.StringVar(&asKnown, "as-known", "", "the later one (default: now)")
	must(c.MarkFlagRequired("district"))
	must(c.MarkFlagRequired("since"))
	return c
}

func (p *program) diff(ctx context.Context, d door, before, after projections.CountsQuery) error {
	is, err := d.Counts(ctx, after)
	if err != nil {
		return err
	}
	before.AsOf = is.AsOf
	was, err := d.Counts(ctx, before)
	if err != nil {
		return err
	}
	if is.AsKnown.Before(was.AsKnown) {
		return usage("--since is later than --as-known")
	}
	whole, rows := projections.Diff(was, is)
	if p.json {
		if len(after.By) == 0 {
			rows = nil
		}
		return p.print(countsDiff{is.District, is.AsOf, was.AsKnown.Truncate(time.Second), is.AsKnown.Truncate(time.Second), whole, rows})
	}
	const layout = "2006-01-02 15:04"
	fmt.Fprintf(p.stdout, "%s (%d), as of %s, as known %s and %s\n\n", domain.DistrictName(is.District), is.District, is.AsOf,
		was.AsKnown.In(domain.IndianStandardTime).Format(layout), is.AsKnown.In(domain.IndianStandardTime).Format(layout))
	series := map[string]projections.Figures{} // as last shown: days are cumulative, and mostly change by the same
	for _, row := range rows {
		keys := strings.Join(slices.DeleteFunc(rowKeys(row.CountsRow, after.By), func(k string) bool { return k == "" }), " ")
		row.Day = nil
		of := fmt.Sprint(rowKeys(row.CountsRow, after.By))
		if series[of] != row.Figures {
			fmt.Fprintf(p.stdout, "%s: %s\n", keys, moved(row.Figures))
		}
		series[of] = row.Figures
	}
	_, err = fmt.Fprintf(p.stdout, "all: %s\n", moved(whole.Figures))
	return err
}
