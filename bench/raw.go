package bench

import (
	"context"
	"fmt"
	"path/filepath"
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
	if !s.ReadyForConnections(10 * time.Second) {
		return nil, fmt.Errorf("the raw server does not start")
	}
	r := &raw{server: s}
	if r.conn, err = nats.Connect("", nats.InProcessServer(s)); err != nil {
		return nil, err
	}
	if r.js, err = jetstream.New(r.conn); err != nil {
		return nil, err
	}
	_, err = r.js.CreateStream(ctx, jetstream.StreamConfig{Name: "RAW", Subjects: []string{"raw"}, Storage: jetstream.FileStorage})
	return r, err
}

func (r *raw) close() {
	r.conn.Close()
	r.server.Shutdown()
	r.server.WaitForShutdown()
}

// rawAppend publishes the ledger's own messages, one after another, each
// flushed, and returns events a second.
func rawAppend(ctx context.Context, o Options, store *eventstore.Store, writers int) (float64, error) {
	all, events, err := messages(ctx, store)
	if err != nil {
		return 0, err
	}
	took, err := rawPublish(ctx, o, all, writers)
	return float64(events) / took.Seconds(), err
}

// rawSingles publishes single small messages from many writers.
func rawSingles(ctx context.Context, o Options, writers, count int) (float64, error) {
	all := make([][]byte, count)
	for i := range all {
		all[i] = make([]byte, 300)
	}
	took, err := rawPublish(ctx, o, all, writers)
	return float64(count) / took.Seconds(), err
}

func rawPublish(ctx context.Context, o Options, all [][]byte, writers int) (time.Duration, error) {
	r, err := openRaw(ctx, filepath.Join(o.Dir, "raw"), true)
	if err != nil {
		return 0, err
	}
	defer r.close()
	start := time.Now()
	var group errgroup.Group
	for w := range writers {
		group.Go(func() error {
			for i := w; i < len(all); i += writers {
				if _, err := r.js.Publish(ctx, "raw", all[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err = group.Wait()
	return time.Since(start), err
}

// stored waits until the stream has so many messages. What is measured here is
// reading, so they are written without waiting for each.
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

// rawRead reads messages as fast as JetStream gives them, and returns messages a
// second.
func rawRead(ctx context.Context, o Options, all [][]byte) (float64, error) {
	r, err := openRaw(ctx, filepath.Join(o.Dir, "raw"), false)
	if err != nil {
		return 0, err
	}
	defer r.close()
	for _, b := range all {
		if err := r.conn.Publish("raw", b); err != nil {
			return 0, err
		}
	}
	if err := r.stored(ctx, len(all)); err != nil {
		return 0, err
	}
	consumer, err := r.js.OrderedConsumer(ctx, "RAW", jetstream.OrderedConsumerConfig{})
	if err != nil {
		return 0, err
	}
	start := time.Now()
	reading, err := consumer.Messages(jetstream.PullMaxBytes(8 << 20))
	if err != nil {
		return 0, err
	}
	defer reading.Stop()
	for range all {
		if _, err := reading.Next(); err != nil {
			return 0, err
		}
	}
	return float64(len(all)) / time.Since(start).Seconds(), nil
}
