package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"bahi/access"
	"bahi/intake"
	"bahi/ledger"
	"bahi/notices"
	"bahi/web"
)

// drainTime bounds how long a service that was told to end works on what it has.
const drainTime = 20 * time.Second

func (p *program) serveCommand() *cobra.Command {
	var at doors
	c := &cobra.Command{
		Use:   "serve --data DIR",
		Short: "Run the service: HTTP, and bundles that centres publish over NATS",
		Long: `Serve holds a ledger and opens its doors: HTTP on --listen, and sealed bundles that
centres publish to intake.<district>.<centre>. It prints one line when it is ready
and ends cleanly on SIGTERM.

The first start writes one token per role beside the keys, in KEYS/tokens. They are
for this machine alone; for others issue tokens with bahi token. The ledger is kept
by an embedded JetStream server unless --nats names another.

An address that other machines reach is served with TLS, from --tls-cert and
--tls-key, which are read again when they change; or, with --plain-http, without,
behind a proxy that ends TLS. With TLS a registered centre may show its client
certificate instead of a token; with --client-ca it has to be signed by one of
those authorities.

With --metrics, GET /metrics answers at an address of its own without a token and
without TLS, whatever --listen has; one that other machines reach needs
--plain-metrics. At --listen it takes an operator's token. /healthz and /readyz
answer anybody.`,
		Example: `  bahi serve --data ./ledger
  bahi serve --data ./ledger --listen 127.0.0.1:9000 --listen-nats 127.0.0.1:4222
  bahi serve --data ./ledger --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem
  bahi serve --data ./ledger --nats nats://10.0.0.7:4222`,
		RunE: func(c *cobra.Command, _ []string) error { return p.serve(c.Context(), at) },
	}
	f := c.Flags()
	f.StringVar(&p.data, "data", "bahi-data", "directory of the ledger")
	f.StringVar(&p.keys, "keys", "", "directory of the keys (default: --data with \"-keys\" appended)")
	f.StringVar(&p.nats, "nats", os.Getenv("BAHI_NATS"), "URL of an external NATS that keeps the ledger (default: the embedded server)")
	f.StringVar(&p.natsCreds, "nats-creds", os.Getenv("BAHI_NATS_CREDS"), "file that signs in to --nats: the seed of an nkey, or credentials")
	f.StringVar(&at.http, "listen", "127.0.0.1:8080", "address of the HTTP door")
	f.StringVar(&at.certificate, "tls-cert", "", "PEM file with the certificate of --listen, and its chain")
	f.StringVar(&at.key, "tls-key", "", "PEM file with the private key of --tls-cert")
	f.StringVar(&at.clientCA, "client-ca", "", "PEM file with the authorities that sign client certificates (default: a registered one may be signed by anybody)")
	f.BoolVar(&at.plain, "plain-http", false, "serve others without TLS: a proxy in front ends it")
	f.StringVar(&at.nats, "listen-nats", "", "address at which the embedded server takes centres' bundles (default: none)")
	f.BoolVar(&at.plainNATS, "plain-nats", false, "take bundles of other machines without TLS: a tunnel or a network of its own encrypts")
	f.StringVar(&at.natsCertificate, "nats-tls-cert", "", "PEM file with the certificate of --listen-nats")
	f.StringVar(&at.natsKey, "nats-tls-key", "", "PEM file with the private key of --nats-tls-cert")
	f.StringVar(&at.metrics, "metrics", "", "address at which Prometheus asks for metrics, without a token (default: none)")
	f.BoolVar(&at.plainMetrics, "plain-metrics", false, "tell metrics at an address that others reach, without TLS and a token: only Prometheus reaches it")
	f.IntVar(&p.readsPerDay, "reads-per-day", readsPerDay(), "how many people's details one officer may open in a day; the variable BAHI_READS_PER_DAY sets it, too")
	p.sandboxFlag(c)
	return c
}

// doors are where and how the service is reached.
type doors struct {
	http, certificate, key, clientCA string
	plain, plainNATS, plainMetrics   bool
	nats, natsCertificate, natsKey   string
	metrics                          string
}

// check refuses what would let others listen in.
func (d doors) check() error {
	for _, address := range []struct{ flag, is string }{{"--listen", d.http}, {"--listen-nats", d.nats}, {"--metrics", d.metrics}} {
		if _, _, err := net.SplitHostPort(address.is); err != nil && address.is != "" {
			return usage("%s: an address is host:port, such as 127.0.0.1:8080", address.flag)
		}
	}
	switch {
	case (d.certificate == "") != (d.key == ""), (d.natsCertificate == "") != (d.natsKey == ""):
		return usage("a certificate and its key are given together")
	case d.clientCA != "" && d.certificate == "":
		return usage("--client-ca needs --tls-cert and --tls-key: client certificates are shown over TLS")
	case d.natsCertificate != "" && d.nats == "":
		return usage("--nats-tls-cert needs --listen-nats")
	case d.plain && d.certificate != "":
		return usage("--plain-http and --tls-cert exclude one another")
	case d.plainNATS && d.natsCertificate != "":
		return usage("--plain-nats and --nats-tls-cert exclude one another")
	case d.plainMetrics && d.metrics == "":
		return usage("--plain-metrics needs --metrics")
	case d.metrics != "" && !loopback(d.metrics) && !d.plainMetrics:
		return usage("--metrics is an address that other machines reach, and is served without TLS and without a token; take one of this machine's own, or add --plain-metrics when nobody but Prometheus reaches it")
	case d.nats != "" && (!loopback(d.nats) || d.nats[0] == ':') && d.natsCertificate == "" && !d.plainNATS:
		return usage("--listen-nats is an address that other machines reach, and whoever is on the way could speak in a centre's connection; give --nats-tls-cert and --nats-tls-key, or --plain-nats when something else encrypts")
	case !d.local() && d.certificate == "" && !d.plain:
		return usage("--listen is an address that other machines reach, and tokens and details would cross the network in the clear; give --tls-cert and --tls-key, or --plain-http when a proxy in front ends TLS")
	}
	return nil
}

