package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/ledger"
	"bahi/projections"
)

// The exit codes, as the contract has them.
const (
	exitDone     = 0
	exitFailed   = 1
	exitUsage    = 2
	exitMismatch = 3 // verify found a mismatch
	exitRejected = 4 // some submissions were rejected
	exitFrozen   = 5
	exitNotFound = 6
)

// exit is an error that asks for an exit code. Its message may be empty when
// what there is to say stands on stdout already.
type exit struct {
	code int
	err  error
}

func (e exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e exit) Unwrap() error { return e.err }

func usage(format string, args ...any) error {
	return exit{exitUsage, fmt.Errorf(format, args...)}
}

// program is one run of bahi: its streams and the flags that every verb shares.
type program struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	data, keys      string
	server          string
	tokenFile       string
	nats, natsCreds string
	json            bool
	sandbox         bool
}

// run parses and calls, and turns the error into an exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr}
	root := p.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	return p.report(err)
}

func (p *program) report(err error) int {
	if err == nil {
		return exitDone
	}
	code := exitFailed
	var asked exit
	switch {
	case errors.As(err, &asked):
		code = asked.code
	case errors.Is(err, ledger.ErrFrozen):
		code = exitFrozen
	case errors.Is(err, ledger.ErrNotFound):
		code = exitNotFound
	case errors.Is(err, ledger.ErrBadRequest):
		code = exitUsage
	}
	if message := err.Error(); message != "" {
		fmt.Fprintf(p.stderr, "bahi: error: %s\n", message)
	}
	if hint := hintFor(err); hint != "" {
		fmt.Fprintf(p.stderr, "bahi: hint: %s\n", hint)
	}
	return code
}

// hintFor says what to try next.
func hintFor(err error) string {
	var rejection *domain.Rejection
	var view *projections.ViewError
	switch {
	case errors.As(err, &rejection) && rejection.Code == domain.CodeAuthorityKeyMissing:
		return "make a key with `bahi authority keygen`, adopt it with `bahi authority adopt`, or order the freeze with --mode erase"
	case errors.As(err, &view):
		return fmt.Sprintf("the ledger has everything; rebuild the view with `bahi projections rebuild %s`", view.View)
	case errors.Is(err, os.ErrPermission):
		return "check who owns the directory, or give another with --data and --keys"
	}
	return ""
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "bahi",
		Short: "A vaccination ledger that counts everyone and, when told to, remembers no one",
		Long: `Bahi keeps registrations, doses, freezes and status reversals as events in a
ledger, counts them by district, and forgets a frozen person's details for good.

Start with the story:            bahi demo
Then keep a ledger of your own:  bahi submit --data ./ledger submissions.ndjson
                                 bahi counts --data ./ledger --district 208

Exit codes: 0 done; 1 failed; 2 usage; 3 verify found a mismatch;
4 some submissions were rejected; 5 refused: frozen; 6 not found.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w; see `%s --help`", err, c.CommandPath())
	})
	root.AddCommand(
		p.demoCommand(), p.serveCommand(),
		p.submitCommand(), p.countsCommand(), p.personCommand(), p.freezeCommand(), p.reversalCommand(),
		p.replayCommand(), p.projectionsCommand(), p.ledgerCommand(), p.auditCommand(), p.authorityCommand(),
		p.synthCommand(), p.benchCommand(),
	)
	strict(root)
	return root
}

// strict makes a wrong verb or a surplus argument a usage error everywhere.
func strict(c *cobra.Command) {
	if args := c.Args; c.Runnable() {
		if args == nil {
			args = cobra.NoArgs
		}
		c.Args = func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return usage("%s: %w; see `%s --help`", c.CommandPath(), err, c.CommandPath())
			}
			return nil
		}
	} else {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, given []string) error {
			if len(given) == 0 {
				return c.Help()
			}
			message := fmt.Sprintf("%s has no verb %q", c.CommandPath(), given[0])
			if near := c.SuggestionsFor(given[0]); len(near) > 0 {
				message += "; did you mean " + strings.Join(near, " or ") + "?"
			}
			return usage("%s; see `%s --help`", message, c.CommandPath())
		}
	}
	for _, verb := range c.Commands() {
		strict(verb)
	}
}

// ledgerFlags adds the flags that say which ledger a verb is about.
func (p *program) ledgerFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&p.data, "data", "bahi-data", "directory of the ledger; when a service holds it, the verb talks to the service")
	f.StringVar(&p.keys, "keys", "", "directory of the keys (default: --data with \"-keys\" appended)")
	f.StringVar(&p.server, "server", "", "talk to the service at this URL instead, with a token")
	f.StringVar(&p.tokenFile, "token-file", "", "file with the token for --server (default: the variable BAHI_TOKEN)")
	f.StringVar(&p.nats, "nats", os.Getenv("BAHI_NATS"), "URL of an external NATS that keeps the ledger (default: the embedded server)")
	f.StringVar(&p.natsCreds, "nats-creds", os.Getenv("BAHI_NATS_CREDS"), "credentials file for --nats")
	c.MarkFlagsMutuallyExclusive("server", "data")
	c.MarkFlagsMutuallyExclusive("server", "nats")
}

func (p *program) jsonFlag(c *cobra.Command) {
	c.Flags().BoolVar(&p.json, "json", false, "print JSON on stdout")
}

func (p *program) sandboxFlag(c *cobra.Command) {
	c.Flags().BoolVar(&p.sandbox, "sandbox", false, "found the ledger as a sandbox: recorded times follow the submissions', so that real history can be replayed")
}
