package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"bahi/intake"
	"bahi/ledger"
	"bahi/web"
)

// drainTime bounds how long a service that was told to end works on what it has.
const drainTime = 20 * time.Second

func (p *program) serveCommand() *cobra.Command {
	var listen, listenNATS string
	c := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Run the service: HTTP, and bundles that centres publish over NATS",
		Long: `Serve holds a ledger and opens its doors: HTTP on --listen, and sealed bundles that
centres publish to intake.<district>.<centre>. It prints one line when it is ready
and ends cleanly on SIGTERM.

The first start writes one token per role beside the keys, in KEYS/tokens. The
ledger is kept by an embedded JetStream server unless --nats names another.`,
		Example: `  bahi serve --data ./ledger
  bahi serve --data ./ledger --listen 127.0.0.1:9000 --listen-nats 127.0.0.1:4222
  bahi serve --data ./ledger --nats nats://10.0.0.7:4222`,
		RunE: func(c *cobra.Command, _ []string) error { return p.serve(c.Context(), listen, listenNATS) },
	}
	f := c.Flags()
	f.StringVar(&p.data, "data", "bahi-data", "directory of the ledger")
	f.StringVar(&p.keys, "keys", "", "directory of the keys (default: --data with \"-keys\" appended)")
	f.StringVar(&p.nats, "nats", os.Getenv("BAHI_NATS"), "URL of an external NATS that keeps the ledger (default: the embedded server)")
	f.StringVar(&p.natsCreds, "nats-creds", os.Getenv("BAHI_NATS_CREDS"), "credentials file for --nats")
	f.StringVar(&listen, "listen", "127.0.0.1:8080", "address of the HTTP door")
	f.StringVar(&listenNATS, "listen-nats", "", "address at which the embedded server takes centres' bundles (default: none)")
	f.IntVar(&p.readsPerDay, "reads-per-day", readsPerDay(), "how many people's details one officer may open in a day; the variable BAHI_READS_PER_DAY sets it, too")
	p.sandboxFlag(c)
	return c
}

// readsPerDay is what the operator set for every verb that opens a ledger.
func readsPerDay() int {
	n, err := strconv.Atoi(os.Getenv("BAHI_READS_PER_DAY"))
	if err != nil || n < 1 {
		return ledger.DefaultReadsPerDay
	}
	return n
}

func (p *program) serve(ctx context.Context, listen, listenNATS string) (err error) {
	for _, address := range []struct{ flag, is string }{{"--listen", listen}, {"--listen-nats", listenNATS}} {
		if _, _, err := net.SplitHostPort(address.is); err != nil && address.is != "" {
			return usage("%s: an address is host:port, such as 127.0.0.1:8080", address.flag)
		}
	}
	log := slog.New(slog.NewJSONHandler(p.stderr, nil))
	config := p.config(log)
	config.ListenNATS = listenNATS
	l, err := ledger.Open(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		err = errors.Join(err, l.Close(ending))
	}()
	centres, err := l.Store().Connect("intake")
	if err != nil {
		return err
	}
	defer centres.Close()
	doors, err := intake.For(ctx, l, centres, log)
	if err != nil {
		return err
	}
	door, err := intake.OpenDoor(ctx, doors)
	if err != nil {
		return err
	}
	listener, err := web.Listen(listen)
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()
	if err := announce(p.data, service{URL: url, PID: os.Getpid()}); err != nil {
		return err
	}
	defer os.Remove(servicePath(p.data))

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ended := make(chan error, 3)
	go func() { ended <- web.NewServer(l, l.Vault().CheckRoleToken, log).Serve(ctx, listener) }()
	go func() { ended <- door.Serve(ctx) }()
	go func() { ended <- l.Wait(ctx) }()
	fmt.Fprintf(p.stdout, "bahi ready on %s%s, ledger %s%s\n", url, centresAt(l), p.data, sandboxWord(l.Sandbox()))
	first := <-ended
	stop(first)
	return errors.Join(first, <-ended, <-ended)
}

// centresAt says where centres publish, when the embedded server listens.
func centresAt(l *ledger.Ledger) string {
	if address := l.Store().Address(); address != "" {
		return " and nats://" + address
	}
	return ""
}

func sandboxWord(sandbox bool) string {
	if sandbox {
		return " (sandbox)"
	}
	return ""
}

// announce leaves the service's address for verbs that find the data locked.
func announce(data string, s service) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temporary := servicePath(data) + ".new"
	if err := os.WriteFile(temporary, b, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, servicePath(data))
}
