package eventstore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	askPatience    = 30 * time.Second      // for an answer, however often it is asked for
	nobodyPatience = 5 * time.Second       // while the server has nobody for JetStream
	firstTry       = 2 * time.Second       // for the answer to the first try; doubled after each
	nobodyPause    = 50 * time.Millisecond // before it is asked again whether there is somebody
)

// Ask asks JetStream for what may be asked twice: for what is there, or to make what
// is made once. It asks again while the server has nobody who answers, as for an
// instant while it takes up a new configuration, and when an answer does not come. The
// answers that it waits for, and it itself, are bounded: without one the error is
// [ErrUnreachable], after five seconds when there is nobody, after 30 at most. While
// there is no connection it does not wait at all.
func Ask[T any](ctx context.Context, conn *nats.Conn, question func(context.Context) (T, error)) (T, error) {
	begun := time.Now()
	for patience := firstTry; ; {
		try, end := context.WithTimeout(ctx, min(patience, askPatience-time.Since(begun)))
		answer, err := WhileConnected(try, conn, question)
		late := try.Err() != nil
		end()
		switch {
		case err == nil || !Unanswered(err):
			return answer, err
		case !conn.IsConnected(), ctx.Err() != nil, time.Since(begun) >= askPatience:
			return answer, fmt.Errorf("%w: %w", ErrUnreachable, err)
		case late:
			patience *= 2
			continue
		case time.Since(begun) > nobodyPatience:
			return answer, fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		select {
		case <-time.After(nobodyPause):
		case <-ctx.Done():
		}
	}
}

// WhileConnected asks once. The answer to what was asked over a connection that is lost
// meanwhile never comes: then the error is [nats.ErrDisconnected], at once.
func WhileConnected[T any](ctx context.Context, conn *nats.Conn, question func(context.Context) (T, error)) (T, error) {
	during, end := context.WithCancelCause(ctx)
	defer end(nil)
	lost := conn.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED)
	defer conn.RemoveStatusListener(lost)
	go func() {
		if _, ok := <-lost; ok {
			end(nats.ErrDisconnected)
		}
	}()
	answer, err := question(during)
	if err != nil && ctx.Err() == nil && context.Cause(during) == nats.ErrDisconnected {
		if err = nats.ErrDisconnected; conn.IsClosed() {
			err = nats.ErrConnectionClosed
		}
	}
	return answer, err
}

// Unanswered tells whether what a client of NATS says means that JetStream did not
// answer: the server is away, or has nobody for JetStream at this moment, as for an
// instant while it takes up a new configuration of its accounts.
func Unanswered(err error) bool {
	if refusal := (*jetstream.APIError)(nil); errors.As(err, &refusal) && refusal.Code == http.StatusServiceUnavailable {
		id := server.ErrorIdentifier(refusal.ErrorCode)
		return id != server.JSInsufficientResourcesErr && id != server.JSStreamStoreFailedF // which are answers
	}
	for _, silence := range []error{
		nats.ErrNoResponders, nats.ErrTimeout, nats.ErrDisconnected, context.DeadlineExceeded,
		jetstream.ErrJetStreamNotEnabled, jetstream.ErrNoStreamResponse, nats.ErrReconnectBufExceeded,
	} {
		if errors.Is(err, silence) {
			return true
		}
	}
	return false
}
