package eventstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
)

// The streams and their subjects. There is never a subject a person: a billion
// of them would cost the server its memory, and subjects are readable to
// whoever may list them.
const (
	streamLedger   = "LEDGER"
	subjectLedger  = "ledger.*"
	subjectOrder   = "ledger.order"
	subjectSeveral = "ledger.several"

	streamAudit    = "AUDIT"
	subjectRead    = "audit.read"
	subjectBarrier = "audit.barrier"
	subjectAccess  = "audit.access"
)

// subjectOf returns the subject of a district's commits, or of the orders.
func subjectOf(d domain.District) string {
	switch d {
	case 0:
		return subjectOrder
	case Several:
		return subjectSeveral
	}
	return fmt.Sprintf("ledger.%d", d)
}

func ledgerConfig(replicas int) jetstream.StreamConfig {
	return streamConfig(streamLedger, replicas, subjectLedger)
}

func auditConfig(replicas int) jetstream.StreamConfig {
	return streamConfig(streamAudit, replicas, subjectRead, subjectBarrier, subjectAccess)
}

// streamConfig returns how a stream that history stands on is kept: on disk,
// without limits of number, size or age, and such that nobody can delete or
// purge a message. The server does not let DenyDelete and DenyPurge be taken
// back.
//
// AllowDirect stays off: a message asked for by sequence or subject is answered
// by the leader, never by a replica that lags and does not have it yet.
func streamConfig(name string, replicas int, subjects ...string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              name,
		Subjects:          subjects,
		Storage:           jetstream.FileStorage,
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardNew,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxMsgsPerSubject: -1,
		MaxMsgSize:        1 << 20,
		MaxConsumers:      -1,
		DenyDelete:        true,
		DenyPurge:         true,
		Replicas:          max(replicas, 1),
	}
}

// openStream returns the stream, made when it does not exist. One that exists
// is given the subjects that it lacks, for earlier versions had fewer; apart from
// that it is left as it is, and refused with [ErrUnfit] when it could lose or change
// history.
func (s *Store) openStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	stream, err := Ask(ctx, s.nc, func(ctx context.Context) (jetstream.Stream, error) {
		stream, err := s.js.Stream(ctx, want.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = s.js.CreateStream(ctx, want)
		}
		return stream, err
	})
	if err != nil && !errors.Is(err, ErrUnreachable) {
		err = fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open the stream %s: %w", want.Name, err)
	}
	if got := stream.CachedInfo().Config; len(got.Subjects) < len(want.Subjects) && includes(want.Subjects, got.Subjects) {
		got.Subjects = want.Subjects
		if stream, err = s.js.UpdateStream(ctx, got); err != nil {
			return nil, fmt.Errorf("give the stream %s its subjects: %w", want.Name, err)
		}
	}
	if faults := unfit(stream.CachedInfo().Config, want); len(faults) > 0 {
		return nil, fmt.Errorf("the stream %s of this server: %w: %s; set it up so, or let bahi make it", want.Name, ErrUnfit, strings.Join(faults, ", "))
	}
	return stream, nil
}

// includes tells whether all of the subjects some are among all.
func includes(all, some []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}

// unfit returns what is wrong with a stream's set-up. A limit in bytes is
// allowed: the stream then refuses what is new and keeps what it has.
func unfit(got, want jetstream.StreamConfig) []string {
	var faults []string
	must := func(holds bool, fault string) {
		if !holds {
			faults = append(faults, fault)
		}
	}
	slices.Sort(got.Subjects)
	slices.Sort(want.Subjects)
	must(slices.Equal(got.Subjects, want.Subjects), "its subjects must be "+strings.Join(want.Subjects, " and "))
	must(got.Storage == jetstream.FileStorage, "it must be stored in files")
	must(got.PersistMode == jetstream.DefaultPersistMode, "it must be flushed before it acknowledges")
	must(got.DenyDelete, "it must deny deleting messages")
	must(got.DenyPurge, "it must deny purging")
	must(got.Retention == jetstream.LimitsPolicy, "its retention must be by limits")
	must(got.Discard == jetstream.DiscardNew, "it must discard new messages when it is full")
	must(got.MaxAge == 0, "it must not have a maximal age")
	must(got.MaxMsgs <= 0, "it must not have a maximal number of messages")
	must(got.MaxMsgsPerSubject <= 0, "it must not have a maximal number of messages a subject")
	must(got.MaxMsgSize <= 0 || got.MaxMsgSize >= want.MaxMsgSize, "it must take messages of 1 MiB")
	must(!got.AllowMsgTTL, "it must not let messages expire")
	must(!got.AllowDirect && !got.MirrorDirect, "it must not allow direct gets, which a lagging replica answers")
	must(got.Mirror == nil && len(got.Sources) == 0, "it must not mirror or source another stream")
	must(got.SubjectTransform == nil, "it must not rename subjects")
	must(!got.Sealed, "it must not be sealed")
	must(got.Replicas >= want.Replicas, fmt.Sprintf("it must have at least %d replicas", want.Replicas))
	return faults
}
