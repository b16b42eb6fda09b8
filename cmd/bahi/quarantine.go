package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/intake"
	"bahi/ledger"
	"bahi/vault"
)

// quarantineDoor is the part of a door about what centres published and the ledger
// did not take in.
type quarantineDoor interface {
	ListQuarantine(context.Context, intake.QuarantineQuery) (intake.QuarantinePage, error)
	ShowQuarantined(context.Context, intake.QuarantineReading) (intake.QuarantineShown, error)
	RetryQuarantined(ctx context.Context, id domain.UUID) (intake.QuarantineRetried, error)
	DropQuarantined(ctx context.Context, id domain.UUID) (intake.Quarantined, error)
}

// quarantine opens the quarantine for one call.
func (d direct) quarantine(ctx context.Context, do func(*intake.Quarantine) error) error {
	conn, err := d.Store().Connect("quarantine")
	if err != nil {
		return err
	}
	defer conn.Close()
	config, err := intake.For(ctx, d.Ledger, conn, nil)
	if err != nil {
		return err
	}
	q, err := intake.NewQuarantine(config)
	if err != nil {
		return err
	}
	return do(q)
}

func (d direct) ListQuarantine(ctx context.Context, query intake.QuarantineQuery) (page intake.QuarantinePage, err error) {
	err = d.quarantine(ctx, func(q *intake.Quarantine) error {
		page, err = q.List(ctx, query)
		return err
	})
	return page, err
}

func (d direct) ShowQuarantined(ctx context.Context, r intake.QuarantineReading) (shown intake.QuarantineShown, err error) {
	err = d.quarantine(ctx, func(q *intake.Quarantine) error {
		shown, err = q.Show(ctx, r)
		return err
	})
	return shown, err
}

func (d direct) RetryQuarantined(ctx context.Context, id domain.UUID) (r intake.QuarantineRetried, err error) {
	err = d.quarantine(ctx, func(q *intake.Quarantine) error {
		r, err = q.Retry(ctx, id, 0)
		return err
	})
	return r, err
}

func (d direct) DropQuarantined(ctx context.Context, id domain.UUID) (dropped intake.Quarantined, err error) {
	err = d.quarantine(ctx, func(q *intake.Quarantine) error {
		dropped, err = q.Drop(ctx, id, 0)
		return err
	})
	return dropped, err
}

func (p *program) quarantineCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "quarantine",
		Short: "What centres published over NATS and the ledger did not take in",
		Long: `Submissions of a bundle that were refused, and bundles that could not be taken in as
a whole, lie in quarantine for 30 days. Their content is sealed to the district whose
people it is about; a freeze of the district ends it. The list tells codes and counts.`,
		Example: `  bahi quarantine list --data ./ledger --district 208
  bahi quarantine retry --data ./ledger --district 208 --centre 208001`,
	}
	c.AddCommand(p.quarantineList(), p.quarantineShow(), p.quarantineRetry(), p.quarantineDrop())
	return c
}

// quarantineFlags say what of the quarantine a verb is about.
type quarantineFlags struct{ district, centre string }

func (f *quarantineFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.district, "district", "", "LGD code of the people's district (default: all)")
	c.Flags().StringVar(&f.centre, "centre", "", "code of the centre that published it (default: all)")
}

// everything yields every item that the flags ask for, page by page.
func (f quarantineFlags) everything(ctx context.Context, d door, item func(intake.Quarantined) error) error {
	q := intake.QuarantineQuery{Centre: f.centre, Limit: 1000}
	if f.district != "" {
		var err error
		if q.District, err = domain.ParseDistrict(f.district); err != nil {
			return usage("--district: %w", err)
		}
	}
	for {
		page, err := d.ListQuarantine(ctx, q)
		if err != nil {
			return err
		}
		for _, is := range page.Items {
			if err := item(is); err != nil {
				return err
			}
		}
		if q.After = page.Next; page.Next == 0 {
			return nil
		}
	}
}

func (p *program) quarantineList() *cobra.Command {
	var f quarantineFlags
	c := &cobra.Command{
		Use:     "list [--district CODE] [--centre CODE]",
		Short:   "What lies in quarantine, oldest first: codes and counts, nobody's details",
		Example: "  bahi quarantine list --data ./ledger --district 208 --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), vault.RoleOperator, func(d door) error {
				if p.json {
					return f.everything(c.Context(), d, func(is intake.Quarantined) error { return p.print(is) })
				}
				w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "id\tdistrict\tcentre\tsince\ttries\trows\tkept\tcode")
				err := f.everything(c.Context(), d, func(is intake.Quarantined) error {
					_, err := fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%d\t%d\t%d\t%s\n", is.ID, is.District, is.Centre,
						is.Since.In(domain.IndianStandardTime).Format("2006-01-02 15:04"), is.Tries, is.Rows, is.Kept, codesOf(is))
					return err
				})
				return errors.Join(err, w.Flush())
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	f.add(c)
	return c
}

// codesOf tells why something is in quarantine: rejected (2 dose_missing, 1 bad_json).
func codesOf(is intake.Quarantined) string {
	var counts []string
	for code, n := range is.Codes {
		counts = append(counts, fmt.Sprintf("%d %s", n, code))
	}
	if len(counts) == 0 {
		return string(is.Code)
	}
	slices.Sort(counts)
	return fmt.Sprintf("%s (%s)", is.Code, strings.Join(counts, ", "))
}

