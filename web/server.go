package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"bahi/access"
	"bahi/intake"
	"bahi/ledger"
)

// Server answers HTTP for one ledger. It is an [http.Handler]; [Server.Serve]
// adds the time-outs that only a listener can have.
type Server struct {
	ledger *ledger.Ledger
	access *access.Registry
	log    *slog.Logger
	limits limits

	quarantine *intake.Quarantine
	mux        *http.ServeMux
	api        huma.API
	openAPI    []byte

	streams   places // of submissions
	senders   tally  // of submissions by tokens
	readings  places // of the whole ledger
	readers   tally  // of it by tokens
	works     places // on views, or to verify the ledger
	followers places // of its end
	tables    places // of large tables of counts
	askers    tally  // of them by tokens
	keys      *keys
	metrics   *measures
	readiness readiness

	draining context.Context // done once the service is ending
	drain    context.CancelFunc
}

// Config is what a server answers for. Ledger and Access are needed; both stay the
// caller's to close, and not before [Server.Serve] has returned.
type Config struct {
	Ledger *ledger.Ledger
	Access *access.Registry // says who asks, and how often anybody may

	Quarantine *intake.Quarantine // nil: nothing is ever in it
	Log        *slog.Logger       // nil: nothing is logged
	Version    string             // of the program, for its metrics

	Collectors []prometheus.Collector // further metrics, beside the server's and the ledger's own
}

// NewServer returns a server for a ledger.
func NewServer(c Config) *Server { return newServer(c, defaultLimits) }

func newServer(c Config, bounds limits) *Server {
	s := &Server{
		ledger: c.Ledger, access: c.Access, quarantine: c.Quarantine, log: c.Log, limits: bounds, mux: http.NewServeMux(),
		streams: make(places, bounds.streams), readings: make(places, bounds.readings), works: make(places, bounds.works), tables: make(places, bounds.tables), followers: make(places, bounds.followers), keys: newKeys(),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.metrics = newMeasures(c, s.log)
	s.draining, s.drain = context.WithCancel(context.Background())
	s.register()
	return s
}

// Listen listens on host:port. Without a host it is reached from this machine
// only; to be reached from others, name an address of theirs, or 0.0.0.0.
func Listen(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: an address is host:port, such as 127.0.0.1:8080", address)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("something listens on %s already; stop it, or listen elsewhere: %w", address, err)
	}
	return l, err
}

// Serve answers the listener's connections until ctx is done, then lets requests
// end: submissions that have arrived are decided and answered, what still streams
// in is not read any more, and readings of the whole ledger are cut short with a
// last line that says so. It closes the listener. Several listeners can be served
// until the same ctx is done, and none after that.
//
// The error is the listener's, or says that some requests did not end in half a
// minute. It is nil when everything did.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	return s.serve(ctx, listener, nil)
}

// ServeTLS is [Server.Serve] with connections that are encrypted. A client
// certificate that is shown stands for the centre it is registered for.
func (s *Server) ServeTLS(ctx context.Context, listener net.Listener, t *TLS) error {
	return s.serve(ctx, listener, t)
}

func (s *Server) serve(ctx context.Context, listener net.Listener, t *TLS) error {
	waiting := crowd{most: s.limits.waiting}
	server := &http.Server{
		ConnState:         waiting.state,
		Handler:           s,
		ReadHeaderTimeout: s.limits.header,
		IdleTimeout:       s.limits.answer,
		MaxHeaderBytes:    s.limits.headers,
		ConnContext:       withFraming,
		ErrorLog:          serverLog(s.log),
	}
	failed := make(chan error, 1)
	go func() {
		connections := bounded(listener, s.limits.connections)
		if t == nil {
			connections.framed = true
			failed <- server.Serve(connections)
			return
		}
		server.TLSConfig = t.config()
		failed <- server.ServeTLS(connections, "", "")
	}()
	select {
	case err := <-failed:
		return fmt.Errorf("serve HTTP on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	s.drain()
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.limits.drain)
	defer cancel()
	err := server.Shutdown(patience)
	if err != nil {
		err = errors.Join(fmt.Errorf("some requests did not end in %s and were cut off: %w", s.limits.drain, err), server.Close())
	}
	<-failed
	return err
}

// route finds the operation, or says in the same terms as every error that there
// is none.
func (s *Server) route(x *exchange, r *http.Request) {
	if _, pattern := s.mux.Handler(r); pattern != "" {
		s.mux.ServeHTTP(x, r)
		return
	}
	var takes []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		other := *r
		other.Method = method
		if _, pattern := s.mux.Handler(&other); pattern != "" {
			takes = append(takes, method)
		}
	}
	if len(takes) > 0 {
		x.Header().Set("Allow", strings.Join(takes, ", "))
		x.refuse(newProblem(http.StatusMethodNotAllowed, codeMethod, "this route takes "+strings.Join(takes, " and ")))
		return
	}
	x.refuse(newProblem(http.StatusNotFound, codeNoSuchRoute, "there is no such route; /openapi.json lists those there are"))
}
