package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"bahi/eventstore"
)

// The streams of the door. What lies in them is sealed.
const (
	streamIntake     = "INTAKE"
	streamQuarantine = "QUARANTINE"
	streamVerdicts   = "VERDICTS"
)

const (
	maxMessage = 1 << 20 // bytes of one bundle, sealed

	// What waits for the ledger is bounded for all and for each centre. When
	// either is full, a centre is refused, keeps its bundle and tries again.
	maxIntakeBytes      = 2 << 30 // the server sets this much aside
	maxBundlesPerCentre = 250
	maxIntakeAge        = 30 * 24 * time.Hour
	duplicateWindow     = 2 * time.Minute

	// Of what is only kept the oldest makes room: of a centre in its share, see
	// share.go, and of all.
	maxQuarantineBytes = 256 << 20
	maxQuarantineItems = 100_000
	maxQuarantineAge   = 30 * 24 * time.Hour
	maxVerdictsBytes   = 1 << 30
	maxVerdictsBundles = 1_000_000
	maxVerdictsAge     = 30 * 24 * time.Hour
)

// openStreams makes the door's streams, or brings those that are there up to
// date.
func openStreams(ctx context.Context, js jetstream.JetStream, replicas int) error {
	for _, config := range []jetstream.StreamConfig{
		{
			Name:        streamIntake,
			Description: "sealed bundles of centres, until the ledger has taken them in",
			Subjects:    []string{"intake.*.*"},
			// The server hashes a bundle's district and centre into the partition
			// under which it is stored; each partition is a queue.
			SubjectTransform: &jetstream.SubjectTransformConfig{
				Source:      "intake.*.*",
				Destination: fmt.Sprintf("intake.{{partition(%d,1,2)}}.{{wildcard(1)}}.{{wildcard(2)}}", partitions),
			},
			Retention:            jetstream.WorkQueuePolicy,
			Discard:              jetstream.DiscardNew,
			DiscardNewPerSubject: true,
			MaxMsgsPerSubject:    maxBundlesPerCentre,
			MaxBytes:             maxIntakeBytes,
			MaxAge:               maxIntakeAge,
			MaxMsgSize:           maxMessage,
			Duplicates:           duplicateWindow,
			Storage:              jetstream.FileStorage,
		},
		{
			Name:              streamQuarantine,
			Description:       "what was not taken in, sealed to the keys of the districts",
			Subjects:          []string{quarantinePattern},
			Retention:         jetstream.LimitsPolicy,
			Discard:           jetstream.DiscardOld,
			MaxMsgsPerSubject: 1, // so that a further attempt's outcome takes the place of the one before
			MaxBytes:          maxQuarantineBytes,
			MaxMsgs:           maxQuarantineItems,
			MaxAge:            maxQuarantineAge,
			MaxMsgSize:        maxMessage,
			AllowMsgTTL:       true,
			Duplicates:        duplicateWindow,
			Storage:           jetstream.FileStorage,
		},
		{
			Name:              streamVerdicts,
			Description:       "verdicts of bundles, sealed to the centres that sent them",
			Subjects:          []string{"verdict.*.*.*"},
			Retention:         jetstream.LimitsPolicy,
			Discard:           jetstream.DiscardOld,
			MaxMsgsPerSubject: 1,
			MaxBytes:          maxVerdictsBytes,
			MaxMsgs:           maxVerdictsBundles,
			MaxAge:            maxVerdictsAge,
			MaxMsgSize:        maxMessage,
			Duplicates:        duplicateWindow,
			Storage:           jetstream.FileStorage,
		},
	} {
		config.Replicas = max(replicas, 1)
		// To create what is there already, unchanged, is nothing to the server; an
		// update would interfere with a door that is at work on another node.
		_, err := eventstore.Ask(ctx, js.Conn(), func(ctx context.Context) (jetstream.Stream, error) {
			s, err := js.CreateStream(ctx, config)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				s, err = js.UpdateStream(ctx, config)
			}
			return s, err
		})
		if err != nil {
			return fmt.Errorf("cannot open the stream %s: %w", config.Name, err)
		}
	}
	return nil
}

// streamOf returns a stream, or nil when no door ever made it.
func streamOf(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	s, err := eventstore.Ask(ctx, js.Conn(), func(ctx context.Context) (jetstream.Stream, error) { return js.Stream(ctx, name) })
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the stream %s: %w", name, err)
	}
	return s, nil
}
