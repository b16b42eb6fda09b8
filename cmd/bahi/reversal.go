package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/formats"
	"bahi/vault"
)

func (p *program) reversalCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "reversal",
		Short: "Ask for, decide and list reversals of a vaccination status",
		Long: `A status issued by mistake is reversed from full to partial, from full to
unvaccinated, or from partial to unvaccinated: on request, approved by the
authority from the third day on, overdue after the seventh.`,
		Example: `  bahi reversal request --data ./ledger --person 21679381234566 --to partial --reason issued_by_mistake
  bahi reversal list --data ./ledger --district 208
  bahi reversal decide --data ./ledger --request 018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001 --approve --by officer-7`,
	}
	c.AddCommand(p.reversalRequest(), p.reversalDecide(), p.reversalList())
	return c
}

func (p *program) reversalRequest() *cobra.Command {
	var person, to, reason, at, id string
	c := &cobra.Command{
		Use:     "request --person REFERENCE --to STATUS",
		Short:   "Ask for a lower status; prints the verdict",
		Example: "  bahi reversal request --data ./ledger --person 21679381234566 --to unvaccinated --reason issued_by_mistake",
		RunE: func(c *cobra.Command, _ []string) error {
			h, err := heading(id, at)
			if err != nil {
				return usage("%w", err)
			}
			s := domain.ReversalRequest{Heading: h, Person: domain.Reference(person)}
			if s.To, err = domain.ParseStatus(to); err != nil {
				return usage("%w", err)
			}
			if s.Reason, err = domain.ParseReason(reason); err != nil {
				return usage("%w", err)
			}
			return p.submitOne(c, vault.RoleCentre, s)
		},
	}
	p.ledgerFlags(c)
	p.sandboxFlag(c)
	p.jsonFlag(c)
	f := c.Flags()
	f.StringVar(&person, "person", "", "the person's reference number")
	f.StringVar(&to, "to", "", "the status asked for: partial or unvaccinated")
	f.StringVar(&reason, "reason", "issued_by_mistake", "why: duplicate, entered_in_error, issued_by_mistake, unknown_member or other")
	f.StringVar(&at, "at", "", "when it was asked (default: now)")
	f.StringVar(&id, "id", "", "id of the request (default: a new one)")
	must(c.MarkFlagRequired("person"))
	must(c.MarkFlagRequired("to"))
	return c
}

func (p *program) reversalDecide() *cobra.Command {
	var request, by, at, id string
	var approve, reject bool
	c := &cobra.Command{
		Use:     "decide --request ID --approve|--reject --by OFFICER",
		Short:   "Approve or reject a request, as the authority; prints the verdict",
		Example: "  bahi reversal decide --data ./ledger --request 018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001 --approve --by officer-7",
		RunE: func(c *cobra.Command, _ []string) error {
			h, err := heading(id, at)
			if err != nil {
				return usage("%w", err)
			}
			s := domain.ReversalDecision{Heading: h, Approve: approve, By: by}
			if s.Request, err = domain.ParseUUID(request); err != nil {
				return usage("%w", err)
			}
			return p.submitOne(c, vault.RoleAuthority, s)
		},
	}
	p.ledgerFlags(c)
	p.sandboxFlag(c)
	p.jsonFlag(c)
	f := c.Flags()
	f.StringVar(&request, "request", "", "id of the request")
	f.BoolVar(&approve, "approve", false, "approve it")
	f.BoolVar(&reject, "reject", false, "reject it")
	f.StringVar(&by, "by", whoami(), "the officer who decides")
	f.StringVar(&at, "at", "", "when it was decided (default: now)")
	f.StringVar(&id, "id", "", "id of the decision (default: a new one)")
	must(c.MarkFlagRequired("request"))
	c.MarkFlagsOneRequired("approve", "reject")
	return c
}

// submitOne submits one submission and prints its verdict.
func (p *program) submitOne(c *cobra.Command, role string, s domain.Submission) error {
	return p.withNew(c.Context(), role, func(d door) error {
		verdicts, err := d.Submit(c.Context(), []domain.Submission{s})
		if err != nil {
			return err
		}
		v := verdicts[0]
		fmt.Fprintf(p.stdout, "%s\n", formats.AppendVerdict(nil, v))
		if v.Outcome == domain.Rejected {
			return exit{code: exitRejected}
		}
		return nil
	})
}

func (p *program) reversalList() *cobra.Command {
	var district, on string
	c := &cobra.Command{
		Use:     "list [--district CODE]",
		Short:   "List the requests that wait for a decision; names no person",
		Example: "  bahi reversal list --data ./ledger --district 208 --json",
		RunE: func(c *cobra.Command, _ []string) error {
			var where domain.District
			var day domain.Day
			var err error
			if district != "" {
				if where, err = domain.ParseDistrict(district); err != nil {
					return usage("%w", err)
				}
			}
			if on != "" {
				if day, err = domain.ParseDay(on); err != nil {
					return usage("--on: %w", err)
				}
			}
			return p.with(c.Context(), vault.RoleAuthority, func(d door) error {
				pending, err := d.PendingReversals(c.Context(), where, day)
				if err != nil {
					return err
				}
				if p.json {
					return p.print(pending)
				}
				w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "request\tdistrict\tfrom\tto\trequested\tdue from\toverdue")
				for _, r := range pending {
					fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%t\n", r.Request, r.District, r.From, r.To, r.Requested, r.DueFrom, r.Overdue)
				}
				return w.Flush()
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	c.Flags().StringVar(&district, "district", "", "LGD code of the people's home district (default: all)")
	c.Flags().StringVar(&on, "on", "", "the day for which overdue is told (default: today)")
	return c
}
