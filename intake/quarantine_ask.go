package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/eventstore"
	"bahi/formats"
	"bahi/ledger"
	"bahi/vault"
)

// Quarantine is where lies what centres published and the ledger did not take in,
// for 30 days: submissions that were refused, with their verdicts, and bundles that
// could not be taken in as a whole. Everything in it is sealed to the key of the
// district whose people it is about, which a freeze of the district destroys.
type Quarantine struct {
	config    Config
	js        jetstream.JetStream
	publisher *Publisher
	log       *slog.Logger
	turns     turns // of items stored
}

// NewQuarantine returns the quarantine of a ledger. Its stream is made by the first
// door; until then it is empty.
func NewQuarantine(config Config) (*Quarantine, error) {
	js, err := jetstream.New(config.Conn)
	if err != nil {
		return nil, fmt.Errorf("cannot use JetStream: %w", err)
	}
	publisher, err := NewPublisher(config.Conn)
	if err != nil {
		return nil, err
	}
	return &Quarantine{config: config, js: js, publisher: publisher, log: orDiscard(config.Log)}, nil
}

// Bounds of what is told at once.
const (
	pageOfItems  = 100
	maxItemsPage = 1_000
	pageOfRows   = 20
	maxRowsPage  = 100
)

// List tells what lies in quarantine, oldest first, without opening anything.
func (q *Quarantine) List(ctx context.Context, query QuarantineQuery) (QuarantinePage, error) {
	page := QuarantinePage{Items: []Quarantined{}}
	stream, err := streamOf(ctx, q.js, streamQuarantine)
	if stream == nil || err != nil {
		return page, err
	}
	limit := query.Limit
	if limit == 0 {
		limit = pageOfItems
	}
	filter, err := query.filter()
	if err != nil || limit < 1 || limit > maxItemsPage {
		return page, fmt.Errorf("%w: a page has 1 to %d items, of a district or a centre whose codes there are", ledger.ErrBadRequest, maxItemsPage)
	}
	if query.After >= math.MaxInt64 {
		return page, fmt.Errorf("%w: after is the member next of the page before", ledger.ErrBadRequest)
	}
	messages, err := q.headers(ctx, stream, filter, query.After, limit+1)
	if err != nil {
		return page, err
	}
	last := uint64(0)
	for _, msg := range messages {
		meta, err := msg.Metadata()
		if err != nil {
			return page, fmt.Errorf("cannot list the quarantine: %w", err)
		}
		if len(page.Items) == limit {
			page.Next = last
			break
		}
		last = meta.Sequence.Stream
		if s, ok := parseStored(msg.Subject(), msg.Headers(), last, nil); ok {
			page.Items = append(page.Items, s.Quarantined)
		}
	}
	return page, nil
}

// headers returns messages behind a sequence, at most limit, without their content.
func (q *Quarantine) headers(ctx context.Context, stream jetstream.Stream, filter string, after uint64, limit int) ([]jetstream.Msg, error) {
	messages, err := eventstore.Ask(ctx, q.config.Conn, func(ctx context.Context) (messages []jetstream.Msg, err error) {
		consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
			FilterSubject: filter,
			DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
			AckPolicy: jetstream.AckNonePolicy, HeadersOnly: true, MemoryStorage: true, InactiveThreshold: time.Minute,
		})
		if err != nil {
			return nil, err
		}
		defer func() { _ = stream.DeleteConsumer(context.WithoutCancel(ctx), consumer.CachedInfo().Name) }()
		for wanted := min(limit, int(consumer.CachedInfo().NumPending)); len(messages) < wanted; {
			had := len(messages)
			batch, err := consumer.FetchNoWait(min(wanted-had, maxItemsPage))
			if err != nil {
				return nil, err
			}
			for msg := range batch.Messages() {
				messages = append(messages, msg)
			}
			if err := batch.Error(); err != nil {
				return nil, err
			}
			if len(messages) == had { // lost on the way, or removed since: look anew
				return nil, nats.ErrTimeout
			}
		}
		return messages, nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot list the quarantine: %w", err)
	}
	return messages, nil
}

func (query QuarantineQuery) filter() (string, error) {
	district, centre := "*", "*"
	if query.District != 0 {
		district = strconv.Itoa(int(query.District))
	}
	if query.Centre != "" {
		if centre = query.Centre; !isToken(centre) || len(centre) > maxCentre {
			return "", errors.New("no centre has this code")
		}
	}
	return "quarantine." + district + "." + centre + ".*", nil
}

// quarantinePlace reads a subject of the quarantine.
func quarantinePlace(subject string) (district domain.District, centre string, id domain.UUID, ok bool) {
	parts := strings.Split(subject, ".")
	if len(parts) != 4 {
		return 0, "", id, false
	}
	n, err := strconv.ParseUint(parts[1], 10, 16)
	if err != nil {
		return 0, "", id, false
	}
	id, err = domain.ParseUUID(parts[3])
	return domain.District(n), parts[2], id, err == nil
}

