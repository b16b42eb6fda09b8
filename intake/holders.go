package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/ledger"
	"bahi/vault"
)

// The names under which the door's streams acknowledge a freeze.
const (
	HolderIntake     = "intake"
	HolderQuarantine = "quarantine"
)

// Holders are the door's parts of a freeze, in their order. What centres published
// before it was ordered does not outlive it:
//
//   - intake: the intake key rotates. Bundles that wait are still taken in, after
//     the freeze: the doses count, and a registration opens the next generation. When
//     none is left that was published before the rotation, the retired keys are
//     destroyed, and with them what is left in the stream's files, and in every copy
//     of them: it opens nowhere again. Intake acknowledges how many of the districts'
//     bundles waited.
//   - quarantine: the districts' quarantine keys are destroyed, and what was sealed
//     to them is removed, whatever the groups of the freeze: what was not taken in
//     may hold anybody's details. It acknowledges how many messages were removed.
//     Other districts' quarantine is left as it is.
//
// Bundles are taken in by a door. As long as none does, both wait: the freeze holds
// and its receipt comes when one has served. What was in hand has come to its end by
// then, so that nothing from before the freeze enters the quarantine after it. A
// bundle that a centre seals to a retired key afterwards is refused with other_key,
// and [Client] seals it again.
//
// Not ended are: what a centre published without sealing it, and what is kept at
// the centre. The calls of the holders are not concurrent.
func Holders(connect func(name string) (*nats.Conn, error), keys *vault.Vault) []ledger.Holder {
	e := &ending{connect: connect, keys: keys, waited: make(map[domain.UUID]int64)}
	return []ledger.Holder{
		{Name: HolderIntake, Purge: e.within(e.endIntake)},
		{Name: HolderQuarantine, Purge: e.within(e.endQuarantine), PurgeAgain: e.endPutBack},
	}
}

// ending ends what the door's streams hold of a freeze's scope.
type ending struct {
	connect func(name string) (*nats.Conn, error)
	keys    *vault.Vault
	// waited has the freezes for which this process rotated the key, and how many
	// bundles waited then. After a crash the key rotates once more.
	waited map[domain.UUID]int64
}

// patience is for how long no bundle may be taken in before a freeze is told to
// wait: without a door none ever is.
const patience = time.Second

// streams are the door's. Both are nil if no door ever was.
type streams struct {
	conn               *nats.Conn
	intake, quarantine jetstream.Stream
}

// within runs a part of a freeze on a connection of its own.
func (e *ending) within(part func(context.Context, streams, domain.FreezeOrdered) (int64, error)) func(context.Context, domain.FreezeOrdered) (int64, error) {
	return func(ctx context.Context, order domain.FreezeOrdered) (int64, error) {
		conn, err := e.connect("freeze")
		if err != nil {
			return 0, err
		}
		defer conn.Close()
		js, err := jetstream.New(conn)
		if err != nil {
			return 0, fmt.Errorf("cannot use JetStream: %w", err)
		}
		s := streams{conn: conn}
		if s.intake, err = streamOf(ctx, js, streamIntake); err != nil {
			return 0, err
		}
		if s.quarantine, err = streamOf(ctx, js, streamQuarantine); err != nil {
			return 0, err
		}
		return part(ctx, s, order)
	}
}

func (e *ending) endIntake(ctx context.Context, s streams, order domain.FreezeOrdered) (int64, error) {
	if s.intake == nil || s.intake.CachedInfo().State.LastSeq == 0 {
		return 0, nil // no bundle ever came: the key that centres know need not change
	}
	if _, rotated := e.waited[order.Freeze]; !rotated {
		if err := e.rotate(ctx, s); err != nil {
			return 0, err
		}
		waited, err := countOf(ctx, s.conn, s.intake, "intake.*.%d.*", order)
		if err != nil {
			return 0, err
		}
		e.waited[order.Freeze] = waited
	}
	return e.waited[order.Freeze], e.destroyRetired(ctx, s)
}

