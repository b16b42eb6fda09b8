package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"bahi/domain"
	"bahi/formats"
	"bahi/intake"
	"bahi/vault"
)

func (p *program) submitCommand() *cobra.Command {
	var as string
	var centre centreFlags
	var reading readingFlags
	c := &cobra.Command{
		Use:   "submit FILE|-",
		Short: "Submit registrations, doses and other submissions; prints one verdict each",
		Long: `Submit reads submissions and prints one verdict each, in the order of the input. A
bad one is rejected with a code and a reason; it never stops the next. What was
stored before answers as a duplicate, so a file whose submission was cut off is
simply submitted again.

The formats are ndjson, the ledger's own; csv, with own columns or DIVOC's; divoc,
bodies of its calls to certify; fhir, Immunizations and Patients of R4, alone or in
Bundles; cowin, bodies of the calls for vaccinators. What the ledger does not
collect is dropped before anything is written, and named in the verdict.

Foreign records leave things unsaid: --district, --centre and --at say them for the
whole file, and --group puts everybody into one group. Without it the group goes by
age, as on 1 January 2022.

Exit code 4 says that some submissions were rejected.`,
		Example: `  bahi submit --data ./ledger submissions.ndjson
  bahi submit --data ./ledger --district 208 --centre 208001 certificates.csv
  bahi submit --data ./ledger --format fhir --district 208 --at 2021-03-01 patients.ndjson
  bahi submit --server http://127.0.0.1:8080 --token-file centre.token - < submissions.ndjson
  bahi submit --server nats://127.0.0.1:4222 --nkey 208001.nkey --district 208 --centre 208001 submissions.ndjson
  bahi submit --data ./ledger --as authority orders.ndjson`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if as != vault.RoleCentre && as != vault.RoleAuthority {
				return usage("--as is centre or authority")
			}
			options, err := reading.options(centre)
			if err != nil {
				return err
			}
			return p.submit(c.Context(), args[0], as, centre, options)
		},
	}
	p.ledgerFlags(c)
	p.sandboxFlag(c)
	f := c.Flags()
	f.StringVar(&reading.format, "format", "", "format of the input: ndjson, csv, divoc, fhir or cowin (default: found by its content)")
	f.StringVar(&reading.group, "group", "", "the group of everybody registered from a foreign format, such as HCW (default: by age)")
	f.StringVar(&reading.at, "at", "", "the date of registrations that say none, such as 2021-03-01")
	f.StringVar(&as, "as", vault.RoleCentre, "whose credential to act with: centre or authority (freezes and reversal decisions need the authority's)")
	f.StringVar(&centre.district, "district", "", "the district where a foreign record names none; with --server nats://…: the one whose subject to publish to")
	f.StringVar(&centre.centre, "centre", "", "the centre where a foreign record names none; with --server nats://…: the one whose subject to publish to")
	f.StringVar(&centre.nkey, "nkey", "", "with --server nats://…: file of the nkey seed that the centre signs in with")
	f.StringVar(&centre.ca, "ca", "", "with --server tls://…: file of the certificate authority that the server's certificate is checked against (default: the system's)")
	f.StringVar(&centre.intakeKey, "intake-key", "", "with --server nats://…: file of the ledger's intake key (default: ask the server, and believe it)")
	f.Bool("json", true, "verdicts are always JSON, one a line")
	return c
}

// readingFlags say how an input is to be read, besides district and centre.
type readingFlags struct{ format, group, at string }

func (f readingFlags) options(centre centreFlags) (o formats.Options, err error) {
	if f.format != "" {
		if o.Format, err = formats.ParseFormat(f.format); err != nil {
			return o, usage("--format: %w", err)
		}
	}
	if f.group != "" {
		if o.Group, err = domain.ParseGroup(f.group); err != nil {
			return o, usage("--group: %w", err)
		}
	}
	if f.at != "" {
		if o.At, err = domain.ParseTime(f.at); err != nil {
			return o, usage("--at: %w", err)
		}
	}
	if centre.district != "" {
		if o.District, err = domain.ParseDistrict(centre.district); err != nil {
			return o, usage("--district: %w", err)
		}
	}
	if o.Centre = centre.centre; o.Centre != "" {
		if err := checkCentre(o.Centre); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (p *program) submit(ctx context.Context, name, as string, centre centreFlags, o formats.Options) error {
	in, err := p.input(ctx, name)
	if err != nil {
		return err
	}
	defer in.Close()
	d, err := p.openSubmitter(ctx, as, centre)
	if err != nil {
		return err
	}
	items, err := formats.Read(in, o)
	if err != nil {
		return errors.Join(fmt.Errorf("reading the input: %w", err), d.Close())
	}
	out := bufio.NewWriterSize(p.stdout, 64<<10)
	bar := p.meter("submitting")
	var line []byte
	var answered int64
	told := func(v domain.Verdict) error {
		answered++
		bar.to(answered, 0)
		line = append(formats.AppendVerdict(line[:0], v), '\n')
		_, err := out.Write(line)
		return err
	}
	var tally intake.Tally
	if here, ok := d.(direct); ok {
		tally, err = intake.SubmitAhead(ctx, items, here.Queue, told)
	} else {
		tally, err = intake.Submit(ctx, items, d.Submit, told)
	}
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
