package main

import (
	"encoding/hex"
	"fmt"
	"iter"
	"math"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/ledger"
	"bahi/vault"
)

func (p *program) auditCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Who looked at whose details, when and why, and who was let in",
		Example: `  bahi audit list --data ./ledger --json
  bahi audit report --data ./ledger`,
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "Every recorded reading and access event, oldest first; persons as tokens",
		Long: `List prints, in the order in which they were recorded, who read whose details, and who
was let in or shut out: lines of the second kind say so in "kind", those of the first
have none.`,
		Example: "  bahi audit list --data ./ledger --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), vault.RoleAuditor, func(d door) error {
				return inOrder(d.AuditList(c.Context()), d.AccessList(c.Context()), p.printRead, p.printAccess)
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

// inOrder tells readings and access events as they stand in the stream.
func inOrder(reads iter.Seq2[eventstore.AuditRead, error], events iter.Seq2[eventstore.AuditAccess, error],
	read func(eventstore.AuditRead) error, access func(eventstore.AuditAccess) error) error {
	next, stop := iter.Pull2(events)
	defer stop()
	event, failed, more := next()
	before := func(sequence uint64) error {
		for ; more && (failed != nil || event.Sequence < sequence); event, failed, more = next() {
			if failed == nil {
				failed = access(event)
			}
			if failed != nil {
				return failed
			}
		}
		return nil
	}
	for r, err := range reads {
		if err == nil {
			err = before(r.Sequence)
		}
		if err == nil {
			err = read(r)
		}
		if err != nil {
			return err
		}
	}
	return before(math.MaxUint64)
}

func (p *program) printRead(r eventstore.AuditRead) error {
	row := auditRow{At: r.At.In(domain.IndianStandardTime), Officer: r.Officer, Purpose: r.Purpose, District: r.District, Person: fmt.Sprintf("%x", r.Person), Item: r.Item}
	if p.json {
		return p.print(row)
	}
	words := fmt.Sprintf("%s  %-16s %-14s %d  %s", row.At.Format(time.RFC3339), row.Officer, row.Purpose, row.District, row.Person)
	if row.Item != (domain.UUID{}) {
		words += "  in quarantine " + row.Item.String()
	}
	_, err := fmt.Fprintln(p.stdout, words)
	return err
}

func (p *program) printAccess(a eventstore.AuditAccess) error {
	row := accessRow{
		At: a.At.In(domain.IndianStandardTime), Kind: a.Kind, Token: a.Token, Role: a.Role, District: a.District, Centre: a.Centre,
		Officer: a.Officer, By: a.By, NKey: a.NKey, Certificate: hex.EncodeToString(a.Certificate),
	}
	if !a.Expires.IsZero() {
		row.Expires = a.Expires.In(domain.IndianStandardTime)
	}
	if p.json {
		return p.print(row)
	}
	words := []string{row.At.Format(time.RFC3339) + " ", fmt.Sprintf("%-16s", row.Kind)}
	for _, word := range []struct{ before, is string }{
		{"", row.Token}, {"", row.Role}, {"district ", districtOf(row.District)}, {"centre ", row.Centre}, {"officer ", row.Officer},
		{"nkey ", row.NKey}, {"certificate ", row.Certificate}, {"until ", moment(row.Expires)}, {"by ", row.By},
	} {
		if word.is != "" {
			words = append(words, word.before+word.is)
		}
	}
	_, err := fmt.Fprintln(p.stdout, strings.Join(words, " "))
	return err
}

func districtOf(d domain.District) string {
	if d == 0 {
		return ""
	}
	return strconv.Itoa(int(d))
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// accessRow is an access event as it is printed.
type accessRow struct {
	At          time.Time             `json:"at"`
	Kind        eventstore.AccessKind `json:"kind"`
	Token       string                `json:"token,omitempty"`
	Role        string                `json:"role,omitempty"`
	District    domain.District       `json:"district,omitempty"`
	Centre      string                `json:"centre,omitempty"`
	Officer     string                `json:"officer,omitempty"`
	NKey        string                `json:"nkey,omitempty"`
	Certificate string                `json:"certificate,omitempty"`
	Expires     time.Time             `json:"expires,omitzero"`
	By          string                `json:"by"`
}

// auditRow is a recorded reading as it is printed.
type auditRow struct {
	At       time.Time       `json:"at"`
	Officer  string          `json:"officer"`
	Purpose  string          `json:"purpose"`
	District domain.District `json:"district"`
	Person   string          `json:"person_token"`  // zeros for a row in quarantine that names nobody by number
	Item     domain.UUID     `json:"item,omitzero"` // what was opened in quarantine
}
