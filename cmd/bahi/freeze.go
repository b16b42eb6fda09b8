package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/formats"
	"bahi/ledger"
	"bahi/vault"
)

func (p *program) freezeCommand() *cobra.Command {
	var district, groups, persons, mode, order, by, at, id string
	var standing bool
	c := &cobra.Command{
		Use:   "freeze --district CODE --order NO --by ID",
		Short: "Make the details of a district's people unreadable for good",
		Long: `Freeze orders a freeze as the authority, carries it out and prints its receipt.
There is no way back: the keys to the details are destroyed. Counts stay right,
and doses and reversals of frozen people go on counting.

In the mode handover (default) the keys are first sealed to the national
authority's adopted key, so that it, and only it, can still answer a citizen. In
the mode erase nobody can.

With --persons the freeze is of the people whose reference numbers stand in a file,
one a line, whatever their group; everybody else of the district stays readable.
Numbers are read from a file or the standard input and never from the command
line, which other users of the machine can see. A number that nobody of the
district has refuses the whole order.`,
		Example: `  bahi freeze --data ./ledger --district 208 --order DL/2021/117 --by authority
  bahi freeze --data ./ledger --district 208 --group HCW,FLW --standing --mode erase --order DL/2021/118 --by authority --json
  bahi freeze --data ./ledger --district 208 --persons list.txt --order DL/2021/119 --by authority`,
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("group") && strings.TrimSpace(groups) == "" {
				return usage("--group is empty; name groups, or leave it out to freeze them all")
			}
			f, err := freezeOf(id, district, groups, mode, order, by, at)
			if err != nil {
				return usage("%w", err)
			}
			f.Standing = standing
			if f.Persons, err = p.listed(c.Context(), persons); err != nil {
				return err
			}
			return p.withNew(c.Context(), vault.RoleAuthority, func(d door) error {
				receipt, err := d.Freeze(c.Context(), f)
				var refused *domain.Rejection
				if p.json && errors.As(err, &refused) {
					v := domain.Verdict{ID: f.ID.String(), Outcome: domain.Rejected, Reject: refused}
					fmt.Fprintf(p.stdout, "%s\n", formats.AppendVerdict(nil, v))
				}
				if err != nil {
					return err
				}
				if p.json {
					return p.print(receipt)
				}
				return p.printReceipt(receipt)
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	p.sandboxFlag(c)
	f := c.Flags()
	f.StringVar(&district, "district", "", "LGD code of the district")
	f.StringVar(&groups, "group", "", "priority groups, several with commas (default: all)")
	f.StringVar(&persons, "persons", "", "file with reference numbers, one a line, or - for the standard input: freeze these people alone")
	f.BoolVar(&standing, "standing", false, "later registrations in scope are born closed")
	f.StringVar(&mode, "mode", "handover", "handover or erase")
	f.StringVar(&order, "order", "", "number of the written order")
	f.StringVar(&by, "by", whoami(), "who ordered it")
	f.StringVar(&at, "at", "", "when it was ordered (default: now)")
	f.StringVar(&id, "id", "", "id of the order, to carry the same one out again (default: a new one)")
	must(c.MarkFlagRequired("district"))
	must(c.MarkFlagRequired("order"))
	return c
}

func freezeOf(id, district, groups, mode, order, by, at string) (f domain.Freeze, err error) {
	if f.Heading, err = heading(id, at); err != nil {
		return f, err
	}
	if f.District, err = domain.ParseDistrict(district); err != nil {
		return f, err
	}
	for name := range strings.SplitSeq(groups, ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		g, err := domain.ParseGroup(name)
		if err != nil {
			return f, err
		}
		f.Groups = append(f.Groups, g)
	}
	f.Mode, err = domain.ParseFreezeMode(mode)
	f.Order, f.By = order, by
	return f, err
}

// listed reads reference numbers, one a line. Blank lines are skipped; what is
// wrong with a number the ledger says, by its place.
func (p *program) listed(ctx context.Context, file string) (persons []domain.Reference, err error) {
	if file == "" {
		return nil, nil
	}
	in, err := p.input(ctx, file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		number := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if number == "" {
			continue
		}
		if len(persons) == domain.MaxListed {
			return nil, usage("a freeze lists at most %d persons; order several", domain.MaxListed)
		}
		persons = append(persons, domain.Reference(number))
	}
	if err := lines.Err(); err != nil {
		return nil, usage("cannot read the list of persons: %w", err)
	}
	if len(persons) == 0 {
		return nil, usage("the list of persons is empty; leave --persons out to freeze everybody")
	}
	return persons, nil
}

// heading makes the heading of a submission that a verb makes itself.
func heading(id, at string) (h domain.Heading, err error) {
	if id == "" {
		h.ID = domain.UUID(uuid.Must(uuid.NewV7()))
	} else if h.ID, err = domain.ParseUUID(id); err != nil {
		return h, err
	}
	if at == "" {
		h.At = time.Now()
		return h, nil
	}
	h.At, err = domain.ParseTime(at)
	return h, err
}

func (p *program) printReceipt(r ledger.FreezeReceipt) error {
	fmt.Fprintf(p.stdout, "frozen       %s people of %s (%d)\norder        commit %d\nkeys         %d destroyed\n",
		grouped(r.People), domain.DistrictName(r.District), r.District, r.Commit, r.KeysDestroyed)
	if r.Listed > r.People {
		fmt.Fprintf(p.stdout, "before       %s of the listed were frozen already\n", grouped(r.Listed-r.People))
	}
	if r.Handover != "" {
		fmt.Fprintf(p.stdout, "handover     %s\n", r.Handover)
	}
	for _, by := range r.Purged {
		fmt.Fprintf(p.stdout, "purged       %s", by.Holder)
		if by.Rows != nil {
			fmt.Fprintf(p.stdout, ": %s rows, residue %d", grouped(*by.Rows), *by.Residue)
		}
		fmt.Fprintln(p.stdout)
	}
	fmt.Fprintf(p.stdout, "completed    %s\n", r.CompletedAt.Format(time.RFC3339))
	return nil
}
