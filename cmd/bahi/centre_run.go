package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"bahi/centre"
	"bahi/domain"
)

// spoolFlags say where a centre keeps what waits.
type spoolFlags struct{ dir, keys string }

func (f *spoolFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.dir, "dir", "bahi-centre", "the centre's directory, with its folders and its spool")
	c.Flags().StringVar(&f.keys, "keys", "", "directory of the spool's keys (default: --dir with \"-keys\" appended)")
}

func (p *program) centreRun() *cobra.Command {
	var spool spoolFlags
	var at placeFlags
	var server, nkey, ca, intakeKey, listen string
	var maxBytes int64
	c := &cobra.Command{
		Use:   "run --district CODE --centre CODE --server URL",
		Short: "Keep submissions on a centre's own machine, and forward them while there is a link",
		Long: `Run takes submissions in on the centre's machine and forwards them to the ledger, in
their order, whenever the link is up. It never needs the link to take something in.

A file that is moved into DIR/in is read, in any format, and then lies with its
verdicts in DIR/done. Programs on the same machine post to /v1/submissions at
--listen, with the token in the file local.token of the keys directory, and find
verdicts under /v1/verdicts. What waits is sealed on the disk. When the spool is
full, more is refused; nothing is ever dropped.`,
		Example: `  bahi centre run --district 208 --centre 208001 --server tls://ledger.example:4222 --nkey 208001.nkey
  bahi centre run --dir /var/lib/bahi-centre --district 208 --centre 208001 --server nats://10.0.0.7:4222 --nkey 208001.nkey --intake-key intake.pub`,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			config := centre.Config{Dir: spool.dir, Keys: spool.keys, Server: server, Listen: listen, MaxBytes: maxBytes}
			if config.District, config.Centre, err = at.read(); err != nil {
				return err
			}
			if !isNATS(server) {
				return usage("--server: an address is nats://host:port or tls://host:port")
			}
			if maxBytes < 1<<20 {
				return usage("--max-bytes: a spool holds at least 1048576 bytes")
			}
			if nkey != "" {
				sign, err := nats.NkeyOptionFromSeed(nkey)
				if err != nil {
					return usage("--nkey: %s holds no nkey seed of a centre, as `bahi centre add --make-nkey` writes it: %w", nkey, err)
				}
				config.NATS = append(config.NATS, sign)
			}
			if ca != "" {
				config.NATS = append(config.NATS, nats.RootCAs(ca))
			}
			if intakeKey != "" {
				config.IntakeKey = func() ([]byte, error) { return readIntakeKey(intakeKey) }
				if _, err := config.IntakeKey(); err != nil {
					return err
				}
			}
			return p.runCentre(c.Context(), config)
		},
	}
	spool.add(c)
	at.add(c)
	f := c.Flags()
	f.StringVar(&server, "server", "", "address of the ledger's NATS server: nats://host:port or tls://host:port")
	f.StringVar(&nkey, "nkey", "", "file of the nkey seed that the centre signs in with")
	f.StringVar(&ca, "ca", "", "file of the certificate authority that the server's certificate is checked against (default: the system's)")
	f.StringVar(&intakeKey, "intake-key", "", "file of the ledger's intake key, read anew when the ledger has another (default: ask the server, and believe it)")
	f.StringVar(&listen, "listen", "127.0.0.1:8090", "address for programs on this machine; \"\" for none")
	f.Int64Var(&maxBytes, "max-bytes", centre.DefaultMaxBytes, "how much of the disk waiting submissions may take, and as much again for verdicts")
	_ = c.MarkFlagRequired("server")
	return c
}

