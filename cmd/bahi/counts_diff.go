package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/ledger"
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
	if p.json {
		return p.printTable(func(out *projections.TableWriter) error {
			return d.TellDiff(ctx, after, since, func(head ledger.CountsDiff) error {
				return out.Head(head, len(after.By) > 0)
			}, func(row projections.CountsChange) error { return out.Row(row) })
		})
	}
	w := bufio.NewWriter(p.stdout)
	lines := changeLines{by: after.By, write: func(line string) { fmt.Fprintln(w, line) }}
	var diff ledger.CountsDiff
	err := d.TellDiff(ctx, after, since, func(head ledger.CountsDiff) error {
		const layout = "2006-01-02 15:04"
		diff, lines.asOf = head, head.AsOf
		fmt.Fprintf(w, "%s (%d), as of %s, as known %s and %s\n\n", domain.DistrictName(diff.District), diff.District, diff.AsOf,
			diff.Since.In(domain.IndianStandardTime).Format(layout), diff.AsKnown.In(domain.IndianStandardTime).Format(layout))
		return nil
	}, func(row projections.CountsChange) error {
		lines.add(row)
		return nil
	})
	if err != nil {
		return err
	}
	lines.end()
	fmt.Fprintf(w, "all: %s\n", moved(diff.Figures))
	return w.Flush()
}

// changeLines writes rows down as they come. Those of days are cumulative, and mostly
// change by the same as the day before: only the first of those is written, and the day
// from which on nothing is changed any more.
type changeLines struct {
	by     []projections.Dimension
	asOf   domain.Day
	write  func(line string)
	today  []projections.CountsChange // the rows of a day, which are not all there yet
	before []projections.CountsChange // those of the last day before that has any
}

func (c *changeLines) add(row projections.CountsChange) {
	if row.Day == nil {
		c.say(row.CountsRow, row.Figures)
		return
	}
	if len(c.today) > 0 && *c.today[0].Day != *row.Day {
		c.nextDay(*row.Day)
	}
	c.today = append(c.today, row)
}

func (c *changeLines) end() {
	if len(c.today) > 0 {
		c.nextDay(c.asOf + 1)
	}
}

// nextDay writes the lines of a day that is over. The next that has rows is known.
func (c *changeLines) nextDay(next domain.Day) {
	day := *c.today[0].Day
	was := map[string]projections.Figures{}
	if len(c.before) > 0 && *c.before[0].Day == day-1 {
		for _, row := range c.before {
			was[c.key(row)] = row.Figures
		}
	}
	is := map[string]bool{}
	for _, row := range c.today {
		is[c.key(row)] = true
	}
	for _, row := range c.before {
		if !is[c.key(row)] && *row.Day == day-1 {
			c.say(on(row.CountsRow, day), projections.Figures{})
		}
	}
	for _, row := range c.today {
		if was[c.key(row)] != row.Figures {
			c.say(row.CountsRow, row.Figures)
		}
	}
	if next > day+1 && day < c.asOf {
		for _, row := range c.today {
			c.say(on(row.CountsRow, day+1), projections.Figures{})
		}
	}
	c.before, c.today = c.today, c.before[:0]
}

// key is the same for a row of every day.
func (c *changeLines) key(row projections.CountsChange) string {
	row.Day = nil
	return strings.Join(rowKeys(row.CountsRow, c.by), " ")
}

func (c *changeLines) say(row projections.CountsRow, f projections.Figures) {
	keys := slices.DeleteFunc(rowKeys(row, c.by), func(k string) bool { return k == "" })
	c.write(strings.Join(keys, " ") + ": " + moved(f))
}

func on(row projections.CountsRow, day domain.Day) projections.CountsRow {
	row.Day = &day
	return row
}
