package intake

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
)

// Backlog is what waits to be taken in.
type Backlog struct {
	Bundles uint64        `json:"bundles"`
	Oldest  time.Time     `json:"oldest,omitzero"` // when the one came that waits longest
	Centres []CentreWaits `json:"centres"`         // those of which most wait, at most 100
	Others  int           `json:"others"`          // how many centres more
}

// CentreWaits is how many bundles of a centre wait.
type CentreWaits struct {
	District domain.District `json:"district"` // 0 with an empty centre: of all whose subject names none
	Centre   string          `json:"centre"`
	Bundles  uint64          `json:"bundles"`
}

// mostCentres bounds how many centres a backlog names.
const mostCentres = 100

// Waiting tells what waits to be taken in.
func Waiting(ctx context.Context, conn *nats.Conn) (Backlog, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return Backlog{}, fmt.Errorf("cannot use JetStream: %w", err)
	}
	s, err := streamOf(ctx, js, streamIntake)
	if s == nil || err != nil {
		return Backlog{Centres: []CentreWaits{}}, err
	}
	return backlogOf(ctx, conn, s)
}

func backlogOf(ctx context.Context, conn *nats.Conn, s jetstream.Stream) (Backlog, error) {
	b := Backlog{Centres: []CentreWaits{}}
	info, err := infoOf(ctx, conn, s, "intake.>")
	if err != nil {
		return b, fmt.Errorf("cannot see which bundles wait: %w", err)
	}
	if b.Bundles = info.State.Msgs; b.Bundles > 0 {
		b.Oldest = info.State.FirstTime
	}
	centres := make(map[sender]uint64)
	for subject, n := range info.State.Subjects {
		from, _ := senderOf(subject)
		centres[from] += n
	}
	for from, n := range centres {
		b.Centres = append(b.Centres, CentreWaits{from.District, from.Centre, n})
	}
	slices.SortFunc(b.Centres, func(x, y CentreWaits) int {
		return cmp.Or(cmp.Compare(y.Bundles, x.Bundles), cmp.Compare(x.District, y.District), cmp.Compare(x.Centre, y.Centre))
	})
	if b.Others = max(len(b.Centres)-mostCentres, 0); b.Others > 0 {
		b.Centres = b.Centres[:mostCentres]
	}
	return b, nil
}

// infoOf asks how a stream is, and how many messages it has on each of the subjects of
// a pattern.
func infoOf(ctx context.Context, conn *nats.Conn, s jetstream.Stream, pattern string) (*jetstream.StreamInfo, error) {
	return eventstore.Ask(ctx, conn, func(ctx context.Context) (*jetstream.StreamInfo, error) {
		return s.Info(ctx, jetstream.WithSubjectFilter(pattern))
	})
}

// countOn counts the messages of a stream on subjects of a pattern.
func countOn(ctx context.Context, conn *nats.Conn, s jetstream.Stream, pattern string) (n uint64, err error) {
	info, err := infoOf(ctx, conn, s, pattern)
	if err != nil {
		return 0, fmt.Errorf("cannot count what waits: %w", err)
	}
	for _, messages := range info.State.Subjects {
		n += messages
	}
	return n, nil
}

// watch says in the log when bundles wait for long, and when they do not any more:
// the ledger that does not answer has its own log, but nobody reads the one of a
// machine that seems to run.
func (d *Door) watch(ctx context.Context) {
	every := time.NewTicker(d.pace.watch)
	defer every.Stop()
	told := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		b, err := backlogOf(ctx, d.config.Conn, d.intake)
		if err != nil {
			continue // the subscriptions tell of a server that is away
		}
		// The centres are asked about a moment after the total: the last bundle may be gone.
		stuck := len(b.Centres) > 0 && time.Since(b.Oldest) > d.pace.stuck
		switch {
		case stuck:
			most := b.Centres[0]
			d.log.Warn("bundles wait for long", "bundles", b.Bundles, "oldest", time.Since(b.Oldest).Round(time.Second).String(),
				"centres", len(b.Centres)+b.Others, "most", sender{most.District, most.Centre}.subject(), "of_it", most.Bundles)
		case told:
			d.log.Info("bundles do not wait for long any more", "bundles", b.Bundles)
		}
		told = stuck
	}
}
