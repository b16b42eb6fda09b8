package centre

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"bahi/domain"
)

// The streams of the spool. A bundle is kept, its verdicts are kept, the bundle
// is forgotten: in this order, each flushed before the next begins.
const (
	streamBundles  = "BUNDLES"  // bundle.<id>: sealed bundles that wait, in their order
	streamVerdicts = "VERDICTS" // verdict.<id>: sealed verdicts
	streamRefused  = "REFUSED"  // refused.<id>: which of the bundles the ledger refused, and why
	streamSent     = "SENT"     // sent: the last exchange with the ledger, sealed

	subjectSent = "sent"
)

const (
	maxRecord   = 8 << 20 // bytes of a bundle or its verdicts, sealed
	maxBundles  = 100_000
	maxRefused  = 1_000     // beyond them it is not the bundles that are to blame
	reserved    = 128 << 20 // bytes of the disk that are left free
	spoolReply  = 30 * time.Second
	wrongLast   = jetstream.ErrorCode(10071) // a subject holds a message already
	storeFailed = jetstream.ErrorCode(10077) // a stream is at its limits
)

// spool keeps sealed bundles until their verdicts are there, and the verdicts
// for a month.
type spool struct {
	server    *server.Server
	nc        *nats.Conn
	js        jetstream.JetStream
	bundles   jetstream.Stream
	verdicts  jetstream.Stream
	refusals  jetstream.Stream
	exchanges jetstream.Stream
	limit     int64 // bytes of bundles
	dir       string

	verdictKey *key
	mu         sync.Mutex // orders keeping and forgetting, and guards bundleKey
	bundleKey  *key
	refusedMu  sync.Mutex // guards refused
	refused    map[uint64]Refused

	news chan struct{} // something was kept, or is to be tried again
	room chan struct{} // something was forgotten

	// do carries out a step that changes what is on disk or at the ledger. Tests
	// let steps fail, before and after they are done.
	do func(step string, do func() error) error
}

// openSpool opens the spool in dir, or makes it. Its keys lie in keys. A limit of 0
// leaves it as large as it is.
func openSpool(ctx context.Context, dir, keys string, limit int64) (_ *spool, err error) {
	s := &spool{
		limit: limit, dir: dir, refused: map[uint64]Refused{},
		news: make(chan struct{}, 1), room: make(chan struct{}, 1),
		do: func(_ string, do func() error) error { return do() },
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	_, err = os.Stat(dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	if s.verdictKey, err = openKey(filepath.Join(keys, fileVerdictKey), fresh); err != nil {
		return nil, err
	}
	var torn error
	if s.bundleKey, torn = openKey(filepath.Join(keys, fileBundleKey), fresh); torn != nil && !errors.Is(torn, errDamaged) {
		return nil, torn
	}
	if s.server, err = startServer(dir); err != nil {
		return nil, err
	}
	if s.nc, err = nats.Connect("", nats.InProcessServer(s.server), nats.Name("bahi spool"), nats.Timeout(spoolReply)); err != nil {
		return nil, fmt.Errorf("open the spool: %w", err)
	}
	if s.js, err = jetstream.New(s.nc, jetstream.WithDefaultTimeout(spoolReply)); err != nil {
		return nil, fmt.Errorf("open the spool: %w", err)
	}
	if err := s.openStreams(ctx); err != nil {
		return nil, err
	}
	// Nothing waits, so nothing needs the key that sealed what once did.
	if err := s.renewWhenEmpty(ctx); err != nil {
		return nil, err
	}
	if s.bundleKey.aead == nil {
		return nil, fmt.Errorf("bundles wait in the spool and cannot be opened: %w", torn)
	}
	return s, s.readRefused(ctx)
}

func (s *spool) openStreams(ctx context.Context) (err error) {
	if s.limit == 0 {
		s.limit = DefaultMaxBytes
		if there, err := s.js.Stream(ctx, streamBundles); err == nil {
			s.limit = there.CachedInfo().Config.MaxBytes
		}
	}
	open := func(c jetstream.StreamConfig) (stream jetstream.Stream) {
		if err != nil {
			return nil
		}
		c.Storage, c.AllowDirect, c.MaxMsgSize = jetstream.FileStorage, true, maxRecord
		if stream, err = s.js.CreateOrUpdateStream(ctx, c); err != nil {
			err = fmt.Errorf("open the spool's stream %s: %w", c.Name, err)
		}
		return stream
	}
	s.bundles = open(jetstream.StreamConfig{
		Name: streamBundles, Subjects: []string{"bundle.*"},
		Discard: jetstream.DiscardNew, MaxBytes: s.limit, MaxMsgs: maxBundles,
	})
	s.verdicts = open(jetstream.StreamConfig{
		Name: streamVerdicts, Subjects: []string{"verdict.*"},
		Discard: jetstream.DiscardOld, MaxBytes: s.limit, MaxAge: verdictAge,
	})
	s.refusals = open(jetstream.StreamConfig{
		Name: streamRefused, Subjects: []string{"refused.*"},
		Discard: jetstream.DiscardNew, MaxBytes: 16 << 20, MaxMsgsPerSubject: 1,
	})
	s.exchanges = open(jetstream.StreamConfig{
		Name: streamSent, Subjects: []string{subjectSent},
		Discard: jetstream.DiscardOld, MaxMsgs: 1, MaxBytes: 16 << 20,
	})
	return err
}

func (s *spool) close() {
	if s.nc != nil {
		s.nc.Close()
	}
	if s.server != nil {
		stopServer(s.server)
	}
}

// keep puts a bundle behind those that wait, flushed when it returns. It returns
// a [*FullError] when there is no room; part leaves a quarter of the room to
// others.
func (s *spool) keep(ctx context.Context, id domain.UUID, b bundle, part bool) error {
	plain, err := b.encode()
	if err != nil {
		return err
	}
	// Whoever asked may go away: what was kept or not is to be known.
	ctx = context.WithoutCancel(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkRoom(ctx, part); err != nil {
		return err
	}
	subject := "bundle." + id.String()
	err = s.do("keep", func() error {
		_, err := s.js.Publish(ctx, subject, s.bundleKey.seal(plain, subject))
		return err
	})
	if refusal := (*jetstream.APIError)(nil); errors.As(err, &refusal) && refusal.ErrorCode == storeFailed {
		return s.full(ctx, false)
	}
	if err != nil {
		return fmt.Errorf("keep a bundle: %w", err)
	}
	signal(s.news)
	return nil
}

// checkRoom refuses before the server would: a server that finds the disk full
// gives up its streams.
func (s *spool) checkRoom(ctx context.Context, part bool) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(s.dir, &disk); err != nil {
		return fmt.Errorf("look at the spool's disk: %w", err)
	}
	if disk.Bavail*uint64(disk.Bsize) < reserved {
		return s.full(ctx, true)
	}
	if !part {
		return nil
	}
	state, err := s.state(ctx)
	if err == nil && (state.Bytes > uint64(s.limit/4*3) || state.Msgs > maxBundles/4*3) {
		return s.full(ctx, false)
	}
	return err
}

func (s *spool) full(ctx context.Context, disk bool) error {
	state, err := s.state(ctx)
	if err != nil {
		return err
	}
	return &FullError{Bundles: state.Msgs, Bytes: state.Bytes, Limit: s.limit, Disk: disk}
}

func (s *spool) state(ctx context.Context) (jetstream.StreamState, error) {
	info, err := s.bundles.Info(ctx)
	if err != nil {
		return jetstream.StreamState{}, fmt.Errorf("look at the spool: %w", err)
	}
	return info.State, nil
}

// waiting is a bundle in the spool.
type waiting struct {
	bundle
	id       domain.UUID
	sequence uint64
	since    time.Time
	damaged  bool   // it cannot be opened
	lines    []byte // what of it is for the ledger
	sent     int    // how many lines that are
}

// next returns the first bundle behind a place in the spool that the ledger has
// not refused, and false when there is none.
func (s *spool) next(ctx context.Context, after uint64) (waiting, bool, error) {
	for w, err := range s.all(ctx, after) {
		if err != nil || !s.isRefused(w.sequence) {
			return w, err == nil, err
		}
	}
	return waiting{}, false, nil
}

// all gives the bundles behind a place in the spool, refused ones included.
func (s *spool) all(ctx context.Context, after uint64) iter.Seq2[waiting, error] {
	return func(yield func(waiting, error) bool) {
		for {
			msg, err := s.bundles.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject("bundle.*"))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return
			}
			if err != nil {
				yield(waiting{}, fmt.Errorf("read the spool: %w", err))
				return
			}
			after = msg.Sequence
			if !yield(s.opened(msg), nil) {
				return
			}
		}
	}
}

