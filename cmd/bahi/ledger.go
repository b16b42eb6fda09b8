package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
)

func (p *program) ledgerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ledger",
		Short: "Size and head of the ledger, and its verification from the first commit",
		Example: `  bahi ledger info --data ./ledger
  bahi ledger verify --data ./ledger --json`,
	}
	c.AddCommand(p.ledgerInfo(), p.ledgerVerify(), p.ledgerProve(), p.ledgerPublicKey(), p.ledgerRotateKey(), p.ledgerIntakeKey())
	return c
}

func (p *program) ledgerInfo() *cobra.Command {
	c := &cobra.Command{
		Use:     "info",
		Short:   "Size, head, freezes and keys of the ledger",
		Example: "  bahi ledger info --data ./ledger --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), vault.RoleOperator, func(d door) error {
				i, err := d.Info(c.Context())
				if err != nil {
					return err
				}
				if p.json {
					return p.print(i)
				}
				fmt.Fprintf(p.stdout, "origin         %s\nsandbox        %t\ncommits        %s\nbytes          %s\n", i.Origin, i.Sandbox, grouped(int64(i.Head)), grouped(int64(i.Bytes)))
				if i.Recorded != nil {
					fmt.Fprintf(p.stdout, "last recorded  %s\n", i.Recorded.Format(time.RFC3339))
				}
				fmt.Fprintf(p.stdout, "freezes        %d\nauthority key  %s\nrules          %s\n", i.Freezes, orNone(i.AuthorityKey), i.Rules)
				if i.Checkpoint != "" {
					fmt.Fprintf(p.stdout, "public key     %s\n\n%s", strings.ReplaceAll(strings.TrimSpace(i.PublicKey), "\n", "\n               "), i.Checkpoint)
				}
				return nil
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	return c
}

func orNone(s string) string {
	if s == "" {
		return "none adopted"
	}
	return s
}

func (p *program) ledgerIntakeKey() *cobra.Command {
	c := &cobra.Command{
		Use:     "intake-key",
		Short:   "Print the public key that centres seal their bundles to",
		Example: "  bahi ledger intake-key --data ./ledger > intake.pub",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), vault.RoleOperator, func(d door) error {
				key, err := d.IntakeKey(c.Context())
				if err != nil {
					return err
				}
				_, err = p.stdout.Write(encodeLine(key))
				return err
			})
		},
	}
	p.ledgerFlags(c)
	return c
}

func (p *program) ledgerVerify() *cobra.Command {
	var checkpoint, statement string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read every commit, recompute every hash and count, compare; exit code 3 on a mismatch",
		Long: `Verify reads the whole ledger, makes its tree and its counts anew from the commits alone,
and compares them with the views and with the last checkpoint that was signed. With
--checkpoint it holds the ledger to a checkpoint that an auditor kept, and with --statement it
counts again what a signed statement says (bahi counts --signed).`,
		Example: `  bahi ledger verify --data ./ledger
  bahi ledger verify --data ./ledger --checkpoint kept.checkpoint --statement march.counts --json`,
		RunE: func(c *cobra.Command, _ []string) error {
			var kept ledger.Kept
			var err error
			if kept.Checkpoint, err = p.evidenceFile(c.Context(), checkpoint); err != nil {
				return err
			}
			if kept.Statement, err = p.evidenceFile(c.Context(), statement); err != nil {
				return err
			}
			return p.with(c.Context(), vault.RoleAuditor, func(d door) error {
				bar := p.meter("verifying")
				report, err := d.VerifyKept(c.Context(), kept, func(done, total uint64) { bar.to(int64(done), int64(total)) })
				bar.done()
				if err != nil {
					return err
				}
				return p.printVerify(report)
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	c.Flags().StringVar(&checkpoint, "checkpoint", "", "file with a checkpoint that was kept")
	c.Flags().StringVar(&statement, "statement", "", "file with a signed count statement that was kept")
	return c
}

func (p *program) printVerify(r ledger.VerifyReport) error {
	for _, view := range r.Views {
		of := func(m projections.Mismatch) bool { return m.View == view }
		if slices.Contains(p.damaged, view) && !slices.ContainsFunc(r.Mismatches, of) {
			r.Mismatches = append(r.Mismatches, projections.Mismatch{View: view, What: "its files were damaged when the ledger was opened; it was folded anew"})
		}
	}
	if p.json {
		if err := p.print(r); err != nil {
			return err
		}
	} else {
		fmt.Fprintf(p.stdout, "%s commits read\n", grouped(int64(r.Commits)))
		for _, m := range r.Mismatches {
			fmt.Fprintf(p.stdout, "mismatch     %s: %s\n", m.View, m.What)
		}
	}
	if slices.ContainsFunc(r.Mismatches, func(m projections.Mismatch) bool { return m.View == "ledger" }) {
		return mismatch("the ledger is not what was signed of it: history was rewritten, or its files are damaged; keep everything as it is")
	}
	if !r.OK() {
		return exit{exitMismatch, fmt.Errorf("the views do not follow from the ledger in %d places; rebuild them with `bahi projections rebuild`", len(r.Mismatches))}
	}
	if !p.json {
		fmt.Fprintln(p.stdout, "everything follows from the ledger")
	}
	return nil
}