func (p *program) quarantineShow() *cobra.Command {
	var officer, purpose string
	var after, rows int
	c := &cobra.Command{
		Use:   "show ID --officer ID --purpose CODE",
		Short: "Open something in quarantine, recorded before it is shown",
		Long: `Show opens what lies in quarantine: the refused submissions and their verdicts, a row
a line. They hold people's details. Who asked, for which purpose, is recorded for each
before it is shown, and each counts as one of the officer's readings of the day. What
is about people who are frozen by now is withheld.`,
		Example: "  bahi quarantine show --data ./ledger 018f3c1e-7a52-8bb0-9a1c-2f64d1c0a001 --officer dio-208-3 --purpose grievance",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := domain.ParseUUID(args[0])
			if err != nil {
				return usage("%w", err)
			}
			return p.with(c.Context(), vault.RoleOfficer, func(d door) error {
				shown, err := d.ShowQuarantined(c.Context(), intake.QuarantineReading{ID: id, Officer: officer, Purpose: purpose, After: after, Limit: rows})
				if err != nil {
					return quarantineComplaint(err)
				}
				if p.json {
					return p.print(shown)
				}
				return p.printShown(shown)
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	f := c.Flags()
	f.StringVar(&officer, "officer", "", "id of the officer who reads")
	f.StringVar(&purpose, "purpose", "", "verification, second_dose, grievance, medical or legal")
	f.IntVar(&after, "after", 0, "go on behind this row")
	f.IntVar(&rows, "rows", 20, "how many rows, at most 100")
	must(c.MarkFlagRequired("officer"))
	must(c.MarkFlagRequired("purpose"))
	must(c.RegisterFlagCompletionFunc("purpose", cobra.FixedCompletions(ledger.Purposes, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func (p *program) printShown(shown intake.QuarantineShown) error {
	fmt.Fprintf(p.stdout, "%s  district %d, centre %s: %s\n", shown.ID, shown.District, shown.Centre, codesOf(shown.Quarantined))
	for _, row := range shown.Shown {
		line, err := json.Marshal(row)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "%s\n", line)
	}
	if shown.Next != 0 {
		fmt.Fprintf(p.stderr, "%d rows more: --after %d\n", shown.Rows-shown.Next, shown.Next)
	}
	return nil
}

// quarantineComplaint puts into words what a person's number would be told.
func quarantineComplaint(err error) error {
	switch {
	case errors.Is(err, ledger.ErrFrozen):
		return exit{exitFrozen, errors.New("frozen: a freeze of the district has ended it")}
	case errors.Is(err, ledger.ErrNotFound):
		return exit{exitNotFound, errors.New("nothing in quarantine has this id; it may have been taken in, or its 30 days are over")}
	}
	return err
}

func (p *program) quarantineRetry() *cobra.Command {
	var f quarantineFlags
	c := &cobra.Command{
		Use:   "retry [ID…] [--district CODE] [--centre CODE]",
		Short: "Submit what lies in quarantine again, after what stood in its way was mended",
		Long: `Retry submits again what lies in quarantine: those with the ids, or all that the flags
select. What is accepted, or was held already, leaves the quarantine. What is refused
again stays, with its new reasons; the exit code is then 4.`,
		Example: `  bahi quarantine retry --data ./ledger --district 208
  bahi quarantine retry --data ./ledger 018f3c1e-7a52-8bb0-9a1c-2f64d1c0a001`,
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			var ids []domain.UUID
			for _, arg := range args {
				id, err := domain.ParseUUID(arg)
				if err != nil {
					return usage("%w", err)
				}
				ids = append(ids, id)
			}
			return p.with(c.Context(), vault.RoleOperator, func(d door) error { return p.retry(c.Context(), d, f, ids) })
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	f.add(c)
	return c
}

// retry tries the items with these ids, or, without any, all that the flags ask for
// as they are at the beginning.
func (p *program) retry(ctx context.Context, d door, f quarantineFlags, ids []domain.UUID) error {
	named := len(ids) > 0
	if !named {
		if err := f.everything(ctx, d, func(is intake.Quarantined) error {
			ids = append(ids, is.ID)
			return nil
		}); err != nil {
			return err
		}
	}
	var accepted, duplicate, rejected int
	for _, id := range ids {
		r, err := d.RetryQuarantined(ctx, id)
		if !named && errors.Is(err, ledger.ErrNotFound) {
			continue // its time was over
		}
		if err != nil {
			return quarantineComplaint(err)
		}
		accepted, duplicate, rejected = accepted+r.Accepted, duplicate+r.Duplicate, rejected+r.Rejected
		if p.json {
			err = p.print(r)
		} else {
			_, err = fmt.Fprintf(p.stdout, "%s  %d accepted, %d duplicate, %d rejected; %d rows stay\n", id, r.Accepted, r.Duplicate, r.Rejected, r.Rows)
		}
		if err != nil {
			return err
		}
	}
	fmt.Fprintf(p.stderr, "%d accepted, %d duplicate, %d rejected\n", accepted, duplicate, rejected)
	if rejected > 0 {
		return exit{code: exitRejected}
	}
	return nil
}

func (p *program) quarantineDrop() *cobra.Command {
	c := &cobra.Command{
		Use:     "drop ID",
		Short:   "Take something out of quarantine for good; its centre keeps what it sent",
		Example: "  bahi quarantine drop --data ./ledger 018f3c1e-7a52-8bb0-9a1c-2f64d1c0a001",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := domain.ParseUUID(args[0])
			if err != nil {
				return usage("%w", err)
			}
			return p.with(c.Context(), vault.RoleOfficer, func(d door) error {
				dropped, err := d.DropQuarantined(c.Context(), id)
				if err != nil {
					return quarantineComplaint(err)
				}
				if p.json {
					return p.print(dropped)
				}
				_, err = fmt.Fprintf(p.stdout, "%s is out of quarantine\n", dropped.ID)
				return err
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	return c
}