// at returns the bundle at a place in the spool, and false when it is gone or set
// aside.
func (s *spool) at(ctx context.Context, sequence uint64) (waiting, bool, error) {
	msg, err := s.bundles.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && s.isRefused(sequence) {
		return waiting{}, false, nil
	}
	if err != nil {
		return waiting{}, false, fmt.Errorf("read the spool: %w", err)
	}
	return s.opened(msg), true, nil
}

// waits tells whether a bundle is in the spool.
func (s *spool) waits(ctx context.Context, id domain.UUID) (bool, error) {
	_, err := s.bundles.GetLastMsgForSubject(ctx, "bundle."+id.String())
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (s *spool) opened(msg *jetstream.RawStreamMsg) waiting {
	w := waiting{sequence: msg.Sequence, since: msg.Time}
	w.id, _ = domain.ParseUUID(strings.TrimPrefix(msg.Subject, "bundle."))
	s.mu.Lock()
	plain, err := s.bundleKey.open(msg.Data, msg.Subject)
	s.mu.Unlock()
	if err == nil {
		w.bundle, err = decodeBundle(plain)
		clear(plain)
	}
	w.damaged = err != nil
	w.lines, w.sent = w.appendLines(nil)
	return w
}

// forget removes a bundle whose verdicts are kept. When it was the last one, the
// key goes, too: what deletion leaves on the disk opens nowhere.
func (s *spool) forget(ctx context.Context, sequence uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.do("forget", func() error { return s.bundles.DeleteMsg(ctx, sequence) })
	if err != nil {
		if _, gone := s.bundles.GetMsg(ctx, sequence); !errors.Is(gone, jetstream.ErrMsgNotFound) {
			return fmt.Errorf("forget a bundle: %w", err)
		}
	}
	signal(s.room)
	return s.renewWhenEmpty(ctx)
}

func (s *spool) renewWhenEmpty(ctx context.Context) error {
	state, err := s.state(ctx)
	if err != nil || state.Msgs > 0 {
		return err
	}
	return s.do("renew", s.bundleKey.renew)
}

// signal tells whoever waits, now or next, without waiting itself.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
