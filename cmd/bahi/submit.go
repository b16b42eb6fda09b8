package main

import (
	"bufio"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/formats"
	"bahi/intake"
	"bahi/vault"
)

func (p *program) submitCommand() *cobra.Command {
	var format, as string
	var centre centreFlags
	c := &cobra.Command{
		Use:   "submit FILE|-",
		Short: "Submit registrations, doses and other submissions; prints one verdict each",
		Long: `Submit reads submissions, one a line, and prints one verdict each, in the order of
the input. A bad line is rejected with a code and a reason; it never stops the
next. What was stored before answers as a duplicate, so a file whose submission
was cut off is simply submitted again.

Exit code 4 says that some submissions were rejected.`,
		Example: `  bahi submit --data ./ledger submissions.ndjson
  bahi submit --server http://127.0.0.1:8080 --token-file centre.token - < submissions.ndjson
  bahi submit --server nats://127.0.0.1:4222 --token-file nats-centre.token --district 208 --centre 208001 submissions.ndjson
  bahi submit --data ./ledger --as authority orders.ndjson`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "ndjson" {
				return usage("the format %q is not read yet; this version reads ndjson", format)
			}
			if as != vault.RoleCentre && as != vault.RoleAuthority {
				return usage("--as is centre or authority")
			}
			return p.submit(c.Context(), args[0], as, centre)
		},
	}
	p.ledgerFlags(c)
	p.sandboxFlag(c)
	f := c.Flags()
	f.StringVar(&format, "format", "ndjson", "format of the input: ndjson")
	f.StringVar(&as, "as", vault.RoleCentre, "whose credential to act with: centre or authority (freezes and reversal decisions need the authority's)")
	f.StringVar(&centre.district, "district", "", "with --server nats://…: the district whose subject to publish to")
	f.StringVar(&centre.centre, "centre", "", "with --server nats://…: the centre whose subject to publish to")
	f.StringVar(&centre.intakeKey, "intake-key", "", "with --server nats://…: file of the ledger's intake key (default: ask the server, and believe it)")
	f.Bool("json", true, "verdicts are always JSON, one a line")
	return c
}

func (p *program) submit(ctx context.Context, name, as string, centre centreFlags) error {
	in, err := p.input(ctx, name)
	if err != nil {
		return err
	}
	defer in.Close()
	d, err := p.openSubmitter(ctx, as, centre)
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(p.stdout, 64<<10)
	bar := p.meter("submitting")
	var line []byte
	var answered int64
	tally, err := intake.Submit(ctx, formats.ReadNDJSON(in), d.Submit, func(v domain.Verdict) error {
		answered++
		bar.to(answered, 0)
		line = append(formats.AppendVerdict(line[:0], v), '\n')
		_, err := out.Write(line)
		return err
	})
	bar.done()
	if flushErr := out.Flush(); err == nil {
		err = flushErr
	}
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	summary := fmt.Sprintf("%s accepted, %s duplicate, %s rejected", grouped(tally.Accepted), grouped(tally.Duplicate), grouped(tally.Rejected))
	if tally.Undecided > 0 {
		summary += fmt.Sprintf(", %s read and without a verdict", grouped(tally.Undecided))
	}
	fmt.Fprintln(p.stderr, summary)
	if err != nil {
		return err
	}
	if tally.Rejected > 0 {
		return exit{code: exitRejected}
	}
	return nil
}

// submitter is where a bundle goes.
type submitter interface {
	Submit(context.Context, []domain.Submission) ([]domain.Verdict, error)
	Close() error
}

// openSubmitter opens a ledger or a service, or, for a NATS address, the client
// that publishes as a centre.
func (p *program) openSubmitter(ctx context.Context, as string, f centreFlags) (submitter, error) {
	if isNATS(p.server) {
		return p.openCentre(f)
	}
	return p.open(ctx, as)
}
