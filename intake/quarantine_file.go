package intake

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"bahi/domain"
	"bahi/formats"
	"bahi/vault"
)

// quarantinePattern: quarantine.<district>.<centre>.<id>. The district is that of
// the people whom the content is about, so that a freeze of it ends all of it; 0 and
// the centre "unknown" where there is neither.
const quarantinePattern = "quarantine.*.*.*"

const unknownCentre = "unknown"

// stored is a message in quarantine.
type stored struct {
	Quarantined
	sequence uint64
	content  []byte // sealed; empty when only the headers are kept
}

func (s stored) subject() string {
	return fmt.Sprintf("quarantine.%d.%s.%s", s.District, s.Centre, s.ID)
}

// file puts the refused rows of a bundle into quarantine, those about people of one
// district together and sealed to its key. What may be kept nowhere leaves its
// verdict, without its person, with the sender's district. The ids follow from the
// bundle: what is there already is left as it is.
func (q *Quarantine) file(ctx context.Context, a arrival, code BundleCode, rows []row) error {
	ended := q.config.Keys.QuarantinesEnded()
	byDistrict, err := q.allot(ctx, a.from.District, rows)
	if err != nil {
		return err
	}
	for _, district := range sortedKeys(byDistrict) {
		for part, run := range split(byDistrict[district], vault.MaxBundle) {
			s := a.stored(district, part, code)
			if err := q.putNew(ctx, s.holding(run), ended, appendRows(run)); err != nil {
				return err
			}
		}
	}
	return nil
}

// allot finds out in whose custody each row may be.
func (q *Quarantine) allot(ctx context.Context, from domain.District, rows []row) (map[domain.District][]row, error) {
	kept, places := submissions(rows)
	districts := make([]domain.District, len(rows))
	if len(kept) > 0 {
		custody, err := q.config.Custody(ctx, from, kept)
		if err != nil {
			return nil, err
		}
		for i, place := range places {
			districts[place] = custody[i]
		}
	}
	byDistrict := make(map[domain.District][]row)
	for i, r := range rows {
		if districts[i] == 0 {
			r = r.bare()
		}
		district := cmp.Or(districts[i], from)
		byDistrict[district] = append(byDistrict[district], r)
	}
	return byDistrict, nil
}

// bare is what is left of a row that may be kept nowhere.
func (r row) bare() row {
	if r.verdict == nil {
		return row{}
	}
	v := *r.verdict
	v.Person = ""
	return row{verdict: &v}
}

// filePoison puts a bundle into quarantine that could not be taken in: its
// submissions, when it opens and they can be read; the bundle as it came, when it
// does not open but is sealed and no greater than 64 KiB; and otherwise only that it came, for what was
// published in the clear may be anybody's data.
func (q *Quarantine) filePoison(ctx context.Context, a arrival, code BundleCode, bundle []byte) error {
	rows, err := q.salvage(a.from, bundle)
	switch {
	case err == nil && len(rows) > 0:
		return q.file(ctx, a, code, rows)
	case err == nil || !vault.IsBundle(bundle) || len(bundle) > quarantineSealedBytes:
		return q.putNew(ctx, a.stored(a.from.District, 0, code), 0, nil)
	}
	return q.putNew(ctx, a.stored(a.from.District, 0, code), q.config.Keys.QuarantinesEnded(), appendBundleContent(bundle))
}

// salvage reads what it can of a bundle that could not be taken in, be there ever so
// much. The error says that it does not open.
func (q *Quarantine) salvage(from sender, bundle []byte) (rows []row, err error) {
	plain, _, err := openBundle(q.config.Keys, from, bundle)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	defer func() {
		if recover() != nil { // a panic of the reader's was logged when the bundle was taken in
			rows, err = nil, nil
		}
	}()
	for item, readErr := range formats.ReadNDJSON(bytes.NewReader(plain)) {
		if readErr != nil {
			break
		}
		if item = OwnedBy(item, from.District, from.Centre); item.Submission != nil {
			rows = append(rows, row{submission: item.Submission})
		}
	}
	return rows, nil
}

// fileUnknown notes that something came whose subject names no district and centre.
// Of its content nothing is kept: there is no district whose freeze would end it.
func (q *Quarantine) fileUnknown(ctx context.Context, a arrival, code BundleCode) error {
	a.from, a.named = sender{0, unknownCentre}, false
	return q.putNew(ctx, a.stored(0, 0, code), 0, nil)
}

