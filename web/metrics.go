package web

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// measures are what the server counts, and the registry that they and those of the
// rooms below stand in. It is the server's own: a process may have several.
type measures struct {
	registry *prometheus.Registry
	handler  http.Handler

	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	inFlight prometheus.Gauge
	refused  *prometheus.CounterVec
}

// noOperation stands for requests that no route takes.
const noOperation = "none"

func newMeasures(c Config, log *slog.Logger) *measures {
	m := &measures{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bahi_http_requests_total", Help: "HTTP requests by operation, as in /openapi.json, and class of status.",
		}, []string{"operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "bahi_http_request_seconds", Help: "From a request's headers to the end of its answer; a stream's is as long as it lasts.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"operation"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "bahi_http_requests_in_flight", Help: "HTTP requests that are being answered.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bahi_reads_refused_total", Help: "Questions about one person, or for what is in quarantine, that were refused over HTTP, by reason.",
		}, []string{"reason"}),
	}
	for _, reason := range refusals {
		m.refused.WithLabelValues(reason)
	}
	build := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "bahi_build_info", Help: "1, with what runs as labels.",
		ConstLabels: prometheus.Labels{"version": c.Version, "go": runtime.Version()},
	}, func() float64 { return 1 })
	m.registry.MustRegister(m.requests, m.seconds, m.inFlight, m.refused, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if c.Ledger != nil {
		m.registry.MustRegister(c.Ledger.Collectors()...)
	}
	m.registry.MustRegister(c.Collectors...)
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: gatherLog{log}, ErrorHandling: promhttp.ContinueOnError, CoalesceGather: true,
	})
	return m
}

// gatherLog takes what the handler has to say.
type gatherLog struct{ *slog.Logger }

// Println is for promhttp.
func (l gatherLog) Println(v ...any) {
	l.Warn("metrics could not be gathered", "error", fmt.Sprint(v...))
}

// reads are the operations that open somebody's details.
var reads = map[string]bool{opPerson: true, opLookUp: true, opNextDose: true, opLookUpNextDose: true, opOpenQuarantined: true}

// refusals are the reasons for which a reading is refused, by the problem's code.
var refusals = map[string]string{
	"frozen":          "frozen",
	"not_found":       "unknown",
	"too_many_reads":  "rate",
	codeTooMany:       "rate",
	"token_locked":    "locked",
	codeForbidden:     "forbidden",
	codeOtherDistrict: "forbidden",
	codeOtherOfficer:  "forbidden",
	codeUnauthorised:  "forbidden",
	"token_expired":   "forbidden",
	"token_revoked":   "forbidden",
	"not_from_here":   "forbidden",
}

// observe notes a request that is over.
func (m *measures) observe(x *exchange, took time.Duration) {
	m.inFlight.Dec()
	class := noOperation // nothing was answered: whoever asked is gone
	if x.status > 0 {
		class = fmt.Sprintf("%dxx", x.status/100)
	}
	m.requests.WithLabelValues(x.operation, class).Inc()
	m.seconds.WithLabelValues(x.operation).Observe(took.Seconds())
	if reason := refusals[x.code]; reason != "" && reads[x.operation] {
		m.refused.WithLabelValues(reason).Inc()
	}
}

func (s *Server) registerMetrics() {
	op := huma.Operation{
		OperationID: opMetrics, Method: http.MethodGet, Path: "/metrics", Tags: tags("Operation"),
		Summary:     "Metrics for Prometheus",
		Description: "Without a token they are told at the address that the service's operator gave them. docs/OPERATIONS.md lists them.",
		Responses: map[string]*huma.Response{"200": {
			Description: "The text format of Prometheus", Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	}
	huma.Register(s.api, s.documented(op), func(context.Context, *struct{}) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			r, w := humago.Unwrap(hctx)
			s.metrics.handler.ServeHTTP(w, r)
		}}, nil
	})
}

// metricsConnections bounds who asks for metrics at a time.
const metricsConnections = 16

// ServeMetrics answers GET /metrics, without a token, and nothing else, until ctx is
// done. It closes the listener. Nobody but whoever may know the numbers should reach it.
func (s *Server) ServeMetrics(ctx context.Context, listener net.Listener) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", s.metrics.handler)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: s.limits.header,
		ReadTimeout:       s.limits.header,
		WriteTimeout:      s.limits.write,
		IdleTimeout:       s.limits.answer,
		MaxHeaderBytes:    s.limits.headers,
		ErrorLog:          serverLog(s.log),
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })() // whoever scrapes asks again
	if err := server.Serve(bounded(listener, metricsConnections)); err != nil && ctx.Err() == nil {
		return fmt.Errorf("serve metrics on %s: %w", listener.Addr(), err)
	}
	return nil
}