// errNotThere: nothing in quarantine has that id.
var errNotThere = ledger.ErrNotFound

// find returns what lies in quarantine under an id.
func (q *Quarantine) find(ctx context.Context, id domain.UUID) (stored, error) {
	stream, err := streamOf(ctx, q.js, streamQuarantine)
	if err != nil {
		return stored{}, err
	}
	if stream == nil {
		return stored{}, errNotThere
	}
	msg, err := eventstore.Ask(ctx, q.config.Conn, func(ctx context.Context) (*jetstream.RawStreamMsg, error) {
		return stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject("quarantine.*.*."+id.String()))
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return stored{}, errNotThere
	}
	if err != nil {
		return stored{}, fmt.Errorf("cannot look into the quarantine: %w", err)
	}
	s, ok := parseStored(msg.Subject, msg.Header, msg.Sequence, msg.Data)
	if !ok {
		return stored{}, errNotThere
	}
	return s, nil
}

// findFor is find for somebody who may ask about one district's people only; 0: any.
func (q *Quarantine) findFor(ctx context.Context, id domain.UUID, within domain.District) (stored, error) {
	s, err := q.find(ctx, id)
	if err == nil && within != 0 && within != s.District {
		return stored{}, errNotThere
	}
	return s, err
}

// open opens what is sealed. A freeze may have destroyed the key in the moment.
func (q *Quarantine) open(s stored) (rows []row, bundle []byte, err error) {
	if len(s.content) == 0 {
		return nil, nil, nil
	}
	plain, err := q.config.Keys.OpenQuarantine(s.District, s.ID, s.subject(), s.content)
	if errors.Is(err, vault.ErrKeyDestroyed) {
		return nil, nil, ledger.ErrFrozen
	}
	if err != nil {
		return nil, nil, err
	}
	defer clear(plain)
	rows, bundle, err = parseContent(plain)
	return rows, bytes.Clone(bundle), err
}

// Show opens something in quarantine for an officer, a page of its rows. It holds
// people's details: each row that is shown is recorded before, like the reading of a
// person's, and counts as one of the officer's readings of today. Rows about people
// who are frozen by now are withheld.
//
// Errors: ledger.ErrNotFound; ledger.ErrBadRequest; ledger.ErrTooManyReads;
// ledger.ErrFrozen when a freeze of the district ended it.
func (q *Quarantine) Show(ctx context.Context, r QuarantineReading) (QuarantineShown, error) {
	limit := r.Limit
	if limit == 0 {
		limit = pageOfRows
	}
	if limit < 1 || limit > maxRowsPage || r.After < 0 {
		return QuarantineShown{}, fmt.Errorf("%w: a page has 1 to %d rows", ledger.ErrBadRequest, maxRowsPage)
	}
	s, err := q.findFor(ctx, r.ID, r.District)
	if err != nil {
		return QuarantineShown{}, err
	}
	rows, _, err := q.open(s)
	if err != nil {
		return QuarantineShown{}, err
	}
	first := min(r.After, len(rows))
	page := rows[first:min(first+limit, len(rows))]
	kept, places := submissions(page)
	may, err := q.config.Reading(ctx, ledger.Reader{Officer: r.Officer, Purpose: r.Purpose, District: r.District}, s.District, s.ID, kept)
	if err != nil {
		return QuarantineShown{}, err
	}
	shown := QuarantineShown{Quarantined: s.Quarantined, Shown: []QuarantinedRow{}}
	for i, row := range page {
		is := QuarantinedRow{Row: first + i + 1}
		if len(places) > 0 && places[0] == i {
			if is.Withheld = !may[0]; is.Withheld {
				row = row.bare()
			}
			places, may = places[1:], may[1:]
		}
		if row.verdict != nil {
			is.Verdict = formats.AppendVerdict(nil, *row.verdict)
		}
		if row.submission != nil {
			is.Submission = formats.AppendSubmission(nil, row.submission)
		}
		shown.Shown = append(shown.Shown, is)
	}
	if end := first + len(page); end < len(rows) {
		shown.Next = end
	}
	return shown, nil
}

// Drop takes something out of quarantine for good.
func (q *Quarantine) Drop(ctx context.Context, id domain.UUID, within domain.District) (dropped Quarantined, err error) {
	err = unlessOvertaken(func() error {
		s, err := q.findFor(ctx, id, within)
		if err != nil {
			return err
		}
		dropped = s.Quarantined
		return q.remove(ctx, s)
	})
	return dropped, err
}

// remove removes a message. That it is gone already is no error; that another one
// stands in its place is errChanged.
func (q *Quarantine) remove(ctx context.Context, s stored) error {
	_, err := eventstore.Ask(ctx, q.config.Conn, func(ctx context.Context) (struct{}, error) {
		stream, err := q.js.Stream(ctx, streamQuarantine)
		if err == nil {
			err = stream.DeleteMsg(ctx, s.sequence)
		}
		return struct{}{}, err
	})
	if err == nil {
		return nil
	}
	switch is, lost := q.find(ctx, s.ID); {
	case errors.Is(lost, errNotThere):
		return nil
	case lost == nil && is.sequence != s.sequence:
		return errChanged
	}
	return fmt.Errorf("cannot remove from the quarantine: %w", err)
}

