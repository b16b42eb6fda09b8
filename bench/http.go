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
	"time"

	"golang.org/x/sync/errgroup"

	"bahi/access"
	"bahi/domain"
	"bahi/formats"
	"bahi/ledger"
	"bahi/vault"
	"bahi/web"
)

const httpClients = 200

// httpSingles has 200 clients, each on a connection of its own, send one dose a
// request and wait for its verdict: parsed, authorised, decided, sealed, flushed.
// Beside it as many publishers wait for the acknowledgement of as many messages. The
// clients run on the same processors and take their part of them.
func httpSingles(_ context.Context, s *stand) (round, error) {
	each := max(1, s.events/httpClients)
	return func(ctx context.Context) (sample, error) {
		found, err := s.overHTTP(ctx, each)
		if err != nil {
			return found, err
		}
		beside, err := rawSingles(ctx, s, httpClients)
		found.limit, found.limitLatencies = beside.limit, beside.limitLatencies
		return found, err
	}, nil
}

// overHTTP serves a ledger of the round's own, and sends it so many doses a client.
func (s *stand) overHTTP(ctx context.Context, each int) (found sample, err error) {
	l, err := s.openFresh(ctx)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, l.Close(context.WithoutCancel(ctx))) }()
	who, err := access.Open(ctx, access.Config{Store: l.Store(), Vault: l.Vault(), Origin: l.Origin()})
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, who.Close()) }()
	listener, err := web.Listen("127.0.0.1:0")
	if err != nil {
		return found, err
	}
	serving, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- web.NewServer(web.Config{Ledger: l, Access: who}).Serve(serving, listener) }()
	defer func() {
		stop()
		err = errors.Join(err, <-served)
	}()

	if err := register(ctx, l, httpClients*each); err != nil {
		return found, err
	}
	token, err := l.Vault().RoleToken(vault.RoleCentre)
	if err != nil {
		return found, err
	}
	return sendDoses(serving, listener.Addr().String(), token, each)
}

// register registers people 1 to n, in bundles.
func register(ctx context.Context, l *ledger.Ledger, n int) error {
	for first := 1; first <= n; first += ledger.MaxBundle {
		var bundle []domain.Submission
		for i := first; i <= min(n, first+ledger.MaxBundle-1); i++ {
			bundle = append(bundle, muzaffarpur.registration(i))
		}
		if err := submit(ctx, l, bundle); err != nil {
			return err
		}
	}
	return nil
}

// sendDoses has every client send so many first doses, each of another person.
func sendDoses(ctx context.Context, address, token string, each int) (sample, error) {
	found := sample{events: httpClients * each, latencies: new(histogram)}
	conns := make([]net.Conn, httpClients)
	for c := range conns {
		var err error
		if conns[c], err = (&net.Dialer{}).DialContext(ctx, "tcp", address); err != nil {
			return found, err
		}
		defer conns[c].Close()
	}
	peak, start := watchMemory(), time.Now()
	clients, ctx := errgroup.WithContext(ctx)
	for c, conn := range conns {
		clients.Go(func() error {
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			answers := bufio.NewReader(conn)
			for i := range each {
				sent := time.Now()
				if err := sendDose(conn, answers, token, 1+c*each+i); err != nil {
					return err
				}
				found.latencies.add(time.Since(sent))
			}
			return nil
		})
	}
	err := clients.Wait()
	found.took, found.memory = time.Since(start), peak()
	return found, err
}

var accepted = []byte(`"verdict":"accepted"`)

// sendDose sends the first dose of person n and insists that it is accepted.
func sendDose(conn net.Conn, answers *bufio.Reader, token string, n int) error {
	body := append(formats.AppendSubmission(nil, muzaffarpur.dose(n, 1)), '\n')
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