// rotate makes a new intake key. Freezes that were cut off many times may have left
// as many retired keys as there can be: they are ended first.
func (e *ending) rotate(ctx context.Context, s streams) error {
	err := e.keys.RotateIntakeKey()
	if errors.Is(err, vault.ErrTooManyKeys) {
		if err := e.destroyRetired(ctx, s); err != nil {
			return err
		}
		err = e.keys.RotateIntakeKey()
	}
	return err
}

// destroyRetired destroys the retired keys, once nobody needs them.
func (e *ending) destroyRetired(ctx context.Context, s streams) error {
	if err := drained(ctx, s.conn, s.intake); err != nil {
		return err
	}
	_, err := e.keys.DestroyRetiredIntakeKeys()
	return err
}

// endQuarantine destroys the keys first: what is sealed from then on is of after the
// freeze. Should it go with the rest, its centre has it still.
func (e *ending) endQuarantine(ctx context.Context, s streams, order domain.FreezeOrdered) (int64, error) {
	for _, d := range districts(order) {
		if _, err := e.keys.DestroyQuarantineKey(d, order.Freeze); err != nil {
			return 0, err
		}
	}
	if s.quarantine == nil {
		return 0, nil
	}
	removed, err := countOf(ctx, s.conn, s.quarantine, "quarantine.%d.>", order)
	if err != nil || removed == 0 {
		return 0, err
	}
	for _, d := range districts(order) {
		_, err := eventstore.Ask(ctx, s.conn, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, s.quarantine.Purge(ctx, jetstream.WithPurgeSubject(fmt.Sprintf("quarantine.%d.>", d)))
		})
		if err != nil {
			return 0, fmt.Errorf("cannot purge the quarantine: %w", err)
		}
	}
	return removed, nil
}

// endPutBack destroys quarantine keys that a freeze had destroyed and that are there
// again, with a key file that was put back.
func (e *ending) endPutBack(_ context.Context, orders []domain.FreezeOrdered) (back int, err error) {
	last := make(map[domain.District]domain.UUID)
	for _, order := range orders {
		for _, d := range districts(order) {
			last[d] = order.Freeze
		}
	}
	for _, d := range sortedKeys(last) {
		if _, freeze := e.keys.QuarantineKey(d); freeze == last[d] {
			continue // no key, or one that was made since
		}
		held, err := e.keys.DestroyQuarantineKey(d, last[d])
		if err != nil {
			return back, err
		}
		if held {
			back++
		}
	}
	return back, nil
}

// drained returns when nothing is left of what waits now, or [ledger.ErrWaits] when
// nobody takes it in.
func drained(ctx context.Context, conn *nats.Conn, intake jetstream.Stream) error {
	var last uint64 // that was there at first
	var was [2]uint64
	moved := time.Now()
	for first := true; ; first = false {
		info, err := eventstore.Ask(ctx, conn, func(ctx context.Context) (*jetstream.StreamInfo, error) { return intake.Info(ctx) })
		if err != nil {
			return fmt.Errorf("cannot see which bundles wait: %w", err)
		}
		state := info.State
		if first {
			last = state.LastSeq
		}
		if state.Msgs == 0 || state.FirstSeq > last {
			return nil
		}
		// One of them changes with each bundle that is taken in, and neither with
		// one that comes.
		if is := [2]uint64{state.FirstSeq, uint64(state.NumDeleted)}; is != was {
			was, moved = is, time.Now()
		}
		if time.Since(moved) > patience {
			return fmt.Errorf("%w: bundles of centres have to be taken in first; run bahi serve", ledger.ErrWaits)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// countOf counts the messages of the order's districts.
func countOf(ctx context.Context, conn *nats.Conn, in jetstream.Stream, pattern string, order domain.FreezeOrdered) (n int64, err error) {
	for _, d := range districts(order) {
		messages, err := countOn(ctx, conn, in, fmt.Sprintf(pattern, d))
		if err != nil {
			return 0, err
		}
		n += int64(messages)
	}
	return n, nil
}

// districts are those an order is about.
func districts(order domain.FreezeOrdered) []domain.District {
	var all []domain.District
	if order.District != 0 {
		all = append(all, order.District)
	}
	for _, c := range order.Cohorts {
		all = append(all, c.Cohort.District)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
