package notices

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"bahi/eventstore"
)

const (
	streamName   = "NOTICES"
	everySubject = "notice.>"
	subjectPlace = "notice.place" // of no district: a message that only says how far the notices have come
)

// What is kept, for subscribers that were away. The oldest makes room.
const (
	maxAge     = 30 * 24 * time.Hour
	maxBytes   = 256 << 20 // 300,000 notices; the server sets this much aside
	maxMessage = 16 << 10

	// Changes of counts are many, and soon old: whoever was away for longer asks
	// for the counts themselves.
	countsAge = time.Hour

	// A message that was published twice within this time is stored once. Longer
	// ago, the condition on its place in the stream does the same.
	duplicateWindow = 2 * time.Minute
)

// openStream makes the stream, or brings the one that is there up to date.
func openStream(ctx context.Context, js jetstream.JetStream, replicas int) (jetstream.Stream, error) {
	config := jetstream.StreamConfig{
		Name:        streamName,
		Description: "what the ledger tells others; no personal data",
		Subjects:    []string{everySubject},
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		MaxAge:      maxAge,
		MaxBytes:    maxBytes,
		MaxMsgSize:  maxMessage,
		Duplicates:  duplicateWindow,
		AllowMsgTTL: true, // changes of counts live shorter, the place for ever
		AllowRollup: true, // there is one place
		Storage:     jetstream.FileStorage,
		Replicas:    max(replicas, 1),
	}
	// To create what is there already, unchanged, is nothing to the server; an
	// update would interfere with a follower on another node.
	stream, err := eventstore.Ask(ctx, js.Conn(), func(ctx context.Context) (jetstream.Stream, error) {
		stream, err := js.CreateStream(ctx, config)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			stream, err = js.UpdateStream(ctx, config)
		}
		return stream, err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot open the stream %s: %w", streamName, err)
	}
	return stream, nil
}

// tail returns the sequence of the stream's last message, and the last one that is
// still there: nil when there is none.
func (f *Follower) tail(ctx context.Context) (last uint64, message *jetstream.RawStreamMsg, err error) {
	info, err := eventstore.Ask(ctx, f.conn, func(ctx context.Context) (*jetstream.StreamInfo, error) { return f.stream.Info(ctx) })
	if err != nil {
		return 0, nil, fmt.Errorf("cannot look at the stream %s: %w", streamName, err)
	}
	message, err = eventstore.Ask(ctx, f.conn, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return f.stream.GetLastMsgForSubject(ctx, everySubject)
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return info.State.LastSeq, nil, nil
	}
	if err != nil {
		return 0, nil, fmt.Errorf("cannot read the stream %s: %w", streamName, err)
	}
	return max(info.State.LastSeq, message.Sequence), message, nil
}