// stored is a new message about an arrival; part counts the messages about the same
// bundle and district.
func (a arrival) stored(district domain.District, part int, code BundleCode) stored {
	from := append([]byte("bahi quarantine 1 "+a.from.tokens()+" "), a.bundle[:]...)
	from = binary.BigEndian.AppendUint16(from, uint16(district))
	s := stored{Quarantined: Quarantined{
		ID:       uuidOf(binary.BigEndian.AppendUint32(from, uint32(part))),
		District: district, Centre: a.from.Centre, From: a.from.District, Code: code, Since: a.since,
	}}
	if a.named {
		s.Bundle = a.bundle.String()
	}
	return s
}

// holding is the message with what it tells of its rows.
func (s stored) holding(rows []row) stored {
	kept, _ := submissions(rows)
	s.Rows, s.Kept, s.Codes = len(rows), len(kept), codesOf(rows)
	return s
}

// errChanged: another message has taken this one's place, or has it already.
var errChanged = errors.New("what lies in quarantine was changed meanwhile")

func (q *Quarantine) putNew(ctx context.Context, s stored, ended uint64, content []byte) error {
	if err := q.put(ctx, s, ended, content); err != nil {
		if errors.Is(err, errChanged) {
			return nil // a bundle that came again
		}
		return err
	}
	q.trim(ctx, sender{s.From, s.Centre})
	return nil
}

// put seals and stores a message in the place of the one that s was read from, or,
// of a new one, of none. It keeps its age. What ended says, see
// [vault.Vault.SealQuarantine].
func (q *Quarantine) put(ctx context.Context, s stored, ended uint64, content []byte) error {
	m := message.NewMessage("", nil)
	m.SetContext(ctx)
	if len(content) > 0 {
		sealed, err := q.config.Keys.SealQuarantine(ended, s.District, s.ID, s.subject(), content)
		clear(content)
		if err != nil {
			return err
		}
		m.Payload = sealed
	}
	m.Metadata = s.headers(time.Now())
	m.Metadata.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(s.sequence, 10))
	err := q.publisher.Publish(s.subject(), m)
	var refused *jetstream.APIError
	if !errors.As(err, &refused) || refused.ErrorCode != jetstream.JSErrCodeStreamWrongLastSequence && refused.ErrorCode != wrongLastSequenceOfReplicas {
		return err
	}
	// Replicas refuse also what only comes at the same time as something else.
	if there, err := q.find(ctx, s.ID); err == nil && there.sequence == s.sequence || s.sequence == 0 && errors.Is(err, errNotThere) {
		return fmt.Errorf("the quarantine is busy: %w", refused)
	}
	return errChanged
}

// wrongLastSequenceOfReplicas is the code for a conflict on a stream with replicas.
const wrongLastSequenceOfReplicas = 10164

func (s stored) headers(now time.Time) message.Metadata {
	h := message.Metadata{
		HeaderCode:  string(s.Code),
		headerFrom:  strconv.Itoa(int(s.From)),
		headerRows:  strconv.Itoa(s.Rows),
		headerKept:  strconv.Itoa(s.Kept),
		headerTries: strconv.Itoa(s.Tries),
		headerSince: s.Since.UTC().Format(time.RFC3339),
		// However often it is tried, it does not live longer.
		jetstream.MsgTTLHeader: max(s.Since.Add(maxQuarantineAge).Sub(now), time.Second).Round(time.Second).String(),
	}
	if codes := formatCodes(s.Codes); codes != "" {
		h[headerCodes] = codes
	}
	if s.Bundle != "" {
		h[HeaderBundle] = s.Bundle
	}
	return h
}

// parseStored reads a message in quarantine. What is not in the form it should be in
// is told as far as it goes.
func parseStored(subject string, h nats.Header, sequence uint64, content []byte) (s stored, ok bool) {
	district, centre, id, ok := quarantinePlace(subject)
	if !ok {
		return stored{}, false
	}
	number := func(name string) int { n, _ := strconv.Atoi(h.Get(name)); return n }
	since, _ := time.Parse(time.RFC3339, h.Get(headerSince))
	return stored{
		Quarantined: Quarantined{
			ID: id, District: district, Centre: centre, From: domain.District(number(headerFrom)),
			Bundle: h.Get(HeaderBundle), Code: BundleCode(h.Get(HeaderCode)), Codes: parseCodes(h.Get(headerCodes)),
			Rows: number(headerRows), Kept: number(headerKept), Tries: number(headerTries),
			Since: since, Expires: since.Add(maxQuarantineAge),
		},
		sequence: sequence, content: content,
	}, true
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
