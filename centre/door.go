package centre

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"bahi/domain"
	"bahi/formats"
)

// What a caller can take from the centre.
const (
	maxBody        = 8 << 20 // bytes of a request; more is for the folder
	maxRequests    = 8       // at a time, with a body each in memory
	maxConnections = 64
	requestTime    = time.Minute
)

// door serves callers on this machine over HTTP. They show the token that lies
// beside the keys, and name the machine by an address that is its own: a page in
// a browser that has been led here under another name does not.
type door struct {
	centre   *Centre
	listener net.Listener
	hosts    []string // as a request may name this door
	places   chan struct{}
}

// errNotLoopback: an address that others than this machine could reach.
var errNotLoopback = errors.New("the centre listens on this machine only, such as on 127.0.0.1:8090")

// openDoor listens, and leaves the address in the directory for the verbs.
func (c *Centre) openDoor() (*door, error) {
	host, _, err := net.SplitHostPort(c.config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: an address is host:port, such as 127.0.0.1:8090", c.config.Listen)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("listen on %q: %w", c.config.Listen, errNotLoopback)
	}
	listener, err := net.Listen("tcp", c.config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for callers on this machine: %w", err)
	}
	d := &door{centre: c, listener: listener, places: make(chan struct{}, maxRequests)}
	_, port, _ := net.SplitHostPort(d.address())
	for _, name := range []string{host, "localhost", "127.0.0.1", "::1"} {
		d.hosts = append(d.hosts, net.JoinHostPort(name, port))
	}
	if err := announce(c.config.Dir, service{URL: "http://" + d.address(), PID: os.Getpid()}); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return d, nil
}

func (d *door) address() string { return d.listener.Addr().String() }

func (d *door) close() {
	_ = d.listener.Close() // which Serve did already, unless it was not reached
	_ = os.Remove(filepath.Join(d.centre.config.Dir, fileService))
}

// serve answers until ctx is done, then lets requests end.
func (d *door) serve(ctx context.Context) error {
	server := &http.Server{
		Handler:           d.guarded(d.routes()),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       requestTime,
		WriteTimeout:      2 * requestTime,
		IdleTimeout:       2 * requestTime,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(d.centre.config.Log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(limited(d.listener, maxConnections)) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve callers on this machine: %w", err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.centre.pace.grace)
	defer cancel()
	if server.Shutdown(patience) != nil {
		_ = server.Close()
	}
	<-failed
	return nil
}

// routes are what there is to be asked for. What is not there is a problem like every
// other, too.
func (d *door) routes() http.Handler {
	mux := http.NewServeMux()
	for _, route := range []struct {
		methods, path string
		serve         http.HandlerFunc
	}{
		{"POST", "/v1/submissions", d.submit},
		{"GET, HEAD", "/v1/verdicts", d.verdicts},
		{"GET, HEAD", "/v1/status", d.status},
		{"POST", "/v1/retry", d.retry},
	} {
		method, _, _ := strings.Cut(route.methods, ",")
		mux.HandleFunc(method+" "+route.path, route.serve)
		mux.HandleFunc(route.path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", route.methods)
			refuse(w, Problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: route.path + " takes " + route.methods})
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, Problem{Status: http.StatusNotFound, Code: "no_such_route", Detail: "there is no such route; see docs/CENTRES.md"})
	})
	return mux
}

// guarded lets in who names this door by its own address and shows the token,
// a few at a time.
func (d *door) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		known := false
		for _, host := range d.hosts {
			known = known || strings.EqualFold(host, r.Host)
		}
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		given, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(d.centre.token))
		switch {
		case !known:
			refuse(w, Problem{Status: http.StatusMisdirectedRequest, Code: "bad_host", Detail: "name this machine by the address that the centre listens on, such as 127.0.0.1"})
			return
		case !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(given[:], want[:]) != 1:
			refuse(w, Problem{Status: http.StatusUnauthorized, Code: "unauthorised", Detail: "give the token in the header: Authorization: Bearer …; it lies in the file " + fileToken + " of the centre's keys directory"})
			return
		}
		select {
		case d.places <- struct{}{}:
			defer func() { <-d.places }()
			next.ServeHTTP(w, r)
		case <-time.After(requestTime / 4):
			refuse(w, Problem{Status: http.StatusServiceUnavailable, Code: "busy", Detail: "too many requests at this moment; try again in a second"})
		case <-r.Context().Done():
		}
	})
}

