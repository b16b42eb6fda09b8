package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
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
//     none is left that was published before the rotation, intake acknowledges how
//     many of the districts' there were.
//   - quarantine: the districts' bundles in quarantine are removed, whatever the
//     groups of the freeze: what could not be taken in may hold anybody's details.
//     Those of other districts are sealed to the new key. Then the retired keys are
//     destroyed, and with them what a deletion leaves in the files of both streams,
//     and in every copy of them: neither opens again. It acknowledges how many
//     bundles were removed.
//
// Bundles are taken in by a door. As long as none does, both wait: the freeze holds
// and its receipt comes when one has served. A bundle that a centre seals to a
// retired key afterwards is refused with other_key, and [Client] seals it again.
//
// Not ended are: what a centre published without sealing it, and what is kept at
// the centre. The calls of the holders are not concurrent.
func Holders(connect func(name string) (*nats.Conn, error), keys *vault.Vault) []ledger.Holder {
	e := &ending{connect: connect, keys: keys, waited: make(map[domain.UUID]int64)}
	return []ledger.Holder{
		{Name: HolderIntake, Purge: e.within(e.endIntake)},
		{Name: HolderQuarantine, Purge: e.within(e.endQuarantine)},
	}
}

// Waiting returns how many bundles wait to be taken in.
func Waiting(ctx context.Context, conn *nats.Conn) (uint64, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return 0, fmt.Errorf("cannot use JetStream: %w", err)
	}
	s, err := streamOf(ctx, js, streamIntake)
	if s == nil || err != nil {
		return 0, err
	}
	return s.CachedInfo().State.Msgs, nil
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
	js                 jetstream.JetStream
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
		s := streams{js: js}
		if s.intake, err = streamOf(ctx, js, streamIntake); err != nil {
			return 0, err
		}
		if s.quarantine, err = streamOf(ctx, js, streamQuarantine); err != nil {
			return 0, err
		}
		return part(ctx, s, order)
	}
}

func streamOf(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	s, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the stream %s: %w", name, err)
	}
	return s, nil
}

// used tells whether a bundle ever came. If none did, the key that centres know
// need not change.
func (s streams) used() bool {
	return s.intake != nil && s.intake.CachedInfo().State.LastSeq > 0 ||
		s.quarantine != nil && s.quarantine.CachedInfo().State.LastSeq > 0
}

