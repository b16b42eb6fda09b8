package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"bahi/access"
	"bahi/domain"
	"bahi/vault"
)

func (p *program) tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Tokens of access: issue, list, revoke, unlock",
		Long: `A token lets its bearer do what one role may, in one district, as one centre or one
officer, for some hours. The ledger keeps its id and never its text. A token that asks
for too many people whom it may not see, or whom nobody knows, is locked.`,
		Example: `  bahi token issue --data ./ledger --role officer --district 208 --officer dio-208-3 --out dio.token
  bahi token list --data ./ledger`,
	}
	c.AddCommand(p.tokenIssue(), p.tokenList(),
		p.tokenChange("revoke", "End a token for good, by its id", "revoked", door.RevokeToken),
		p.tokenChange("unlock", "Take a lock off a token, an officer's use of a role's token, or a centre", "unlocked", door.UnlockToken))
	return c
}

func (p *program) tokenIssue() *cobra.Command {
	var grant access.Grant
	var district, life, out string
	c := &cobra.Command{
		Use:   "issue --role ROLE",
		Short: "Issue a token; its text is shown this once",
		Long: `Issue makes a token for a centre (bound to a district and a centre), an officer (bound
to a district and an officer's id), an analyst (bound to a district, if one is given),
an operator, an auditor, or the authority. It lives 8 hours unless --for says
otherwise: at most 30 days, a centre's 90.

The text goes to the file --out, readable by its owner alone, or to stdout.`,
		Example: `  bahi token issue --data ./ledger --role officer --district 208 --officer dio-208-3 --out dio.token
  bahi token issue --data ./ledger --role centre --district 208 --centre 208001 --for 90d --out 208001.token`,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if district != "" {
				if grant.District, err = domain.ParseDistrict(district); err != nil {
					return usage("--district: %w", err)
				}
			}
			if grant.For, err = parseLife(life); err != nil {
				return err
			}
			return p.withNew(c.Context(), vault.RoleAuthority, func(d door) error {
				return p.issue(out, func() (access.Issued, error) { return d.IssueToken(c.Context(), grant) })
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	f := c.Flags()
	f.StringVar(&grant.Role, "role", "", "the role: "+strings.Join(vault.Roles(), ", "))
	f.StringVar(&district, "district", "", "the only district that it may act in")
	f.StringVar(&grant.Centre, "centre", "", "the only centre that it may act as")
	f.StringVar(&grant.Officer, "officer", "", "the officer who it is for")
	f.StringVar(&life, "for", "", "how long it lives, such as 8h or 30d (default 8h)")
	f.StringVar(&out, "out", "", "file for the token (default: stdout)")
	return c
}

// parseLife reads a duration that may be in days.
func parseLife(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	life, err := time.ParseDuration(s)
	if days, found := strings.CutSuffix(s, "d"); found {
		var n int
		if n, err = strconv.Atoi(days); n > 365 {
			err = errors.New("too long")
		}
		life = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || life <= 0 {
		return 0, usage("--for: a life is a number of hours or days, such as 8h or 30d")
	}
	return life, nil
}

// issue shows a token's text once: in a file, or on stdout. The file is there before
// the token, so that none is issued whose text nobody has.
func (p *program) issue(file string, issue func() (access.Issued, error)) (err error) {
	var to io.Writer = p.stdout
	if file != "" {
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return exit{exitUsage, fmt.Errorf("the token needs a new file: %w", err)}
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		to = f
	}
	issued, err := issue()
	if err != nil {
		if file != "" {
			err = errors.Join(err, os.Remove(file))
		}
		return err
	}
	if p.json && file == "" {
		return p.print(issued)
	}
	if _, err := fmt.Fprintln(to, issued.Text); err != nil {
		return fmt.Errorf("the token %s was issued and cannot be written; revoke it: %w", issued.ID, err)
	}
	if file == "" {
		fmt.Fprintf(p.stderr, "token %s, until %s\n", issued.ID, clock(issued.Expires))
		return nil
	}
	if p.json {
		return p.print(issued.Token)
	}
	_, err = fmt.Fprintf(p.stdout, "token %s, until %s, in %s\n", issued.ID, clock(issued.Expires), file)
	return err
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(domain.IndianStandardTime).Format(time.RFC3339)
}

func (p *program) tokenList() *cobra.Command {
	c := &cobra.Command{
		Use:     "list",
		Short:   "Tokens that were issued and have not long expired, and what is locked",
		Example: "  bahi token list --data ./ledger --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), vault.RoleAuthority, func(d door) error {
				tokens, err := d.Tokens(c.Context())
				if err != nil {
					return err
				}
				if p.json {
					return p.print(tokens)
				}
				w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "id\tstate\trole\tdistrict\tcentre\tofficer\tissued\texpires\tby")
				for _, t := range tokens {
					district := "-"
					if t.District != 0 {
						district = strconv.Itoa(int(t.District))
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", t.ID, t.State, dash(t.Role), district,
						dash(t.Centre), dash(t.Officer), clock(t.Issued), clock(t.Expires), dash(t.By))
				}
				return w.Flush()
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	return c
}

// tokenChange is a verb about one token that is named by its id.
func (p *program) tokenChange(verb, short, done string, change func(door, context.Context, string) error) *cobra.Command {
	c := &cobra.Command{
		Use:     verb + " ID",
		Short:   short,
		Example: "  bahi token " + verb + " --data ./ledger ZNJ5RQ6TTQ6OCTYGVSQTKB6AQX",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := access.CheckID(args[0]); err != nil {
				return exit{exitUsage, err}
			}
			return p.with(c.Context(), vault.RoleAuthority, func(d door) error {
				if err := change(d, c.Context(), args[0]); err != nil {
					return err
				}
				_, err := fmt.Fprintf(p.stdout, "token %s %s\n", args[0], done)
				return err
			})
		},
	}
	p.ledgerFlags(c)
	return c
}