// submit keeps the submissions of a body and answers one line for each, when all
// of them are on the disk.
func (d *door) submit(w http.ResponseWriter, r *http.Request) {
	var format formats.Format
	if name := r.URL.Query().Get("format"); name != "" {
		var err error
		if format, err = formats.ParseFormat(name); err != nil {
			refuse(w, Problem{Status: http.StatusBadRequest, Code: "bad_request", Detail: err.Error()})
			return
		}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		refuse(w, Problem{Status: http.StatusUnsupportedMediaType, Code: "unsupported_encoding", Detail: "send the body as it is; the centre's door unpacks nothing"})
		return
	}
	// All of it before any of it: who is cut off has an answer for everything or
	// for nothing.
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		refuse(w, Problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Detail: fmt.Sprintf("a request has at most %d bytes; move larger files into the centre's folder", maxBody)})
		return
	}
	if err != nil {
		refuse(w, Problem{Status: http.StatusBadRequest, Code: "bad_request", Detail: "the body broke off; nothing of it is kept"})
		return
	}
	defer clear(body)
	items, err := d.centre.Read(bytes.NewReader(body), format)
	if err != nil {
		refuse(w, Problem{Status: http.StatusBadRequest, Code: "bad_request", Detail: "the body cannot be read: " + err.Error()})
		return
	}
	var answer lines
	kept := 0
	err = d.centre.Keep(r.Context(), items, func(k Kept) error {
		kept++
		return answer.add(k)
	})
	var full *FullError
	switch {
	case errors.As(err, &full):
		refuse(w, Problem{Status: http.StatusInsufficientStorage, Code: "spool_full", Detail: full.Error(), Kept: kept})
	case err != nil:
		d.centre.config.Log.Error("a request could not be kept", "kept", kept)
		refuse(w, Problem{Status: http.StatusInternalServerError, Code: "not_kept", Detail: "the centre's disk does not keep what was sent; see its log", Kept: kept})
	default:
		w.Header().Set("Content-Type", typeNDJSON)
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(answer) // who is gone asks for verdicts later
	}
}

const typeNDJSON = "application/x-ndjson"

// lines are values, one a line.
type lines []byte

func (l *lines) add(v any) error {
	b, err := json.Marshal(v)
	*l = append(append(*l, b...), '\n')
	return err
}

// verdicts answers with the verdicts of a bundle, or with all that are kept.
func (d *door) verdicts(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	var id domain.UUID
	if name := query.Get("bundle"); name != "" {
		var err error
		if id, err = domain.ParseUUID(name); err != nil {
			refuse(w, Problem{Status: http.StatusBadRequest, Code: "bad_request", Detail: err.Error()})
			return
		}
	}
	out := &unhurried{w: w, control: http.NewResponseController(w)}
	if id != (domain.UUID{}) {
		if _, without, err := d.centre.answerTo(r.Context(), id); err == nil && without.State == stateWaiting {
			out.status = http.StatusAccepted
		}
	}
	err := d.centre.Verdicts(r.Context(), id, query.Get("rejected") == "true", out)
	var p *Problem
	switch {
	case err == nil:
		_, _ = out.Write(nil) // so that an answer without lines is one, too
	case out.begun:
		d.centre.config.Log.Error("verdicts cannot be read, or nobody takes them")
		panic(http.ErrAbortHandler) // it must not look whole
	case errors.As(err, &p):
		refuse(w, *p)
	default:
		d.centre.config.Log.Error("verdicts cannot be read")
		refuse(w, Problem{Status: http.StatusInternalServerError, Code: "internal", Detail: "the verdicts cannot be read; see the centre's log"})
	}
}

// unhurried writes an answer of any length, each piece of which has its time.
type unhurried struct {
	w       http.ResponseWriter
	control *http.ResponseController
	status  int // 200 when 0
	begun   bool
}

func (u *unhurried) Write(b []byte) (int, error) {
	if !u.begun {
		u.begun = true
		u.w.Header().Set("Content-Type", typeNDJSON)
		if u.status != 0 {
			u.w.WriteHeader(u.status)
		}
	}
	_ = u.control.SetWriteDeadline(time.Now().Add(requestTime))
	return u.w.Write(b)
}

func (d *door) status(w http.ResponseWriter, r *http.Request) {
	s, err := d.centre.Status(r.Context())
	if err != nil {
		d.centre.config.Log.Error("the status cannot be read")
		refuse(w, Problem{Status: http.StatusInternalServerError, Code: "internal", Detail: "the status cannot be read; see the centre's log"})
		return
	}
	answer(w, s)
}

// Retried says how many refused bundles are tried again.
type Retried struct {
	Bundles int `json:"bundles"`
}

func (d *door) retry(w http.ResponseWriter, r *http.Request) {
	var id domain.UUID
	if name := r.URL.Query().Get("bundle"); name != "" {
		var err error
		if id, err = domain.ParseUUID(name); err != nil {
			refuse(w, Problem{Status: http.StatusBadRequest, Code: "bad_request", Detail: err.Error()})
			return
		}
	}
	n, err := d.centre.Retry(r.Context(), id)
	if err != nil {
		d.centre.config.Log.Error("refused bundles cannot be tried again")
		refuse(w, Problem{Status: http.StatusInternalServerError, Code: "internal", Detail: "the spool does not answer; see the centre's log"})
		return
	}
	answer(w, Retried{n})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// Problem is an error as it crosses the wire: problem details (RFC 9457) with a
// stable code. It holds no personal data.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Kept   int    `json:"kept,omitempty"` // so many submissions from the start of the body are kept all the same
}

func (p *Problem) Error() string { return p.Detail }

func refuse(w http.ResponseWriter, p Problem) {
	p.Title = http.StatusText(p.Status)
	w.Header().Set("Content-Type", "application/problem+json")
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