// unlessOvertaken attempts something again when somebody else was at work on the
// same, or a freeze came in between.
func unlessOvertaken(attempt func() error) (err error) {
	for range 5 {
		if err = attempt(); !errors.Is(err, errChanged) && !errors.Is(err, vault.ErrKeyDestroyed) {
			break
		}
	}
	return err
}

// Retry submits what lies in quarantine again, as its centre would: after what
// stood in its way was mended. What is accepted, or held already, leaves the
// quarantine; what is refused again stays, with its new reasons and its age. The
// verdicts that are kept for the centre do not change: it learns of the new ones
// when it sends the same again.
//
// Errors: ledger.ErrNotFound; ledger.ErrFrozen when a freeze of the district ended
// it; those of the ledger's Submit.
func (q *Quarantine) Retry(ctx context.Context, id domain.UUID, within domain.District) (r QuarantineRetried, err error) {
	err = unlessOvertaken(func() error {
		s, err := q.findFor(ctx, id, within)
		if err == nil {
			r, err = q.retry(ctx, s)
		}
		return err
	})
	return r, err
}

func (q *Quarantine) retry(ctx context.Context, s stored) (r QuarantineRetried, err error) {
	r.Quarantined = s.Quarantined
	from := sender{s.From, s.Centre}
	rows, bundle, err := q.open(s)
	if err != nil {
		return r, err
	}
	if bundle != nil {
		if rows, err = q.salvage(from, bundle); err != nil { // it opens as little as before
			s.Tries++
			r.Quarantined = s.Quarantined
			return r, q.put(ctx, s, q.config.Keys.QuarantinesEnded(), appendBundleContent(bundle))
		}
	} else if s.Kept == 0 {
		return r, nil // there is nothing to be tried
	}
	left, err := q.resubmit(ctx, rows, &r)
	if err != nil {
		return r, err
	}
	s.Code, s.Tries = CodeRejected, s.Tries+1
	return r, q.replace(ctx, s, from, left, &r)
}

// resubmit submits rows, 500 at a time, and returns those that are left.
func (q *Quarantine) resubmit(ctx context.Context, rows []row, r *QuarantineRetried) (left []row, err error) {
	for start := 0; start < len(rows); start += BundleSize {
		part := rows[start:min(start+BundleSize, len(rows))]
		kept, places := submissions(part)
		var verdicts []domain.Verdict
		if len(kept) > 0 {
			if verdicts, err = q.submit(ctx, kept); err != nil {
				return nil, err
			}
		}
		for i, row := range part {
			if len(places) > 0 && places[0] == i {
				v := verdicts[0]
				verdicts, places = verdicts[1:], places[1:]
				switch v.Outcome {
				case domain.Accepted:
					r.Accepted++
					continue
				case domain.Duplicate:
					r.Duplicate++
					continue
				}
				r.Rejected++
				row.verdict = &v
			}
			left = append(left, row)
		}
	}
	return left, nil
}

// submit is the ledger's, which may crash over the same as before.
func (q *Quarantine) submit(ctx context.Context, kept []domain.Submission) (verdicts []domain.Verdict, err error) {
	defer func() {
		if recover() != nil { // not the value: it may be anything
			q.log.Error("taking in what lies in quarantine crashed", "stack", string(debug.Stack()))
			err = errCrashedAgain
		}
	}()
	if verdicts, err = q.config.Submit(ctx, kept); err == nil && len(verdicts) != len(kept) {
		err = errMiscounted
	}
	return verdicts, err
}

var errCrashedAgain = errors.New("the ledger failed over it again; its log tells where")

// replace stores what is left of a message in its place, each row in the custody
// where it belongs by now: who was nobody may have been registered elsewhere.
func (q *Quarantine) replace(ctx context.Context, s stored, from sender, left []row, r *QuarantineRetried) error {
	ended := q.config.Keys.QuarantinesEnded()
	byDistrict, err := q.allot(ctx, s.District, left)
	if err != nil {
		return err
	}
	var stays []row
	for _, district := range sortedKeys(byDistrict) {
		for part, run := range split(byDistrict[district], vault.MaxBundle) {
			if district == s.District && part == 0 {
				stays = run
				continue
			}
			moved := arrival{from: from, bundle: s.ID, since: s.Since}.stored(district, part, s.Code)
			moved.Bundle, moved.Tries = s.Bundle, s.Tries
			if err := q.putNew(ctx, moved.holding(run), ended, appendRows(run)); err != nil {
				return err
			}
		}
	}
	s = s.holding(stays)
	r.Quarantined = s.Quarantined
	if len(stays) == 0 {
		return q.remove(ctx, s)
	}
	return q.put(ctx, s, ended, appendRows(stays))
}

func orDiscard(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}
