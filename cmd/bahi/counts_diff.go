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

func (p *program) countsDiffCommand() *cobra.Command {
	var district, by, asOf, since, asKnown string
	c := &cobra.Command{
		Use:   "diff --district CODE --since TIME",
		Short: "What changed in a district's counts between two states of knowledge",
		Long: `Diff counts twice as of the same day: as it was known at --since and as it is known at
--as-known. What it shows is by how much the figures changed: late registrations and
doses, withdrawals, reversals, orders. --by splits them as "counts" does; rows that did
not change are left out. Rows of days are cumulative: the table shows the first of those
that changed by the same, and the day on which a change is over.`,
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
			return p.with(c.Context(), vault.RoleOfficer, func(d door) error { return p.diff(c.Context(), d, before.AsKnown, after) })
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

func (p *program) diff(ctx context.Context, d door, since time.Time, after projections.CountsQuery) error {
	if !after.AsKnown.IsZero() && after.AsKnown.Before(since) {
		return usage("--since is later than --as-known")
	}
	diff, err := d.DiffCounts(ctx, after, since)
	if err != nil {
		return err
	}
	if p.json {
		return p.print(diff)
	}
	const layout = "2006-01-02 15:04"
	fmt.Fprintf(p.stdout, "%s (%d), as of %s, as known %s and %s\n\n", domain.DistrictName(diff.District), diff.District, diff.AsOf,
		diff.Since.In(domain.IndianStandardTime).Format(layout), diff.AsKnown.In(domain.IndianStandardTime).Format(layout))
	for _, line := range changes(diff.By, after.By, diff.AsOf) {
		fmt.Fprintln(p.stdout, line)
	}
	_, err = fmt.Fprintf(p.stdout, "all: %s\n", moved(diff.Figures))
	return err
}

// changes writes rows down. Those of days are cumulative, and mostly change by the same
// as the day before: only the first of those is written, and the day from which on
// nothing is changed any more.
func changes(rows []projections.CountsChange, by []projections.Dimension, asOf domain.Day) []string {
	type dated struct {
		day  domain.Day
		line string
	}
	var lines []dated
	write := func(row projections.CountsRow, f projections.Figures) {
		keys := slices.DeleteFunc(rowKeys(row, by), func(k string) bool { return k == "" })
		l := dated{line: fmt.Sprintf("%s: %s", strings.Join(keys, " "), moved(f))}
		if row.Day != nil {
			l.day = *row.Day
		}
		lines = append(lines, l)
	}
	on := func(row projections.CountsRow, day domain.Day) projections.CountsRow { row.Day = &day; return row }
	changed := map[string]projections.Figures{}
	for _, row := range rows {
		changed[fmt.Sprint(rowKeys(row.CountsRow, by))] = row.Figures
	}
	for _, row := range rows {
		if row.Day == nil {
			write(row.CountsRow, row.Figures)
			continue
		}
		before, next := on(row.CountsRow, *row.Day-1), on(row.CountsRow, *row.Day+1)
		if changed[fmt.Sprint(rowKeys(before, by))] != row.Figures {
			write(row.CountsRow, row.Figures)
		}
		if changed[fmt.Sprint(rowKeys(next, by))] == (projections.Figures{}) && *row.Day < asOf {
			write(next, projections.Figures{})
		}
	}
	slices.SortStableFunc(lines, func(a, b dated) int { return int(a.day - b.day) })
	written := make([]string, len(lines))
	for i, l := range lines {
		written[i] = l.line
	}
	return written
}