func (p *program) runCentre(ctx context.Context, config centre.Config) (err error) {
	config.Log = slog.New(slog.NewJSONHandler(p.stderr, nil))
	c, err := centre.Open(ctx, config)
	if err != nil {
		return spoolError(config.Dir, err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return c.Run(ctx, func(address string) {
		where := "folder " + filepath.Join(config.Dir, "in")
		if address != "" {
			where = "http://" + address + ", " + where
		}
		fmt.Fprintf(p.stdout, "bahi centre %s of district %d ready on %s\n", config.Centre, config.District, where)
	})
}

// spoolError says what is in the way of a centre's directory.
func spoolError(dir string, err error) error {
	var other *centre.OtherCentreError
	switch {
	case errors.Is(err, centre.ErrLocked):
		return exit{exitFailed, fmt.Errorf("%s is in use by another bahi", dir)}
	case errors.As(err, &other):
		return exit{exitUsage, fmt.Errorf("%s is the directory of centre %s of district %d; each centre has one of its own", dir, other.Centre, other.District)}
	}
	return err
}

// spool is what the verbs need of a centre's directory: the directory itself, or
// the process that holds it.
type spool interface {
	Status(context.Context) (centre.Status, error)
	Verdicts(ctx context.Context, bundle domain.UUID, rejected bool, out io.Writer) error
	Retry(ctx context.Context, bundle domain.UUID) (int, error)
}

// withSpool opens a centre's directory that is there, or finds who holds it.
func withSpool(ctx context.Context, f spoolFlags, do func(spool) error) (err error) {
	if !centre.IsDir(f.dir) {
		return exit{exitNotFound, fmt.Errorf("there is no centre in %s; check --dir, or begin one with `bahi centre run`", f.dir)}
	}
	c, err := centre.Open(ctx, centre.Config{Dir: f.dir, Keys: f.keys})
	if errors.Is(err, centre.ErrLocked) {
		local, err := centre.Find(f.dir, f.keys)
		if err != nil {
			return spoolError(f.dir, err)
		}
		return spoolProblem(do(local))
	}
	if err != nil {
		return spoolError(f.dir, err)
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return spoolProblem(do(c))
}

// spoolProblem gives a centre's answer its exit code.
func spoolProblem(err error) error {
	var p *centre.Problem
	if errors.As(err, &p) && p.Code == "not_found" {
		return exit{exitNotFound, err}
	}
	return err
}

func (p *program) centreStatus() *cobra.Command {
	var f spoolFlags
	c := &cobra.Command{
		Use:   "status",
		Short: "What waits on a centre's machine, and whether the ledger is in reach",
		Long: `Status says how many bundles wait and since when, whether the link to the ledger is
up, and which bundles the ledger could not take in. Those are kept until they are
tried again with ` + "`bahi centre retry`" + `.`,
		Example: "  bahi centre status --dir /var/lib/bahi-centre",
		RunE: func(c *cobra.Command, _ []string) error {
			return withSpool(c.Context(), f, func(s spool) error {
				status, err := s.Status(c.Context())
				if err != nil {
					return err
				}
				if p.json {
					return p.print(status)
				}
				_, err = io.WriteString(p.stdout, statusWords(status))
				return err
			})
		},
	}
	f.add(c)
	p.jsonFlag(c)
	return c
}

// statusWords puts a centre's status into words.
func statusWords(s centre.Status) string {
	var b strings.Builder
	when := func(t time.Time) string { return t.In(domain.IndianStandardTime).Format("2006-01-02 15:04") }
	fmt.Fprintf(&b, "centre     %s of district %d\n", s.Centre, s.District)
	fmt.Fprintf(&b, "waiting    %s bundles, %s of %s bytes", grouped(int64(s.Waiting.Bundles)), grouped(int64(s.Waiting.Bytes)), grouped(s.Waiting.Limit))
	if s.Waiting.Oldest != nil {
		fmt.Fprintf(&b, ", the oldest since %s", when(*s.Waiting.Oldest))
	}
	fmt.Fprintf(&b, "\nfiles      %d taken in without all of their verdicts\n", s.Waiting.Files)
	if s.Waiting.Full {
		b.WriteString("           the spool is full: a file waits for room\n")
	}
	switch r := s.Running; {
	case r == nil:
		b.WriteString("link       nobody forwards; start `bahi centre run`\n")
	case r.Link.Up:
		fmt.Fprintf(&b, "link       up since %s, %s", when(r.Link.Since), r.Link.Server)
		if r.Link.Fault != "" {
			fmt.Fprintf(&b, ": %s", r.Link.Fault)
		}
		b.WriteString("\n")
	default:
		fmt.Fprintf(&b, "link       down since %s, %s: %s\n", when(r.Link.Since), r.Link.Server, r.Link.Fault)
	}
	if r := s.Running; r != nil {
		fmt.Fprintf(&b, "since then %s accepted, %s duplicate, %s rejected\n", grouped(r.Verdicts.Accepted), grouped(r.Verdicts.Duplicate), grouped(r.Verdicts.Rejected))
		if r.LastSuccess != nil {
			fmt.Fprintf(&b, "answered   last at %s\n", when(*r.LastSuccess))
		}
		if r.Holding != "" {
			fmt.Fprintf(&b, "held       %s: nothing goes on until this is mended\n", r.Holding)
		}
	}
	for _, r := range s.Refused {
		fmt.Fprintf(&b, "refused    bundle %s at %s: %s\n", r.Bundle, when(r.At), r.Code)
	}
	return b.String()
}

// bundleFlag names one bundle, or none.
func bundleFlag(c *cobra.Command, id *string, usage string) {
	c.Flags().StringVar(id, "bundle", "", usage)
}

func bundleOf(id string) (domain.UUID, error) {
	if id == "" {
		return domain.UUID{}, nil
	}
	u, err := domain.ParseUUID(id)
	if err != nil {
		return u, usage("--bundle: %w", err)
	}
	return u, nil
}

func (p *program) centreVerdicts() *cobra.Command {
	var f spoolFlags
	var id string
	var rejected bool
	c := &cobra.Command{
		Use:   "verdicts",
		Short: "The verdicts that came back to a centre's machine, one a line",
		Long: `Verdicts prints what the ledger said of the submissions that were kept on this
machine, for 30 days. Each line names its bundle. A bundle that has no verdicts is
one line that says why: it is waiting, or it was refused.`,
		Example: `  bahi centre verdicts --dir /var/lib/bahi-centre --rejected
  bahi centre verdicts --dir /var/lib/bahi-centre --bundle 018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001`,
		RunE: func(c *cobra.Command, _ []string) error {
			bundle, err := bundleOf(id)
			if err != nil {
				return err
			}
			return withSpool(c.Context(), f, func(s spool) error {
				return s.Verdicts(c.Context(), bundle, rejected, p.stdout)
			})
		},
	}
	f.add(c)
	bundleFlag(c, &id, "only those of this bundle")
	c.Flags().BoolVar(&rejected, "rejected", false, "only rejections")
	c.Flags().Bool("json", true, "verdicts are always JSON, one a line")
	return c
}

func (p *program) centreRetry() *cobra.Command {
	var f spoolFlags
	var id string
	c := &cobra.Command{
		Use:   "retry",
		Short: "Send the ledger again what it could not take in",
		Long: `Retry has bundles tried again that the ledger refused as a whole, each in its old
place in the order. ` + "`bahi centre status`" + ` lists them with the code of the reason.`,
		Example: `  bahi centre retry --dir /var/lib/bahi-centre
  bahi centre retry --dir /var/lib/bahi-centre --bundle 018f3c1e-7a52-7bb0-9a1c-2f64d1c0a001`,
		RunE: func(c *cobra.Command, _ []string) error {
			bundle, err := bundleOf(id)
			if err != nil {
				return err
			}
			return withSpool(c.Context(), f, func(s spool) error {
				n, err := s.Retry(c.Context(), bundle)
				if err != nil {
					return err
				}
				if n == 0 && bundle != (domain.UUID{}) {
					return exit{exitNotFound, fmt.Errorf("no bundle %s is set aside; see `bahi centre status`", bundle)}
				}
				if p.json {
					return p.print(centre.Retried{Bundles: n})
				}
				fmt.Fprintf(p.stdout, "%d bundles are tried again\n", n)
				return nil
			})
		},
	}
	f.add(c)
	bundleFlag(c, &id, "only this bundle")
	p.jsonFlag(c)
	return c
}
