package main

import (
	"errors"
	"fmt"
	"os/user"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/ledger"
	"bahi/vault"
)

func (p *program) personCommand() *cobra.Command {
	var officer, purpose, asOf string
	c := &cobra.Command{
		Use:   "person REFERENCE --officer ID --purpose CODE",
		Short: "One person's details, recorded before shown; refused when frozen",
		Long: `Person opens the details of one person. Who asked, for which purpose, is recorded
before anything is shown; when it cannot be recorded, nothing is shown.

After a freeze the details of its people are refused (exit code 5), and so is any
number that the ledger does not know: the answer does not tell the two apart.

With --as-of, status, doses and reversals are those of the end of that day, as known
now: what was withdrawn since never was, a reversal acts on the day of its decision.

Give - as the reference number to have it read from standard input, so that it
does not stand in the machine's list of processes.`,
		Example: `  bahi person --data ./ledger 21679381234566 --officer dio-208-3 --purpose verification
  echo 21679381234566 | bahi person --data ./ledger - --officer dio-208-3 --purpose second_dose --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			number := args[0]
			if number == "-" {
				if _, err := fmt.Fscan(p.stdin, &number); err != nil {
					return usage("no reference number on standard input")
				}
			}
			reader := ledger.Reader{Officer: officer, Purpose: purpose}
			if asOf != "" {
				var err error
				if reader.AsOf, err = parseDay(asOf); err != nil {
					return usage("--as-of: %w", err)
				}
			}
			return p.with(c.Context(), vault.RoleOfficer, func(d door) error {
				details, err := d.Person(c.Context(), domain.Reference(number), reader)
				if errors.Is(err, ledger.ErrFrozen) {
					return p.refuseFrozen()
				}
				if err != nil {
					return err
				}
				if p.json {
					return p.print(details)
				}
				return p.printPerson(details)
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	f := c.Flags()
	f.StringVar(&officer, "officer", "", "id of the officer who reads")
	f.StringVar(&purpose, "purpose", "", "verification, second_dose, grievance, medical or legal")
	f.StringVar(&asOf, "as-of", "", "tell status, doses and reversals as of the end of this day (default: as they are)")
	must(c.MarkFlagRequired("officer"))
	must(c.MarkFlagRequired("purpose"))
	must(c.RegisterFlagCompletionFunc("purpose", cobra.FixedCompletions(ledger.Purposes, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func (p *program) refuseFrozen() error {
	if p.json {
		if err := p.print(map[string]string{"code": "frozen"}); err != nil {
			return err
		}
		return exit{code: exitFrozen}
	}
	return exit{exitFrozen, errors.New("frozen: this person's details cannot be read any more, or the number is not known")}
}

func (p *program) printPerson(d ledger.PersonDetails) error {
	if d.AsOf != 0 {
		fmt.Fprintf(p.stdout, "as of        %s\n", d.AsOf)
	}
	fmt.Fprintf(p.stdout, "reference    %s\nname         %s\nborn         %d\nsex          %s\nmobile       %s\nphoto ID     %s …%s\ndistrict     %s (%d)\ngroup        %s\nstatus       %s\n",
		d.Person, d.Name, d.BirthYear, d.Sex, d.Mobile, d.PhotoID.Type, d.PhotoID.Last4, domain.DistrictName(d.District), d.District, d.Group, d.Status)
	for _, dose := range d.Doses {
		fmt.Fprintf(p.stdout, "dose %-8v%s %s, batch %s, centre %s\n", dose.Dose, dose.At, dose.Vaccine, dose.Batch, dose.Centre)
	}
	for _, r := range d.Reversals {
		fmt.Fprintf(p.stdout, "reversal     to %s, requested %s, %s\n", r.To, r.Requested, r.State)
	}
	return nil
}

// whoami names the person at the keyboard, where a verb acts as the authority.
func whoami() string {
	if u, err := user.Current(); err == nil && domain.CheckOfficer(u.Username) == nil {
		return u.Username
	}
	return "authority"
}