// local tells whether the HTTP door is reached from this machine alone.
func (d doors) local() bool { return loopback(d.http) }

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (host == "" || host == "localhost" || net.ParseIP(host).IsLoopback())
}

// readsPerDay is what the operator set for every verb that opens a ledger.
func readsPerDay() int {
	n, err := strconv.Atoi(os.Getenv("BAHI_READS_PER_DAY"))
	if err != nil || n < 1 {
		return ledger.DefaultReadsPerDay
	}
	return n
}

func (p *program) serve(ctx context.Context, at doors) (err error) {
	if err := at.check(); err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(p.stderr, nil))
	config := p.config(log)
	config.ListenNATS, config.ListenNATSCertificate, config.ListenNATSKey = at.nats, at.natsCertificate, at.natsKey
	l, err := ledger.Open(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		err = errors.Join(err, l.Close(ending))
	}()
	who, err := access.Open(ctx, access.Config{Store: l.Store(), Vault: l.Vault(), Origin: l.Origin(), Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, who.Close()) }()
	centres, err := l.Store().Connect("intake")
	if err != nil {
		return err
	}
	defer centres.Close()
	doors, err := intake.For(ctx, l, centres, log)
	if err != nil {
		return err
	}
	doors.Access = who
	door, err := intake.OpenDoor(ctx, doors)
	if err != nil {
		return err
	}
	quarantine, err := intake.NewQuarantine(doors)
	if err != nil {
		return err
	}
	telling, err := l.Store().Connect("notices")
	if err != nil {
		return err
	}
	defer telling.Close()
	follower, err := notices.Open(ctx, l, telling, notices.Options{Log: log})
	if err != nil {
		return err
	}
	server := web.NewServer(web.Config{
		Ledger: l, Access: who, Quarantine: quarantine, Log: log, Version: version(), Collectors: door.Collectors(),
	})

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	parts := []func() error{
		func() error { return door.Serve(ctx) },
		func() error { return follower.Serve(ctx) },
		func() error { return l.Wait(ctx) },
	}
	open, url, err := p.openHTTP(ctx, server, at, log)
	if err != nil {
		return err
	}
	parts = append(parts, open...)
	defer os.Remove(servicePath(p.data))
	ended := make(chan error, len(parts))
	for _, part := range parts {
		go func() { ended <- part() }()
	}
	fmt.Fprintf(p.stdout, "bahi ready on %s%s, ledger %s%s\n", url, centresAt(l), p.data, sandboxWord(l.Sandbox()))
	log.Info("the service is ready", "version", version(), "sandbox", l.Sandbox())
	first := <-ended
	if first != nil {
		log.Error("the service ends, for a part of it has failed", "error", first)
	} else {
		log.Info("the service ends")
	}
	stop(first)
	for range parts[1:] {
		first = errors.Join(first, <-ended)
	}
	return first
}

// openHTTP listens, and leaves the address for this machine's own verbs: where
// others are served, those have a door of their own, on loopback, at which the
// installation's tokens are taken.
func (p *program) openHTTP(ctx context.Context, server *web.Server, at doors, log *slog.Logger) (parts []func() error, url string, err error) {
	var encrypted *web.TLS
	if at.certificate != "" {
		if encrypted, err = web.LoadTLS(at.certificate, at.key, at.clientCA, log); err != nil {
			return nil, "", err
		}
		reloadOnHangup(ctx, encrypted, log)
	}
	listener, err := web.Listen(at.http)
	if err != nil {
		return nil, "", err
	}
	if at.metrics != "" {
		scraped, err := web.Listen(at.metrics)
		if err != nil {
			return nil, "", errors.Join(err, listener.Close())
		}
		log.Info("metrics are told", "address", scraped.Addr().String())
		parts = append(parts, func() error { return server.ServeMetrics(ctx, scraped) })
	}
	url = "http://" + listener.Addr().String()
	own := url
	if encrypted != nil || !at.local() {
		local, err := web.Listen("127.0.0.1:0")
		if err != nil {
			return nil, "", errors.Join(err, listener.Close())
		}
		own = "http://" + local.Addr().String()
		parts = append(parts, func() error { return server.Serve(ctx, local) })
	}
	if encrypted == nil {
		parts = append(parts, func() error { return server.Serve(ctx, listener) })
	} else {
		url = "https://" + listener.Addr().String()
		parts = append(parts, func() error { return server.ServeTLS(ctx, listener, encrypted) })
	}
	return parts, url, announce(p.data, service{URL: own, PID: os.Getpid()})
}

// reloadOnHangup reads the certificate again when the process is told to.
func reloadOnHangup(ctx context.Context, t *web.TLS, log *slog.Logger) {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGHUP)
	go func() {
		defer signal.Stop(told)
		for {
			select {
			case <-told:
				if err := t.Reload(); err != nil {
					log.Error("the certificate is not read again", "error", err)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
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
