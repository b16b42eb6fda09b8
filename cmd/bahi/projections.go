package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
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
					fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s%s\n", v.Name, v.Version, grouped(int64(v.Folded)), grouped(int64(v.Head)), grouped(int64(v.Lag)), remark(v))
				}
				return w.Flush()
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	return c
}

// remark says what else there is to know of a view.
func remark(v projections.ViewStatus) (s string) {
	switch {
	case v.Step != "" && v.Total > 0:
		s = fmt.Sprintf("\trebuilding, %s %s of %s, %s events/s, %.0f s left", v.Step, grouped(int64(v.Building)), grouped(int64(v.Total)), grouped(int64(v.Rate)), v.Left)
	case v.Step != "":
		s = fmt.Sprintf("\trebuilding, %s", v.Step)
	case v.Building > 0:
		s = fmt.Sprintf("\ta rebuild was stopped at %s", grouped(int64(v.Building)))
	}
	if v.Trouble != "" {
		s += "\t" + v.Trouble
	}
	return s
}

// rebuilding are the flags of a rebuild.
type rebuilding struct {
	projections.RebuildOptions
	abort bool
}

func (p *program) projectionsRebuild() *cobra.Command {
	var flags rebuilding
	c := &cobra.Command{
		Use:   "rebuild [NAME…]",
		Short: "Fold views anew from the ledger, orders first; without names all of them",
		Long: `Rebuild folds a view anew beside the live one, compares the two, and swaps the new one in. The
live one answers meanwhile, and nobody notices the swap. A freeze that lands in the middle holds
in both. Stopped with ^C, or killed, it goes on where it was: at the next rebuild, or when the
ledger is next opened. With --abort what was built is thrown away.

With --json there is a line for every step and every second of it, and one for what came of each
view.`,
		Example: `  bahi projections rebuild people --data ./ledger
  bahi projections rebuild counts --dry-run --data ./ledger
  bahi projections rebuild people --to 120000 --data ./ledger`,
		ValidArgs: ledger.Views(),
		Args:      cobra.OnlyValidArgs,
		RunE: func(c *cobra.Command, names []string) error {
			if flags.abort && (flags.DryRun || flags.To > 0) {
				return usage("--abort stands alone")
			}
			if len(names) == 0 {
				names = ledger.Views()
			}
			defer p.boundMemory()()
			return p.with(c.Context(), vault.RoleOperator, func(d door) error {
				for _, name := range names {
					if err := p.rebuild(c.Context(), d, name, flags); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	p.ledgerFlags(c)
	p.jsonFlag(c)
	f := c.Flags()
	f.BoolVar(&flags.DryRun, "dry-run", false, "build and compare, and throw away what was built")
	f.Uint64Var(&flags.To, "to", 0, "build through this sequence of the ledger and print the digest of what there was, less who is frozen by now; a dry run without a comparison")
	f.BoolVar(&flags.abort, "abort", false, "stop a rebuild and throw away what was built, also of one that was stopped before")
	return c
}

// heapLimit is what Go's memory is kept to while a verb reads the whole ledger, where
// what is in use lets it. What Pebble keeps beside it is bound by its caches.
const heapLimit = 256 << 20

// boundMemory has memory collected more often near the limit, until back is called, and
// little kept for look-ups, of which a verb makes none. An operator's GOMEMLIMIT goes
// before.
func (p *program) boundMemory() (back func()) {
	p.registerCache = 16 << 20
	if os.Getenv("GOMEMLIMIT") != "" {
		return func() {}
	}
	before := debug.SetMemoryLimit(heapLimit)
	return func() { debug.SetMemoryLimit(before) }
}

func (p *program) rebuild(ctx context.Context, d door, name string, flags rebuilding) error {
	if flags.abort {
		return p.abortRebuild(ctx, d, name)
	}
	tell, done := p.rebuildProgress()
	out, err := d.RebuildView(ctx, name, flags.RebuildOptions, tell)
	done()
	if err != nil {
		return err
	}
	if p.json {
		return p.print(rebuildLine{Result: &out})
	}
	_, err = fmt.Fprintln(p.stdout, rebuiltText(out))
	return err
}

// rebuildLine is a line of a rebuild in JSON, the same as the service's.
type rebuildLine struct {
	Progress *projections.Progress `json:"progress,omitempty"`
	Result   *projections.Rebuilt  `json:"result,omitempty"`
}

// rebuildProgress shows how far a rebuild is, until done is called.
func (p *program) rebuildProgress() (tell func(projections.Progress), done func()) {
	if p.json {
		var spoke time.Time
		var step projections.Step
		return func(now projections.Progress) {
			if now.Step != step || time.Since(spoke) >= time.Second {
				spoke, step = time.Now(), now.Step
				_ = p.print(rebuildLine{Progress: &now}) // the result tells of a stream that is gone
			}
		}, func() {}
	}
	var bar *meter
	var step projections.Step
	return func(now projections.Progress) {
		if now.Step != step {
			bar.done()
			bar, step = p.meter(fmt.Sprintf("rebuilding %s, %s", now.View, now.Step)), now.Step
		}
		bar.pace(now.Rate)
		bar.to(int64(now.Done), int64(now.Total))
	}, func() { bar.done() }
}

func rebuiltText(out projections.Rebuilt) string {
	verb := "rebuilt"
	if !out.Swapped {
		verb = "built"
	}
	s := fmt.Sprintf("%s %s from %s commits", out.View, verb, grouped(int64(out.Through)))
	switch {
	case out.Continued > 0:
		s += fmt.Sprintf(", going on behind %s", grouped(int64(out.Continued)))
	case out.Anew != "":
		s += fmt.Sprintf(", from the first on: of what there was before, %s", out.Anew)
	}
	switch out.Compared {
	case projections.Different:
		s += fmt.Sprintf("; the one before differed in %s", strings.Join(out.Differs, ", "))
	case projections.Damaged:
		s += "; the one before could not be read to its end"
	}
	if out.Swapped {
		return s
	}
	if out.Compared == projections.Equal {
		s += "; the live one is the same"
	}
	return s + "\ndigest " + out.Digest
}

func (p *program) abortRebuild(ctx context.Context, d door, name string) error {
	aborted, err := d.AbortRebuild(ctx, name)
	if err != nil {
		return err
	}
	if p.json {
		return p.print(map[string]any{"view": name, "aborted": aborted})
	}
	says := "nothing was being built of %s\n"
	if aborted {
		says = "what was built of %s is thrown away\n"
	}
	_, err = fmt.Fprintf(p.stdout, says, name)
	return err
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
			defer p.boundMemory()()
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
