package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"bahi/access"
	"bahi/domain"
	"bahi/formats"
	"bahi/ledger"
	"bahi/vault"
	"bahi/web"
)

const (
	httpClients = 200
	httpShare   = 10 // one in so many of the events: each is a request
)

// httpSingles has 200 clients, each on a connection of its own, send one dose a
// request and wait for its verdict: parsed, authorised, decided, sealed, flushed.
// Beside it as many publishers wait for the acknowledgement of as many messages. The
// clients run on the same processors and take their part of them.
func httpSingles(ctx context.Context, o Options) (s sample, err error) {
	l, err := open(ctx, o)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, l.Close(context.WithoutCancel(ctx))) }()
	who, err := access.Open(ctx, access.Config{Store: l.Store(), Vault: l.Vault(), Origin: l.Origin()})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, who.Close()) }()
	listener, err := web.Listen("127.0.0.1:0")
	if err != nil {
		return s, err
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- web.NewServer(web.Config{Ledger: l, Access: who}).Serve(serving, listener) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served)
	}()

	each := max(1, o.Events/httpShare/httpClients)
	if err := register(ctx, l, httpClients*each); err != nil {
		return s, err
	}
	token, err := l.Vault().RoleToken(vault.RoleCentre)
	if err != nil {
		return s, err
	}
	s.events = httpClients * each
	s.took, s.latencies, err = timed(ctx, httpClients, func(client int) (func(i int) error, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", listener.Addr().String())
		if err != nil {
			return nil, err
		}
		context.AfterFunc(serving, func() { conn.Close() })
		answers := bufio.NewReader(conn)
		return func(i int) error { return sendDose(conn, answers, token, 1+client*each+i) }, nil
	}, each)
	if err != nil {
		return s, err
	}
	return s, s.besidePublishers(ctx, o, httpClients, each)
}

// register registers people 1 to n, in bundles.
func register(ctx context.Context, l *ledger.Ledger, n int) error {
	for first := 1; first <= n; first += ledger.MaxBundle {
		var bundle []domain.Submission
		for i := first; i <= min(n, first+ledger.MaxBundle-1); i++ {
			bundle = append(bundle, registration(i))
		}
		if _, err := l.Submit(ctx, ledger.Caller{Name: "bench"}, bundle); err != nil {
			return err
		}
	}
	return nil
}

var accepted = []byte(`"verdict":"accepted"`)

// sendDose sends the first dose of person n and insists that it is accepted.
func sendDose(conn net.Conn, answers *bufio.Reader, token string, n int) error {
	body := append(formats.AppendSubmission(nil, dose(n, 1, registered)), '\n')
	if _, err := fmt.Fprintf(conn, "POST /v1/submissions HTTP/1.1\r\nHost: bahi\r\nAuthorization: Bearer %s\r\nContent-Type: application/x-ndjson\r\nContent-Length: %d\r\n\r\n%s",
		token, len(body), body); err != nil {
		return err
	}
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	verdict, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || !bytes.Contains(verdict, accepted) {
		return fmt.Errorf("a dose of the benchmark is answered %d: %s", answer.StatusCode, verdict)
	}
	return nil
}

// timed has each client begin, all at once, and then do so many calls one after
// another.
func timed(ctx context.Context, clients int, begin func(client int) (call func(i int) error, err error), calls int) (time.Duration, []time.Duration, error) {
	each := make([]func(int) error, clients)
	for i := range each {
		var err error
		if each[i], err = begin(i); err != nil {
			return 0, nil, err
		}
	}
	latencies := make([]time.Duration, clients*calls)
	start := time.Now()
	var group errgroup.Group
	for c, call := range each {
		group.Go(func() error {
			for i := range calls {
				if err := ctx.Err(); err != nil {
					return err
				}
				sent := time.Now()
				if err := call(i); err != nil {
					return err
				}
				latencies[c*calls+i] = time.Since(sent)
			}
			return nil
		})
	}
	err := group.Wait()
	return time.Since(start), latencies, err
}

// besidePublishers measures bare publishes of 300 bytes, each flushed and waited for.
func (s *sample) besidePublishers(ctx context.Context, o Options, publishers, each int) error {
	r, err := openRaw(ctx, filepath.Join(o.Dir, "raw"), true)
	if err != nil {
		return err
	}
	defer r.close()
	message := make([]byte, 300)
	took, latencies, err := timed(ctx, publishers, func(int) (func(int) error, error) {
		return func(int) error {
			_, err := r.js.Publish(ctx, "raw", message)
			return err
		}, nil
	}, each)
	s.limit, s.limitLatencies = float64(publishers*each)/took.Seconds(), latencies
	return err
}
