package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/ledger"
	"bahi/vault"
)

func (p *program) auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Who looked at whose details, when and why",
		Example: `  bahi audit list --data ./ledger --json
  bahi audit report --data ./ledger`,
	}
	list := &cobra.Command{
		Use:     "list",
		Short:   "Every recorded reading, oldest first; persons as tokens",
		Example: "  bahi audit list --data ./ledger --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), vault.RoleAuditor, func(d door) error {
				for r, err := range d.AuditList(c.Context()) {
					if err != nil {
						return err
					}
					row := auditRow{At: r.At.In(domain.IndianStandardTime), Officer: r.Officer, Purpose: r.Purpose, District: r.District, Person: fmt.Sprintf("%x", r.Person)}
					if p.json {
						err = p.print(row)
					} else {
						_, err = fmt.Fprintf(p.stdout, "%s  %-16s %-14s %d  %s\n", row.At.Format(time.RFC3339), row.Officer, row.Purpose, row.District, row.Person)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	p.ledgerFlags(list)
	p.jsonFlag(list)
	c.AddCommand(list, p.auditReport())
	return c
}

func (p *program) auditReport() *cobra.Command {
	c := &cobra.Command{
		Use:     "report",
		Short:   "How many readings each officer made, by day, purpose and district",
		Example: "  bahi audit report --data ./ledger --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), vault.RoleAuditor, func(d door) error {
				report, err := ledger.AuditReport(d.AuditList(c.Context()))
				if err != nil {
					return err
				}
				if p.json {
					return p.print(report)
				}
				w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "day\tofficer\tpurpose\tdistrict\treadings\tpeople")
				for _, r := range report {
					fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\n", r.Day, r.Officer, r.Purpose, r.District, r.Readings, r.People)
				}
				return w.Flush()
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	return c
}

// auditRow is a recorded reading as it is printed.
type auditRow struct {
	At       time.Time       `json:"at"`
	Officer  string          `json:"officer"`
	Purpose  string          `json:"purpose"`
	District domain.District `json:"district"`
	Person   string          `json:"person_token"`
}
