package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
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
	readsPerDay     int
	registerCache   int64

	damaged []string // views whose files were, when this process opened the ledger
}

// run parses and calls, and turns the error into an exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{stdin: stdin, stdout: stdout, stderr: stderr, readsPerDay: readsPerDay()}
	root := p.root()
	root.SetArgs(args)
	return p.report(ctx, root.ExecuteContext(ctx))
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
		Version:           version(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}, // there is our own
	}
	root.SetVersionTemplate("bahi {{.Version}}\n")
	root.SetIn(p.stdin)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%w; see `%s --help`", err, c.CommandPath())
	})
	root.AddCommand(
		p.demoCommand(), p.serveCommand(),
		p.submitCommand(), p.countsCommand(), p.personCommand(), p.freezeCommand(), p.receiptCommand(), p.reversalCommand(),
		p.replayCommand(), p.projectionsCommand(), p.ledgerCommand(), p.auditCommand(), p.authorityCommand(),
		p.tokenCommand(), p.centreCommand(), p.natsConfigCommand(), p.quarantineCommand(),
		p.synthCommand(), p.benchCommand(), p.completionCommand(),
	)
	root.InitDefaultHelpCmd()
	strict(root)
	return root
}

// ledgerFlags adds the flags that say which ledger a verb is about.
func (p *program) ledgerFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&p.data, "data", "bahi-data", "directory of the ledger; when a service holds it, the verb talks to the service")
	f.StringVar(&p.keys, "keys", "", "directory of the keys (default: --data with \"-keys\" appended)")
	f.StringVar(&p.server, "server", "", "talk to the service at this URL instead, with a token")
	f.StringVar(&p.tokenFile, "token-file", "", "file with the token for --server (default: the variable BAHI_TOKEN)")
	f.StringVar(&p.nats, "nats", os.Getenv("BAHI_NATS"), "URL of an external NATS that keeps the ledger (default: the embedded server)")
	f.StringVar(&p.natsCreds, "nats-creds", os.Getenv("BAHI_NATS_CREDS"), "file that signs in to --nats: the seed of an nkey, or credentials")
}

func (p *program) jsonFlag(c *cobra.Command) {
	c.Flags().BoolVar(&p.json, "json", false, "print JSON on stdout")
}

func (p *program) sandboxFlag(c *cobra.Command) {
	c.Flags().BoolVar(&p.sandbox, "sandbox", false, "found the ledger as a sandbox: recorded times follow the submissions', so that real history can be replayed")
}