func (e *ending) endIntake(ctx context.Context, s streams, order domain.FreezeOrdered) (int64, error) {
	if !s.used() {
		return 0, nil
	}
	if _, rotated := e.waited[order.Freeze]; !rotated {
		if err := e.rotate(ctx, s); err != nil {
			return 0, err
		}
		waited, err := count(ctx, s.intake, "intake.*.%d.*", order)
		if err != nil {
			return 0, err
		}
		e.waited[order.Freeze] = waited
	}
	return e.waited[order.Freeze], drained(ctx, s.intake)
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

func (e *ending) endQuarantine(ctx context.Context, s streams, order domain.FreezeOrdered) (int64, error) {
	removed, err := count(ctx, s.quarantine, "quarantine.%d.*", order)
	if err != nil {
		return 0, err
	}
	if removed > 0 {
		for _, d := range districts(order) {
			if err := s.quarantine.Purge(ctx, jetstream.WithPurgeSubject(fmt.Sprintf("quarantine.%d.*", d))); err != nil {
				return 0, fmt.Errorf("cannot purge the quarantine: %w", err)
			}
		}
	}
	return removed, e.destroyRetired(ctx, s)
}

// destroyRetired destroys the retired keys, once nobody needs them.
func (e *ending) destroyRetired(ctx context.Context, s streams) error {
	if e.keys.RetiredIntakeKeys() == 0 {
		return nil
	}
	if err := drained(ctx, s.intake); err != nil {
		return err
	}
	if err := e.reseal(ctx, s); err != nil {
		return fmt.Errorf("cannot seal the quarantine to the new key: %w", err)
	}
	_, err := e.keys.DestroyRetiredIntakeKeys()
	return err
}

// drained returns when nothing is left of what waits now, or [ledger.ErrWaits] when
// nobody takes it in.
func drained(ctx context.Context, intake jetstream.Stream) error {
	if intake == nil {
		return nil
	}
	var last uint64 // that was there at first
	var was [2]uint64
	moved := time.Now()
	for first := true; ; first = false {
		info, err := intake.Info(ctx)
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

// count counts the bundles of the order's districts.
func count(ctx context.Context, in jetstream.Stream, pattern string, order domain.FreezeOrdered) (n int64, err error) {
	if in == nil {
		return 0, nil
	}
	for _, d := range districts(order) {
		info, err := in.Info(ctx, jetstream.WithSubjectFilter(fmt.Sprintf(pattern, d)))
		if err != nil {
			return 0, fmt.Errorf("cannot count bundles: %w", err)
		}
		for _, bundles := range info.State.Subjects {
			n += int64(bundles)
		}
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

// headerSince says since when a bundle is in quarantine that was sealed again.
const headerSince = "Bahi-Since"

// reseal seals to the present key what in quarantine is sealed to a retired one. It
// copies the quarantine behind itself and then purges what it copied: a removal one
// by one would be flushed one by one. Should the stream be full, the oldest makes
// room, which has its copy by then. A crash before the purge leaves both, which are
// one bundle to the ledger.
func (e *ending) reseal(ctx context.Context, s streams) error {
	if s.quarantine == nil {
		return nil
	}
	info, err := s.quarantine.Info(ctx)
	if err != nil {
		return err
	}
	last := info.State.LastSeq
	var window []jetstream.PubAckFuture
	for next := info.State.FirstSeq; next <= last; {
		was, err := s.quarantine.GetMsg(ctx, next, jetstream.WithGetMsgSubject("quarantine.*.*"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			break
		}
		if err != nil {
			return err
		}
		if next = was.Sequence + 1; was.Sequence > last {
			break
		}
		is, err := e.again(was)
		if err != nil {
			return err
		}
		if is == nil {
			continue
		}
		future, err := s.js.PublishMsgAsync(is, jetstream.WithMsgID("again "+strconv.FormatUint(was.Sequence, 10)))
		if err != nil {
			return err
		}
		if window = append(window, future); len(window) == copiesAtATime {
			if err := stored(ctx, window); err != nil {
				return err
			}
			window = window[:0]
		}
	}
	if err := stored(ctx, window); err != nil {
		return err
	}
	return s.quarantine.Purge(ctx, jetstream.WithPurgeSequence(last+1))
}

// copiesAtATime bounds the copies that the server has not acknowledged: 64 MiB.
const copiesAtATime = 64

// stored waits for the server's acknowledgements.
func stored(ctx context.Context, window []jetstream.PubAckFuture) error {
	for _, f := range window {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// again is what takes a bundle's place in quarantine, or nil when its time there is
// over: it does not live longer by being sealed again. What does not open as its
// subject's stays as it is, and ends with the retired key.
func (e *ending) again(was *jetstream.RawStreamMsg) (*nats.Msg, error) {
	since, err := time.Parse(time.RFC3339, was.Header.Get(headerSince))
	if err != nil {
		since = was.Time
	}
	if time.Since(since) >= maxQuarantineAge {
		return nil, nil
	}
	is := nats.NewMsg(was.Subject)
	is.Data = was.Data
	if from, ok := quarantinedFrom(was.Subject); ok && !e.keys.SealedToPresent(was.Data) {
		sealed, err := e.keys.ResealBundle(was.Data, []byte(from.subject()))
		switch {
		case err == nil:
			is.Data = sealed
		case !errors.Is(err, vault.ErrOtherKey) && !errors.Is(err, vault.ErrCorrupt) && !errors.Is(err, vault.ErrTooLarge):
			return nil, err
		}
	}
	for name, values := range was.Header {
		if !strings.HasPrefix(name, "Nats-") {
			is.Header[name] = values
		}
	}
	is.Header.Set(headerSince, since.UTC().Format(time.RFC3339))
	return is, nil
}

// quarantinedFrom reads a subject of the quarantine.
func quarantinedFrom(subject string) (sender, bool) {
	rest, ok := strings.CutPrefix(subject, "quarantine.")
	if !ok {
		return sender{}, false
	}
	return senderOf("intake.0." + rest)
}
