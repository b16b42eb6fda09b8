package intake

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Of what is only kept each centre has a share, in which its oldest makes room: one
// that floods does not empty what is kept of others. It is looked at with every 16th
// message of a centre, so that a few more may lie there.
const (
	quarantineItemsPerCentre  = 1_000
	quarantineBytesPerCentre  = 16 << 20
	quarantineSealedPerCentre = 16       // bundles that do not open
	quarantineSealedBytes     = 64 << 10 // of a greater one that does not open only the code is kept
	verdictsPerCentre         = 1_000
	verdictsBytesPerCentre    = 64 << 20

	lookEvery = 16
)

// turns counts messages of centres.
type turns struct {
	mu sync.Mutex
	of map[sender]uint8
}

// due tells with the first and then every 16th message of a centre.
func (t *turns) due(of sender) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = make(map[sender]uint8)
	}
	n := t.of[of]
	t.of[of] = (n + 1) % lookEvery
	return n == 0
}

// trimVerdicts removes the oldest verdicts of a centre beyond its share, after one of
// that many bytes was kept. Greater ones count for more: as if all were as great.
func (d *Door) trimVerdicts(ctx context.Context, of sender, size int) {
	keep := verdictsPerCentre
	if size > 0 {
		keep = min(keep, verdictsBytesPerCentre/size)
	}
	if !d.turns.due(of) && keep == verdictsPerCentre {
		return
	}
	if err := d.verdicts.Purge(ctx, jetstream.WithPurgeSubject("verdict."+of.tokens()+".*"), jetstream.WithPurgeKeep(uint64(keep))); err != nil {
		d.log.Warn("verdicts beyond a centre's share could not be removed; the next look does", "code", "not_trimmed")
	}
}

// trim removes the oldest items of a centre beyond its share, whichever districts
// their people are of. Subjects do not tell of which district the centre is, whose
// code another district may use, too; headers do.
func (q *Quarantine) trim(ctx context.Context, of sender) {
	if !q.turns.due(of) {
		return
	}
	if err := q.trimNow(ctx, of); err != nil {
		q.log.Warn("items beyond a centre's share of the quarantine could not be removed; the next look does", "code", "not_trimmed")
	}
}

func (q *Quarantine) trimNow(ctx context.Context, of sender) error {
	stream, err := streamOf(ctx, q.js, streamQuarantine)
	if stream == nil || err != nil {
		return err
	}
	items, err := q.itemsOf(ctx, stream, of)
	if err != nil {
		return err
	}
	kept, bytes, sealed := 0, 0, 0
	for i := len(items) - 1; i >= 0; i-- { // the newest first
		is := items[i]
		full := kept == quarantineItemsPerCentre || bytes+is.bytes > quarantineBytesPerCentre
		if is.opaque {
			full = full || sealed == quarantineSealedPerCentre
		}
		if full {
			if err := stream.DeleteMsg(ctx, is.sequence); err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
				return fmt.Errorf("cannot remove from the quarantine: %w", err)
			}
			continue
		}
		kept, bytes = kept+1, bytes+is.bytes
		if is.opaque {
			sealed++
		}
	}
	return nil
}

// item is what a share is counted by.
type item struct {
	sequence uint64
	bytes    int
	opaque   bool // a bundle that does not open
}

// itemsOf lists what lies in quarantine of a centre, the oldest first.
func (q *Quarantine) itemsOf(ctx context.Context, stream jetstream.Stream, of sender) (items []item, err error) {
	messages, err := q.headers(ctx, stream, "quarantine.*."+of.Centre+".*", 0, maxQuarantineItems)
	if err != nil {
		return nil, err
	}
	for _, msg := range messages {
		meta, err := msg.Metadata()
		if err != nil {
			return nil, fmt.Errorf("cannot list the quarantine: %w", err)
		}
		s, ok := parseStored(msg.Subject(), msg.Headers(), meta.Sequence.Stream, nil)
		if !ok || s.From != of.District {
			continue
		}
		size, _ := strconv.Atoi(msg.Headers().Get(nats.MsgSize))
		items = append(items, item{meta.Sequence.Stream, size, s.Rows == 0 && size > 0})
	}
	return items, nil
}
