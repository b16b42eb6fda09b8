package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The streams of the door. What lies in them is sealed.
const (
	streamIntake     = "INTAKE"
	streamQuarantine = "QUARANTINE"
)

const (
	maxMessage = 1 << 20 // bytes of one bundle, sealed

	// What waits for the ledger is bounded for all and for each centre. When
	// either is full, a centre is refused, keeps its bundle and tries again.
	maxIntakeBytes       = 1 << 30 // the server sets this much aside
	maxBundlesPerCentre  = 2_000
	maxIntakeAge         = 30 * 24 * time.Hour
	duplicateWindow      = 2 * time.Minute
	maxQuarantineBytes   = 256 << 20
	maxQuarantineBundles = 100_000
	maxQuarantineAge     = 30 * 24 * time.Hour
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
			Replicas:             replicas,
		},
		{
			Name:        streamQuarantine,
			Description: "sealed bundles that could not be taken in, as they came",
			Subjects:    []string{"quarantine.*.*"},
			Retention:   jetstream.LimitsPolicy,
			Discard:     jetstream.DiscardOld,
			MaxBytes:    maxQuarantineBytes,
			MaxMsgs:     maxQuarantineBundles,
			MaxAge:      maxQuarantineAge,
			MaxMsgSize:  maxMessage,
			Duplicates:  duplicateWindow,
			Storage:     jetstream.FileStorage,
			Replicas:    replicas,
		},
	} {
		// To create what is there already, unchanged, is nothing to the server; an
		// update would interfere with a door that is at work on another node.
		_, err := js.CreateStream(ctx, config)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			_, err = js.UpdateStream(ctx, config)
		}
		if err != nil {
			return fmt.Errorf("cannot open the stream %s: %w", config.Name, err)
		}
	}
	return nil
}
