package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"bahi/eventstore"
)

// raw is a JetStream server with nothing of ours before or behind it.
type raw struct {
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream
}

func openRaw(ctx context.Context, dir string, flushed bool) (*raw, error) {
	s, err := server.NewServer(&server.Options{
		DontListen: true, JetStream: true, StoreDir: dir, SyncAlways: flushed, NoLog: true, NoSigs: true,
	})
	if err != nil {
		return nil, err
	}
	s.Start()
	r := &raw{server: s}
	if !s.ReadyForConnections(10 * time.Second) {
		err = fmt.Errorf("the raw server does not start")
	}
	if err == nil {
		r.conn, err = nats.Connect("", nats.InProcessServer(s))
	}
	if err == nil {
		r.js, err = jetstream.New(r.conn)
	}
	if err == nil {
		_, err = r.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "RAW", Subjects: []string{"raw"}, Storage: jetstream.FileStorage})
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *raw) close() {
	if r.conn != nil {
		r.conn.Close()
	}
	r.server.Shutdown()
	r.server.WaitForShutdown()
}

// rawAppend publishes the ledger's own messages, one after another, each flushed, and
// returns events a second.
func rawAppend(ctx context.Context, s *stand, store *eventstore.Store) (float64, error) {
	all, events, err := messages(ctx, store, sampled)
	if err != nil {
		return 0, err
	}
	publish, end, err := flushing(ctx, s)
	if err != nil {
		return 0, err
	}
	defer end()
	start := time.Now()
	for _, b := range all {
		if err := publish(b); err != nil {
			return 0, err
		}
	}
	return float64(events) / time.Since(start).Seconds(), nil
}

const (
	askRawFor   = 300 * time.Millisecond // of a limit that is measured by the clock
	singleBytes = 300                    // of a message with one event
)

// rawSingles has many writers publish messages of one event, each waiting for its
// flush. What it finds is a limit.
func rawSingles(ctx context.Context, s *stand, writers int) (found sample, err error) {
	publish, end, err := flushing(ctx, s)
	if err != nil {
		return found, err
	}
	defer end()
	found.limitLatencies = new(histogram)
	message := make([]byte, singleBytes)
	var published atomic.Int64
	start := time.Now()
	var group errgroup.Group
	for range writers {
		group.Go(func() error {
			one, err := repeat(askRawFor, func(int) error { return publish(message) })
			published.Add(int64(one.events))
			found.limitLatencies.merge(one.latencies)
			return err
		})
	}
	err = group.Wait()
	found.limit = float64(published.Load()) / time.Since(start).Seconds()
	return found, err
}

// flushing opens a raw stream of which every message is flushed before it is
// acknowledged. End removes it.
func flushing(ctx context.Context, s *stand) (publish func(message []byte) error, end func(), err error) {
	dir, err := os.MkdirTemp(s.stock.dir, "raw-")
	if err != nil {
		return nil, nil, err
	}
	r, err := openRaw(ctx, dir, true)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return func(message []byte) error {
			_, err := r.js.Publish(ctx, "raw", message)
			return err
		}, func() {
			r.close()
			_ = os.RemoveAll(dir) // and with what is around it at the end of the run
		}, nil
}

// storeRaw stores messages in a raw stream, and returns what has them delivered: it
// opens the server for that alone, so that it costs no other measure anything.
func storeRaw(ctx context.Context, s *stand, all [][]byte) (limiter, error) {
	dir, err := os.MkdirTemp(s.stock.dir, "raw-")
	if err != nil {
		return nil, err
	}
	s.later(func() error { return os.RemoveAll(dir) })
	r, err := openRaw(ctx, dir, false)
	if err != nil {
		return nil, err
	}
	defer r.close()
	for _, b := range all {
		if err := r.conn.Publish("raw", b); err != nil {
			return nil, err
		}
	}
	if err := r.stored(ctx, len(all)); err != nil {
		return nil, err
	}
	count := len(all)
	return func(ctx context.Context) (float64, error) { return rawDeliver(ctx, dir, count) }, nil
}

// stored waits until the stream has so many messages: they are sent without waiting
// for each.
func (r *raw) stored(ctx context.Context, messages int) error {
	for {
		stream, err := r.js.Stream(ctx, "RAW")
		if err != nil {
			return err
		}
		if stream.CachedInfo().State.Msgs >= uint64(messages) {
			return nil
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// rawDeliver has stored messages delivered as fast as JetStream gives them, and
// returns messages a second. It pushes small ones faster than it is asked for them.
func rawDeliver(ctx context.Context, dir string, messages int) (float64, error) {
	r, err := openRaw(ctx, dir, false)
	if err != nil {
		return 0, err
	}
	defer r.close()
	pushing, err := r.conn.JetStream()
	if err != nil {
		return 0, err
	}
	delivered, all := 0, make(chan struct{})
	start := time.Now()
	reading, err := pushing.Subscribe("raw", func(*nats.Msg) {
		if delivered++; delivered == messages {
			close(all)
		}
	}, nats.OrderedConsumer(), nats.BindStream("RAW"))
	if err != nil {
		return 0, err
	}
	defer func() { _ = reading.Unsubscribe() }()
	select {
	case <-all:
		return float64(messages) / time.Since(start).Seconds(), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(time.Minute):
		return 0, errors.New("the raw stream is not delivered to its end")
	}
}
