package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
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
				result, err := d.Counts(c.Context(), q)
				if err != nil {
					return err
				}
				if p.json {
					result.AsKnown = ledger.ToldKnown(result.AsKnown)
					return p.print(result)
				}
				return p.printCounts(result, q.By)
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

// printCounts writes a table for people.
func (p *program) printCounts(r projections.CountsResult, by []projections.Dimension) error {
	fmt.Fprintf(p.stdout, "%s (%d), as of %s, as known %s\n\n", domain.DistrictName(r.District), r.District, r.AsOf, r.AsKnown.In(domain.IndianStandardTime).Format("2006-01-02 15:04"))
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, d := range by {
		fmt.Fprintf(w, "%s\t", d)
	}
	fmt.Fprint(w, "registered\tdose 1\tdose 2\tdose 3\tprecaution\tunvaccinated\tpartial\tfull\tfrozen\tpending reversals\t\n")
	row := func(keys []string, f projections.Figures) {
		for _, k := range keys {
			fmt.Fprintf(w, "%s\t", k)
		}
		for _, n := range []int64{f.Registered, f.Dose1, f.Dose2, f.Dose3, f.Precaution, f.Unvaccinated, f.Partial, f.Full, f.Frozen, f.PendingReversals} {
			fmt.Fprintf(w, "%s\t", grouped(n))
		}
		fmt.Fprintln(w)
	}
	for _, b := range r.By {
		row(rowKeys(b, by), b.Figures)
	}
	// Rows of days are cumulative: the last one is the whole.
	if !slices.Contains(by, projections.ByDay) && !slices.Contains(by, projections.ByDayKnown) {
		whole := make([]string, len(by))
		if len(by) > 0 {
			whole[0] = "all"
		}
		row(whole, r.Figures)
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
