package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"bahi/ledger"
	"bahi/projections"
	"bahi/vault"
)

func (p *program) projectionsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "projections",
		Short: "Status, rebuild and verification of the views that are folded from the ledger",
		Example: `  bahi projections status --data ./ledger
  bahi projections rebuild people --data ./ledger
  bahi projections verify --data ./ledger --json`,
	}
	c.AddCommand(p.projectionsStatus(), p.projectionsRebuild(), p.projectionsVerify())
	return c
}

func (p *program) projectionsStatus() *cobra.Command {
	c := &cobra.Command{
		Use:     "status",
		Short:   "How far each view has folded the ledger",
		Example: "  bahi projections status --data ./ledger --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), vault.RoleOperator, func(d door) error {
				views, err := d.Projections(c.Context())
				if err != nil {
					return err
				}
				if p.json {
					return p.print(views)
				}
				w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "view\tversion\tfolded\thead\tlag")
				for _, v := range views {
					fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\n", v.Name, v.Version, grouped(int64(v.Folded)), grouped(int64(v.Head)), grouped(int64(v.Head-v.Folded)))
				}
				return w.Flush()
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	return c
}

func (p *program) projectionsRebuild() *cobra.Command {
	c := &cobra.Command{
		Use:   "rebuild [NAME…]",
		Short: "Fold views anew from the ledger, orders first; without names all of them",
		Long: `Rebuild folds a view anew beside the live one, compares, and swaps it in. The
orders are read first, so that a frozen person's details are never materialised,
not even for a moment. A view whose files are damaged is thrown away first.`,
		Example:   "  bahi projections rebuild people --data ./ledger",
		ValidArgs: ledger.Views(),
		Args:      cobra.OnlyValidArgs,
		RunE:      func(c *cobra.Command, names []string) error { return p.rebuild(c.Context(), names) },
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	return c
}

func (p *program) rebuild(ctx context.Context, names []string) error {
	if len(names) == 0 {
		names = ledger.Views()
	}
	discarded, err := p.discardDamaged(ctx, names)
	if err != nil {
		return err
	}
	return p.with(ctx, vault.RoleOperator, func(d door) error {
		bars := map[string]*meter{}
		left := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(discarded, n) })
		if len(left) > 0 {
			err := d.Rebuild(ctx, left, func(name string, done, total uint64) {
				if bars[name] == nil {
					bars[name] = p.meter("rebuilding " + name)
				}
				bars[name].to(int64(done), int64(total))
				if done >= total {
					bars[name].done()
				}
			})
			if err != nil {
				return err
			}
		}
		views, err := p.folded(ctx, d, names)
		if err != nil {
			return err
		}
		if p.json {
			return p.print(views)
		}
		for _, v := range views {
			fmt.Fprintf(p.stdout, "%s rebuilt from %s commits\n", v.Name, grouped(int64(v.Folded)))
		}
		return nil
	})
}

// folded waits until the named views have folded what the ledger holds: those
// that were thrown away begin anew.
func (p *program) folded(ctx context.Context, d door, names []string) ([]projections.ViewStatus, error) {
	bar := p.meter("folding")
	defer bar.done()
	for {
		views, err := d.Projections(ctx)
		if err != nil {
			return nil, err
		}
		views = slices.DeleteFunc(views, func(v projections.ViewStatus) bool { return !slices.Contains(names, v.Name) })
		var done, head uint64
		for _, v := range views {
			done, head = done+v.Folded, head+v.Head
		}
		if done >= head {
			return views, nil
		}
		bar.to(int64(done), int64(head))
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// discardDamaged opens the ledger once, and throws away those of the named views
// that cannot be opened; opening it again folds them anew.
func (p *program) discardDamaged(ctx context.Context, names []string) (discarded []string, err error) {
	if p.server != "" {
		return nil, nil
	}
	if err := p.checkThere(); err != nil {
		return nil, err
	}
	for range names {
		l, err := ledger.Open(ctx, p.config(nil))
		if err == nil {
			return discarded, l.Close(ctx)
		}
		var view *projections.ViewError
		switch {
		case errors.Is(err, ledger.ErrLocked):
			return nil, nil // a service holds it; it opened its views
		case errors.As(err, &view) && slices.Contains(names, view.View) && !slices.Contains(discarded, view.View):
			fmt.Fprintf(p.stderr, "the view %s cannot be opened; folding it anew\n", view.View)
			if err := ledger.DiscardView(p.config(nil), view.View); err != nil {
				return nil, err
			}
			discarded = append(discarded, view.View)
		default:
			return nil, err
		}
	}
	return discarded, nil
}

func (p *program) projectionsVerify() *cobra.Command {
	c := &cobra.Command{
		Use:       "verify [NAME…]",
		Short:     "Fold views again into a temporary place and compare; exit code 3 on a mismatch",
		Example:   "  bahi projections verify --data ./ledger",
		ValidArgs: ledger.Views(),
		Args:      cobra.OnlyValidArgs,
		RunE: func(c *cobra.Command, names []string) error {
			if len(names) == 0 {
				names = ledger.Views()
			}
			return p.with(c.Context(), vault.RoleOperator, func(d door) error {
				bars := map[string]*meter{}
				report, err := d.VerifyProjections(c.Context(), names, func(name string, done, total uint64) {
					if bars[name] == nil {
						bars[name] = p.meter("verifying " + name)
					}
					bars[name].to(int64(done), int64(total))
				})
				for _, bar := range bars {
					bar.done()
				}
				if err != nil {
					return err
				}
				return p.printVerify(report)
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	return c
}
