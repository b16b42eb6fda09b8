package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
)

func (p *program) countsCommand() *cobra.Command {
	var district, by, asOf, asKnown string
	var signed bool
	c := &cobra.Command{
		Use:   "counts --district CODE",
		Short: "How many are registered, vaccinated and frozen in a district",
		Long: `Counts answers the count-only view: people by their home district, doses by the
district where they were given. It names nobody, before a freeze or after.

A count has two days: the one it happened (--as-of) and the one it was recorded
(--as-known). --by day gives a row a day as known at --as-known; --by day-known a
row a day as it was known at the end of that day: the curve as it was published.

With --signed the counts come as a signed statement, which names the commits that were
counted: whoever has the ledger can count again (bahi ledger verify --statement), and nobody
can change a figure.`,
		Example: `  bahi counts --data ./ledger --district 208
  bahi counts --data ./ledger --district 208 --by group,sex --as-of 2021-03-04 --json
  bahi counts --data ./ledger --district 208 --by day-known --as-of 2021-04-03 --json
  bahi counts --data ./ledger --district 208 --signed > march.counts`,
		RunE: func(c *cobra.Command, _ []string) error {
			q, err := countsQuery(district, by, asOf, asKnown)
			if err != nil {
				return usage("%w", err)
			}
			return p.with(c.Context(), vault.RoleOfficer, func(d door) error {
				if signed {
					note, err := d.CountStatement(c.Context(), q)
					if err != nil {
						return err
					}
					if p.json {
						return p.print(map[string]string{"statement": string(note)})
					}
					return p.writeEvidence("", note)
				}
				if p.json {
					return p.tellCounts(c.Context(), d, q)
				}
				return p.printCounts(c.Context(), d, q)
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	f := c.Flags()
	f.StringVar(&district, "district", "", "LGD code of the district (Muzaffarpur is 208)")
	f.StringVar(&by, "by", "", "break down by group, vaccine, sex, day or day-known, several with commas")
	f.StringVar(&asOf, "as-of", "", "count what happened up to this day (default: today)")
	f.StringVar(&asKnown, "as-known", "", "count what was recorded up to this time or the end of this day (default: now)")
	f.BoolVar(&signed, "signed", false, "print a signed statement of the counts, without a breakdown")
	must(c.MarkFlagRequired("district"))
	c.AddCommand(p.countsExplainCommand(), p.countsDiffCommand())
	return c
}

// must is for mistakes in the program's own wiring.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

func countsQuery(district, by, asOf, asKnown string) (q projections.CountsQuery, err error) {
	if q.District, err = domain.ParseDistrict(district); err != nil {
		return q, err
	}
	for name := range strings.SplitSeq(by, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		dimension, err := projections.ParseDimension(name)
		if err != nil {
			return q, err
		}
		q.By = append(q.By, dimension)
	}
	if slices.Contains(q.By, projections.ByDay) && slices.Contains(q.By, projections.ByDayKnown) {
		return q, errors.New("--by: counts are split by day or by day-known, not by both")
	}
	if asOf != "" {
		if q.AsOf, err = parseDay(asOf); err != nil {
			return q, fmt.Errorf("--as-of: %w", err)
		}
	}
	if asKnown != "" {
		if q.AsKnown, err = parseLast(asKnown); err != nil {
			return q, fmt.Errorf("--as-known: %w", err)
		}
	}
	return q, nil
}

// errTooEarly refuses what would be taken for a flag that was not given: day 0, and
// the time that is zero.
var errTooEarly = errors.New("nothing is kept of times before 1970-01-02; give a later one")

// parseDay reads a day.
func parseDay(s string) (domain.Day, error) {
	day, err := domain.ParseDay(s)
	if err == nil && day <= 0 {
		err = errTooEarly
	}
	return day, err
}

// parseLast reads a time that is the last of a span; a day means its end.
func parseLast(s string) (time.Time, error) {
	t, err := domain.ParseTime(s)
	if day, notDay := domain.ParseDay(s); notDay == nil {
		t = day.End()
	}
	if err == nil && domain.DayOf(t) <= 0 {
		err = errTooEarly
	}
	return t, err
}

// tellCounts writes counts as JSON, each row as it comes.
func (p *program) tellCounts(ctx context.Context, d door, q projections.CountsQuery) error {
	return p.printTable(func(out *projections.TableWriter) error {
		return d.TellCounts(ctx, q, func(head projections.CountsResult) error {
			head.AsKnown = ledger.ToldKnown(head.AsKnown)
			return out.Head(head, len(q.By) > 0)
		}, func(row projections.CountsRow) error { return out.Row(row) })
	})
}

// printTable writes the JSON of a table. What fails leaves it without its end.
func (p *program) printTable(tell func(*projections.TableWriter) error) error {
	buffered := bufio.NewWriter(p.stdout)
	out := projections.NewTableWriter(buffered)
	if err := tell(out); err != nil {
		return err
	}
	if err := out.End(); err != nil {
		return err
	}
	return buffered.Flush()
}

// printCounts writes a table for people.
func (p *program) printCounts(ctx context.Context, d door, q projections.CountsQuery) error {
	var is projections.CountsResult
	var table columns
	names := make([]string, 0, len(q.By)+10)
	for _, by := range q.By {
		names = append(names, by.String())
	}
	table.line(append(names, "registered", "dose 1", "dose 2", "dose 3", "precaution", "unvaccinated", "partial", "full", "frozen", "pending reversals"))
	line := func(keys []string, f projections.Figures) {
		for _, n := range []int64{f.Registered, f.Dose1, f.Dose2, f.Dose3, f.Precaution, f.Unvaccinated, f.Partial, f.Full, f.Frozen, f.PendingReversals} {
			keys = append(keys, grouped(n))
		}
		table.line(keys)
	}
	err := d.TellCounts(ctx, q, func(head projections.CountsResult) error {
		is = head
		return nil
	}, func(row projections.CountsRow) error {
		line(rowKeys(row, q.By), row.Figures)
		return nil
	})
	if err != nil {
		return err
	}
	// Rows of days are cumulative: the last one is the whole.
	if !slices.Contains(q.By, projections.ByDay) && !slices.Contains(q.By, projections.ByDayKnown) {
		whole := make([]string, len(q.By))
		if len(whole) > 0 {
			whole[0] = "all"
		}
		line(whole, is.Figures)
	}
	fmt.Fprintf(p.stdout, "%s (%d), as of %s, as known %s\n\n", domain.DistrictName(is.District), is.District, is.AsOf, is.AsKnown.In(domain.IndianStandardTime).Format("2006-01-02 15:04"))
	return table.write(p.stdout)
}

// columns are lines of cells, aligned to the right once all are there. It keeps their
// text and nothing else: there may be very many.
type columns struct {
	text   []byte // cells end with a tab, lines with a newline
	widths []int
}

func (c *columns) line(cells []string) {
	if c.widths == nil {
		c.widths = make([]int, len(cells))
	}
	for i, cell := range cells {
		c.widths[i] = max(c.widths[i], 2+len(cell))
		c.text = append(append(c.text, cell...), '\t')
	}
	c.text = append(c.text, '\n')
}

func (c *columns) write(to io.Writer) error {
	w := bufio.NewWriter(to)
	for line := range bytes.Lines(c.text) {
		for _, width := range c.widths {
			var cell []byte
			cell, line, _ = bytes.Cut(line, []byte{'\t'})
			fmt.Fprintf(w, "%*s", width, cell)
		}
		_ = w.WriteByte('\n') // an error stays with the writer
	}
	return w.Flush()
}

// rowKeys returns the keys of a row, in the order asked for.
func rowKeys(r projections.CountsRow, by []projections.Dimension) []string {
	keys := make([]string, len(by))
	for i, d := range by {
		switch {
		case d == projections.ByGroup && r.Group != nil:
			keys[i] = r.Group.String()
		case d == projections.BySex && r.Sex != nil:
			keys[i] = r.Sex.String()
		case d == projections.ByVaccine && r.Vaccine != nil:
			keys[i] = *r.Vaccine
		case d == projections.ByDistrict && r.District != nil:
			keys[i] = fmt.Sprint(*r.District)
		case r.Day != nil && (d == projections.ByDay || d == projections.ByDayKnown):
			keys[i] = r.Day.String()
		}
	}
	return keys
}
